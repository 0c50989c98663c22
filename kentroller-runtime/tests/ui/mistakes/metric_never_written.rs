#![deny(dead_code)]

use kentroller_runtime::prelude::*;

#[path = "../settings.rs"]
mod settings;

/// Writes one of its two metrics.
#[controller(of = Cluster, counters(lit = "Lamps that were lit"), gauges(burning = "Lamps that burn"))]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        out.count(Self::LIT, [], 1);
        Ok(out)
    }
}

fn main() {}
