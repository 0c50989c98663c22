//! `aggressiveModeConfig`: the protections that a claim lifts for itself, and the settings for every cycle.

use kentroller_planner::{Aggressive, aggressive_flags};
use kentroller_runtime::resource;
use kentroller_runtime::settings::{SettingType, SettingValue, parse_duration};
use serde_json::Value;

/// How long a node may take to drain where nothing is said about it.
pub(crate) const DRAIN_TIMEOUT: &str = "20m";

#[resource(part)]
/// Lifts protections that otherwise keep a node or a pod where it is.
#[derive(Default, Eq)]
pub struct AggressiveModeConfig {
    /// Whether a drain is forced to its end at drainTimeout: Karpenter then ends every pod that is left on the node, whatever its
    /// disruption budget says. Pods that another rule holds, such as do-not-disrupt, keep the node all the same.
    pub aggressive_eviction: bool,
    /// How long a node may take to drain, such as 20m: then it is forced with aggressiveEviction, and kept without. Absent: 20m.
    pub drain_timeout: Option<String>,
    /// Whether pods whose disruption budget allows no eviction count as movable: after ignoreBlockingPDBTimeout they are deleted by
    /// force. Only where the setting FORCE_EVICTION_ENABLED (chart value rbac.forceEviction) allows it.
    #[serde(rename = "ignoreBlockingPDB", default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_blocking_pdb: bool,
    /// How long such a pod is evicted in the usual way before it is deleted by force, such as 10m. Absent: 10m.
    #[serde(rename = "ignoreBlockingPDBTimeout")]
    pub ignore_blocking_pdb_timeout: Option<String>,
    /// Whether nodes may be chosen that Karpenter does not report as consolidatable.
    pub ignore_consolidatable: bool,
    /// Whether the node pools' requirements on instance types are left out of the search, where a pool allows it.
    pub ignore_instance_criteria: bool,
    /// Whether pods with volumes on the node's own disk may move; what is on these volumes is lost.
    pub ignore_local_persistent_volumes: bool,
    /// Whether pods of Jobs may move; they start again from the beginning.
    pub ignore_problem_job_pods: bool,
    /// Whether pods without a controller may be evicted; nothing brings them back.
    pub ignore_problem_pods_without_controller: bool,
    /// Whether nodes may be chosen that are marked removal-disabled or do-not-disrupt.
    pub ignore_problem_removal_disabled_nodes: bool,
    /// Whether pods may move that are marked removal-disabled or do-not-disrupt.
    pub ignore_problem_removal_disabled_pods: bool,
    /// How long such a pod is evicted in the usual way before it is deleted by force, such as 10m. Absent: 10m.
    pub ignore_problem_removal_disabled_pods_timeout: Option<String>,
    /// Whether a node pool's budget of zero counts as a tenth of its nodes, at least one; other budgets stand.
    pub ignore_zero_node_pool_disruption_budgets: bool,
}

#[resource(part)]
/// The part of the aggressive mode that matters while a plan is executed.
#[derive(Default, Eq)]
pub struct AggressiveMode {
    /// After how long a drain is forced to its end, such as 20m: Karpenter then ends every pod that is left on the node, whatever its
    /// disruption budget says. Absent: a node that is not drained in 20 minutes is kept.
    pub drain_timeout: Option<String>,
    /// Whether pods whose disruption budget allows no eviction are deleted by force in the end. Only where the setting
    /// FORCE_EVICTION_ENABLED (chart value rbac.forceEviction) allows it.
    #[serde(rename = "ignoreBlockingPDB", default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_blocking_pdb: bool,
    /// How long such a pod is evicted in the usual way first, such as 10m, from the cordon of its node. Absent: 10m.
    #[serde(rename = "ignoreBlockingPDBTimeout")]
    pub ignore_blocking_pdb_timeout: Option<String>,
    /// Whether pods marked removal-disabled or do-not-disrupt are moved, and deleted by force where their eviction is refused. The
    /// latter only where the setting allows it.
    pub ignore_problem_removal_disabled_pods: bool,
    /// How long such a pod is evicted in the usual way first, such as 10m, from the cordon of its node. Absent: 10m.
    pub ignore_problem_removal_disabled_pods_timeout: Option<String>,
    /// Whether a node pool's budget of zero counts as a tenth of its nodes, at least one.
    pub ignore_zero_node_pool_disruption_budgets: bool,
}

