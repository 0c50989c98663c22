//! A claim: the wish for one rebalancing, by hand or by a schedule.

use jiff::Timestamp;
use kentroller_planner::Quantity;
use kentroller_runtime::{Condition, Conditions, resource, words};

use super::{AggressiveModeConfig, FailureReason, Savings, Scope, SkippedReason};

#[resource(
    group = "autoscaling.cast.ai",
    version = "v1alpha",
    kind = "RebalancePlanClaim",
    shortname = "rpc",
    category = "kentroller",
    status = ClaimStatus,
    conditions = ClaimCondition,
    states = ClaimState,
    column("State", string, ".status.state"),
    column("PlanID", string, ".status.planId"),
    column("Nodes", integer, ".status.selectedNodesCount"),
    column("Savings%", string, ".status.projectedSavingsPercent"),
    column("Rebalance", string, ".status.rebalanceName"),
    column("Age", date, ".metadata.creationTimestamp")
)]
/// Asks for one rebalancing: a plan is computed for the nodes in scope and, if that is allowed, executed.
///
/// ```yaml
/// apiVersion: autoscaling.cast.ai/v1alpha
/// kind: RebalancePlanClaim
/// metadata: {name: now}
/// spec:
///   autoExecute: true
///   minSavingsPercentage: 5
///   nodeConstraints: {maxNodes: 10}
/// ```
#[derive(Default)]
pub struct RebalancePlanClaimSpec {
    /// Lifts protections that otherwise keep a node or a pod where it is; every one is off by default.
    pub aggressive_mode_config: Option<AggressiveModeConfig>,
    /// Whether the plan is executed as soon as it is its turn; otherwise it waits for its `execute` to be set.
    #[serde(default = "super::no")]
    pub auto_execute: bool,
    /// Whether a node whose drain does not end in time is kept and made schedulable again after uncordonAfter, instead of
    /// being forced. Absent: forced with aggressiveEviction only. True goes before aggressiveEviction.
    pub evict_gracefully: Option<bool>,
    /// What must be true of the new nodes of each wave before anything is evicted for it.
    pub execution_policy: Option<ExecutionPolicy>,
    /// The least saving, in percent of what the replaced nodes cost, for which the plan is executed. Absent: any saving
    /// that outweighs the move. 0: every selected node is replaced, whatever it costs.
    #[garde(range(min = 0, max = 100))]
    pub min_savings_percentage: Option<i32>,
    /// How the nodes that go are chosen. AgeSort: the oldest first, as sortBy Age. CRB, and absent: what saves most. sortBy wins.
    pub mode: Option<ClaimMode>,
    /// Narrows the scope; it never widens it and never overrides a disruption budget.
    pub node_constraints: Option<NodeConstraints>,
    /// Which nodes may be replaced; absent: every node of the cluster.
    pub scope: Option<Scope>,
    /// How long the phases may take.
    pub timeouts: Option<Timeouts>,
    /// By how much the plan may be dearer than the cheapest one found, in percent of its cost, where fewer pods move.
    /// 0: the cheapest. Absent: as the settings say, 1.
    #[garde(range(min = 0, max = 100))]
    pub tolerance_percent: Option<i32>,
    /// How long after a failed drain a kept node is made schedulable again, such as 30m. Absent: 30m.
    pub uncordon_after: Option<String>,
}

#[resource(part)]
/// What must be true of the new nodes before the old ones are drained.
#[derive(Default, Eq)]
pub struct ExecutionPolicy {
    /// The share of the saving that a wave promised, in percent, that its real new nodes must still bring; below it the plan
    /// fails, and the new nodes of the wave are given back. A node that came in a later offering counts at least what the
    /// first one costs; one of unknown price fails. Absent or 0: not checked.
    #[garde(range(min = 0, max = 100))]
    pub achieved_savings_percentage_threshold: Option<i32>,
    /// The least saving that the whole plan must still bring, in percent of what its old nodes cost, with the real new nodes
    /// for those that have come. Absent or 0: not checked.
    #[garde(range(min = 0, max = 100))]
    pub min_achieved_savings_percentage: Option<i32>,
}

#[resource(part)]
/// Narrows the nodes in scope.
#[derive(Default, Eq)]
pub struct NodeConstraints {
    /// The capacity type of the nodes that go. Absent: Any.
    pub capacity_type: Option<CapacityChoice>,
    /// The most cpu that the replaced nodes have together, such as 64: nodes are taken in the order of sortBy, or the smallest first,
    /// as long as they keep it; the first one in any case. Absent: no limit.
    #[serde(rename = "maxCPU", default)]
    #[schemars(schema_with = "super::quantity")]
    pub max_cpu: Option<Quantity>,
    /// The most nodes that one plan replaces; with sortBy, the first ones. Absent: all.
    #[garde(range(min = 1))]
    pub max_nodes: Option<i32>,
    /// The least age of a node that is replaced, in seconds.
    #[garde(range(min = 0))]
    pub min_age_seconds: Option<i64>,
    /// The least number of nodes that the cluster has afterwards.
    #[garde(range(min = 0))]
    pub min_cluster_size: Option<i32>,
    /// The order in which nodes are taken when maxNodes allows fewer than there are. Absent: what saves most.
    pub sort_by: Option<SortBy>,
}

words! {
    /// How the nodes that go are chosen.
    pub enum ClaimMode {
        /// By what saves most.
        CostBased = "CRB",
        /// The oldest first.
        AgeSort,
    }
}

