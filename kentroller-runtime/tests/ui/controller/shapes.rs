use kentroller_runtime::{Cluster, Failure, Meta, Outcome, Reconcile, World, controller, resource};

#[path = "../settings.rs"]
mod settings;

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

/// A watch without a map, a write without a verb, events without meaning or name.
#[controller(of = Cluster, watches(Node), writes(Node), reads = Node, events(Seen, gone = "It is gone."))]
pub struct Nodes;

impl Reconcile for Nodes {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
