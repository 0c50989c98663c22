//! The words for machines that claims and plans have in common.

use kentroller_runtime::words;

words! {
    /// Why a claim or plan failed: a promise was missed.
    pub open enum FailureReason {
        /// A node could not be created with any of its offerings.
        NodeCreateFailed = "FailureReasonNodeCreateFailed",
        /// What the new nodes really cost leaves less saving than was asked for.
        InsufficientSavings = "FailureReasonInsufficientSavings",
        /// The plan saves less than minSavingsPercentage.
        BelowMinSavings = "FailureReasonBelowMinSavings",
        /// A step took longer than its time-out; the message names the step and what it waited for.
        Timeout = "FailureReasonTimeout",
        /// Nodes could not be drained.
        DrainFailed = "FailureReasonDrainFailed",
        /// The check of the plan found mistakes; nothing of it was done.
        PlanInvalid = "FailureReasonPlanInvalid",
        /// No plan could be computed.
        PlanGenerationFailed = "FailureReasonPlanGenerationFailed",
        /// Pods that moved did not become Ready.
        PodsNotReady = "FailureReasonPodsNotReady",
        /// An object that the plan needs vanished or changed under it.
        ClusterChanged = "FailureReasonClusterChanged",
    }
}

words! {
    /// Why a claim or plan was skipped: there was nothing to do.
    pub open enum SkippedReason {
        /// No node matches the scope and the constraints.
        NothingInScope,
        /// Nothing cheaper holds the pods.
        NoSaving,
        /// The cluster would have fewer nodes than minClusterSize.
        MinClusterSize,
        /// The plan was not executed in time, and prices and pods have moved on since.
        PlanExpired,
        /// A request of higher rank, or a newer one of the same source, took its place.
        Superseded,
    }
}
