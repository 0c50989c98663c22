//! What the planner answers.

use std::collections::BTreeMap;
use std::fmt;

use super::{Advice, CapacityType, Money, Percent, Warning, words};
use crate::manifest::{Labels, ObjectName, Resources, Taint};

/// Which nodes go, which come, which pods move, in which order; and why the others stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The region whose prices count; empty when nodes do not say.
    pub region: String,
    /// What the nodes with a known price cost.
    pub cost_before: Money,
    /// What they cost after the plan, with what it buys.
    pub cost_after: Money,
    /// Below this no plan can come. `None`: not told.
    pub lower_bound: Option<LowerBound>,
    /// What running removed and added nodes side by side costs once, at ten minutes a wave. Unit: US dollars, as [`Money`].
    pub transition: Money,
    /// Nodes whose price is not known. No amount here counts them.
    pub unpriced: Vec<String>,
    /// The cheapest plan found, where one that costs a little more was chosen since fewer pods move.
    pub cheapest: Option<Cheapest>,
    /// In order. The plan may stop after any of them.
    pub waves: Vec<Wave>,
    /// Every node that stays, by name.
    pub kept: Vec<Kept>,
    /// By share of moved pods, if that was asked for.
    pub curve: Vec<CurvePoint>,
    /// The changes of settings that would save most.
    pub advice: Vec<Advice>,
    /// What narrowed the plan.
    pub warnings: Vec<Warning>,
    /// Pods that could move if it paid.
    pub movable_pods: usize,
    /// All that run but DaemonSet and static pods.
    pub workload_pods: usize,
    /// DaemonSet and static pods that run.
    pub daemon_pods: usize,
    /// Why there is nothing to do, when there is not.
    pub nothing: Option<Nothing>,
    /// The net saving of the best plan found relative to the nodes that it removes, if that is less than
    /// [`Options::min_savings`](crate::value::Options::min_savings); this plan is empty then.
    pub held_back: Option<Percent>,
    /// The waves of the best plan found, if it saves too little to be made; this plan is empty then.
    pub refused: Vec<Wave>,
    /// Steps of the search.
    pub steps: u64,
}

/// What no plan can be below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LowerBound {
    /// What every plan costs at least.
    pub hourly: Money,
    /// How it was found: `lp-dual` or `resource-prices`.
    pub method: &'static str,
}

/// A plan that was found and not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cheapest {
    /// What the cluster would cost after it.
    pub hourly: Money,
    /// How many pods it would move.
    pub moves: usize,
}

impl fmt::Display for Cheapest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the cheapest plan found comes to {} USD/h and moves {} pods; this one moves fewer for little more",
            self.hourly.hourly(),
            self.moves,
        )
    }
}

/// One step of a plan: after it everything that ran has a place, and the bill is not above the bill before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wave {
    /// Nodes that are bought before any pod moves.
    pub add: Vec<NewNode>,
    /// Nodes that go, by name.
    pub remove: Vec<String>,
    /// Moves in an order in which each is allowed when its turn comes.
    pub moves: Vec<Move>,
    /// What the cluster costs after it.
    pub hourly_after: Money,
    /// For people: what it does and saves.
    pub reason: String,
}

/// A node to buy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Unique within the plan: `new-1`, `new-2`, …
    pub name: String,
    /// The NodePool that launches it.
    pub node_pool: String,
    /// The type that is planned.
    pub instance_type: String,
    /// Empty when the cluster's nodes name no zones.
    pub zone: String,
    /// On demand or spot.
    pub capacity_type: CapacityType,
    /// What the planned type costs.
    pub price: Money,
    /// Offerings that hold the same pods, cheapest first; the planned one is not among them.
    pub alternatives: Vec<Offering>,
    /// Requests of the pods planned for it and of its DaemonSets.
    pub requests: Resources,
    /// The labels that the node will carry, as far as they are known.
    pub labels: Labels,
    /// The taints that its pool gives it.
    pub taints: Vec<Taint>,
}

/// A type in a zone as a capacity type, with its price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offering {
    /// Its name, such as `m5.large`.
    pub instance_type: String,
    /// Empty when the cluster's nodes name no zones.
    pub zone: String,
    /// On demand or spot.
    pub capacity_type: CapacityType,
    /// What a node of it costs.
    pub price: Money,
}

/// A pod that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Its namespace and name.
    pub pod: ObjectName,
    /// The node that it runs on.
    pub from: String,
    /// A node that exists, or the name of a [`NewNode`] of this or an earlier wave.
    pub to: String,
}

/// A node that stays, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub node: String,
    /// Why, as a fixed word.
    pub reason: KeptReason,
    /// The same for people.
    pub detail: String,
    /// The pods that hold it.
    pub blockers: Vec<Blocker>,
    /// Its price, where its removal is blocked and the price is known.
    pub would_save: Money,
}

/// A pod that holds its node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blocker {
    /// Its namespace and name.
    pub pod: ObjectName,
    /// Why it holds its node.
    pub rule: Rule,
}

