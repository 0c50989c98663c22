use kentroller_runtime::{Cluster, Failure, Outcome, Reconcile, World, controller};

#[path = "../settings.rs"]
mod settings;

/// Emits an event that another controller declared.
#[controller()]
impl Reconcile for Nodes {
    type Of = Cluster;

    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        out.event(LampSeen, "in the hall");
        Ok(out)
    }
}

/// Declares the event.
#[controller(events(LampSeen = "A lamp was seen."))]
impl Reconcile for Lamps {
    type Of = Cluster;

    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
