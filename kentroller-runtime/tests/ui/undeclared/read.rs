use kentroller_runtime::{Cluster, Failure, Meta, Outcome, Reconcile, World, controller, resource};

#[path = "../settings.rs"]
mod settings;

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

/// Declares nothing.
#[controller(of = Cluster)]
pub struct Nodes;

impl Reconcile for Nodes {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(decide(cluster, world, None))
    }
}

fn decide(cluster: &Cluster, world: &World<Nodes>, node: Option<&Node>) -> Outcome<Nodes> {
    let out = world.outcome(cluster);
    if node.is_some() {
        let _ = world.all::<Node>().count();
    }
    out
}

fn main() {}
