//! What became of a plan: its state, its course node by node, and what it saved.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kentroller_runtime::{Condition, resource, words};

use super::{CompressedData, FailureReason, NodeCost, Savings, SkippedReason, Warning};

#[resource(status)]
/// What became of a plan.
pub struct PlanStatus {
    /// For how long the plan was worked on until lookTime, in seconds. rebalanceExecutionTimeout counts this: time in which no operator
    /// led, everything was paused or the feature was off is left out.
    pub active_seconds: Option<i64>,
    /// What came of the plan, on the nodes that really came and went, also where it failed or was stopped; absent while it runs
    /// and for plans that only delete.
    pub achieved_outcome: Option<AchievedOutcome>,
    /// When the plan was checked and found right; absent before.
    pub check_time: Option<Timestamp>,
    /// Fields in compressed form, as other versions may write them. Never written by this one.
    pub compressed_data: Option<CompressedData>,
    /// What the plan is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// Whether Karpenter's own consolidation would leave the new nodes alone.
    pub consolidation_stability: Option<ConsolidationStability>,
    /// Why the plan failed, for people.
    pub failure_message: Option<String>,
    /// The phase in which it failed, of the wave that failed.
    pub failure_phase: Option<FailurePhase>,
    /// Why the plan failed, for machines.
    pub failure_reason: Option<FailureReason>,
    /// Until when activeSeconds counts.
    pub look_time: Option<Timestamp>,
    /// What was really saved, measured once an hour for seven days after the end; absent before, and where nothing was carried out.
    pub measured_savings: Option<MeasuredSavings>,
    /// How often making the migration plan was tried again; back to 0 when it succeeds.
    pub migration_plan_retries: Option<i64>,
    /// What the budgets of the node pools leave, by node pool.
    pub node_pool_budgets: Vec<NodePoolBudget>,
    /// The course of every node that comes, by the name of its NodeClaim; the last attempt is the present one.
    pub nodes_creation: BTreeMap<String, NodeCreation>,
    /// The course of every node that goes, by its name; the last event is the present one.
    pub nodes_deletion: BTreeMap<String, NodeDeletion>,
    /// The generation of the plan that this status judges.
    pub observed_generation: Option<i64>,
    /// The uids of the owners whose pods the plan has moved. Nothing else moves while pods of theirs do not serve.
    pub owners_moved: Vec<String>,
    /// The uids of the owners of which some pods were not Ready when the plan began. It does not wait for pods of theirs.
    pub owners_not_ready: Vec<String>,
    /// What the plan promises to save.
    pub savings: Option<Savings>,
    /// Why the plan was skipped, for people.
    pub skipped_message: Option<String>,
    /// Why the plan was skipped, for machines.
    pub skipped_reason: Option<SkippedReason>,
    /// Tells the spec, but for execute, that was checked: a plan that is edited is checked anew, and fails if it runs.
    pub spec_digest: Option<String>,
    /// The node that takes pods now; absent before the first one moves.
    pub receiver: Option<String>,
    /// When the execution began; absent before.
    pub start_time: Option<Timestamp>,
    /// Where the plan is.
    pub state: Option<PlanState>,
    /// What the real new nodes promise to save, as it stood before the old ones were drained.
    pub validated_savings: Option<Savings>,
    /// What is doubtful about the plan, and what was kept.
    pub warnings: Vec<Warning>,
    /// The wave that is being executed, from 0: the first one whose pods still move.
    pub wave: Option<u32>,
    /// The waves that have begun, in their order; the last ones may be on their way while an earlier one is drained.
    pub waves: Vec<WaveStatus>,
}

#[resource(part)]
/// How far a wave has come.
#[derive(Eq)]
pub struct WaveStatus {
    /// Its number, from 0.
    pub index: u32,
    /// How far it has come.
    pub phase: WavePhase,
    /// Of the saving that the wave promised, the percentage that its real new nodes bring; absent where nobody asked for it
    /// by an executionPolicy.
    pub achieved_savings_percent: Option<String>,
    /// What it has really saved, as long as its new nodes are there; absent before the end of the plan.
    pub measured: Option<WaveSavings>,
    /// Since when it is in this phase.
    pub since: Timestamp,
    /// Whether a node that goes was touched. From then on the new nodes of the wave are kept, whatever happens.
    #[serde(default)]
    pub touched: bool,
}

#[resource(part)]
/// What a wave has saved, from the first node that went or came until the time told. From when a new node of it is gone, whoever
/// removed it, nothing is counted any more.
#[derive(Eq)]
pub struct WaveSavings {
    /// What it promised to save from its end until then, in the currency of the plan's savings.
    pub promised: String,
    /// What it has saved: what the nodes that went would have cost since, less what the new ones have cost, also while both ran.
    pub saved: String,
    /// Until when this counts.
    pub until: Timestamp,
}

