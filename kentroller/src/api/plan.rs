//! A plan: which nodes come, which go, which pods move, in waves.

use std::collections::BTreeMap;

use kentroller_planner::manifest::Operator;
use kentroller_runtime::{Conditions, resource, words};

use super::{AggressiveMode, ExecutionPolicy, FailureReason, NodeClaimSpec, NodeRequirement, PlanState, PlanStatus};

#[resource(
    group = "autoscaling.cast.ai",
    version = "v1alpha",
    kind = "RebalancePlan",
    shortname = "rp",
    category = "kentroller",
    status = PlanStatus,
    conditions = PlanCondition,
    states = PlanState,
    column("Before", string, ".status.savings.currentMonthlyCost"),
    column("After", string, ".status.savings.projectedMonthlyCost"),
    column("Savings%", string, ".status.savings.projectedSavingsPercent"),
    column("State", string, ".status.state"),
    column("Auto-executed", boolean, ".spec.execute"),
    column("Age", date, ".metadata.creationTimestamp")
)]
/// Says which nodes come, which go and which pods move; and, once executed, what came of it.
///
/// ```yaml
/// apiVersion: autoscaling.cast.ai/v1alpha
/// kind: RebalancePlan
/// metadata: {name: one-node-less}
/// spec:
///   execute: true
///   nodeClaimsToAdd: []
///   nodeClaimsToDelete: [{nodeClaimName: default-x7k2p}]
///   podsToMigrate: []
///   timeouts: {rebalanceExecutionTimeout: 1h}
/// ```
#[derive(Default)]
pub struct RebalancePlanSpec {
    /// What executing the plan needs of the claim's aggressive mode.
    pub aggressive_mode: Option<AggressiveMode>,
    /// The three lists, compressed, in place of lists that are too long for one object. Accepted; a plan that has it is refused.
    pub compressed_data: Option<CompressedData>,
    /// Whether the plan is executed. Set it to true to execute the plan, and back to false to cancel it at its next safe
    /// point.
    #[serde(default = "super::no")]
    pub execute: bool,
    /// What must be true of the new nodes of each wave before anything is evicted for it.
    pub execution_policy: Option<ExecutionPolicy>,
    /// The nodes that come.
    pub node_claims_to_add: Vec<NodeClaimToAdd>,
    /// The nodes that go.
    pub node_claims_to_delete: Vec<NodeClaimToDelete>,
    /// The pods that move, and where each is expected to go.
    pub pods_to_migrate: Vec<PodToMigrate>,
    /// How long the phases may take.
    pub timeouts: Option<PlanTimeouts>,
}

#[resource(part)]
/// Fields of an object in compressed form.
#[derive(Eq)]
pub struct CompressedData {
    /// How it was compressed.
    pub algorithm: Option<CompressionAlgorithm>,
    /// The fields as JSON, compressed, in base64.
    #[schemars(extend("format" = "byte"))]
    pub data: Option<String>,
}

words! {
    /// How something was compressed.
    pub enum CompressionAlgorithm {
        /// Zstandard.
        Zstd = "zstd",
    }
}

#[resource(part)]
/// A node that comes.
#[derive(Default)]
pub struct NodeClaimToAdd {
    /// What to launch, in the order in which it is tried. Empty: the requirements of the spec decide alone.
    pub alternatives: Vec<Alternative>,
    /// The name and the marks of the NodeClaim.
    pub metadata: NodeClaimMetadata,
    /// The spec of the NodeClaim.
    pub spec: NodeClaimSpec,
    /// The wave in which the node comes; waves are done one after the other, from 0. Absent: 0.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub wave: u32,
}

#[resource(part)]
/// One thing to launch.
#[derive(Default, Eq)]
pub struct Alternative {
    /// What it costs an hour.
    pub price_hourly: Option<String>,
    /// What it is: instance type, zone, capacity type. They replace the requirements of the spec on the same labels.
    pub requirements: Vec<NodeRequirement>,
}

impl Alternative {
    /// The first value that it asks for of a label.
    pub fn value(&self, key: &str) -> Option<&str> {
        let found = self.requirements.iter().find(|one| one.key == key && one.operator == Operator::In);
        found.and_then(|one| one.values.first()).map(String::as_str)
    }
}

#[resource(part)]
/// The name and the marks of a NodeClaim.
#[derive(Default, Eq)]
pub struct NodeClaimMetadata {
    /// Annotations of the NodeClaim.
    pub annotations: BTreeMap<String, String>,
    /// Labels of the NodeClaim.
    pub labels: BTreeMap<String, String>,
    /// The name of the NodeClaim; further tries append -attempt-N.
    pub name: String,
}

#[resource(part)]
/// A node that goes.
#[derive(Default, Eq)]
pub struct NodeClaimToDelete {
    /// The name of its NodeClaim.
    pub node_claim_name: String,
    /// The wave in which the node goes. Absent: 0.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub wave: u32,
}

#[resource(part)]
/// A pod that moves.
#[derive(Eq)]
pub struct PodToMigrate {
    /// The NodeClaim of the node that is expected to take the pod, or the node's name when it has no NodeClaim.
    pub dst_node_claim_name: String,
    /// The name of the pod.
    pub name: String,
    /// The namespace of the pod.
    pub namespace: String,
    /// What happens when the pod cannot be moved alive: Optional evicts it, Mandatory leaves it and keeps its node. No pod is
    /// moved alive so far.
    #[serde(default = "optional")]
    pub policy: MigrationPolicy,
    /// The name of the node that it leaves.
    pub src_node: String,
    /// The wave in which the pod moves. Absent: 0.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub wave: u32,
}

fn optional() -> MigrationPolicy {
    MigrationPolicy::Optional
}

words! {
    /// What happens when a pod cannot be moved alive.
    pub open enum MigrationPolicy {
        /// It is evicted.
        Optional,
        /// It stays, and the drain of its node counts as failed.
        Mandatory,
    }
}

#[resource(part)]
/// How long the phases of a plan may take.
#[derive(Default, Eq)]
pub struct PlanTimeouts {
    /// Until the plan has ended, such as 1h. Absent: 1h.
    pub rebalance_execution_timeout: Option<String>,
}

/// What `kubectl wait` may ask of a plan besides the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Conditions)]
#[conditions(summary(
    Checking = "The plan is being checked, whoever made it.",
    Created = "It was checked, and waits for its turn.",
    WaitsForApproval = "It waits for somebody to set `spec.execute`.",
    FeatureDisabled = "The feature rebalancer is off: no plan begins, and one that runs is held where it is.",
    Paused = "Everything is paused: no plan begins, and one that runs is held where it is.",
    ModeObserve = "The operator runs in mode observe, which executes no plan; one that runs is held where it is.",
    WaitsForTurn = "One plan is executed at a time, and another has the turn.",
    WaitsForRollout = "A workload that the plan moves is being rolled out.",
    Starting = "It takes its finalizer, before its first mark on another object.",
    Running = "The message says what the wave waits for.",
    Done = "The plan was executed.",
    Expired = "Nobody executed the plan in time.",
    Canceled = "Somebody stopped the plan.",
    words(FailureReason),
))]
pub enum PlanCondition {
    /// The plan was checked and found right.
    #[reasons(Checked = "The check found no mistake.")]
    Created,
    /// The plan is being executed.
    #[reasons(Running = "It is.", Done = "It was executed.", Canceled = "Somebody stopped it.", words(FailureReason))]
    InProgress,
    /// The plan was executed.
    #[reasons(Done = "The message says how many nodes were kept.")]
    Done,
    /// The plan ended in a failure.
    #[reasons(words(FailureReason))]
    Fail,
}
