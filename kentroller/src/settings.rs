//! The operator's settings: environment first, overlaid by the dynamic ConfigMap.

use std::sync::Arc;
use std::time::Duration;

use kentroller_runtime::settings::{SettingMistake, Settings as _};
use kentroller_runtime::{Cut, Kind, KindInfo, Mode, Switches};
use serde::{Deserialize, Serialize};

use crate::api::foreign::ConfigMap;

/// The key of the dynamic ConfigMap that holds settings.
pub const DOCUMENT: &str = "config.yaml";

/// Everything that can be set. The reference page and the JSON schema are made from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, kentroller_runtime::Settings)]
pub struct Settings {
    /// How far the operator goes: act as the objects say, approve (a person executes every plan), or observe (nothing but
    /// our own objects is touched).
    #[setting(env = "MODE", config = "mode", helm = "castai.mode", default = "act")]
    pub mode: OperatorMode,
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

impl Settings {
    /// The text of settings in this ConfigMap, if it is the one that holds them.
    pub fn document<'a>(&self, map: &'a ConfigMap) -> Option<&'a str> {
        let named = self.dynamic_config_map_name.as_deref() == Some(map.name());
        named.then(|| map.data.get(DOCUMENT).map(String::as_str)).flatten()
    }

    /// These settings overlaid by a text.
    ///
    /// # Errors
    /// Every mistake of the text; then nothing of it counts.
    pub fn overlaid(&self, text: &str) -> Result<Self, Vec<SettingMistake>> {
        let config = serde_saphyr::from_str(text).map_err(|error| {
            let expected = format!("it must be YAML: {error}");
            vec![SettingMistake { name: DOCUMENT.to_owned(), value: "unreadable".to_owned(), expected }]
        })?;
        let mut settings = self.clone();
        settings.apply_config(&config)?;
        Ok(settings)
    }
}

impl Switches for Settings {
    fn kept_in() -> &'static [KindInfo] {
        &[ConfigMap::INFO]
    }

    /// The environment, overlaid by the dynamic ConfigMap. A text with a mistake leaves what was in force; at the start, when
    /// nothing was, nobody knows how far the operator may go: then it observes.
    fn in_force(given: &Arc<Self>, last: Option<&Arc<Self>>, cut: &Cut) -> Arc<Self> {
        let maps = cut.store::<ConfigMap>();
        let text = maps.into_iter().flat_map(|store| store.all()).find_map(|map| given.document(map));
        let settings = match (text.map(|text| given.overlaid(text)), last) {
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
