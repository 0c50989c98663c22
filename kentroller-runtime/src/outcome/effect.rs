//! One write that a reconcile wants, with the conditions under which it may happen.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::Note;
use crate::guard::PlainGuard;
use crate::kind::{Kind, KindInfo, Metadata, ObjectKey, Owner};
use crate::measure::Measured;

/// What is done to the object.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// The whole object.
    Create(Value),
    /// JSON merge patch.
    Patch(Value),
    /// With uid and version as conditions.
    Delete,
    /// Through the eviction API.
    Evict,
    /// Past the eviction API, with the uid as condition.
    Force,
    /// JSON merge patch of the status subresource.
    Status(Value),
}

impl Act {
    /// As it is called in logs, metrics and records.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Patch(_) => "patch",
            Self::Delete => "delete",
            Self::Evict => "evict",
            Self::Force => "force",
            Self::Status(_) => "status",
        }
    }
}

/// One write. Everything but a creation carries uid and resourceVersion: an object of the same name that was made anew,
/// or that somebody changed meanwhile, is never hit.
#[derive(Clone, Debug)]
pub struct Effect {
    /// Names it for replies.
    pub key: String,
    /// What is done.
    pub act: Act,
    /// The kind of the object.
    pub kind: KindInfo,
    /// The object.
    pub object: ObjectKey,
    /// Its uid; empty for a creation.
    pub uid: String,
    /// The version that it must still have; empty if any will do.
    pub resource_version: String,
    /// What must hold right before.
    pub guard: Option<PlainGuard>,
    /// The event when it was accepted.
    pub says: Option<Note>,
    /// The event when it was refused.
    pub or_says: Option<Note>,
    /// What is counted when it was accepted.
    pub counts: Vec<Measured>,
}

impl Effect {
    fn new(kind: KindInfo, object: ObjectKey, uid: &str, resource_version: &str, act: Act) -> Self {
        Self {
            key: format!("{} {} {object}", act.verb(), kind.kind),
            act,
            kind,
            object,
            uid: uid.to_owned(),
            resource_version: resource_version.to_owned(),
            guard: None,
            says: None,
            or_says: None,
            counts: Vec::new(),
        }
    }

    fn on<K: Kind>(object: &K, act: Act) -> Self {
        Self::new(K::INFO, object.key(), object.uid(), object.meta().resource_version(), act)
    }

    pub(super) fn create_manifest(kind: KindInfo, object: ObjectKey, manifest: Value) -> Self {
        Self::new(kind, object, "", "", Act::Create(manifest))
    }

    pub(super) fn create<K: Kind>(object: &K) -> Self {
        let mut body = serde_json::to_value(object).expect("a kind is made of JSON, and of maps with text for keys");
        body["apiVersion"] = json!(K::INFO.api_version());
        body["kind"] = json!(K::INFO.kind);
        // What the server gives: a projection's defaults must not be sent.
        if let Some(metadata) = body["metadata"].as_object_mut() {
            for given in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
                metadata.remove(given);
            }
        }
        Self::on(object, Act::Create(body))
    }

    pub(super) fn create_owned<K: Kind>(object: &K, owner: &Owner) -> Self {
        let mut effect = Self::create(object);
        if let Act::Create(body) = &mut effect.act {
            let mut owners = body["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            owners.push(
                json!({"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid,
                "controller": owner.controller, "blockOwnerDeletion": true}),
            );
            body["metadata"]["ownerReferences"] = Value::Array(owners);
        }
        effect
    }

    pub(super) fn patch<K: Kind>(object: &K, patch: Value) -> Self {
        Self::on(object, Act::Patch(patch))
    }

    pub(super) fn delete<K: Kind>(object: &K) -> Self {
        Self::on(object, Act::Delete)
    }

    /// Without resourceVersion: a pod's status changes all the time, and its uid says enough.
    pub(super) fn evict<K: Kind>(pod: &K) -> Self {
        Self { resource_version: String::new(), ..Self::on(pod, Act::Evict) }
    }

    /// Without resourceVersion, as an eviction.
    pub(super) fn force<K: Kind>(pod: &K) -> Self {
        Self { resource_version: String::new(), ..Self::on(pod, Act::Force) }
    }

    /// A status write that the engine makes of a decided status.
    pub(crate) fn status(kind: KindInfo, object: ObjectKey, uid: &str, resource_version: &str, patch: Value) -> Self {
        Self::new(kind, object, uid, resource_version, Act::Status(patch))
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<7}{} {}", self.act.verb(), self.kind.kind, self.object)?;
        match &self.act {
            Act::Patch(patch) | Act::Status(patch) => write!(f, " {patch}"),
            Act::Create(_) | Act::Delete | Act::Evict | Act::Force => Ok(()),
        }
    }
}

impl Serialize for Effect {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = match &self.act {
            Act::Create(body) | Act::Patch(body) | Act::Status(body) => body.clone(),
            Act::Delete | Act::Evict | Act::Force => Value::Null,
        };
        json!({"key": self.key, "verb": self.act.verb(), "kind": self.kind.kind, "object": self.object.to_string(),
            "uid": self.uid, "resourceVersion": self.resource_version, "body": body})
        .serialize(serializer)
    }
}
