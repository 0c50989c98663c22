use kentroller_runtime::{Cluster, Failure, Outcome, Reconcile, World, controller};

#[path = "../settings.rs"]
mod settings;

/// Emits an event that another controller declared.
#[controller(of = Cluster)]
pub struct Nodes;

impl Reconcile for Nodes {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        out.event(Lamps::LampSeen, "in the hall");
        Ok(out)
    }
}

/// Declares the event.
#[controller(of = Cluster, events(LampSeen = "A lamp was seen."))]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
