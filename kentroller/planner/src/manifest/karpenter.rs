//! Karpenter's kinds.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::node::{Condition, has_condition};
use super::{Expression, Labels, Meta, Operator, Quantity, Resources, Taint, or_default, shared_or_default};

/// A NodePool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodePool {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: NodePoolSpec,
    #[serde(deserialize_with = "or_default")]
    pub status: NodePoolStatus,
}

/// What a NodePool may launch and how it may be disrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodePoolSpec {
    #[serde(deserialize_with = "or_default")]
    pub template: PoolTemplate,
    #[serde(deserialize_with = "or_default")]
    pub disruption: Disruption,
    #[serde(deserialize_with = "or_default")]
    pub limits: Resources,
    #[serde(deserialize_with = "or_default")]
    pub weight: i32,
    /// Set: a static pool, which is never consolidated.
    pub replicas: Option<i64>,
}

/// The template of a pool's nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolTemplate {
    #[serde(deserialize_with = "or_default")]
    pub metadata: TemplateMeta,
    #[serde(deserialize_with = "or_default")]
    pub spec: PoolTemplateSpec,
}

/// Labels and annotations that a pool gives its nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateMeta {
    #[serde(deserialize_with = "or_default")]
    pub labels: Labels,
    #[serde(deserialize_with = "or_default")]
    pub annotations: Labels,
}

/// What a pool's nodes are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolTemplateSpec {
    #[serde(deserialize_with = "or_default")]
    pub taints: Vec<Taint>,
    #[serde(deserialize_with = "or_default")]
    pub startup_taints: Vec<Taint>,
    #[serde(deserialize_with = "or_default")]
    pub requirements: Vec<Requirement>,
    #[serde(deserialize_with = "or_default")]
    pub node_class_ref: NodeClassRef,
    pub termination_grace_period: Option<String>,
    pub expire_after: Option<String>,
}

/// One requirement of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Requirement {
    /// Older names of labels are read as the newer ones, as Karpenter reads them.
    #[serde(deserialize_with = "normalized_key")]
    pub key: String,
    pub operator: Operator,
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<String>,
    pub min_values: Option<u32>,
}

fn normalized_key<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    or_default::<D, String>(from).map(|key| super::place::normalized(&key).to_owned())
}

impl Requirement {
    /// The requirement as a comparison.
    pub fn expression(&self) -> Expression {
        Expression { key: self.key.clone(), operator: self.operator.clone(), values: self.values.clone() }
    }
}

/// The class that a pool's nodes are of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeClassRef {
    #[serde(deserialize_with = "or_default")]
    pub group: String,
    #[serde(deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
}

/// How a pool may be disrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Disruption {
    /// `WhenEmpty`, `WhenEmptyOrUnderutilized` (when empty) or `Balanced`.
    #[serde(deserialize_with = "or_default")]
    pub consolidation_policy: String,
    /// A duration or `Never`.
    #[serde(deserialize_with = "or_default")]
    pub consolidate_after: String,
    /// Absent: one budget of 10 %. Empty: no limit.
    pub budgets: Option<Vec<Budget>>,
}

/// A disruption budget of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// A number or a percentage.
    #[serde(deserialize_with = "or_default")]
    pub nodes: String,
    /// Absent: every reason.
    pub reasons: Option<Vec<String>>,
    pub schedule: Option<String>,
    pub duration: Option<String>,
}

/// What a pool reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodePoolStatus {
    #[serde(deserialize_with = "or_default")]
    pub resources: Resources,
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
}

impl NodePoolStatus {
    /// Whether Karpenter says that the pool cannot launch nodes.
    pub fn is_unready(&self) -> bool {
        has_condition(&self.conditions, "Ready", "False")
    }
}

/// A NodeClaim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeClaim {
    pub metadata: Meta,
    #[serde(deserialize_with = "shared_or_default")]
    pub spec: Arc<NodeClaimSpec>,
    #[serde(deserialize_with = "shared_or_default")]
    pub status: Arc<NodeClaimStatus>,
}

/// What a NodeClaim asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeClaimSpec {
    #[serde(deserialize_with = "or_default")]
    pub requirements: Vec<Requirement>,
    #[serde(deserialize_with = "or_default")]
    pub node_class_ref: NodeClassRef,
    #[serde(deserialize_with = "or_default")]
    pub taints: Vec<Taint>,
    pub expire_after: Option<String>,
}

/// What a NodeClaim became.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeClaimStatus {
    #[serde(deserialize_with = "or_default")]
    pub node_name: String,
    #[serde(rename = "providerID", deserialize_with = "or_default")]
    pub provider_id: String,
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
}

impl NodeClaimStatus {
    /// Whether a condition is `True`.
    pub fn is(&self, kind: &str) -> bool {
        has_condition(&self.conditions, kind, "True")
    }
}

/// A NodeOverlay: what Karpenter believes a type costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeOverlay {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: NodeOverlaySpec,
}

/// Which offerings an overlay changes, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeOverlaySpec {
    #[serde(deserialize_with = "or_default")]
    pub requirements: Vec<Requirement>,
    /// A price an hour.
    pub price: Option<String>,
    /// `+0.05`, `-0.05`, `+10%` or `-10%`.
    pub price_adjustment: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub capacity: std::collections::BTreeMap<String, Quantity>,
    #[serde(deserialize_with = "or_default")]
    pub weight: i32,
}
