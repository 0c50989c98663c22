#![deny(dead_code)]

use kentroller_runtime::prelude::*;

#[path = "../settings.rs"]
mod settings;

/// Says one of its two events.
#[controller(of = Cluster, events(Lit = "A lamp was lit.", Broken = "A lamp is broken."))]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        out.event(Self::Lit, "in the hall");
        Ok(out)
    }
}

fn main() {}