words! {
    /// Why a node stays.
    KeptReason {
        /// Not launched by Karpenter: no NodeClaim, or no NodePool of its name.
        NotKarpenter = "not-karpenter",
        /// Karpenter has not finished starting it.
        NotInitialized = "not-initialized",
        /// It is being deleted already.
        Deleting = "deleting",
        /// Only Linux nodes are planned.
        NotLinux = "not-linux",
        /// A label that tells its price is missing, or the catalogue has none.
        PriceUnknown = "price-unknown",
        /// Bought as reserved capacity, or as a capacity type that is not known.
        Committed = "committed",
        /// Its NodePool keeps a fixed number of nodes.
        StaticPool = "static-pool",
        /// Its NodePool does not want to be consolidated.
        ConsolidationOff = "consolidation-off",
        /// Karpenter has not marked its NodeClaim Consolidatable.
        NotConsolidatable = "not-consolidatable",
        /// Its NodePool's disruption budgets allow no node now.
        BudgetZero = "budget-zero",
        /// It, or an entry of `evictionConfig` that names it, says removal-disabled.
        RemovalDisabled = "removal-disabled",
        /// It is annotated do-not-disrupt.
        DoNotDisrupt = "do-not-disrupt",
        /// It is younger than was asked for.
        TooYoung = "too-young",
        /// It is not among the nodes that were asked for.
        OutOfScope = "out-of-scope",
        /// Other work has its hands on it.
        InUse = "in-use",
        /// A plan kept it a short time ago: cycles leave it alone for a while.
        Resting = "resting",
        /// The judge of plans objects to its removal: a warning says why.
        Objected = "objected",
        /// Its pods ask for more than it has: something is not as it seems.
        OverAllocatable = "over-allocatable",
        /// The input has no pods at all: nothing tells what runs on it.
        PodsUnknown = "pods-unknown",
        /// Pods on it may not be moved.
        BlockedByPods = "blocked-by-pods",
        /// The cluster would get smaller than was asked for.
        MinClusterSize = "min-cluster-size",
        /// As many others go as were asked for.
        MaxNodes = "max-nodes",
        /// The cpu of others that go comes to what was asked for.
        MaxCpu = "max-cpu",
        /// Moving its pods pays less than the moves that were made.
        MaxMoves = "max-moves",
        /// The saving found is below what was asked for.
        SavingTooSmall = "saving-too-small",
        /// Its pods would have a place only beside other replicas of theirs, more than we put on one node.
        ReplicasTogether = "replicas-together",
        /// Its pods would have a place only in what other nodes keep free.
        Reserve = "reserve",
        /// A limit of a NodePool forbids to buy what would hold its pods.
        PoolLimit = "pool-limit",
        /// A pod of it has no other place at all.
        OnlyPlace = "only-place",
        /// Nothing cheaper holds its pods.
        NoCheaperPlace = "no-cheaper-place",
    }
}

impl KeptReason {
    /// Whether it kept the node out of the search; the other reasons are what the search found.
    pub const fn excludes(self) -> bool {
        !matches!(
            self,
            Self::MinClusterSize
                | Self::MaxNodes
                | Self::MaxCpu
                | Self::MaxMoves
                | Self::SavingTooSmall
                | Self::ReplicasTogether
                | Self::Reserve
                | Self::PoolLimit
                | Self::OnlyPlace
                | Self::NoCheaperPlace
        )
    }
}

words! {
    /// Why a pod holds its node.
    Rule {
        /// It has no controller: nothing brings it back.
        Bare = "bare-pod",
        /// It is of a Job, which would start again from the beginning.
        Job = "job-pod",
        /// It is marked removal-disabled.
        RemovalDisabled = "removal-disabled",
        /// It is annotated do-not-disrupt.
        DoNotDisrupt = "do-not-disrupt",
        /// It is annotated as not safe to evict.
        NotSafeToEvict = "safe-to-evict-false",
        /// It has a volume on the node's own disk.
        LocalVolume = "local-volume",
        /// It has a volume whose place cannot be told.
        VolumeUnknown = "volume-unknown",
        /// Its disruption budget allows no eviction now.
        PdbAllowsNone = "pdb-allows-none",
        /// Several disruption budgets select it: the API refuses its eviction.
        SeveralPdbs = "several-pdbs",
        /// A disruption budget that may select it cannot be read.
        PdbUnknown = "pdb-unknown",
        /// It asks for something that is not known here.
        UnknownConstraint = "unknown-constraint",
        /// Another scheduler than kube-scheduler places it.
        ForeignScheduler = "foreign-scheduler",
        /// It uses devices by ResourceClaim, which are not planned.
        ResourceClaims = "resource-claims",
        /// It has no second replica, and the mode is continuous.
        SingleReplica = "single-replica",
        /// A plan moved it a short time ago, and the mode is continuous.
        JustMoved = "just-moved",
        /// A topology spread would not let it back, or anywhere else.
        SpreadBroken = "spread-broken",
        /// Its affinity to other pods, or theirs to it, holds it.
        AffinityElsewhere = "affinity-elsewhere",
        /// It is ending; its node is left alone until it is gone.
        Terminating = "terminating",
        /// No node, existing or new, may take it.
        FitsNowhere = "fits-nowhere",
    }
}

words! {
    /// Why there is no wave.
    Nothing {
        /// No node may go.
        NothingInScope = "nothing-in-scope",
        /// Nothing cheaper holds the pods, or it saves less than was asked for.
        NoSaving = "no-saving",
        /// The cluster would get smaller than was asked for.
        MinClusterSize = "min-cluster-size",
    }
}

/// The best plan found within a share of moved pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurvePoint {
    /// The share of pods that may move.
    pub moved: Percent,
    /// What the cluster costs after that plan.
    pub hourly: Money,
    /// How many waves that plan has.
    pub waves: usize,
}

impl Plan {
    /// Pods that move, in all waves.
    pub fn moves(&self) -> usize {
        self.waves.iter().map(|wave| wave.moves.len()).sum()
    }

    /// Nodes that go, in all waves.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.waves.iter().flat_map(|wave| wave.remove.iter().map(String::as_str))
    }

    /// The nodes to buy, by name.
    pub fn added(&self) -> BTreeMap<&str, &NewNode> {
        self.waves.iter().flat_map(|wave| &wave.add).map(|node| (node.name.as_str(), node)).collect()
    }
}
