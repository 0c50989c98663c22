//! Disruption budgets of a NodePool that allow nothing at this moment.

use std::collections::BTreeMap;

use super::window;
use crate::manifest::marks::{BUDGET, CONSOLIDATION};
use crate::manifest::{DisruptionBudget, Moment, NodePool};
use crate::value::Snapshot;

/// Whether the pool was handed to us: Karpenter's switches then bind Karpenter only.
pub(super) fn is_handed_over(pool: &NodePool) -> bool {
    pool.metadata.annotations.get(CONSOLIDATION).is_some_and(|word| word == "include")
}

/// By pool and reason (`Empty` or `Underutilized`): why no node may go now; absent where some may.
pub(super) fn zeros(snapshot: &Snapshot) -> BTreeMap<(&str, &'static str), String> {
    let mut all = BTreeMap::new();
    for pool in &snapshot.node_pools {
        for reason in ["Empty", "Underutilized"] {
            if let Some(why) = zero(pool, reason, snapshot.now) {
                all.insert((&*pool.metadata.name, reason), why);
            }
        }
    }
    all
}

fn zero(pool: &NodePool, reason: &str, now: Moment) -> Option<String> {
    if is_handed_over(pool)
        && let Some(own) = pool.metadata.annotations.get(BUDGET)
        && is_zero(own)
    {
        return Some(format!("{BUDGET} is {own:?}"));
    }
    let covers = |budget: &DisruptionBudget, reason: &str| {
        budget.reasons.as_ref().is_none_or(|reasons| reasons.iter().any(|one| one == reason))
    };
    for budget in pool.spec.disruption.budgets.iter().flatten() {
        let lifted = is_handed_over(pool) && covers(budget, "Underutilized");
        if lifted || !covers(budget, reason) {
            continue;
        }
        match window::is_open(budget.schedule.as_deref(), budget.duration.as_deref(), now) {
            None => return Some(format!("schedule {:?} of a budget cannot be read", budget.schedule)),
            Some(true) if is_zero(&budget.nodes) => return Some(format!("a budget allows {:?} nodes", budget.nodes)),
            Some(_) => {}
        }
    }
    None
}

/// A count or percentage of nothing, or one that cannot be read. A positive percentage allows at least one node.
fn is_zero(nodes: &str) -> bool {
    let digits = nodes.strip_suffix('%').unwrap_or(nodes);
    digits.parse::<u32>().map_or(true, |count| count == 0)
}
