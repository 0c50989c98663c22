//! The spec of Karpenter's NodeClaim: what a plan asks for, and what a NodeClaim in the cluster was asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kentroller_planner::{Quantity, manifest};
use kentroller_runtime::resource;
use serde_json::Value;

#[resource(part)]
/// The spec of a NodeClaim, as Karpenter takes it.
///
/// Fields that are not listed here are passed on to Karpenter as they are.
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct NodeClaimSpec {
    /// The age at which Karpenter replaces the node, or Never.
    #[serde(default = "a_month")]
    #[garde(pattern("^(([0-9]+(s|m|h))+|Never)$"))]
    pub expire_after: String,
    /// The object that tells Karpenter how to launch machines at this provider.
    pub node_class_ref: NodeClassRef,
    /// What the machine must be; Karpenter launches the first that it can get.
    #[required]
    #[garde(length(max = 100), dive)]
    pub requirements: Vec<NodeRequirement>,
    /// What the machine must have room for.
    pub resources: Option<NodeClaimResources>,
    /// Taints that somebody else takes away while the node starts.
    pub startup_taints: Vec<NodeTaint>,
    /// Taints of the node.
    pub taints: Vec<NodeTaint>,
    /// How long a drain by Karpenter may take before the pods that are left are ended, whatever protects them.
    #[garde(pattern("^([0-9]+(s|m|h))+$"))]
    pub termination_grace_period: Option<String>,
    /// Everything else, passed on as it is.
    #[serde(flatten)]
    #[schemars(skip)]
    #[garde(skip)]
    pub other: BTreeMap<String, Value>,
}

fn a_month() -> String {
    "720h".to_owned()
}

impl Default for NodeClaimSpec {
    fn default() -> Self {
        Self {
            expire_after: a_month(),
            node_class_ref: NodeClassRef::default(),
            requirements: Vec::new(),
            resources: None,
            startup_taints: Vec::new(),
            taints: Vec::new(),
            termination_grace_period: None,
            other: BTreeMap::new(),
        }
    }
}

#[resource(part)]
/// Names the object that tells Karpenter how to launch machines.
#[derive(Default, Eq)]
pub struct NodeClassRef {
    /// The API group of the object.
    #[garde(pattern("^[^/]*$"))]
    pub group: String,
    /// The kind of the object.
    pub kind: String,
    /// The name of the object.
    pub name: String,
}

#[resource(part)]
/// A requirement on one label of the node.
#[derive(Default, Eq)]
pub struct NodeRequirement {
    /// The label.
    pub key: String,
    /// The least number of different values that Karpenter must have to choose from.
    #[garde(range(min = 1, max = 50))]
    pub min_values: Option<i64>,
    /// How the label is compared: In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte or Lte.
    #[schemars(with = "String")]
    #[garde(skip)]
    pub operator: manifest::Operator,
    /// What the label is compared with.
    pub values: Vec<String>,
}

#[resource(part)]
/// What a machine must have room for.
#[derive(Default, Eq)]
pub struct NodeClaimResources {
    /// Amounts by resource: the pods planned for the node, and its DaemonSets.
    #[schemars(schema_with = "super::quantities")]
    pub requests: BTreeMap<String, Quantity>,
}

#[resource(part)]
/// A taint of a node.
#[derive(Default, Eq)]
pub struct NodeTaint {
    /// What it does to pods that do not tolerate it: NoSchedule, PreferNoSchedule or NoExecute.
    #[schemars(with = "String")]
    #[garde(skip)]
    pub effect: manifest::Effect,
    /// The taint's key.
    pub key: String,
    /// When it was added.
    pub time_added: Option<Timestamp>,
    /// The taint's value.
    pub value: Option<String>,
}

/// The part of the spec that planning reads.
impl From<&NodeClaimSpec> for manifest::NodeClaimSpec {
    fn from(spec: &NodeClaimSpec) -> Self {
        let class = &spec.node_class_ref;
        Self {
            requirements: spec.requirements.iter().map(manifest::Requirement::from).collect(),
            node_class_ref: manifest::NodeClassRef {
                group: class.group.clone(),
                kind: class.kind.clone(),
                name: class.name.clone(),
            },
            taints: spec.taints.iter().map(manifest::Taint::from).collect(),
            expire_after: Some(spec.expire_after.clone()),
        }
    }
}

impl From<&NodeRequirement> for manifest::Requirement {
    fn from(one: &NodeRequirement) -> Self {
        Self {
            key: one.key.clone(),
            operator: one.operator.clone(),
            values: one.values.clone(),
            min_values: one.min_values.and_then(|least| u32::try_from(least).ok()),
        }
    }
}

impl From<&NodeTaint> for manifest::Taint {
    fn from(taint: &NodeTaint) -> Self {
        Self {
            key: taint.key.clone(),
            value: taint.value.clone().unwrap_or_default(),
            effect: taint.effect.clone(),
            ..Self::default()
        }
    }
}