impl AggressiveModeConfig {
    /// What of it the planner lifts. `may_force`: a pod may be ended whose eviction its disruption budget refuses; a plan that counted on
    /// it where it may not would never end.
    pub(crate) fn lifted(&self, may_force: bool) -> Aggressive {
        let config = self;
        macro_rules! lifted {
            ($($field:ident = $name:literal,)*) => { Aggressive { $($field: config.$field,)* } };
        }
        let mut lifted = aggressive_flags!(lifted);
        lifted.ignore_blocking_pdb &= may_force;
        lifted
    }

    /// After how long it has drains forced, if it does.
    pub(crate) fn forced_drain(&self) -> Option<String> {
        let timeout = || self.drain_timeout.clone().unwrap_or_else(|| DRAIN_TIMEOUT.to_owned());
        self.aggressive_eviction.then(timeout)
    }

    /// What a plan carries of it, with the time after which its drains are forced, if they are; `None` if that says nothing.
    pub(crate) fn carried(&self, drain_timeout: Option<String>) -> Option<AggressiveMode> {
        let carried = AggressiveMode {
            drain_timeout,
            ignore_blocking_pdb: self.ignore_blocking_pdb,
            ignore_blocking_pdb_timeout: self.ignore_blocking_pdb_timeout.clone(),
            ignore_problem_removal_disabled_pods: self.ignore_problem_removal_disabled_pods,
            ignore_problem_removal_disabled_pods_timeout: self.ignore_problem_removal_disabled_pods_timeout.clone(),
            ignore_zero_node_pool_disruption_budgets: self.ignore_zero_node_pool_disruption_budgets,
        };
        (carried != AggressiveMode::default()).then_some(carried)
    }

    /// The durations that it names: texts, since the CRD lets any through.
    pub(crate) fn durations(&self) -> [(&'static str, Option<&String>); 3] {
        [
            ("drainTimeout", self.drain_timeout.as_ref()),
            ("ignoreBlockingPDBTimeout", self.ignore_blocking_pdb_timeout.as_ref()),
            ("ignoreProblemRemovalDisabledPodsTimeout", self.ignore_problem_removal_disabled_pods_timeout.as_ref()),
        ]
    }
}

impl SettingValue for AggressiveModeConfig {
    const TYPE: SettingType = SettingType::Structure(
        "an object with fields of a claim's aggressiveModeConfig: true or false each, and durations such as 10m for those that end in \
         Timeout",
    );

    fn parse(text: &str) -> Option<Self> {
        Self::from_config(&serde_json::from_str(text).ok()?)
    }

    fn from_config(value: &Value) -> Option<Self> {
        let schema = schemars::schema_for!(Self);
        let known = schema.get("properties")?;
        let read: Self = serde_json::from_value(value.clone()).ok()?;
        let is_known = value.as_object()?.keys().all(|key| known.get(key).is_some());
        let is_right =
            read.durations().into_iter().all(|(_, text)| text.is_none_or(|text| parse_duration(text).is_some()));
        (is_known && is_right).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_settings_read_the_flags_of_a_claim_and_nothing_that_a_claim_would_not_know() {
        let read = |config: Value| AggressiveModeConfig::from_config(&config);
        assert_eq!(read(json!({})), Some(AggressiveModeConfig::default()));
        let whole = read(json!({"aggressiveEviction": true, "drainTimeout": "5m", "ignoreBlockingPDB": true,
            "ignoreBlockingPDBTimeout": "2m", "ignoreProblemJobPods": true}))
        .expect("it is right");
        assert!(whole.aggressive_eviction && whole.ignore_problem_job_pods && !whole.ignore_consolidatable);
        assert_eq!(whole.ignore_blocking_pdb_timeout.as_deref(), Some("2m"));
        for wrong in [
            json!([]),
            json!("true"),
            json!({"ignoreBlockingPdb": true}),
            json!({"ignoreProblemJobPods": "true"}),
            json!({"drainTimeout": "soon"}),
            json!({"ignoreBlockingPDBTimeout": "10 minutes"}),
        ] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn a_budget_that_may_not_be_broken_is_not_counted_on() {
        let config = AggressiveModeConfig {
            ignore_blocking_pdb: true,
            ignore_problem_job_pods: true,
            ..AggressiveModeConfig::default()
        };
        for may_force in [false, true] {
            let lifted = config.lifted(may_force);
            assert_eq!((lifted.ignore_blocking_pdb, lifted.ignore_problem_job_pods), (may_force, true));
        }
    }
}
