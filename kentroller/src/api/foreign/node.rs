//! Nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use kentroller_planner::manifest::{NodeSpec, NodeStatus};
use kentroller_runtime::store::share::Pool;
use kentroller_runtime::{Kind, Meta, resource};

use crate::api::marks;

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes", share = Node::share_parts)]
/// A machine of the cluster.
pub struct Node {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: NodeSpec,
    #[serde(default)]
    pub status: Arc<NodeStatus>,
}

impl Node {
    /// Whether the kubelet says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.status.is_ready()
    }

    fn share_parts(&mut self, pool: &mut Pool) {
        // CSI and network plugins write whole documents here.
        super::keep_annotations(&mut self.metadata, pool);
    }
}

/// Ids of zones by their names.
pub type Zones<'a> = BTreeMap<&'a str, &'a str>;

/// The ids that nodes tell of their zones.
pub fn zone_ids<'a>(nodes: impl Iterator<Item = &'a Node>) -> Zones<'a> {
    nodes.filter_map(|node| Some((node.label(marks::ZONE)?, node.label(marks::ZONE_ID)?))).collect()
}
