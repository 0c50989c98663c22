//! The operator's settings: environment first, overlaid by the dynamic ConfigMap.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::settings::{SettingMistake, SettingType, SettingValue, Settings as _};
use kentroller_runtime::{Cut, Kind, KindInfo, Mode, Switches};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::foreign::ConfigMap;

/// The key of the dynamic ConfigMap that holds settings.
pub const DOCUMENT: &str = "config.yaml";
/// The key of the dynamic ConfigMap beside them that has everything rest, for who writes ConfigMaps and for
/// `kentroller pause`. It goes before what the text says.
pub const PAUSED: &str = "paused";

/// Everything that can be set. The reference page and the JSON schema are made from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, kentroller_runtime::Settings)]
pub struct Settings {
    /// How far the operator goes: act as the objects say, approve (a person executes every plan), or observe (nothing but
    /// our own objects is touched).
    #[setting(env = "MODE", config = "mode", helm = "castai.mode", default = "act")]
    pub mode: OperatorMode,
    /// Whether everything rests: no claim is made, no plan begins, and a plan that runs is held where it is. `true`, `false`, or
    /// the time until which it rests. The key `paused` of the dynamic ConfigMap says the same and goes before.
    #[setting(env = "PAUSED", config = "paused", default = "false")]
    pub paused: Pause,
    /// Whether schedules and claims rebalance.
    #[setting(
        env = "REBALANCER_ENABLED",
        config = "rebalancer.enabled",
        helm = "castai.rebalance.enabled",
        default = true
    )]
    pub rebalancer: bool,
    /// How many claims and plans are worked on at once, and how many nodes of one plan are created or drained at once.
    #[setting(env = "REBALANCER_MAX_CONCURRENT_RECONCILES", default = 10, range(1, 1000))]
    pub rebalancer_workers: u32,
    /// How late a schedule without startingDeadlineSeconds may start; without it there is no limit.
    #[setting(env = "SCHEDULE_STARTING_DEADLINE", config = "rebalancer.startingDeadline")]
    pub starting_deadline: Option<Duration>,
    /// How long the planner searches for a better plan.
    #[setting(env = "PLAN_TIME_LIMIT", config = "rebalancer.planTimeLimit", default = "10s", range("1s", "10m"))]
    pub plan_time_limit: Duration,
    /// The ConfigMap in our namespace that holds prices under the key `catalog.csv`; without it the file named at the
    /// start, or the embedded catalogue, counts.
    #[setting(env = "CATALOG_CONFIG_MAP_NAME")]
    pub catalog_config_map_name: Option<String>,
    /// The ConfigMap in our namespace whose key `config.yaml` overlays the environment, at any time. Its mistakes are told
    /// in an event on it; while no text was right since the start, the operator observes.
    #[setting(env = "DYNAMIC_CONFIG_MAP_NAME")]
    pub dynamic_config_map_name: Option<String>,
}

/// How far the operator goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, kentroller_runtime::Settings)]
pub enum OperatorMode {
    #[default]
    Act,
    Approve,
    Observe,
}

/// Whether everything rests, and until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pause {
    #[default]
    No,
    Yes,
    Until(Timestamp),
}

impl Pause {
    /// Whether it rests at this time.
    pub fn is_on(self, now: Timestamp) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::Until(end) => now < end,
        }
    }

    /// When it ends by itself, if it does.
    pub fn end(self) -> Option<Timestamp> {
        if let Self::Until(end) = self { Some(end) } else { None }
    }
}

impl SettingValue for Pause {
    const TYPE: SettingType =
        SettingType::Structure("true, false, or the time until which it rests, such as 2026-11-22T10:00:00Z");

    fn parse(text: &str) -> Option<Self> {
        match bool::parse(text) {
            Some(true) => Some(Self::Yes),
            Some(false) => Some(Self::No),
            None => text.parse().ok().map(Self::Until),
        }
    }
    fn from_config(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(true) => Some(Self::Yes),
            Value::Bool(false) => Some(Self::No),
            _ => Self::parse(value.as_str()?),
        }
    }
}

impl Settings {
    /// These settings overlaid by what the ConfigMap says; `None` if it is not the one that holds settings, or holds none.
    ///
    /// # Errors
    /// Every mistake in it; then nothing of it counts.
    pub fn overlaid_by(&self, map: &ConfigMap) -> Option<Result<Self, Vec<SettingMistake>>> {
        let is_it = self.dynamic_config_map_name.as_deref() == Some(map.name());
        let (text, paused) = (map.data.get(DOCUMENT), map.data.get(PAUSED));
        (is_it && (text.is_some() || paused.is_some())).then(|| {
            let mut settings = self.clone();
            if let Some(text) = text {
                let config = serde_saphyr::from_str(text)
                    .map_err(|error| vec![mistake(DOCUMENT, "unreadable", format!("it must be YAML: {error}"))])?;
                settings.apply_config(&config)?;
            }
            if let Some(text) = paused {
                let read = Pause::parse(text.trim());
                settings.paused = read.ok_or_else(|| vec![mistake(PAUSED, text, Pause::TYPE.to_string())])?;
            }
            Ok(settings)
        })
    }
}

fn mistake(name: &str, value: &str, expected: String) -> SettingMistake {
    SettingMistake { name: name.to_owned(), value: value.to_owned(), expected }
}

impl Switches for Settings {
    fn kept_in() -> &'static [KindInfo] {
        &[ConfigMap::INFO]
    }

    /// The environment, overlaid by the dynamic ConfigMap. A text with a mistake leaves what was in force; at the start, when
    /// nothing was, nobody knows how far the operator may go: then it observes.
    fn in_force(given: &Arc<Self>, last: Option<&Arc<Self>>, cut: &Cut) -> Arc<Self> {
        let maps = cut.store::<ConfigMap>();
        let overlaid = maps.into_iter().flat_map(|store| store.all()).find_map(|map| given.overlaid_by(map));
        let settings = match (overlaid, last) {
            (None, _) => Arc::clone(given),
            (Some(Ok(settings)), _) => Arc::new(settings),
            (Some(Err(_)), Some(last)) => Arc::clone(last),
            (Some(Err(_)), None) => Arc::new(Self { mode: OperatorMode::Observe, ..Self::clone(given) }),
        };
        last.filter(|last| **last == settings).map_or(settings, Arc::clone)
    }

    fn mode(&self) -> Mode {
        match self.mode {
            OperatorMode::Act => Mode::Act,
            OperatorMode::Approve => Mode::Approve,
            OperatorMode::Observe => Mode::Observe,
        }
    }

    fn workers(&self) -> usize {
        usize::try_from(self.rebalancer_workers).unwrap_or(usize::MAX)
    }
}
