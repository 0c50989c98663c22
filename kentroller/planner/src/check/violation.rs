//! What is wrong with a plan, in fixed words.

use std::fmt;

use crate::value::words;

/// One reason to reject a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The wave, counted from 1; `None` when it concerns the plan as a whole.
    pub wave: Option<usize>,
    pub fault: Fault,
    /// The pod (`namespace/name`), node or pool that it concerns; empty for the plan itself.
    pub object: String,
    /// The field and value that are wrong, and what they were compared with.
    pub text: String,
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

        Room = "no-room",
        Reserve = "reserve",
        Taint = "taint",
        NodeSelector = "node-selector",
        PodAffinity = "pod-affinity",
        PodAntiAffinity = "pod-anti-affinity",
        Spread = "spread",
        HostPort = "host-port",
        VolumePlace = "volume-place",
        AttachLimit = "attach-limit",
        ConstraintUnknown = "constraint-unknown",

        BarePod = "bare-pod",
        JobPod = "job-pod",
        RemovalDisabled = "removal-disabled",
        DoNotDisrupt = "do-not-disrupt",
        NotSafeToEvict = "safe-to-evict-false",
        LocalVolume = "local-volume",
        VolumeUnknown = "volume-unknown",
        PdbAllowsNone = "pdb-allows-none",
        SeveralPdbs = "several-pdbs",
        ForeignScheduler = "foreign-scheduler",
        ResourceClaims = "resource-claims",
        Gated = "gated",
        SingleReplica = "single-replica",
        Terminating = "terminating",

        NotKarpenter = "not-karpenter",
        NotInitialized = "not-initialized",
        Deleting = "deleting",
        NotLinux = "not-linux",
        PriceUnknown = "price-unknown",
        Committed = "committed",
        StaticPool = "static-pool",
        ConsolidationOff = "consolidation-off",
        NotConsolidatable = "not-consolidatable",
        BudgetZero = "budget-zero",
        TooYoung = "too-young",
        OutOfScope = "out-of-scope",
        InUse = "in-use",
        OverAllocatable = "over-allocatable",
        NotEmpty = "not-empty",
        MinClusterSize = "min-cluster-size",
        MaxNodes = "max-nodes",
        MaxMoves = "max-moves",
        Mode = "mode",

        PoolUnusable = "pool-unusable",
        Requirement = "requirement",
        NotOffered = "not-offered",
        NotAvailable = "not-available",
        Price = "price",
        PoolLimit = "pool-limit",
        MinValues = "min-values",
        Labels = "labels",
        Requests = "requests",
        BoughtUnused = "bought-unused",
        LikeForLike = "like-for-like",

        Sum = "sum",
        Dearer = "dearer",
        Savings = "savings",
        Bound = "bound",
        PendingRoom = "pending-room",
        Headroom = "headroom",
    }
}
