use kentroller_runtime::prelude::*;

#[path = "../settings.rs"]
mod settings;

/// Declares and decides nothing.
#[controller(of = Cluster)]
pub struct Idle;

pub struct Undeclared;

impl Reconcile for Undeclared {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {
    let _ = kentroller_runtime::reconciler::<Idle>();
}