words! {
    /// The capacity type of nodes that go.
    pub enum CapacityChoice {
        /// Spot nodes only.
        Spot,
        /// On-demand nodes only.
        OnDemand,
        /// Nodes of every capacity type.
        Any,
    }
}

words! {
    /// The order in which nodes are taken.
    pub enum SortBy {
        /// The dearest first, by price for each core of the node.
        NormalizedCpuPrice,
        /// The dearest first, by price for each core that its pods request.
        RequestedCpuPrice,
        /// The least used first; use is the larger of requested cpu and memory over allocatable.
        LeastUtilized,
        /// The oldest first.
        Age,
    }
}

#[resource(part)]
/// How long the phases of a claim may take.
#[derive(Default, Eq)]
pub struct Timeouts {
    /// Until the plan is there, such as 5m. Absent: 5m.
    pub plan_generation_timeout: Option<String>,
    /// Until the plan has ended, such as 1h. Absent: 1h.
    pub rebalance_execution_timeout: Option<String>,
}

#[resource(status)]
/// What became of a claim.
pub struct ClaimStatus {
    /// When the claim reached a state in which it stays.
    pub completion_time: Option<Timestamp>,
    /// What the claim is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// Why the claim failed, for people.
    pub error_message: Option<String>,
    /// Why the claim failed, for machines.
    pub failure_reason: Option<FailureReason>,
    /// Since when the plan is being computed; absent once it is there. planGenerationTimeout counts from here.
    pub generation_start_time: Option<Timestamp>,
    /// The generation of the claim that this status judges.
    pub observed_generation: Option<i64>,
    /// Identifies the request for a plan.
    pub operation_id: Option<String>,
    /// Identifies the plan.
    pub plan_id: Option<String>,
    /// The saving that the plan promises, in percent of what the replaced nodes cost.
    pub projected_savings_percent: Option<String>,
    /// What the best plan would have saved that was found and refused: of a claim that was skipped or has failed for that reason.
    pub proposed_savings: Option<Savings>,
    /// The name of the RebalancePlan.
    pub rebalance_name: Option<String>,
    /// The nodes that the plan replaces.
    pub selected_nodes: Vec<String>,
    /// How many nodes the plan replaces.
    pub selected_nodes_count: Option<i64>,
    /// Why the claim was skipped, for people.
    pub skipped_message: Option<String>,
    /// The nodes in scope that stay, with the reasons.
    pub skipped_nodes: Vec<SkippedNode>,
    /// Why the claim was skipped, for machines.
    pub skipped_reason: Option<SkippedReason>,
    /// Where the claim is.
    pub state: Option<ClaimState>,
    /// The plan or claim that goes first; absent while nothing does. When its turn comes, the claim is planned again.
    pub waits_for: Option<String>,
    /// What is doubtful about the plan, and which pods found no place.
    pub warnings: Vec<Warning>,
}

words! {
    /// Where a claim is.
    pub enum ClaimState {
        /// Nothing was done so far.
        Pending => [Submitted, Ready, Executing, Completed, Failed, Skipped, Canceled],
        /// A plan was asked for.
        Submitted => [Generating, Ready, Failed, Skipped, Canceled],
        /// The plan is being computed.
        Generating => [Ready, Failed, Skipped, Canceled],
        /// The plan is there, and waits for its turn or for somebody to execute it.
        Ready => [Generating, Executing, Completed, Failed, Skipped, Canceled],
        /// The plan is being executed.
        Executing => [Completed, Failed, Skipped, Canceled],
        /// The plan was executed.
        Completed,
        /// A promise was missed: a threshold, a time-out or a step.
        Failed,
        /// There was nothing to do.
        Skipped,
        /// Somebody stopped it.
        Canceled,
    }
}

#[resource(part)]
/// A node in scope that stays.
#[derive(Default, Eq)]
pub struct SkippedNode {
    /// The name of the node.
    pub name: String,
    /// Why it stays.
    pub reasons: Vec<String>,
}

#[resource(part)]
/// Something that a person should know and that stops nothing.
#[derive(Default, Eq)]
pub struct Warning {
    /// What it is, in one line.
    pub description: String,
}

/// What `kubectl wait` may ask of a claim besides the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Conditions)]
#[conditions(summary(
    FeatureDisabled = "The feature rebalancer is off.",
    Paused = "Everything is paused.",
    Generating = "The plan is being computed, or what it needs is waited for.",
    WaitsForTurn = "One plan is executed at a time, and another has the turn.",
    PlannedAgain = "The plan is older than five minutes; it is computed anew.",
    PlanReady = "The plan is being written or checked, or waits for its turn or for somebody to execute it.",
    Executing = "The plan is being executed.",
    Completed = "The plan was executed.",
    Canceled = "Somebody stopped the claim or its plan.",
    PlanStateUnknown = "Another version wrote the state of the plan; it is left alone.",
    words(FailureReason, SkippedReason),
))]
pub enum ClaimCondition {
    /// A plan was computed for the claim.
    #[reasons(
        Generating = "It is being computed, or what it needs is waited for.",
        PlanReady = "It was computed; the message says what it saves."
    )]
    PlanReady,
    /// The plan is being executed.
    #[reasons(
        WaitsForTurn = "One plan is executed at a time, and another has the turn.",
        Waiting = "It waits for its turn, or for `spec.execute` of the plan.",
        Executing = "The message names the wave."
    )]
    Executing,
    /// The claim came to its end as it was meant to.
    #[reasons(Completed = "The plan was executed.", words(SkippedReason))]
    Complete,
    /// The claim ended in a failure.
    #[reasons(words(FailureReason))]
    Failed,
}
