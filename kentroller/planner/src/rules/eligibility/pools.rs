//! What a pool lets go: its consolidation policy and its disruption budgets.

use crate::manifest::{DisruptionBudget, Moment, NodePool};
use crate::rules::window;

/// Whether Karpenter removes nodes of a pool for what that saves, at one time or another.
pub(crate) fn is_consolidated(pool: &NodePool) -> bool {
    let disruption = &pool.spec.disruption;
    let is_shut = |budget: &DisruptionBudget| {
        budget.schedule.is_none() && matches!(budget.nodes.as_str(), "0" | "0%") && covers(budget, "Underutilized")
    };
    pool.spec.replicas.is_none()
        && disruption.consolidate_after != "Never"
        && disruption.consolidation_policy != "WhenEmpty"
        && !disruption.budgets.iter().flatten().any(is_shut)
}

/// Whether a budget binds disruptions for a reason; without reasons it binds all.
fn covers(budget: &DisruptionBudget, reason: &str) -> bool {
    budget.reasons.as_ref().is_none_or(|reasons| reasons.iter().any(|one| one == reason))
}

/// Which budget of the pool lets no node go now, if one does; one that cannot be read lets none go.
pub(super) fn zero_budget(pool: &NodePool, handed_over: bool, is_empty: bool, now: Moment) -> Option<String> {
    let is_zero = |nodes: &str| nodes.trim_end_matches('%').parse::<u32>().ok().is_none_or(|nodes| nodes == 0);
    let own = pool.metadata.annotations.get("kentroller.cast.ai/budget").filter(|_| handed_over);
    if let Some(own) = own.filter(|own| is_zero(own)) {
        return Some(format!("its NodePool is annotated kentroller.cast.ai/budget: {own}"));
    }
    let reason = if is_empty { "Empty" } else { "Underutilized" };
    pool.spec.disruption.budgets.iter().flatten().find_map(|budget| {
        // A pool that was handed over is shut to Karpenter by such a budget, not to us.
        if !covers(budget, reason) || (handed_over && covers(budget, "Underutilized")) {
            return None;
        }
        match window::is_open(budget.schedule.as_deref(), budget.duration.as_deref(), now) {
            None => {
                Some("a disruption budget of its NodePool has a schedule or duration that cannot be read".to_owned())
            }
            Some(true) if is_zero(&budget.nodes) => {
                Some(format!("its NodePool has a disruption budget of {} now", budget.nodes))
            }
            Some(_) => None,
        }
    })
}
