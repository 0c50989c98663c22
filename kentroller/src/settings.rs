//! The operator's settings: environment first, overlaid by the dynamic ConfigMap.

pub(crate) mod connection;
pub(crate) mod features;
mod secret;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Percent;
use kentroller_runtime::settings::{Decimal, SettingMistake, SettingType, SettingValue, Settings as _};
use kentroller_runtime::{Cut, Kind, KindInfo, Mode, Switches};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::connection::{Connection, KeyOf};
pub use self::secret::Secret;
use crate::api::foreign::ConfigMap;
use crate::api::{AggressiveModeConfig, EvictionConfig};

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
    /// Whether nodes are rebalanced in cycles, without a claim or a schedule.
    #[setting(
        env = "CONTINUOUS_REBALANCING_ENABLED",
        config = "continuousRebalancing.enabled",
        helm = "castai.continuousRebalancing.enabled",
        default = false
    )]
    pub continuous_rebalancing: bool,
    /// What a cycle may do: delete-empty removes nodes without pods; drain-only removes nodes, too, whose pods fit on others; full
    /// replaces nodes, too, by cheaper ones.
    #[setting(
        env = "CONTINUOUS_REBALANCING_MODE",
        config = "continuousRebalancing.mode",
        helm = "castai.continuousRebalancing.mode",
        default = "full"
    )]
    pub continuous_mode: CycleMode,
    /// How often a cycle is run where neither cycleIntervalSeconds nor the interval of the mode is set.
    #[setting(env = "CONTINUOUS_REBALANCING_POLLING_PERIOD", default = "10s", range("1s", "24h"))]
    pub polling_period: Duration,
    /// How often a cycle is run where the interval of the mode is not set.
    #[setting(
        config = "continuousRebalancing.cycleIntervalSeconds",
        helm = "castai.continuousRebalancing.cycleIntervalSeconds"
    )]
    pub cycle_interval: Option<Duration>,
    /// How often a cycle is run in mode full.
    #[setting(
        config = "continuousRebalancing.fullModeCycleIntervalSeconds",
        helm = "castai.continuousRebalancing.fullModeCycleIntervalSeconds"
    )]
    pub full_interval: Option<Duration>,
    /// How often a cycle is run in mode drain-only.
    #[setting(
        config = "continuousRebalancing.drainOnlyCycleIntervalSeconds",
        helm = "castai.continuousRebalancing.drainOnlyCycleIntervalSeconds"
    )]
    pub drain_only_interval: Option<Duration>,
    /// How often a cycle is run in mode delete-empty.
    #[setting(
        config = "continuousRebalancing.deleteEmptyCycleIntervalSeconds",
        helm = "castai.continuousRebalancing.deleteEmptyCycleIntervalSeconds"
    )]
    pub delete_empty_interval: Option<Duration>,
    /// Younger nodes are no candidates of a cycle.
    #[setting(
        env = "CONTINUOUS_REBALANCING_MIN_NODE_AGE",
        config = "continuousRebalancing.minNodeAgeSeconds",
        helm = "castai.continuousRebalancing.minNodeAgeSeconds",
        default = "5m"
    )]
    pub min_node_age: Duration,
    /// With fewer candidates a cycle ends at once.
    #[setting(env = "CONTINUOUS_REBALANCING_MIN_NODES_TO_CONSIDER", default = 1, range(1, 100_000))]
    pub min_nodes_to_consider: u32,
    /// The most nodes that one cycle removes.
    #[setting(env = "CONTINUOUS_REBALANCING_MAX_NODES_PER_ITERATION", default = 100, range(1, 100))]
    pub max_nodes_per_iteration: u32,
    /// How far a cycle searches: its search ends after two to the power of this number of steps, where planTimeLimit does not end it
    /// before. A step tries one change of the plan; what was found by then is judged by the thresholds. Each level less halves the
    /// effort, as in a search by halving, and a shallow search may find a dearer plan, never a wrong one.
    #[setting(env = "CONTINUOUS_REBALANCING_MAX_BINARY_SEARCH_DEPTH", default = 20, range(1, 40))]
    pub max_search_depth: u32,
    /// The least saving of a cycle in mode full, in percent of what the nodes cost that go.
    #[setting(
        env = "CONTINUOUS_REBALANCING_SAVINGS_THRESHOLD_PERCENT",
        config = "continuousRebalancing.savingsThresholdPercentage",
        helm = "castai.continuousRebalancing.savingsThresholdPercentage",
        default = "0.0",
        range("0", "100")
    )]
    pub savings_threshold: Decimal,
    /// The least saving of a cycle in mode full, in percent of what the whole cluster costs.
    #[setting(
        config = "continuousRebalancing.savingsThresholdPercent",
        helm = "castai.continuousRebalancing.savingsThresholdPercent",
        range("0", "100")
    )]
    pub cluster_savings_threshold: Option<Decimal>,
    /// The least saving of a cycle in modes full and drain-only, in USD a month.
    #[setting(env = "CONTINUOUS_REBALANCING_SAVINGS_THRESHOLD_COST_MONTHLY", default = "50.0")]
    pub monthly_savings_threshold: Decimal,
    /// Which NodePools take part in cycles, claims and node consolidation. opt-out: all but those annotated
    /// `kentroller.cast.ai/consolidation: exclude`; opt-in: only those annotated `include`.
    #[setting(env = "NODE_POOL_FILTER_MODE", helm = "nodePoolFilterMode", default = "opt-out")]
    pub node_pool_filter: NodePoolFilter,
    /// Which pods and nodes are handled otherwise than the rules have it. Entries that protect (removalDisabled) bind everything;
    /// those that lift a rule (disposable, aggressive) bind cycles only. The most restrictive entry that matches counts.
    #[setting(
        config = "continuousRebalancing.evictionConfig",
        helm = "castai.continuousRebalancing.evictionConfig",
        default = "[]"
    )]
    pub eviction_config: EvictionConfig,
    /// The protections that every cycle lifts, and its time-outs, as a claim's aggressiveModeConfig has them. `evictionConfig` is the
    /// finer way.
    #[setting(
        config = "continuousRebalancing.aggressiveModeConfig",
        helm = "castai.continuousRebalancing.aggressiveModeConfig",
        default = "{}"
    )]
    pub aggressive_mode: AggressiveModeConfig,
    /// Whether each cycle tells in the log of every node whether it goes, or why it stays; otherwise one line tells all of a cycle.
    #[setting(
        config = "continuousRebalancing.diagnosticsVerbose",
        helm = "castai.continuousRebalancing.diagnosticsVerbose",
        default = false
    )]
    pub diagnostics_verbose: bool,
    /// How long no cycle runs after one whose plan failed; each further failure doubles it, up to six hours.
    #[setting(env = "CONTINUOUS_REBALANCING_FAILURE_BACKOFF_DURATION", default = "30m", range("1s", "6h"))]
    pub failure_backoff: Duration,
    /// Whether nodes go that are empty, that the evictor has emptied, or that are past their expiry. While continuous rebalancing is on,
    /// empty nodes are its own.
    #[setting(
        env = "NODE_CONSOLIDATION_ENABLED",
        config = "nodeConsolidation.enabled",
        helm = "castai.nodeConsolidation.enabled",
        default = false
    )]
    pub node_consolidation: bool,
    /// The most nodes that node consolidation has on their way out at once.
    #[setting(env = "NODE_CONSOLIDATION_MAX_CONCURRENT_RECONCILES", default = 10, range(1, 100))]
    pub node_consolidation_workers: u32,
    /// How many claims and plans are worked on at once, and how many nodes of one plan are created or drained at once.
    #[setting(env = "REBALANCER_MAX_CONCURRENT_RECONCILES", default = 10, range(1, 1000))]
    pub rebalancer_workers: u32,
    /// Whether spot nodes are left before the provider takes them away. Nothing happens before SPOT_INTERRUPTION_PREDICTION_MODEL_NAME
    /// and SPOT_INTERRUPTION_PREDICTION_INTERRUPTION_THRESHOLD are set.
    #[setting(
        env = "SPOT_INTERRUPTION_PREDICTION_ENABLED",
        config = "spotInterruptionPrediction.enabled",
        helm = "castai.spotInterruptionPrediction.enabled",
        default = true
    )]
    pub spot_interruption_prediction: bool,
    /// Who predicts: `local`, from what is seen in this cluster.
    #[setting(env = "SPOT_INTERRUPTION_PREDICTION_MODEL_NAME")]
    pub prediction_model: Option<String>,
    /// How often it is predicted anew.
    #[setting(env = "SPOT_INTERRUPTION_PREDICTION_POLL_INTERVAL", default = "1m", range("5s", "10m"))]
    pub prediction_interval: Duration,
    /// How long after the end of a claim none of its nodes is replaced again for a prediction; nor is a node that is younger.
    #[setting(env = "SPOT_INTERRUPTION_PREDICTION_SPOT_REPLACEMENT_COOLDOWN", default = "15m", range("0s", "24h"))]
    pub spot_replacement_cooldown: Duration,
    /// The probability above which a node is at risk, from 0 to 1.
    #[setting(env = "SPOT_INTERRUPTION_PREDICTION_INTERRUPTION_THRESHOLD", range("0", "1"))]
    pub interruption_threshold: Option<Decimal>,
    /// Whether pods may be deleted whose eviction a disruption budget refuses, where a claim asks for it (ignoreBlockingPDB,
    /// ignoreProblemRemovalDisabledPods). The chart binds the role for it with the same value.
    #[setting(env = "FORCE_EVICTION_ENABLED", helm = "rbac.forceEviction", default = false)]
    pub force_eviction: bool,
    /// How late a schedule without startingDeadlineSeconds may start; without it there is no limit.
    #[setting(env = "SCHEDULE_STARTING_DEADLINE", config = "rebalancer.startingDeadline")]
    pub starting_deadline: Option<Duration>,
    /// How long the planner searches for a better plan.
    #[setting(env = "PLAN_TIME_LIMIT", config = "rebalancer.planTimeLimit", default = "10s", range("1s", "10m"))]
    pub plan_time_limit: Duration,
    /// By how much a plan may be dearer than the cheapest one found, in percent of its cost, where fewer pods move; 0: the
    /// cheapest. A claim's tolerancePercent goes before it.
    #[setting(
        env = "PLAN_TOLERANCE_PERCENT",
        config = "rebalancer.planTolerancePercent",
        default = "1.0",
        range("0", "100")
    )]
    pub plan_tolerance: Decimal,
    /// The ConfigMap in our namespace that holds prices under the key `catalog.csv`; without it the file named at the
    /// start, or the embedded catalogue, counts.
    #[setting(env = "CATALOG_CONFIG_MAP_NAME")]
    pub catalog_config_map_name: Option<String>,
    /// Where prices come from while neither a file at the start nor CATALOG_CONFIG_MAP_NAME names them: the embedded list of EC2, or
    /// what AWS tells about the region of the cluster, read again and again (a build with feature `aws`).
    #[setting(env = "PRICES_SOURCE", default = "embedded")]
    pub prices_source: PricesSource,
    /// From the end of one reading of prices to the next. A reading takes some fifty requests.
    #[setting(env = "PRICES_REFRESH_INTERVAL", default = "1h", range("1m", "24h"))]
    pub prices_refresh_interval: Duration,
    /// With older prices nothing is planned and no plan begins. Counts where prices are read again and again.
    #[setting(env = "PRICES_MAX_AGE", default = "24h", range("1h", "8760h"))]
    pub prices_max_age: Duration,
    /// The file in which the prices that were read last are kept for the next start, on a volume that outlives the pod.
    #[setting(env = "PRICES_CACHE_FILE")]
    pub prices_cache_file: Option<String>,
    /// The ConfigMap in our namespace whose key `config.yaml` overlays the environment, at any time. Its mistakes are told
    /// in an event on it; while no text was right since the start, the operator observes.
    #[setting(env = "DYNAMIC_CONFIG_MAP_NAME")]
    pub dynamic_config_map_name: Option<String>,
    /// The namespaces besides our own in which ConfigMaps labelled `kentroller.cast.ai/features: "true"` switch features. Their key
    /// `features.yaml` says true or false of rebalancer, continuousRebalancing, nodeConsolidation and spotInterruptionPrediction; off
    /// anywhere is off. The operator must be allowed to get, list and watch ConfigMaps and to create events there: without that it does
    /// nothing.
    #[setting(env = "FEATURES_WATCH_NAMESPACES")]
    pub features_watch_namespaces: Vec<String>,
    /// Who makes plans: standalone, this program; connected, a backend (a build with feature `connected`). Unset: connected where any of
    /// CLUSTER_ID, API_KEY, API_KEY_FILE, API_URL and GRPC_URL is set. Connected needs a key and the other three.
    #[setting(env = "DEPLOYMENT_MODE")]
    pub deployment_mode: Option<DeploymentMode>,
    /// The cluster, as the backend knows it. Connected mode needs it.
    #[setting(env = "CLUSTER_ID")]
    pub cluster_id: Option<String>,
    /// The cluster's key at the backend. Connected mode needs it, or API_KEY_FILE.
    #[setting(env = "API_KEY")]
    pub api_key: Option<Secret>,
    /// A file that holds the key; it goes before API_KEY, and is read again while the operator runs, so that a key is changed without a
    /// restart.
    #[setting(env = "API_KEY_FILE")]
    pub api_key_file: Option<String>,
    /// The REST endpoint of the backend, such as `https://api.example.com`. Connected mode needs it as the public chart does; so far nothing
    /// is asked there.
    #[setting(env = "API_URL")]
    pub api_url: Option<String>,
    /// Where the backend makes plans: host and port, such as grpc.example.com:443. Connected mode needs it.
    #[setting(env = "GRPC_URL")]
    pub grpc_url: Option<String>,
    /// Speaks with the backend without TLS: whoever is on the way reads key and cluster.
    #[setting(env = "GRPC_DISABLE_TLS", default = false)]
    pub grpc_disable_tls: bool,
    /// A PEM file of the authorities that vouch for the backend, in place of those of the system.
    #[setting(env = "TLS_CA_CERT_FILE")]
    pub tls_ca_cert_file: Option<String>,
}

