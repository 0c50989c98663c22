//! DaemonSets, disruption budgets and namespaces.

use serde::{Deserialize, Serialize};

use super::{LabelSelector, Labels, Meta, PodSpec, or_default};

/// A DaemonSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonSet {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: DaemonSetSpec,
}

/// What a DaemonSet runs on every node that it fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonSetSpec {
    #[serde(deserialize_with = "or_default")]
    pub template: PodTemplate,
}

/// A pod template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    #[serde(deserialize_with = "or_default")]
    pub metadata: PodTemplateMeta,
    #[serde(deserialize_with = "or_default")]
    pub spec: PodSpec,
}

/// The labels of a template's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodTemplateMeta {
    #[serde(deserialize_with = "or_default")]
    pub labels: Labels,
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodDisruptionBudget {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: PdbSpec,
    pub status: Option<PdbStatus>,
}

/// Which pods a budget guards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PdbSpec {
    /// Absent: none; empty: all of the namespace.
    pub selector: Option<LabelSelector>,
    #[serde(deserialize_with = "or_default")]
    pub unhealthy_pod_eviction_policy: String,
}

/// How many evictions a budget allows now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PdbStatus {
    #[serde(deserialize_with = "or_default")]
    pub disruptions_allowed: i32,
    #[serde(deserialize_with = "or_default")]
    pub current_healthy: i32,
    #[serde(deserialize_with = "or_default")]
    pub desired_healthy: i32,
}

/// A namespace; its labels are what `namespaceSelector` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    pub metadata: Meta,
}
