//! The labels, annotations and taints that planning reads, or expects on new nodes. One home for each key: whoever writes
//! or tests one takes it from here.

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
    /// Karpenter drains the node, boots it again and gives it back: until then it neither goes nor is given pods.
    REBOOTING = "karpenter.sh/reboot-pre-boot-id", "annotation of Node and NodeClaim", set by "Karpenter";
    /// The machine's type.
    INSTANCE_TYPE = "node.kubernetes.io/instance-type", "label of Node", set by "the cloud provider";
    /// The machine's zone.
    ZONE = "topology.kubernetes.io/zone", "label of Node", set by "the cloud provider";
    /// The machine's region: prices are told by it.
    REGION = "topology.kubernetes.io/region", "label of Node", set by "the cloud provider";
    /// The machine's zone by its id, which is the same for all accounts.
    ZONE_ID = "topology.k8s.aws/zone-id", "label of Node", set by "the cloud provider";
    /// The machine's zone, for volumes of EBS.
    EBS_ZONE = "topology.ebs.csi.aws.com/zone", "label of Node", set by "the EBS CSI driver";
    /// The node's own name, by which affinity and spreads tell nodes apart.
    HOSTNAME = "kubernetes.io/hostname", "label of Node", set by "the kubelet";
    /// Only nodes that say `linux`, or nothing, are planned.
    OS = "kubernetes.io/os", "label of Node", set by "the kubelet";
    /// The machine's architecture.
    ARCH = "kubernetes.io/arch", "label of Node", set by "the kubelet";
    /// The name of INSTANCE_TYPE before Kubernetes 1.17; read on old nodes and expected on new ones.
    OLD_INSTANCE_TYPE = "beta.kubernetes.io/instance-type", "label of Node", set by "the cloud provider";
    /// The name of ZONE before Kubernetes 1.17.
    OLD_ZONE = "failure-domain.beta.kubernetes.io/zone", "label of Node", set by "the cloud provider";
    /// The name of REGION before Kubernetes 1.17.
    OLD_REGION = "failure-domain.beta.kubernetes.io/region", "label of Node", set by "the cloud provider";
    /// The name of OS before Kubernetes 1.14.
    OLD_OS = "beta.kubernetes.io/os", "label of Node", set by "the kubelet";
    /// The name of ARCH before Kubernetes 1.14.
    OLD_ARCH = "beta.kubernetes.io/arch", "label of Node", set by "the kubelet";
    /// `true`: Karpenter has seen the node come up. Expected on new nodes.
    REGISTERED = "karpenter.sh/registered", "label of Node", set by "Karpenter";
    /// The node was cordoned: only pods that tolerate that are planned there.
    UNSCHEDULABLE = "node.kubernetes.io/unschedulable", "taint of Node", set by "Kubernetes";
    /// The node does not report. Pods of DaemonSets tolerate it.
    NOT_READY = "node.kubernetes.io/not-ready", "taint of Node", set by "Kubernetes";
    /// The node cannot be reached. Pods of DaemonSets tolerate it.
    UNREACHABLE = "node.kubernetes.io/unreachable", "taint of Node", set by "Kubernetes";
    /// The node runs out of disk. Pods of DaemonSets tolerate it.
    DISK_PRESSURE = "node.kubernetes.io/disk-pressure", "taint of Node", set by "Kubernetes";
    /// The node runs out of memory. Pods of DaemonSets tolerate it.
    MEMORY_PRESSURE = "node.kubernetes.io/memory-pressure", "taint of Node", set by "Kubernetes";
    /// The node runs out of process ids. Pods of DaemonSets tolerate it.
    PID_PRESSURE = "node.kubernetes.io/pid-pressure", "taint of Node", set by "Kubernetes";
    /// The node's network is not set up yet. Pods of DaemonSets tolerate it.
    NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable", "taint of Node", set by "the cloud provider";
    /// Cluster Autoscaler is removing the node: nothing is planned there.
    TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler", "taint of Node", set by "Cluster Autoscaler";
    /// Cluster Autoscaler thinks of removing the node: nothing is planned there.
    DELETION_CANDIDATE = "DeletionCandidateOfClusterAutoscaler", "taint of Node", set by "Cluster Autoscaler";
    /// The managed node group of EKS: its autoscaler may take the node away, so nothing is planned there.
    EKS_NODE_GROUP = "eks.amazonaws.com/nodegroup", "label of Node", set by "EKS";
    /// The same for a group that eksctl manages.
    EKSCTL_NODE_GROUP = "alpha.eksctl.io/nodegroup-name", "label of Node", set by "eksctl";
    /// The same for a node pool of GKE.
    GKE_NODE_POOL = "cloud.google.com/gke-nodepool", "label of Node", set by "GKE";
    /// The same for nodes of CAST AI's own autoscaler.
    MANAGED_BY = "provisioner.cast.ai/managed-by", "label of Node", set by "other components of CAST AI";
    /// `true`: the node, or the node of the pod, stays.
    REMOVAL_DISABLED = "autoscaling.cast.ai/removal-disabled", "label or annotation of Node and Pod", set by "users";
    /// Somebody is draining the node: nothing is planned there.
    DRAINING = "autoscaling.cast.ai/draining", "label or annotation of Node", set by "other components of CAST AI";
    /// The provider is expected to take the node away: nothing is planned there.
    PREDICTED_INTERRUPTION = "autoscaling.cast.ai/predicted-interruption", "label or annotation of Node", set by "Kentroller, and other components of CAST AI";
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

/// No mark but a resource, which NVIDIA's device plugin offers.
pub(crate) const GPU: &str = "nvidia.com/gpu";

/// Where labels of the machines of Karpenter's AWS provider begin.
pub(crate) const AWS: &str = "karpenter.k8s.aws/";
/// Those that tell of the instance type.
pub(crate) const AWS_INSTANCE: &str = "karpenter.k8s.aws/instance-";
/// Where labels of the machines of Karpenter's kwok provider begin.
pub(crate) const KWOK: &str = "karpenter.kwok.sh/";
/// Those that tell of the instance type.
pub(crate) const KWOK_INSTANCE: &str = "karpenter.kwok.sh/instance-";
/// Where labels of AWS about places begin.
pub(crate) const AWS_TOPOLOGY: &str = "topology.k8s.aws/";
/// Where labels of Kubernetes about places begin.
pub(crate) const TOPOLOGY: &str = "topology.kubernetes.io/";
/// Where labels of Karpenter begin, whatever the provider.
pub(crate) const KARPENTER: &str = "karpenter.sh/";
/// Where annotations of Cluster Autoscaler begin.
pub(crate) const CLUSTER_AUTOSCALER: &str = "cluster-autoscaler.kubernetes.io/";

/// Prefixes of the annotations that are read; the rest, some of them kilobytes long, is dropped while decoding.
const ANNOTATIONS: [&str; 9] = [
    KARPENTER,
    CLUSTER_AUTOSCALER,
    "controller.kubernetes.io/",
    "kubernetes.io/config.",
    "autoscaling.cast.ai/",
    "evictor.cast.ai/",
    "kentroller.cast.ai/",
    "rebalancing.cast.ai/",
    "live.cast.ai/",
];

/// Whether anybody here reads annotations such as this one.
pub fn keeps_annotation(key: &str) -> bool {
    ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix))
}
