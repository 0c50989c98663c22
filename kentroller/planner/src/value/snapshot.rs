//! Everything that one plan is made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::{
    CsiNode, DaemonSet, Ec2NodeClass, Moment, Namespace, Node, NodeClaim, NodeOverlay, NodePool, PersistentVolume,
    PersistentVolumeClaim, Pod, PodDisruptionBudget,
};

/// A cluster at one point in time.
///
/// As JSON it is what connected mode sends: the manifests as a dump has them, reduced to the fields that planning reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Snapshot {
    /// The moment that ages and windows are counted to.
    pub now: Moment,
    /// All nodes, also those that Karpenter did not launch.
    pub nodes: Vec<Node>,
    /// All pods, also those that have ended or wait.
    pub pods: Vec<Pod>,
    /// Whether there is no pod because none was told, so that nobody knows which nodes are empty.
    pub pods_unknown: bool,
    /// Karpenter's pools.
    pub node_pools: Vec<NodePool>,
    /// Karpenter's claims.
    pub node_claims: Vec<NodeClaim>,
    /// Karpenter's overlays of prices.
    pub node_overlays: Vec<NodeOverlay>,
    /// What Karpenter's AWS provider makes nodes with.
    pub ec2_node_classes: Vec<Ec2NodeClass>,
    /// Disruption budgets of all namespaces.
    pub pdbs: Vec<PodDisruptionBudget>,
    /// `None`: not known; the DaemonSets are then told from the pods that run.
    pub daemon_sets: Option<Vec<DaemonSet>>,
    /// Volumes, as far as they tie pods to places.
    pub persistent_volumes: Vec<PersistentVolume>,
    /// The claims of pods to volumes.
    pub persistent_volume_claims: Vec<PersistentVolumeClaim>,
    /// How many volumes each node attaches.
    pub csi_nodes: Vec<CsiNode>,
    /// `None`: not known; terms that ask for namespaces by label then block their pods.
    pub namespaces: Option<Vec<Namespace>>,
    /// Replicas by (namespace, kind, name) of the controller, where known. Not sent: whoever reads it counts the pods.
    #[serde(skip)]
    pub replicas: BTreeMap<(String, String, String), u32>,
}

impl Snapshot {
    /// The class of a pool's nodes, where it is one of AWS and known.
    pub fn class_of(&self, pool: &NodePool) -> Option<&Ec2NodeClass> {
        let named = &pool.spec.template.spec.node_class_ref;
        let is_it = |class: &&Ec2NodeClass| *class.metadata.name == *named.name;
        self.ec2_node_classes.iter().find(is_it).filter(|_| named.group == "karpenter.k8s.aws")
    }

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
    /// Where in the object.
    pub field: String,
    /// What is wrong there.
    pub message: String,
}

/// Something that narrows a plan without preventing it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warning {
    /// Kind and name; empty when it concerns the whole cluster.
    pub object: String,
    /// What is wrong, for people.
    pub message: String,
}