#[resource(part)]
/// What a plan has saved, measured on how long nodes really lived: the sum of its waves.
#[derive(Eq)]
pub struct MeasuredSavings {
    /// The currency of the amounts.
    pub currency: String,
    /// What its waves promised to save in that time.
    pub promised: String,
    /// What they have saved.
    pub saved: String,
    /// What was saved, in percent of what was promised; absent where nothing was.
    pub saved_percentage: Option<String>,
    /// When this was measured last.
    pub until: Timestamp,
}

words! {
    /// How far a wave has come.
    pub enum WavePhase {
        /// Its new nodes are made.
        Creating,
        /// Its new nodes are there, and their real prices are held against the executionPolicy.
        Gating,
        /// Its new nodes are there and take no pods so far; the waves before it come first.
        Waiting,
        /// Its nodes are cordoned and its pods move.
        Draining,
        /// Nothing moves any more; Karpenter ends its machines.
        Ending,
        /// It is over.
        Done,
    }
}

words! {
    /// Where a plan is.
    pub enum PlanState {
        /// Nothing was done so far.
        Pending => [Created, Failed],
        /// Nodes come, pods move, nodes go.
        Running => [Done, DoneWithWarnings, Failed, Canceled],
        /// All of it was done.
        Done,
        /// It is finished, but some nodes that should have gone were kept.
        DoneWithWarnings,
        /// A promise was missed.
        Failed,
        /// It was checked, and waits for its turn or for somebody to execute it.
        Created => [Running, Failed, Expired, Canceled],
        /// There was nothing to do.
        Skipped,
        /// Somebody stopped it, or the window of its schedule was over.
        Canceled,
        /// Nobody executed it in time.
        Expired,
    }
}

words! {
    /// The two phases of a wave.
    pub enum FailurePhase {
        /// New nodes are made; nothing has left so far, and a failure takes the new nodes back.
        Creation,
        /// Old nodes are drained and deleted; a failure keeps the new nodes.
        Deletion,
    }
}

#[resource(part)]
/// What came of a plan, on the nodes that really came.
#[derive(Default, Eq)]
pub struct AchievedOutcome {
    /// All nodes of the cluster afterwards.
    pub cluster_totals: Option<Totals>,
    /// What was saved; absent when no node went.
    pub diff: Option<OutcomeDiff>,
    /// The nodes that could not be made.
    pub failed_nodes: Vec<FailedNode>,
    /// The nodes that came.
    pub nodes: Vec<NodeCost>,
    /// All nodes that came.
    pub totals: Option<Totals>,
}

#[resource(part)]
/// Sizes and prices of several nodes.
#[derive(Default, Eq)]
pub struct Totals {
    /// Their memory, in MiB.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: Option<i64>,
    /// Their cpu, in thousandths of a core.
    #[serde(rename = "milliCPU")]
    pub milli_cpu: Option<i64>,
    /// How many they are.
    pub nodes: Option<i32>,
    /// What they cost an hour.
    pub price_hourly: Option<String>,
    /// What they cost a month.
    pub price_monthly: Option<String>,
}

#[resource(part)]
/// What was saved.
#[derive(Default, Eq)]
pub struct OutcomeDiff {
    /// In percent of what the cluster cost before.
    pub cluster_savings_percentage: Option<String>,
    /// In an hour.
    pub price_hourly: Option<String>,
    /// In a month.
    pub price_monthly: Option<String>,
    /// In percent of what the nodes that went cost.
    pub savings_percentage: Option<String>,
}

#[resource(part)]
/// A node that could not be made.
#[derive(Default, Eq)]
pub struct FailedNode {
    /// What was tried, in order.
    pub attempts: Vec<FailedAttempt>,
    /// The name of its NodeClaim in the plan.
    pub name: String,
}

#[resource(part)]
/// One thing that could not be launched.
#[derive(Default, Eq)]
pub struct FailedAttempt {
    /// Why not.
    pub description: String,
    /// The instance type that was tried.
    pub instance_type: String,
}

#[resource(part)]
/// Whether Karpenter's own consolidation would leave the new nodes alone.
#[derive(Default, Eq)]
pub struct ConsolidationStability {
    /// Whether this was looked at.
    #[required]
    pub enabled: bool,
    /// What was found, by node pool.
    pub pool_results: Vec<PoolStability>,
    /// Whether the plan was changed because of it. Never: what Karpenter would do next is part of the search for a plan.
    pub revised: bool,
    /// Why it was changed. Never written.
    pub revision_reason: Option<String>,
}

#[resource(part)]
/// How the new nodes of one pool stand with Karpenter's consolidation.
#[derive(Default, Eq)]
pub struct PoolStability {
    /// The name of the node pool.
    pub node_pool_name: String,
    /// Its new nodes.
    pub nodes: Vec<NodeStability>,
    /// What the nodes of the pool cost an hour.
    pub total_cost: String,
    /// What disrupting all nodes of the pool would count.
    pub total_disruption_cost: String,
}

