//! Karpenter's NodeClaims: one for each node that Karpenter launched or is launching.

use std::sync::Arc;

use kentroller_planner::manifest::{NodeClaimSpec, NodeClaimStatus};
use kentroller_runtime::{Meta, resource};

#[resource(
    foreign,
    group = "karpenter.sh",
    version = "v1",
    kind = "NodeClaim",
    plural = "nodeclaims",
    index = NodeClaim::node_name
)]
/// A machine that was asked for. Indexed by the name of its node. To make one, write [`crate::api::NodeClaimSpec`], which is whole.
pub struct NodeClaim {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: Arc<NodeClaimSpec>,
    #[serde(default)]
    pub status: Arc<NodeClaimStatus>,
}

impl NodeClaim {
    /// Its node; `None` until the machine is registered.
    pub fn node_name(&self) -> Option<&str> {
        Some(self.status.node_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether the provider gave a machine.
    pub fn is_launched(&self) -> bool {
        self.status.is("Launched")
    }

    /// Whether the machine has joined the cluster as a Node.
    pub fn is_registered(&self) -> bool {
        self.status.is("Registered")
    }

    /// Whether the Node is ready for pods: its startup taints are gone and its resources are there.
    pub fn is_initialized(&self) -> bool {
        self.status.is("Initialized")
    }
}
