use kentroller_runtime::{Cluster, Failure, Outcome, Reconcile, World, controller};

#[path = "../settings.rs"]
mod settings;

/// Declares metrics that cannot be scraped.
#[controller(
    of = Cluster,
    counters(Sent = "Letters.", sent_total = "Letters.", torn in [1, 2] = "Letters."),
    counters(lost),
    gauges(waiting(Pool, pool, pool) = "Letters.", waiting = "Once more."),
    histograms(took(le) = "How long, in seconds", late in [10, 1] = "How late", early in ["1"] = "How early"),
)]
pub struct Post;

impl Reconcile for Post {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