#[resource(part)]
/// How one new node stands with Karpenter's consolidation.
#[derive(Default, Eq)]
pub struct NodeStability {
    /// Whether Karpenter would remove it, now or after other commands of its own.
    #[required]
    pub consolidatable: bool,
    /// What disrupting it would count.
    pub disruption_cost: String,
    /// Its instance type.
    pub instance_type: String,
    /// Its name.
    pub node_name: String,
    /// What it costs an hour.
    pub price_hourly: String,
    /// Its share of the pool's cost over its share of the pool's disruption cost; below 0.5 a pool whose policy is Balanced keeps it.
    pub score: String,
}

#[resource(part)]
/// What the disruption budgets of a node pool leave.
#[derive(Default, Eq)]
pub struct NodePoolBudget {
    /// How many of its nodes may be disrupted at once.
    pub allowed_disruptions: i64,
    /// How many of them are disrupted now: not ready, being deleted, or drained by a plan.
    pub disrupting_count: i64,
    /// The name of the node pool.
    pub node_pool_name: String,
    /// How many more may be disrupted now.
    pub remaining_disruptions: i64,
    /// How many initialized nodes it has that are not being deleted.
    pub total_nodes: i64,
}

#[resource(part)]
/// The course of a node that comes.
#[derive(Default, Eq)]
pub struct NodeCreation {
    /// What was tried, in order.
    pub attempts: Vec<CreationAttempt>,
    /// The name of its NodeClaim in the plan.
    pub name: String,
}

#[resource(part)]
/// One try to make a node.
#[derive(Eq)]
pub struct CreationAttempt {
    /// The capacity type of the machine.
    pub capacity_type: Option<String>,
    /// What is going on, for people.
    pub description: String,
    /// The instance type of the machine, or the one that was asked for.
    pub instance_type: String,
    /// The name of the NodeClaim of this try.
    pub node_claim_name: String,
    /// How it stands.
    pub status: AttemptStatus,
    /// When this was written.
    pub timestamp: Timestamp,
    /// The zone of the machine.
    pub zone: Option<String>,
    /// The provider's id of that zone.
    pub zone_id: Option<String>,
}

words! {
    /// How a try to make a node stands.
    pub enum AttemptStatus {
        /// The node is on its way.
        InProgress,
        /// The node is there and initialized.
        Success,
        /// This try came to nothing.
        Failed,
    }
}

#[resource(part)]
/// The course of a node that goes.
#[derive(Default, Eq)]
pub struct NodeDeletion {
    /// Since when something forbids that it goes, such as a pod with do-not-disrupt; absent while nothing does.
    pub blocked_since: Option<Timestamp>,
    /// When it was cordoned, moved on by the time in which nobody worked on the plan. drainTimeout counts from here.
    pub cordon_time: Option<Timestamp>,
    /// What happened to it; the last ten.
    pub events: Vec<DeletionEvent>,
    /// The name of the node.
    pub name: String,
    /// How far its end has come.
    pub phase: Option<DeletionPhase>,
    /// Since when none of its pods can move, for want of room elsewhere; absent while they move.
    pub stuck_since: Option<Timestamp>,
    /// The wave in which it goes.
    pub wave: Option<u32>,
}

impl NodeDeletion {
    /// How far its end has come. A status of an older version has events only.
    pub fn phase(&self) -> Option<DeletionPhase> {
        let by_event = || match self.events.last()?.status {
            DeletionStatus::InProgress => Some(DeletionPhase::Draining),
            DeletionStatus::Success => Some(DeletionPhase::Gone),
            DeletionStatus::Failed => Some(DeletionPhase::Kept),
            _ => None,
        };
        self.phase.clone().or_else(by_event)
    }
}

#[resource(part)]
/// Something that happened to a node that goes.
#[derive(Eq)]
pub struct DeletionEvent {
    /// What it is, for people.
    pub description: Option<String>,
    /// The name of the RebalanceMigrationPlan that moves pods of this node alive.
    pub migration_plan_name: Option<String>,
    /// How the node stands.
    pub status: DeletionStatus,
    /// When this happened.
    pub timestamp: Timestamp,
}

words! {
    /// How far the end of a node has come.
    pub enum DeletionPhase {
        /// It was not touched so far; something forbids it.
        Blocked,
        /// It is cordoned, and its pods leave.
        Draining,
        /// It was empty; its NodeClaim is deleted.
        Ending,
        /// It is gone.
        Gone,
        /// It stays, and takes pods again.
        Kept,
    }
}

words! {
    /// How a node that goes stands.
    pub enum DeletionStatus {
        /// A live migration of its pods was asked for.
        LiveMigrationCreated,
        /// Its pods are being moved alive.
        LiveMigrationInProgress,
        /// Its pods were moved alive.
        LiveMigrationSucceeded,
        /// Its pods could not be moved alive; they are evicted.
        LiveMigrationFailed,
        /// Nothing new is put on it from here.
        NodeCordoned,
        /// Its pods are being evicted, or its machine is ending.
        InProgress,
        /// Something forbids that it goes; the description names it. It is looked at again for three minutes.
        Blocked,
        /// Somebody else made it schedulable again while it was drained: it is kept.
        NodeUncordoned,
        /// It is gone.
        Success,
        /// It was kept.
        Failed,
    }
}
