//! Nodes.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Meta, Resources, or_default, shared_or_default};

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: NodeSpec,
    #[serde(deserialize_with = "shared_or_default")]
    pub status: Arc<NodeStatus>,
}

/// What is asked of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    #[serde(rename = "providerID", deserialize_with = "or_default")]
    pub provider_id: String,
    #[serde(deserialize_with = "or_default")]
    pub unschedulable: bool,
    #[serde(deserialize_with = "or_default")]
    pub taints: Vec<Taint>,
}

/// What a node reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    pub capacity: Resources,
    #[serde(deserialize_with = "or_default")]
    pub allocatable: Resources,
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
}

/// A condition of any object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    pub last_transition_time: Option<crate::manifest::Moment>,
}

/// A taint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Taint {
    #[serde(deserialize_with = "or_default")]
    pub key: String,
    #[serde(deserialize_with = "or_default")]
    pub value: String,
    pub effect: Effect,
    #[serde(rename = "timeAdded", skip_serializing_if = "TimeAdded::is_unknown")]
    pub time_added: TimeAdded,
}

/// When a taint came, in the server's words. It does not make another taint of it: all times are equal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeAdded(Option<String>);

impl TimeAdded {
    fn is_unknown(&self) -> bool {
        self.0.is_none()
    }

    /// The text; `None` where the taint does not say.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl PartialEq for TimeAdded {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for TimeAdded {}

impl PartialOrd for TimeAdded {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TimeAdded {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl Hash for TimeAdded {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Effect {
    #[default]
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
    /// A word that this build does not know; treated as if nothing tolerated it.
    #[serde(untagged)]
    Unknown(String),
}

/// Whether a condition of this type has this status.
pub(crate) fn has_condition(conditions: &[Condition], kind: &str, status: &str) -> bool {
    conditions.iter().any(|condition| condition.kind == kind && condition.status == status)
}

impl NodeStatus {
    /// Whether the kubelet says that it is ready.
    pub fn is_ready(&self) -> bool {
        has_condition(&self.conditions, "Ready", "True")
    }
}
