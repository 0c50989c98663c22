//! What is wrong with a plan, in fixed words.

use std::fmt;

use crate::value::words;

/// One reason to reject a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The wave, counted from 1; `None` when it concerns the plan as a whole.
    pub wave: Option<usize>,
    /// Which rule the plan breaks.
    pub fault: Fault,
    /// The pod (`namespace/name`), node or pool that it concerns; empty for the plan itself.
    pub object: String,
    /// The field and value that are wrong, and what they were compared with.
    pub text: String,
}

impl Violation {
    /// Whether it only says that pods have come, gone or moved since the plan was made. Who carries a plan out empties nodes of what
    /// is there.
    pub fn is_churn(&self) -> bool {
        let of_pod = self.object.contains('/');
        of_pod && matches!(self.fault, Fault::UnknownName | Fault::WrongOrigin | Fault::NotMovable | Fault::NotEmpty)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wave {
            Some(wave) => write!(f, "wave {wave}: ")?,
            None => f.write_str("plan: ")?,
        }
        f.write_str(self.fault.word())?;
        if !self.object.is_empty() {
            write!(f, ": {}", self.object)?;
        }
        write!(f, ": {}", self.text)
    }
}

impl Fault {
    /// Whether it only says that a pod or a node has to stay where it is, for now or for good. Who carries a plan out asks this
    /// again at each step, and keeps what has to stay.
    pub fn holds(self) -> bool {
        matches!(
            self,
            Self::BarePod
                | Self::JobPod
                | Self::RemovalDisabled
                | Self::DoNotDisrupt
                | Self::NotSafeToEvict
                | Self::LocalVolume
                | Self::PdbAllowsNone
                | Self::SeveralPdbs
                | Self::SingleReplica
                | Self::Terminating
                | Self::Deleting
                | Self::ConsolidationOff
                | Self::NotConsolidatable
                | Self::BudgetZero
        )
    }
}

/// Faults of one object, with the field and value that are wrong.
pub(super) type Faults = Vec<(Fault, String)>;

