//! Plans that came to their end and that nobody owns: some are kept, to be read.

use kentroller_runtime::{HasStatus, Kind};

use super::turn;
use crate::api::{PlanState, RebalancePlan};

/// So many are kept that ended well, and as many that did not.
pub(super) const HISTORY: usize = 10;

/// Whether the plan ended well.
pub(super) fn is_done(plan: &RebalancePlan) -> bool {
    let state = plan.status().and_then(|status| status.state.as_ref());
    matches!(state, Some(PlanState::Done | PlanState::DoneWithWarnings))
}

/// Of plans in their order, the oldest first: those that are over and more than are kept.
pub(super) fn superfluous<'a>(plans: &[&'a RebalancePlan]) -> Vec<&'a RebalancePlan> {
    let over = plans.iter().copied().rev();
    let over = over.filter(|plan| turn::has_ended(plan) && !turn::is_marked(plan) && plan.deleting().is_none());
    let (good, bad): (Vec<&RebalancePlan>, Vec<&RebalancePlan>) = over.partition(|plan| is_done(plan));
    good.into_iter().skip(HISTORY).chain(bad.into_iter().skip(HISTORY)).collect()
}
