//! Everything that one plan is made from.

use std::collections::BTreeMap;

use crate::manifest::{
    CsiNode, DaemonSet, Moment, Namespace, Node, NodeClaim, NodeOverlay, NodePool, PersistentVolume,
    PersistentVolumeClaim, Pod, PodDisruptionBudget,
};

/// A cluster at one point in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub now: Moment,
    pub nodes: Vec<Node>,
    pub pods: Vec<Pod>,
    pub node_pools: Vec<NodePool>,
    pub node_claims: Vec<NodeClaim>,
    pub node_overlays: Vec<NodeOverlay>,
    pub pdbs: Vec<PodDisruptionBudget>,
    /// `None`: not known; the DaemonSets are then told from the pods that run.
    pub daemon_sets: Option<Vec<DaemonSet>>,
    pub persistent_volumes: Vec<PersistentVolume>,
    pub persistent_volume_claims: Vec<PersistentVolumeClaim>,
    pub csi_nodes: Vec<CsiNode>,
    /// `None`: not known; terms that ask for namespaces by label then block their pods.
    pub namespaces: Option<Vec<Namespace>>,
    /// Replicas by (namespace, kind, name) of the controller, where known.
    pub replicas: BTreeMap<(String, String, String), u32>,
}

impl Snapshot {
    /// NodeClaims by the node that their status names: a claim that names another one, or none yet, is not this node's.
    pub fn claims_by_node(&self) -> BTreeMap<&str, &NodeClaim> {
        let named = self.node_claims.iter().filter(|claim| !claim.status.node_name.is_empty());
        named.map(|claim| (claim.status.node_name.as_str(), claim)).collect()
    }
}

/// Input that no plan can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}, {field}: {message}")]
pub struct InputError {
    /// Kind and name, such as `Node a` or `NodePool default`.
    pub object: String,
    pub field: String,
    pub message: String,
}

/// Something that narrows a plan without preventing it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warning {
    /// Kind and name; empty when it concerns the whole cluster.
    pub object: String,
    pub message: String,
}