/// Who makes plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, kentroller_runtime::Settings)]
pub enum DeploymentMode {
    /// A backend.
    Connected,
    /// This program.
    Standalone,
}

/// How far the operator goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, kentroller_runtime::Settings)]
pub enum OperatorMode {
    #[default]
    Act,
    Approve,
    Observe,
}

/// Which NodePools take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, kentroller_runtime::Settings)]
pub enum NodePoolFilter {
    /// All but those that are excluded.
    #[default]
    OptOut,
    /// Those that are included, and no others.
    OptIn,
}

/// Where prices come from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, kentroller_runtime::Settings, clap::ValueEnum,
)]
pub enum PricesSource {
    /// The list of EC2 that ships with the program.
    #[default]
    Embedded,
    /// What AWS tells now.
    Aws,
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

/// What a cycle of continuous rebalancing may do; each includes the ones before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, kentroller_runtime::Settings,
)]
pub enum CycleMode {
    DeleteEmpty,
    DrainOnly,
    #[default]
    Full,
}

impl CycleMode {
    /// As one writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DeleteEmpty => "delete-empty",
            Self::DrainOnly => "drain-only",
            Self::Full => "full",
        }
    }

    /// The next one that may do less.
    pub const fn less(self) -> Option<Self> {
        match self {
            Self::DeleteEmpty => None,
            Self::DrainOnly => Some(Self::DeleteEmpty),
            Self::Full => Some(Self::DrainOnly),
        }
    }

    /// The mode of this name.
    pub fn named(word: &str) -> Option<Self> {
        [Self::DeleteEmpty, Self::DrainOnly, Self::Full].into_iter().find(|mode| mode.word() == word)
    }
}

