use kentroller_runtime::{Cluster, Failure, Meta, Outcome, Reconcile, World, controller, resource};

#[path = "../settings.rs"]
mod settings;

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

/// Every word is a little wrong, and each is told once.
#[controller(
    of = Cluster,
    feture = "lamps",
    least_interval = "5 seconds",
    ownz(Node),
    writes(Node: patch + remove + read + status),
    events(info(Seen = "It was seen.")),
)]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
