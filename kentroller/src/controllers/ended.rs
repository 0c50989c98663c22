//! What we have made of our own accord and nobody owns: when it came to its end some of it is kept, to be read.

use kentroller_runtime::{HasStatus, Kind};

use super::turn;
use crate::api::{PlanState, RebalancePlan};

/// So many are kept that ended well, and as many that did not.
pub(super) const HISTORY: usize = 10;

/// The objects that have this label, the oldest first.
pub(super) fn marked<'a, K: Kind>(all: impl Iterator<Item = &'a K>, label: &str) -> Vec<&'a K> {
    let mut marked: Vec<&K> = all.filter(|object| object.label(label).is_some()).collect();
    marked.sort_by_key(|object| (object.created(), object.name()));
    marked
}

pub(super) fn state(plan: &RebalancePlan) -> Option<&PlanState> {
    plan.status()?.state.as_ref()
}

/// Whether the plan ended well.
pub(super) fn is_done(plan: &RebalancePlan) -> bool {
    matches!(state(plan), Some(PlanState::Done | PlanState::DoneWithWarnings))
}

/// Of plans in their order, the oldest first: those that are over and more than are kept.
pub(super) fn superfluous<'a>(plans: &[&'a RebalancePlan]) -> Vec<&'a RebalancePlan> {
    let over = plans.iter().copied().rev();
    let over = over.filter(|plan| turn::has_ended(plan) && !turn::is_marked(plan) && plan.deleting().is_none());
    let (good, bad): (Vec<&RebalancePlan>, Vec<&RebalancePlan>) = over.partition(|plan| is_done(plan));
    good.into_iter().skip(HISTORY).chain(bad.into_iter().skip(HISTORY)).collect()
}
