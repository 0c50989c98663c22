//! The judge of plans: its own reading of kube-scheduler's and Karpenter's rules.
//!
//! Shared with the planner is what objects decode to (`manifest`) and what goes in and out (`value`), and nothing else; a
//! test holds that. No rule, no arithmetic of requests, no price and no window of a budget is read by the planner's code.
//!
//! In: the snapshot that a plan was made from, the prices, what was asked for, and any plan: ours, a person's, a
//! backend's. Out: nothing, or every reason found to reject it whole. Where something cannot be told, the plan is
//! rejected. The plan is played wave by wave and move by move on a `board`, and after each wave everything must stand.
//!
//! Not judged: preferences and `ScheduleAnyway` (prices, not rules), preemption, which of several plans is best, and
//! whether `sort_by` was followed.

mod bill;
mod board;
mod budgets;
mod disruption;
mod eviction;
mod facts;
mod fresh;
mod labels;
mod limits;
mod neighbours;
mod offering;
mod placement;
mod prices;
mod requests;
mod selectors;
mod spread;
mod tally;
mod violation;
mod volumes;
mod waiting;
mod wave;
mod window;

#[cfg(test)]
mod tests;

use crate::value::{Catalog, Options, Plan, Snapshot};

pub use violation::{Fault, Violation};

/// Judges a plan, wave by wave.
///
/// # Errors
/// Every violation found, in the order of the plan; at most 1,000, after which judging ends.
pub fn check(snapshot: &Snapshot, catalog: &Catalog, options: &Options, plan: &Plan) -> Result<(), Vec<Violation>> {
    let mut judge = wave::Judge::new(snapshot, catalog, options, plan);
    for (index, wave) in plan.waves.iter().enumerate() {
        if judge.found.len() >= wave::ENOUGH {
            break;
        }
        judge.play(index + 1, wave);
    }
    judge.finish();
    if judge.found.is_empty() { Ok(()) } else { Err(judge.found) }
}
