//! The kinds that planning reads: the one list for stores, dumps, the live cluster and the simulated one.

/// A kind that planning reads, and where an API server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadKind {
    /// API group; empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    /// Lower-case plural, as in URLs.
    pub plural: &'static str,
    pub namespaced: bool,
    pub need: Need,
}

/// What planning is without a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Planning makes little sense without it. The text tells what would happen.
    Required(&'static str),
    /// Planning knows a little less without it.
    Useful,
    /// Many clusters have none, and some do not even serve the kind.
    Optional,
}

impl ReadKind {
    /// The path of all its objects.
    pub fn path(&self) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        format!("{root}/{}/{}", self.version, self.plural)
    }

    /// Its name for `kubectl get`, such as `nodepools.karpenter.sh`.
    pub fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

macro_rules! kinds {
    ($($group:literal $version:literal $kind:literal $plural:literal $namespaced:ident $need:expr;)+) => {
        /// All of them, in the order in which a live cluster is asked.
        pub const KINDS: &[ReadKind] = &[$(ReadKind {
            group: $group,
            version: $version,
            kind: $kind,
            plural: $plural,
            namespaced: kinds!(@$namespaced),
            need: $need,
        }),+];
    };
    (@namespaced) => { true };
    (@cluster) => { false };
}

kinds! {
    "" "v1" "Node" "nodes" cluster Need::Required("there is nothing to plan");
    "" "v1" "Pod" "pods" namespaced Need::Required("nothing tells what runs on a node, so no node may go");
    "karpenter.sh" "v1" "NodePool" "nodepools" cluster Need::Required("nothing can be bought and no node may go");
    "karpenter.sh" "v1" "NodeClaim" "nodeclaims" cluster Need::Required("no node may go");
    "policy" "v1" "PodDisruptionBudget" "poddisruptionbudgets" namespaced Need::Required("none is kept");
    "apps" "v1" "DaemonSet" "daemonsets" namespaced Need::Required("they are told from the pods that run");
    "" "v1" "Namespace" "namespaces" cluster Need::Useful;
    "" "v1" "PersistentVolume" "persistentvolumes" cluster Need::Useful;
    "" "v1" "PersistentVolumeClaim" "persistentvolumeclaims" namespaced Need::Useful;
    "storage.k8s.io" "v1" "CSINode" "csinodes" cluster Need::Useful;
    "" "v1" "PodTemplate" "podtemplates" namespaced Need::Useful;
    "autoscaling.x-k8s.io" "v1beta1" "CapacityBuffer" "capacitybuffers" namespaced Need::Optional;
    "karpenter.sh" "v1alpha1" "NodeOverlay" "nodeoverlays" cluster Need::Optional;
    "karpenter.k8s.aws" "v1" "EC2NodeClass" "ec2nodeclasses" cluster Need::Optional;
}
