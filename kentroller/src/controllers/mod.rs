//! The controllers: one line each.

pub mod alerts;
mod claim;
mod configuration;
mod consolidation;
pub(crate) mod continuous;
mod course;
mod ended;
pub(crate) mod interruption;
pub(crate) mod marking;
mod offerings;
mod plan;
mod rest;
mod schedule;
mod sweep;
mod turn;
mod window;

use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Options;
use kentroller_runtime::generate::OwnKind;
use kentroller_runtime::operator::Operator;
use kentroller_runtime::settings::parse_duration;
use kentroller_runtime::{AnyController, Change, Cluster, Cut, Kind, ObjectKey, reconciler};

use crate::api;
use crate::api::RebalancePlanClaimSpec;
use crate::api::foreign::ConfigMap;
use crate::backend::options;
use crate::settings::{NodePoolFilter, Settings};

/// A question that failed is asked again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// An older plan is not executed: the cluster has moved on.
const PLAN_MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// How long a plan may be executed when nothing is said about it.
const EXECUTION_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The time that lies so long after another.
fn after(at: Timestamp, span: Duration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// A count as the value of a gauge.
fn count(of: usize) -> f64 {
    f64::from(u32::try_from(of).unwrap_or(u32::MAX))
}

/// A time as the value of a gauge, in seconds since 1970.
fn unix_seconds(at: Timestamp) -> f64 {
    f64::from(u32::try_from(at.as_second()).unwrap_or(u32::MAX))
}

/// What a controller of the whole cluster looks at again whatever happens to an object.
fn at_any_change<K>(_: &Change<'_, K>, _: &Cut) -> Vec<ObjectKey> {
    vec![ObjectKey::cluster(Cluster::NAME)]
}

/// The planner's options that a claim asks for under these settings.
///
/// # Errors
/// A field that cannot be read, or holds a word that this version does not know.
pub(crate) fn claim_options(spec: &RebalancePlanClaimSpec, settings: &Settings) -> Result<Options, String> {
    let asked = options(spec, settings.eviction_config.rules(), settings.tolerance(), settings.force_eviction)?;
    Ok(Options { pools_opt_in: settings.node_pool_filter == NodePoolFilter::OptIn, ..asked })
}

/// A duration field that was checked before; absent means `default`.
fn duration(text: Option<&str>, default: Duration) -> Duration {
    text.and_then(parse_duration).unwrap_or(default)
}

/// Before `_` and the name of every metric.
pub const METRICS_PREFIX: &str = NAME;
/// In logs, events and audit logs, and as the manager of what is written.
const NAME: &str = "kentroller";
/// The lease on which replicas agree who acts.
const LEASE: &str = "castai-kentroller";

/// The operator under its names, with all controllers; settings, doors and place are still to be said.
pub fn operator() -> Operator<Settings, ()> {
    Operator::of(all())
        .name(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .lease(LEASE)
        .metrics_prefix(METRICS_PREFIX)
        .own_namespace([ConfigMap::INFO])
}

/// All controllers of the operator.
pub fn all() -> Vec<Box<dyn AnyController<Settings>>> {
    vec![
        reconciler::<schedule::Schedules>(),
        reconciler::<claim::Claims>(),
        reconciler::<plan::RebalancePlans>(),
        reconciler::<continuous::ContinuousRebalancing>(),
        reconciler::<consolidation::NodeConsolidation>(),
        reconciler::<interruption::SpotInterruption>(),
        reconciler::<interruption::told::SpotNodes>(),
        reconciler::<offerings::Offerings>(),
        reconciler::<sweep::Sweep>(),
        reconciler::<configuration::Configuration>(),
    ]
}

/// All kinds of this project: those that the controllers reconcile, and those that nobody does.
pub fn kinds() -> Vec<OwnKind> {
    let reconciled = all().into_iter().filter_map(|controller| OwnKind::declared(&controller.declaration().of));
    reconciled.chain(api::without_controller()).collect()
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::testing::{given, object};
    use kentroller_runtime::{Class, Reconcile};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_that_another_version_has_stored_is_told_and_never_acted_on() {
        fn check<C: Reconcile<Settings = Settings>>(spec: serde_json::Value) {
            let object: C::Of = object(json!({
                "apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "", "metadata": {"name": "a", "uid": "u", "generation": 1}, "spec": spec,
                "status": {"state": "Hibernating", "conditions": [], "observedGeneration": 1},
            }));
            let failure = given::<C>().decide(&object).expect_err("nothing is decided");
            assert_eq!((failure.class, failure.reason.as_ref()), (Class::Terminal, "StateUnknown"));
            assert!(failure.message.contains("status.state \"Hibernating\""), "{}", failure.message);
        }
        check::<claim::Claims>(json!({"autoExecute": true}));
        check::<plan::RebalancePlans>(
            json!({"execute": true, "nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []}),
        );
    }
}
