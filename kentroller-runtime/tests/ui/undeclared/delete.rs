use kentroller_runtime::{Cluster, Failure, Meta, Outcome, Reconcile, World, controller, resource};

#[path = "../settings.rs"]
mod settings;

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

#[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", namespaced)]
pub struct Pod {
    pub metadata: Meta,
}

/// May delete another kind.
#[controller(of = Cluster, writes(Pod: delete))]
pub struct Nodes;

impl Reconcile for Nodes {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(decide(cluster, world, None))
    }
}

fn decide(cluster: &Cluster, world: &World<Nodes>, node: Option<&Node>) -> Outcome<Nodes> {
    let mut out = world.outcome(cluster);
    if let Some(node) = node {
        out.delete(node);
    }
    out
}

fn main() {}
