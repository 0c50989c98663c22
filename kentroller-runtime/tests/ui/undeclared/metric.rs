use kentroller_runtime::{Cluster, Failure, Outcome, Reconcile, World, controller};

#[path = "../settings.rs"]
mod settings;

/// Writes a metric that another controller declared, and its own as what they are not.
#[controller(of = Cluster, counters(sent(to) = "Letters"), gauges(waiting = "Letters"))]
pub struct Post;

impl Reconcile for Post {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        out.count(Lamps::LIT, [], 1);
        out.count(Self::SENT, [], 1);
        out.count(Self::WAITING, [], 1);
        out.count(Self::LOST, [], 1);
        Ok(out)
    }
}

/// Declares the metric.
#[controller(of = Cluster, counters(lit = "Lamps"))]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
