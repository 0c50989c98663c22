//! The labels, annotations and taints that planning reads. One home for each key: whoever writes or tests one takes it
//! from here.

/// A key on somebody's objects, and what it means there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub key: &'static str,
    /// What it is written as, and on which kinds: `label of Node`.
    pub place: &'static str,
    /// Who writes it.
    pub set_by: &'static str,
    /// What it means, its values included.
    pub doc: &'static str,
}

/// Declares keys as constants, and all of them as the list `ALL`.
#[macro_export]
macro_rules! marks {
    ($($(#[doc = $doc:literal])+ $name:ident = $key:literal, $place:literal, set by $by:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $key;)+
        /// Every key of this file, in its order.
        pub const ALL: &[$crate::manifest::Mark] = &[
            $($crate::manifest::Mark { key: $key, place: $place, set_by: $by, doc: concat!($($doc),+) }),+
        ];
    };
}

marks! {
    /// The NodePool that a node came from.
    NODE_POOL = "karpenter.sh/nodepool", "label of Node and NodeClaim", set by "Karpenter";
    /// `spot` or `on-demand`: with type, zone and region it tells what a node costs.
    CAPACITY_TYPE = "karpenter.sh/capacity-type", "label of Node", set by "Karpenter";
    /// `true`: the node is ready for pods.
    INITIALIZED = "karpenter.sh/initialized", "label of Node", set by "Karpenter";
    /// Karpenter is removing the node: nothing is planned there.
    DISRUPTED = "karpenter.sh/disrupted", "taint of Node", set by "Karpenter";
    /// The node, or the node of the pod, stays. On a pod also a duration, for which it counts.
    DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt", "annotation of Node, NodeClaim and Pod", set by "users; Kentroller on the nodes that a running plan made";
    /// The machine's type.
    INSTANCE_TYPE = "node.kubernetes.io/instance-type", "label of Node", set by "the cloud provider";
    /// The machine's zone.
    ZONE = "topology.kubernetes.io/zone", "label of Node", set by "the cloud provider";
    /// The machine's region: prices are told by it.
    REGION = "topology.kubernetes.io/region", "label of Node", set by "the cloud provider";
    /// `true`: the node, or the node of the pod, stays.
    REMOVAL_DISABLED = "autoscaling.cast.ai/removal-disabled", "label or annotation of Node and Pod", set by "users";
    /// Somebody is draining the node: nothing is planned there.
    DRAINING = "autoscaling.cast.ai/draining", "label or annotation of Node", set by "other components of CAST AI";
    /// The provider is expected to take the node away: nothing is planned there.
    PREDICTED_INTERRUPTION = "autoscaling.cast.ai/predicted-interruption", "label or annotation of Node", set by "other components of CAST AI";
    /// `include`: the pool is handed over to Kentroller, whatever its own settings say to Karpenter. `exclude`: its nodes stay.
    CONSOLIDATION = "kentroller.cast.ai/consolidation", "annotation of NodePool", set by "users";
    /// How many nodes of a pool that is handed over may be disrupted at once, as a number or a percentage. Absent: 10%.
    BUDGET = "kentroller.cast.ai/budget", "annotation of NodePool", set by "users";
    /// `allow`: a plan with ignoreInstanceCriteria may leave the instance types of this pool out of account.
    IGNORE_INSTANCE_CRITERIA = "kentroller.cast.ai/ignore-instance-criteria", "annotation of NodePool", set by "users";
    /// `false`: the pod, and so its node, stays.
    SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict", "annotation of Pod", set by "users";
    /// What ending the pod counts; the cheapest nodes go first.
    POD_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost", "annotation of Pod", set by "users";
    /// The pod mirrors a static pod of its kubelet, which no eviction ends.
    MIRROR = "kubernetes.io/config.mirror", "annotation of Pod", set by "the kubelet";
}

/// Prefixes of the annotations that are read; the rest, some of them kilobytes long, is dropped while decoding.
const ANNOTATIONS: [&str; 8] = [
    "karpenter.sh/",
    "cluster-autoscaler.kubernetes.io/",
    "controller.kubernetes.io/",
    "kubernetes.io/config.",
    "autoscaling.cast.ai/",
    "kentroller.cast.ai/",
    "rebalancing.cast.ai/",
    "live.cast.ai/",
];

/// Whether anybody here reads annotations such as this one.
pub fn keeps_annotation(key: &str) -> bool {
    ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix))
}
