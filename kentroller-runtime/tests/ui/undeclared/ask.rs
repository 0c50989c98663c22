use std::time::Duration;

use kentroller_runtime::{Cancelled, Cluster, Failure, Outcome, Port, Reconcile, Seen, World, controller};

#[path = "../settings.rs"]
mod settings;

pub struct Weather;

impl Port for Weather {
    const NAME: &'static str = "weather";
    const TIME_LIMIT: Duration = Duration::from_secs(1);
    type Reads = ();
    type Ask = String;
    type Answer = String;

    fn fill(&self, ask: &String, _: &Seen<()>, _: jiff::Timestamp, _: &Cancelled) -> Result<String, Failure> {
        Ok(ask.clone())
    }
}

/// Asks without saying so.
#[controller(of = Cluster)]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        out.ask::<Weather>("will it rain?".to_owned());
        Ok(out)
    }
}

fn main() {}
