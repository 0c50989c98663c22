//! A plan that grows: the best one within few moves first, then what more moves add to it.
//!
//! What it costs at each step is the curve of costs by moved pods. Where the end is cheap enough all the same, a step is
//! settled: what it did stays, so a plan that is stopped there has earned what so many moves can earn.

use crate::model::Model;
use crate::search::{Given, Limits, calm, near, rough};
use crate::solution::State;
use crate::value::{CurvePoint, Money, Options, Pace, Percent};
use crate::waves::Waves;

/// Shares of moved pods at which a step ends, in percent, besides those that are asked for.
const STEPS: [i64; 4] = [5, 10, 20, 30];

/// Shares at which it is asked whether the plan is cheap enough, in percent.
const TRIED: [i64; 5] = [40, 50, 60, 80, 100];

/// What a growing plan is to come to.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    /// The most moves.
    pub moves: Option<i64>,
    /// What the cheapest plan costs that a search found.
    pub least: Money,
    /// It is cheap enough at this cost.
    pub cost: Money,
    /// Whether it grows on after the last step of the curve.
    pub grows_on: bool,
}

/// What came of growing.
pub(super) struct Grown<'m> {
    /// Plans that may be cheap enough.
    pub ends: Vec<State<'m>>,
    pub curve: Vec<CurvePoint>,
}

/// Grows a plan from nothing until it is cheap enough, its moves are used, or its share of the budget is.
pub(super) fn grow<'m>(start: &State<'m>, given: Given<'_>, goal: Goal, until: u32, pace: &mut Pace<'_>) -> Grown<'m> {
    let saving = Options { roll: false, ..given.options.clone() };
    let mut growth = Growth {
        given: Given { options: &saving, ..given },
        goal,
        origin: start.clone(),
        before: start.clone(),
        state: start.clone(),
    };
    let shares = growth.shares();
    let parts = u32::try_from(shares.len() + if goal.grows_on { TRIED.len() } else { 0 }).unwrap_or(u32::MAX).max(1);
    let began = pace.used();
    let part = until.saturating_sub(began) / parts;
    let mut may_settle = goal.grows_on;
    let usual = if may_settle { rough(start, growth.given, pace) } else { None };
    let mut curve = Vec::new();
    let mut done = None;
    for (share, until) in shares.into_iter().zip((1..).map(|at| began + part * at)) {
        let is_asked = saving.curve.contains(&share);
        if !is_asked && (done.is_some() || pace.used() >= until) {
            continue;
        }
        growth.step(share, until, pace);
        if is_asked {
            curve.push(growth.point(share, start.cost, pace));
        }
        if done.is_none() && growth.is_done() {
            done = Some((growth.before.clone(), growth.state.clone()));
        }
        may_settle = may_settle && done.is_none() && usual.is_some_and(|usual| growth.settle(usual, pace));
    }
    let mut ends = Vec::new();
    if let Some(done) = done {
        (growth.before, growth.state) = done;
    }
    if goal.grows_on {
        let mut free = growth.state.clone();
        growth.go_on(until, pace, &mut ends);
        let is_dear = ends.iter().all(|end| end.cost > goal.cost);
        if growth.state.steps() > 1 && is_dear && pace.used() < until {
            // What was settled made it dear.
            free.unsettle();
            (growth.origin, growth.state) = (start.clone(), free);
            growth.go_on(until, pace, &mut ends);
        }
    }
    ends.iter_mut().for_each(State::unsettle);
    Grown { ends, curve }
}

struct Growth<'a, 'm> {
    given: Given<'a>,
    goal: Goal,
    /// The cluster at the end of the last settled step.
    origin: State<'m>,
    /// The plan before the last step.
    before: State<'m>,
    state: State<'m>,
}

impl<'m> Growth<'_, 'm> {
    /// Where steps end.
    fn shares(&self) -> Vec<Percent> {
        let mut shares = self.given.options.curve.clone();
        if self.goal.grows_on {
            shares.extend(STEPS.map(Percent::whole));
        }
        shares.sort_unstable();
        shares.dedup();
        shares
    }

    /// The best plan within a share of moves that goes on from the one before.
    fn step(&mut self, share: Percent, until: u32, pace: &mut Pace<'_>) {
        let moves = moves_of(share, self.state.model).min(self.goal.moves.unwrap_or(i64::MAX));
        let limits = Limits { moves: Some(moves), until };
        self.before = self.state.clone();
        self.state = near(&self.origin, self.state.clone(), self.given, limits, pace);
    }

    fn is_done(&self) -> bool {
        let is_cheap = self.goal.grows_on && self.state.cost <= self.goal.cost;
        is_cheap || self.goal.moves.is_some_and(|most| self.state.moved >= most)
    }

    /// What the plan costs so far, as waves.
    fn point(&self, share: Percent, before: Money, pace: &mut Pace<'_>) -> CurvePoint {
        let mut state = self.state.clone();
        state.unsettle();
        let made = Waves::of(&state, before, self.given.options, pace);
        let hourly = made.waves.last().map_or(before, |wave| wave.hourly_after);
        CurvePoint { moved: share, hourly, waves: made.waves.len() }
    }

    /// Settles what was done so far, if that leaves the goal in reach; whether it did. A rough solution from here on tells it,
    /// beside `usual`, what one costs that nothing binds.
    fn settle(&mut self, usual: Money, pace: &mut Pace<'_>) -> bool {
        let mut settled = self.state.clone();
        settled.settle();
        let Some(rough) = rough(&settled, self.given, pace) else { return false };
        let is_in_reach = rough.as_f64() * self.goal.least.as_f64() <= usual.as_f64() * self.goal.cost.as_f64();
        if is_in_reach {
            self.origin = settled.clone();
            self.state = settled;
        }
        is_in_reach
    }

    /// Lets ever more pods move until the plan is cheap enough; then looks for fewer moves at that cost.
    fn go_on(&mut self, until: u32, pace: &mut Pace<'_>, ends: &mut Vec<State<'m>>) {
        let began = pace.used();
        let part = until.saturating_sub(began) / u32::try_from(TRIED.len() + 1).unwrap_or(1);
        for (share, until) in TRIED.into_iter().zip((1..).map(|at| began + part * at)) {
            if self.is_done() || pace.used() >= until {
                break;
            }
            self.step(Percent::whole(share), until, pace);
        }
        ends.push(self.state.clone());
        // What each of the last moves saved is what a move must save from here on.
        let price = (self.before.cost - self.state.cost) / (self.state.moved - self.before.moved).max(1);
        if price > Money::ZERO && pace.used() < until {
            let options = Options { churn_price: price, ..self.given.options.clone() };
            ends.push(calm(self.state.clone(), Given { options: &options, ..self.given }, until, pace));
        }
    }
}

fn moves_of(share: Percent, model: &Model) -> i64 {
    i64::try_from(share.of_count(model.workload_pods)).unwrap_or(i64::MAX)
}
