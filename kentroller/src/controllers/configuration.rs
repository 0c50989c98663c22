//! The dynamic ConfigMap, and those of features: their settings are in force as soon as they are read (`settings.rs`); here is told when they are
//! not.

use kentroller_runtime::{Failure, Kind, Outcome, Reconcile, World, controller};

use super::interruption;
use crate::api::foreign::ConfigMap;
use crate::settings::features;

/// Tells on the dynamic ConfigMap why its settings do not count, or give no predictions.
#[controller(of = ConfigMap, events(
    PredictionIdle = "No interruption of spot nodes is predicted, since no model is set.",
    warning(FeatureMissing = "This ConfigMap switches on a feature that this version does not have: nothing follows from it."),
    warning(ConfigRejected = "The settings in this ConfigMap hold a mistake; none of them counts, the last good ones stay."),
    warning(PredictionRefused = "No interruption of spot nodes is predicted: the model or its threshold is not set right."),
))]
pub struct Configuration;

impl Reconcile for Configuration {
    fn reconcile(map: &ConfigMap, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(map);
        let settings = world.settings();
        let switched = features::of(map);
        if let Some(Ok(features)) = &switched {
            for name in features::missing(features) {
                out.event(
                    Configuration::FeatureMissing,
                    format!("{name} is on and does nothing: this version has no such feature"),
                );
            }
        }
        let of_features = || switched.map(|read| read.map(drop));
        if let Some(Err(mistakes)) = settings.overlaid_by(map).map(|read| read.map(drop)).or_else(of_features) {
            let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            out.event(Configuration::ConfigRejected, all.join("; "));
        }
        let is_it = settings.dynamic_config_map_name.as_deref() == Some(map.name());
        if let Err(idle) = interruption::threshold(settings)
            && is_it
            && settings.spot_interruption_prediction
        {
            let event = if idle.is_mistake { Configuration::PredictionRefused } else { Configuration::PredictionIdle };
            out.event(event, idle.why);
        }
        Ok(out)
    }
}
