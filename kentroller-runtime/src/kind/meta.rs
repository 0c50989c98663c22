//! An object's metadata: what is read of it, whole or projected.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::{Deserialize, Serialize};

use super::ObjectKey;
use crate::store::share::Pool;

static NO_MAP: BTreeMap<String, String> = BTreeMap::new();

/// Read access to an object's metadata, whole or projected.
pub trait Metadata {
    /// The name.
    fn name(&self) -> &str;
    /// The name, shared.
    fn name_arc(&self) -> Arc<str> {
        self.name().into()
    }
    /// The namespace; empty if it has none.
    fn namespace(&self) -> &str;
    /// The namespace, shared.
    fn namespace_arc(&self) -> Arc<str> {
        self.namespace().into()
    }
    /// What tells it from others of its name.
    fn uid(&self) -> &str;
    /// The version that was read.
    fn resource_version(&self) -> &str;
    /// Counts the edits of the spec.
    fn generation(&self) -> i64;
    /// All labels.
    fn labels(&self) -> &BTreeMap<String, String>;
    /// All annotations that are kept.
    fn annotations(&self) -> &BTreeMap<String, String>;
    /// All owners.
    fn owners(&self) -> Vec<Owner>;
    /// What holds it back from going.
    fn finalizers(&self) -> &[String];
    /// When it was made.
    fn created(&self) -> Timestamp;
    /// When deletion was asked for.
    fn deleting(&self) -> Option<Timestamp>;
}

impl Metadata for ObjectMeta {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
    fn uid(&self) -> &str {
        self.uid.as_deref().unwrap_or_default()
    }
    fn resource_version(&self) -> &str {
        self.resource_version.as_deref().unwrap_or_default()
    }
    fn generation(&self) -> i64 {
        self.generation.unwrap_or_default()
    }
    fn labels(&self) -> &BTreeMap<String, String> {
        self.labels.as_ref().unwrap_or(&NO_MAP)
    }
    fn annotations(&self) -> &BTreeMap<String, String> {
        self.annotations.as_ref().unwrap_or(&NO_MAP)
    }
    fn owners(&self) -> Vec<Owner> {
        self.owner_references.iter().flatten().map(Owner::from).collect()
    }
    fn finalizers(&self) -> &[String] {
        self.finalizers.as_deref().unwrap_or_default()
    }
    fn created(&self) -> Timestamp {
        self.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0)
    }
    fn deleting(&self) -> Option<Timestamp> {
        Some(asked(self.deletion_timestamp.as_ref()?.0, self.deletion_grace_period_seconds.unwrap_or_default()))
    }
}

/// One owner of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    /// `v1` or `group/version`.
    pub api_version: String,
    /// In PascalCase.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Whether this owner is the one controller of the object.
    pub controller: bool,
}

impl From<&OwnerReference> for Owner {
    fn from(owner: &OwnerReference) -> Self {
        Self {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
            controller: owner.controller.unwrap_or_default(),
        }
    }
}

/// The metadata that a projection keeps of somebody else's object: a whole `ObjectMeta` with its managed fields is
/// larger than all that we read of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Unique in its namespace.
    pub name: Arc<str>,
    /// Empty for a cluster-scoped object.
    #[serde(skip_serializing_if = "is_empty")]
    pub namespace: Arc<str>,
    /// What tells it from others of its name.
    pub uid: Arc<str>,
    /// The version that was read.
    pub resource_version: Box<str>,
    /// Counts the edits of the spec.
    pub generation: i64,
    /// All labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// All annotations that are kept.
    pub annotations: Arc<BTreeMap<String, String>>,
    /// All owners.
    #[serde(rename = "ownerReferences")]
    pub owners: Arc<Vec<Owner>>,
    /// What holds it back from going.
    pub finalizers: Arc<Vec<String>>,
    /// When it was made.
    #[serde(rename = "creationTimestamp")]
    pub created: Timestamp,
    /// When it is to be gone at the latest; see [`Metadata::deleting`] for when that was asked for.
    #[serde(rename = "deletionTimestamp", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Seconds between the two.
    #[serde(rename = "deletionGracePeriodSeconds", skip_serializing_if = "Option::is_none")]
    pub grace: Option<i32>,
}

fn is_empty(text: &Arc<str>) -> bool {
    text.is_empty()
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            name: Arc::from(""),
            namespace: Arc::from(""),
            uid: Arc::from(""),
            resource_version: Box::from(""),
            generation: 0,
            labels: Arc::default(),
            annotations: Arc::default(),
            owners: Arc::default(),
            finalizers: Arc::default(),
            created: Timestamp::UNIX_EPOCH,
            deadline: None,
            grace: None,
        }
    }
}

impl Meta {
    /// The metadata of an object that is to be made.
    pub fn of(key: &ObjectKey) -> Self {
        Self { name: Arc::clone(&key.name), namespace: Arc::clone(&key.namespace), ..Self::default() }
    }

    /// Keeps one copy of what many objects have in common.
    pub fn share(&mut self, pool: &mut Pool) {
        pool.text(&mut self.namespace);
        pool.value(&mut self.labels);
        pool.value(&mut self.annotations);
        pool.value(&mut self.owners);
        pool.value(&mut self.finalizers);
    }
}

impl Metadata for Meta {
    fn name(&self) -> &str {
        &self.name
    }
    fn name_arc(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
    fn namespace(&self) -> &str {
        &self.namespace
    }
    fn namespace_arc(&self) -> Arc<str> {
        Arc::clone(&self.namespace)
    }
    fn uid(&self) -> &str {
        &self.uid
    }
    fn resource_version(&self) -> &str {
        &self.resource_version
    }
    fn generation(&self) -> i64 {
        self.generation
    }
    fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }
    fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }
    fn owners(&self) -> Vec<Owner> {
        self.owners.to_vec()
    }
    fn finalizers(&self) -> &[String] {
        &self.finalizers
    }
    fn created(&self) -> Timestamp {
        self.created
    }
    fn deleting(&self) -> Option<Timestamp> {
        Some(asked(self.deadline?, self.grace.map_or(0, i64::from)))
    }
}

/// `deletionTimestamp` lies ahead by the grace period.
fn asked(deadline: Timestamp, grace: i64) -> Timestamp {
    deadline.saturating_sub(jiff::SignedDuration::from_secs(grace)).unwrap_or(deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projected_metadata_reads_what_the_server_sends() {
        let meta: Meta = serde_json::from_value(serde_json::json!({
            "name": "cart-1", "namespace": "shop", "uid": "u1", "resourceVersion": "12", "generation": 3,
            "creationTimestamp": "2026-11-22T10:00:00Z", "labels": {"app": "cart"}, "managedFields": [{"manager": "x"}],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "r1", "controller": true}],
        }))
        .expect("it decodes");
        assert_eq!((meta.name(), meta.namespace(), meta.generation()), ("cart-1", "shop", 3));
        assert!(meta.owners()[0].controller);
        assert_eq!(meta.created().to_string(), "2026-11-22T10:00:00Z");
    }
}
