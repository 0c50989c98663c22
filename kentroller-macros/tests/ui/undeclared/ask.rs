use std::time::Duration;

use kentroller_runtime::{Cancelled, Cluster, Cut, Failure, Outcome, Port, Reconcile, World, controller};

#[path = "../settings.rs"]
mod settings;

pub struct Weather;

impl Port for Weather {
    const NAME: &'static str = "weather";
    const TIME_LIMIT: Duration = Duration::from_secs(1);
    type Ask = String;
    type Answer = String;

    fn fill(&self, ask: &String, _: &Cut, _: jiff::Timestamp, _: &Cancelled) -> Result<String, Failure> {
        Ok(ask.clone())
    }
}

/// Asks without saying so.
#[controller()]
impl Reconcile for Lamps {
    type Of = Cluster;

    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        out.ask::<Weather>("here", "will it rain?".to_owned());
        Ok(out)
    }
}

fn main() {}