impl Settings {
    /// By how much a plan may be dearer than the cheapest one found.
    pub(crate) fn tolerance(&self) -> Percent {
        Percent::from_parts(self.plan_tolerance.millionths() / 100)
    }

    /// These settings overlaid by what the ConfigMap says; `None` if it is not the one that holds settings, or holds none.
    ///
    /// # Errors
    /// Every mistake in it; then nothing of it counts.
    pub fn overlaid_by(&self, map: &ConfigMap) -> Option<Result<Self, Vec<SettingMistake>>> {
        // One of the same name elsewhere is somebody else's.
        let is_ours = !self.features_watch_namespaces.iter().any(|one| *one == *map.metadata.namespace);
        let is_it = is_ours && self.dynamic_config_map_name.as_deref() == Some(map.name());
        let (text, paused) = (map.data.get(DOCUMENT), map.data.get(PAUSED));
        (is_it && (text.is_some() || paused.is_some())).then(|| {
            let mut settings = text.map_or_else(|| Ok(self.clone()), |text| self.overlaid(text))?;
            if let Some(text) = paused {
                let read = Pause::parse(text.trim());
                settings.paused = read.ok_or_else(|| vec![mistake(PAUSED, text, Pause::TYPE.to_string())])?;
            }
            Ok(settings)
        })
    }

