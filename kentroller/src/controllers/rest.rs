//! Whether the operator rests: it begins nothing, and what runs is held where it is. Nothing is lost by it, and nothing is
//! given up: what was begun goes on afterwards, and the time does not count.

use kentroller_runtime::{Controller, World};

use crate::settings::Settings;

/// Why the operator rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The feature of the controller is off; its name.
    FeatureDisabled(&'static str),
    /// Somebody paused everything.
    Paused,
}

impl Rest {
    /// `None` while it works.
    pub(super) fn of<C: Controller<Settings = Settings>>(world: &World<C>) -> Option<Self> {
        if world.settings().paused.is_on(world.now()) {
            return Some(Self::Paused);
        }
        (!world.enabled()).then(|| Self::FeatureDisabled(C::declaration().feature.unwrap_or_default()))
    }

    /// In words, for people.
    pub(super) fn told(self, settings: &Settings) -> String {
        match (self, settings.paused.end()) {
            (Self::FeatureDisabled(name), _) => format!("Feature {name} is off."),
            (Self::Paused, Some(end)) => format!("Everything is paused until {end}."),
            (Self::Paused, None) => "Everything is paused.".to_owned(),
        }
    }
}
