//! The dynamic ConfigMap: its settings are in force as soon as they are read (`settings.rs`); here is told when they are
//! not.

use kentroller_runtime::{Failure, Outcome, Reconcile, World, controller};

use crate::api::foreign::ConfigMap;

/// Tells on the dynamic ConfigMap why its settings do not count.
#[controller(of = ConfigMap, events(warning(
    ConfigRejected = "The settings in this ConfigMap hold a mistake; none of them counts, the last good ones stay."
)))]
pub struct Configuration;

impl Reconcile for Configuration {
    fn reconcile(map: &ConfigMap, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(map);
        let settings = world.settings();
        if let Some(Err(mistakes)) = settings.overlaid_by(map) {
            let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            out.event(Configuration::ConfigRejected, all.join("; "));
        }
        Ok(out)
    }
}