words! {
    /// The rule that a plan breaks.
    Fault {
        /// A pod, node or pool that the cluster does not have.
        UnknownName = "unknown-name",
        /// A name that two objects of the cluster share, so that nobody can say which is meant.
        AmbiguousName = "ambiguous-name",
        /// The same thing done or named twice.
        Duplicate = "duplicate",
        /// A pod is moved from where it is not.
        WrongOrigin = "wrong-origin",
        /// A pod that does not run, has ended, or belongs to its node.
        NotMovable = "not-movable",
        /// A node that may not be given pods.
        Receiver = "receiver",
        /// A node is given more than it has.
        Room = "no-room",
        /// A node is filled beyond the reserve that was asked for.
        Reserve = "reserve",
        /// A pod does not tolerate a taint of its new node.
        Taint = "taint",
        /// A pod asks for other nodes, by selector or node affinity.
        NodeSelector = "node-selector",
        /// A pod is without the company that it requires.
        PodAffinity = "pod-affinity",
        /// A pod is beside one that may not be beside it.
        PodAntiAffinity = "pod-anti-affinity",
        /// A hard topology spread forbids the place.
        Spread = "spread",
        /// Two pods of a node want one port of it.
        HostPort = "host-port",
        /// A volume of a pod cannot be used from its new node.
        VolumePlace = "volume-place",
        /// A node is given more volumes than it attaches.
        AttachLimit = "attach-limit",
        /// A pod asks for something that cannot be judged.
        ConstraintUnknown = "constraint-unknown",
        /// A pod without a controller is moved.
        BarePod = "bare-pod",
        /// A pod of a Job is moved.
        JobPod = "job-pod",
        /// A pod or node that is marked removal-disabled is touched.
        RemovalDisabled = "removal-disabled",
        /// A pod or node that is annotated do-not-disrupt is touched.
        DoNotDisrupt = "do-not-disrupt",
        /// A pod that is annotated as not safe to evict is moved.
        NotSafeToEvict = "safe-to-evict-false",
        /// A pod with a volume on its node's own disk is moved.
        LocalVolume = "local-volume",
        /// A pod with a volume whose place cannot be told is moved.
        VolumeUnknown = "volume-unknown",
        /// A disruption budget does not allow an eviction.
        PdbAllowsNone = "pdb-allows-none",
        /// A pod of several disruption budgets is moved: the API would refuse.
        SeveralPdbs = "several-pdbs",
        /// A pod that another scheduler places is moved.
        ForeignScheduler = "foreign-scheduler",
        /// A pod that uses devices by ResourceClaim is moved.
        ResourceClaims = "resource-claims",
        /// A pod that nobody looks for a node for yet is moved.
        Gated = "gated",
        /// A pod without a second replica is moved, in continuous mode.
        SingleReplica = "single-replica",
        /// A pod that is ending is moved, or its node goes.
        Terminating = "terminating",
        /// A node that Karpenter did not launch goes.
        NotKarpenter = "not-karpenter",
        /// A node goes that Karpenter has not finished starting.
        NotInitialized = "not-initialized",
        /// A node that is being deleted is planned again.
        Deleting = "deleting",
        /// A node goes that is not Linux.
        NotLinux = "not-linux",
        /// A price that is needed is not known.
        PriceUnknown = "price-unknown",
        /// A node goes that is paid for already.
        Committed = "committed",
        /// A node goes, or is bought, in a NodePool that keeps a fixed number.
        StaticPool = "static-pool",
        /// A node goes whose NodePool does not want to be consolidated.
        ConsolidationOff = "consolidation-off",
        /// A node goes that Karpenter has not marked Consolidatable.
        NotConsolidatable = "not-consolidatable",
        /// A node goes whose NodePool allows none to go now.
        BudgetZero = "budget-zero",
        /// A node goes that is younger than was asked for.
        TooYoung = "too-young",
        /// A node goes that was not asked for.
        OutOfScope = "out-of-scope",
        /// A node goes that others have their hands on.
        InUse = "in-use",
        /// A node goes whose pods ask for more than it has: something is not as it seems.
        OverAllocatable = "over-allocatable",
        /// A node goes although the input has no pods at all, so that nothing tells what runs on it.
        PodsUnknown = "pods-unknown",
        /// A node goes while pods are left on it.
        NotEmpty = "not-empty",
        /// The cluster gets smaller than was asked for.
        MinClusterSize = "min-cluster-size",
        /// More nodes go than were asked for.
        MaxNodes = "max-nodes",
        /// The nodes that go have more cpu than was asked for.
        MaxCpu = "max-cpu",
        /// More pods move than were asked for.
        MaxMoves = "max-moves",
        /// The plan does what its mode forbids.
        Mode = "mode",
        /// A node is bought in a pool that launches none.
        PoolUnusable = "pool-unusable",
        /// The pool does not admit what is bought in it.
        Requirement = "requirement",
        /// The catalogue does not have what is bought.
        NotOffered = "not-offered",
        /// What is bought is not available now.
        NotAvailable = "not-available",
        /// A price is not that of the catalogue.
        Price = "price",
        /// A pool's limits do not leave room for what is bought.
        PoolLimit = "pool-limit",
        /// An order leaves fewer values to choose from than the pool's minValues ask for.
        MinValues = "min-values",
        /// A new node is planned with labels that it will not carry.
        Labels = "labels",
        /// A new node is planned with requests that are not those of its pods.
        Requests = "requests",
        /// A node is bought and given no pod.
        BoughtUnused = "bought-unused",
        /// A node is bought that only repeats what it replaces.
        LikeForLike = "like-for-like",
        /// The sums of the plan are not right.
        Sum = "sum",
        /// The bill rises with a wave.
        Dearer = "dearer",
        /// The plan saves less than was asked for.
        Savings = "savings",
        /// The plan costs less than its own lower bound.
        Bound = "bound",
        /// A pod that waits had room before the plan and has none after it.
        PendingRoom = "pending-room",
        /// A pool keeps less room free than was asked for.
        Headroom = "headroom",
    }
}
