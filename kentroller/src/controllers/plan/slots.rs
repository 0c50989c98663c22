//! How many nodes of a pool may be disrupted at once.

use jiff::Timestamp;
use kentroller_planner::Moment;
use kentroller_planner::manifest::NodePool;
use kentroller_planner::rules::{DisruptionReason, budget};

use crate::api::marks::{BUDGET, CONSOLIDATION};

/// What counts for the slots of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Initialized nodes whose machine is not ending.
    pub(super) total: usize,
    /// Nodes that count against the pool's budgets, whoever disrupts them.
    pub(super) disrupting: usize,
    /// Those among them that this plan has cordoned.
    pub(super) ours: usize,
}

/// How many nodes of a pool of so many may be disrupted now, by the rules of planning. A pool that says nothing, and one
/// that is handed over to us without a pace, keep Karpenter's default. `ignore_zero`: a budget of none counts as the default.
pub(super) fn allowed(pool: &NodePool, ignore_zero: bool, total: usize, now: Timestamp) -> usize {
    let annotation = |key: &str| pool.metadata.annotations.get(key).map(String::as_str);
    let is_ours = annotation(CONSOLIDATION) == Some("include");
    let default = total.div_ceil(10);
    if is_ours && annotation(BUDGET).is_none() {
        return default.max(1);
    }
    if !is_ours && pool.spec.disruption.budgets.is_none() {
        return default;
    }
    let nodes = u32::try_from(total).unwrap_or(u32::MAX);
    let told = budget(pool, DisruptionReason::Underutilized, nodes, Moment(now.as_second())).nodes;
    match usize::try_from(told).unwrap_or(usize::MAX) {
        0 if ignore_zero && !is_ours => default.max(1),
        allowed => allowed.min(total),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(pool: Value, ignore_zero: bool, total: usize, want: usize) {
        let read: NodePool = serde_json::from_value(pool.clone()).expect("a pool");
        // A Tuesday.
        let now = "2026-11-24T10:00:00Z".parse().expect("a time");
        assert_eq!(allowed(&read, ignore_zero, total, now), want, "{pool} of {total}");
    }

    #[test]
    fn the_strictest_open_budget_for_our_reason_counts_and_percentages_round_up() {
        let of = |budgets: Value| json!({"spec": {"disruption": {"budgets": budgets}}});
        check(of(json!(null)), false, 11, 2);
        check(of(json!([])), false, 11, 11);
        check(of(json!([{"nodes": "10%"}, {"nodes": "1"}])), false, 40, 1);
        check(
            of(json!([{"nodes": "100%"}, {"nodes": "0", "schedule": "0 9 * * 1-5", "duration": "8h"}])),
            false,
            40,
            0,
        );
        check(
            of(json!([{"nodes": "100%"}, {"nodes": "0", "schedule": "0 11 * * 1-5", "duration": "8h"}])),
            false,
            40,
            40,
        );
        check(of(json!([{"nodes": "10%"}, {"nodes": "0", "reasons": ["Drifted"]}])), false, 40, 4);
        check(of(json!([{"nodes": "many"}])), false, 40, 0);
        check(of(json!([{"nodes": "0"}])), true, 30, 3);
    }

    #[test]
    fn a_pool_that_is_ours_keeps_our_pace_and_none_means_none() {
        let of = |pace: Value| {
            json!({
                "metadata": {"annotations": pace}, "spec": {"disruption": {"budgets": [{"nodes": "0"}]}},
            })
        };
        let include = |budget: Value| {
            let mut pace = json!({CONSOLIDATION: "include"});
            if budget.is_string() {
                pace[BUDGET] = budget;
            }
            of(pace)
        };
        check(include(json!(null)), false, 30, 3);
        check(include(json!(null)), false, 3, 1);
        check(include(json!("20%")), false, 30, 6);
        check(include(json!("0")), false, 30, 0);
        check(include(json!("0")), true, 30, 0);
        check(of(json!({})), false, 30, 0);
    }
}
