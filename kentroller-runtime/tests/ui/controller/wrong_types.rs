use kentroller_runtime::prelude::*;

#[path = "../settings.rs"]
mod settings;

/// Every word has a value of another type.
#[controller(of = "Cluster", feature = light, least_interval = 5, finalizes = true, reads("Node"), owns(Node: "create"))]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
