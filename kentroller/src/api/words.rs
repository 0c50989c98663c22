//! The words for machines that claims and plans have in common.

use kentroller_runtime::words;

words! {
    /// Why a claim or plan failed: a promise was missed.
    pub open enum FailureReason {
        /// A node could not be created with any of its offerings.
        ///
        /// `.status.nodesCreation` has each try; allow the NodePool more types and zones.
        NodeCreateFailed = "FailureReasonNodeCreateFailed",
        /// What the new nodes really cost leaves less saving than was asked for.
        ///
        /// Both figures are in the message, the wave's in `.status.waves`; lower the thresholds of executionPolicy, or allow the
        /// NodePool more types and zones.
        InsufficientSavings = "FailureReasonInsufficientSavings",
        /// The plan saves less than minSavingsPercentage.
        ///
        /// Both figures are in the message, and `.status.proposedSavings` of the claim has the best plan that was found; a lower
        /// threshold. Nothing was touched.
        BelowMinSavings = "FailureReasonBelowMinSavings",
        /// A step took longer than its time-out, `planGenerationTimeout` or `rebalanceExecutionTimeout`; the message names the
        /// step and what it waited for.
        ///
        /// [A plan stays Running](../troubleshooting.md#a-plan-stays-running); allow more time or fewer nodes (`maxNodes`).
        Timeout = "FailureReasonTimeout",
        /// Nodes could not be drained.
        ///
        /// None of the nodes that should have gone could be; each [was kept](../troubleshooting.md#a-node-was-kept) for the reason that
        /// `.status.nodesDeletion` tells.
        DrainFailed = "FailureReasonDrainFailed",
        /// The check of the plan found mistakes; nothing of it was done.
        ///
        /// The first five mistakes are in the message; the cluster may have changed since it was planned: make a new claim.
        PlanInvalid = "FailureReasonPlanInvalid",
        /// No plan could be computed: a field of the claim is no duration, or holds a word that this version does not know.
        ///
        /// Correct the field that is named, in a new claim.
        PlanGenerationFailed = "FailureReasonPlanGenerationFailed",
        /// Pods that moved did not become Ready before the time-out. From five minutes on nothing else was moved.
        ///
        /// The message names the pods: `kubectl describe pod`. A plan does not wait for owners of which pods were not Ready before it.
        PodsNotReady = "FailureReasonPodsNotReady",
        /// The template of a NodePool was changed after the plan was made: Karpenter would never see that its new nodes are of
        /// the old one. Or the plan failed without a reason that this version knows.
        ///
        /// Make a new claim; read the message.
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
