//! How many nodes of a pool may be disrupted at once.

use kentroller_planner::manifest;

use crate::api::marks::{BUDGET, CONSOLIDATION};

/// Our own pace in pools that are ours, and the default of Karpenter.
const DEFAULT: &str = "10%";

/// What counts for the slots of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Initialized nodes whose machine is not ending.
    pub(super) total: usize,
    /// Nodes that are not ready, are being deleted, or are drained by a plan.
    pub(super) disrupting: usize,
}

/// How many nodes of a pool may be disrupted at once. A pool handed over to us keeps our pace; any other keeps each of
/// its budgets at every time and for every reason, which is stricter than Karpenter and never looser. A budget that
/// cannot be read allows none.
pub(super) fn allowed(spec: &manifest::NodePoolSpec, ours: Option<&str>, ignore_zero: bool, total: usize) -> usize {
    if let Some(pace) = ours {
        return share(pace, total).unwrap_or(0).max(1);
    }
    let Some(budgets) = &spec.disruption.budgets else { return share(DEFAULT, total).unwrap_or(0) };
    let least = budgets.iter().map(|budget| share(&budget.nodes, total).unwrap_or(0)).min();
    match least {
        Some(0) if ignore_zero => share(DEFAULT, total).unwrap_or(0).max(1),
        Some(least) => least,
        None => total,
    }
}

/// A number, or a percentage rounded up.
fn share(text: &str, total: usize) -> Option<usize> {
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: usize = percent.parse().ok().filter(|percent| *percent <= 100)?;
            Some((percent * total).div_ceil(100))
        }
        None => text.parse().ok(),
    }
}

/// The pace annotation of a pool that is handed over to us.
pub(super) fn pace(annotation: impl Fn(&str) -> Option<String>) -> Option<String> {
    let ours = annotation(CONSOLIDATION).as_deref() == Some("include");
    ours.then(|| annotation(BUDGET).unwrap_or_else(|| DEFAULT.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_strictest_budget_counts_and_percentages_round_up() {
        let check = |budgets: serde_json::Value, total: usize, want: usize| {
            let spec = serde_json::from_value(json!({"disruption": {"budgets": budgets}})).expect("a spec");
            assert_eq!(allowed(&spec, None, false, total), want, "{budgets} of {total}");
        };
        check(json!(null), 11, 2);
        check(json!([]), 11, 11);
        check(json!([{"nodes": "10%"}, {"nodes": "1"}]), 40, 1);
        check(json!([{"nodes": "100%"}, {"nodes": "0", "schedule": "@daily", "duration": "1h"}]), 40, 0);
        check(json!([{"nodes": "many"}]), 40, 0);
    }

    #[test]
    fn a_pool_that_is_ours_keeps_our_pace_and_never_less_than_one() {
        let spec = serde_json::from_value(json!({"disruption": {"budgets": [{"nodes": "0"}]}})).expect("a spec");
        assert_eq!(allowed(&spec, Some("10%"), false, 30), 3);
        assert_eq!(allowed(&spec, Some("0"), false, 30), 1);
        assert_eq!(allowed(&spec, None, true, 30), 3);
        assert_eq!(allowed(&spec, None, false, 30), 0);
    }
}
