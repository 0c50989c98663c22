//! Karpenter's NodePools.

use kentroller_planner::manifest::{NodePoolSpec, NodePoolStatus};
use kentroller_runtime::{Meta, resource};

#[resource(foreign, group = "karpenter.sh", version = "v1", kind = "NodePool", plural = "nodepools")]
/// What Karpenter may launch, and how it may disrupt it.
pub struct NodePool {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: NodePoolSpec,
    #[serde(default)]
    pub status: NodePoolStatus,
}