    /// These settings overlaid by a text.
    ///
    /// # Errors
    /// Every mistake of the text; then nothing of it counts.
    pub fn overlaid(&self, text: &str) -> Result<Self, Vec<SettingMistake>> {
        let config = serde_saphyr::from_str(text)
            .map_err(|error| vec![mistake(DOCUMENT, "unreadable", format!("it must be YAML: {error}"))])?;
        let mut settings = self.clone();
        settings.apply_config(&config)?;
        Ok(settings)
    }
}

fn mistake(name: &str, value: &str, expected: String) -> SettingMistake {
    SettingMistake { name: name.to_owned(), value: value.to_owned(), expected }
}

impl Switches for Settings {
    fn kept_in() -> &'static [KindInfo] {
        &[ConfigMap::INFO]
    }

    /// The environment, with what ConfigMaps of features switch on, overlaid by the dynamic ConfigMap, without what ConfigMaps of
    /// features switch off. A text with a mistake leaves what was in force; at the start, when nothing was, nobody knows how far the
    /// operator may go: then it observes.
    fn in_force(given: &Arc<Self>, last: Option<&Arc<Self>>, cut: &Cut) -> Arc<Self> {
        let maps = || cut.store::<ConfigMap>().into_iter().flat_map(|store| store.all());
        let features = features::Said::by(maps());
        let mut settings = Self::clone(given);
        features.switch_on(&mut settings, last.map(Arc::as_ref));
        let observes = |settings: Self| Self { mode: OperatorMode::Observe, ..settings };
        let overlaid = maps().find_map(|map| settings.overlaid_by(map));
        let mut settings = match (overlaid, last) {
            (None, _) => settings,
            (Some(Ok(settings)), _) => settings,
            (Some(Err(_)), Some(last)) => Self::clone(last),
            (Some(Err(_)), None) => observes(settings),
        };
        features.switch_off(&mut settings, last.map(Arc::as_ref));
        if features.has_mistakes && last.is_none() {
            settings = observes(settings);
        }
        last.filter(|last| ***last == settings).map_or_else(|| Arc::new(settings), Arc::clone)
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
