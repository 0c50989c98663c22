use kentroller_runtime::{Cluster, Failure, Meta, Outcome, Reconcile, World, controller, resource};

#[path = "../settings.rs"]
mod settings;

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

#[controller(of = Cluster, finalizes, owns(Node))]
pub struct Nodes;

impl Reconcile for Nodes {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
