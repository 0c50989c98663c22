use kentroller_runtime::{Cluster, Failure, Outcome, Reconcile, World, controller};

#[path = "../settings.rs"]
mod settings;

pub struct Lamps;

/// The impl is plain Rust; the struct is what is declared.
#[controller(of = Cluster)]
impl Reconcile for Lamps {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

/// Keeps something.
#[controller(of = Cluster)]
pub struct Counter {
    seen: u32,
}

/// Of nothing.
#[controller()]
pub struct Others;

fn main() {}
