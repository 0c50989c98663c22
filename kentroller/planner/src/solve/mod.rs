//! The way from a model to a plan.

mod binding;
mod growth;
mod kept;
mod scope;
mod shares;

use std::collections::BTreeMap;

use self::binding::bindings;
use self::growth::{Goal, grow};
use self::kept::kept;
use self::scope::narrow;
use self::shares::Shares;
use crate::bound::bound;
use crate::consolidation;
use crate::model::Model;
use crate::search::{self, Given, Limits, Market, keep_existing};
use crate::solution::State;
use crate::value::{
    Budget, Cheapest, CurvePoint, LowerBound, Mode, Money, MoveLimit, Nothing, Options, Pace, Percent, Plan, Steps,
    Wave,
};
use crate::waves::Waves;

/// Finds the cheapest set of nodes for a model.
pub(crate) fn solve(mut model: Model, options: &Options, budget: &mut dyn Budget) -> Plan {
    // The model is made. Shares are of the budget that is left.
    let spent = budget.used(0).min(999);
    let limited = |steps| options.max_steps.map_or(0, |most| Steps(most).used(steps));
    let mut left = |steps| {
        let of_budget = budget.used(steps).saturating_sub(spent).saturating_mul(1000) / (1000 - spent);
        of_budget.max(limited(steps))
    };
    let mut pace = Pace::of(&mut left);
    narrow(&mut model, options, &mut pace);
    let model = &model;
    let start = State::of(model, options.reserve);
    let bound = bound(&start, &mut pace);
    let market = Market::of(&start, &bound);
    let given = Given { market: &market, bound: &bound, options };
    let shares = Shares::of(spent, breaks_a_spread(model, options), options.is_calm() || !options.curve.is_empty());
    let limit = options.max_moves.map(|limit| moves(limit, model));
    let Chosen { waves: best, cheapest, curve } = chosen(&start, given, limit, shares, &mut pace);
    let outcome = Outcome::of(best, &start, options);
    let mut warnings = model.warnings.clone();
    if !options.roll {
        warnings.extend(consolidation::left(model, &outcome.waves, limit, options, &mut pace));
    }
    let bindings = bindings(&start, &outcome.waves, &mut pace);
    Plan {
        region: model.region.clone(),
        cost_before: start.cost,
        cost_after: outcome.hourly,
        lower_bound: Some(LowerBound { hourly: bound.hourly, method: "lp-dual" }),
        transition: outcome.transition,
        unpriced: model.nodes.iter().filter(|node| node.price.is_none()).map(|node| node.name.clone()).collect(),
        kept: kept(model, &outcome.waves, outcome.cut, limit, outcome.held_back, &bindings),
        nothing: outcome.nothing(model),
        held_back: outcome.too_small,
        refused: outcome.refused,
        cheapest: cheapest.filter(|_| !outcome.waves.is_empty()),
        waves: outcome.waves,
        curve,
        advice: Vec::new(),
        warnings,
        movable_pods: movable_pods(model),
        workload_pods: model.workload_pods,
        daemon_pods: model.daemon_pods,
        steps: pace.steps,
    }
}

/// Whether some spread does not hold. Its pods must move in an order, which the search does not see.
fn breaks_a_spread(model: &Model, options: &Options) -> bool {
    !model.broken.is_empty() && !options.roll
}

fn moves(limit: MoveLimit, model: &Model) -> i64 {
    let pods = match limit {
        MoveLimit::Pods(pods) => pods,
        MoveLimit::Share(share) => share.of_count(model.workload_pods),
    };
    i64::try_from(pods).unwrap_or(i64::MAX)
}

/// The plan that is made, and what it was chosen from.
struct Chosen {
    waves: Waves,
    /// The cheapest plan, where one with fewer moves was chosen.
    cheapest: Option<Cheapest>,
    curve: Vec<CurvePoint>,
}

/// Of all plans that cost little more than the cheapest one, that with the fewest moves.
fn chosen(start: &State<'_>, given: Given<'_>, limit: Option<i64>, shares: Shares, pace: &mut Pace<'_>) -> Chosen {
    let (before, options) = (start.cost, given.options);
    let cost = |made: &Waves| made.waves.last().map_or(before, |wave| wave.hourly_after);
    let moves = |made: &Waves| made.waves.iter().map(|wave| wave.moves.len()).sum::<usize>();
    let first = best_waves(start, given, limit, shares, pace);
    let tolerated = |least: Money| least + options.tolerance.of_money(least);
    let is_calm = options.is_calm() && !first.waves.is_empty();
    if !is_calm && options.curve.is_empty() {
        return Chosen { waves: first, cheapest: None, curve: Vec::new() };
    }
    let least = cost(&first);
    let goal = Goal { moves: limit, least, cost: tolerated(least), grows_on: is_calm };
    let grown = grow(start, given, goal, shares.growth, pace);
    let mut made = vec![first];
    for mut state in grown.ends {
        finish(&mut state, given, limit, pace);
        made.push(Waves::of(&state, before, options, pace));
    }
    let least = made.iter().map(|waves| (cost(waves), moves(waves))).min().unwrap_or_default();
    let most = if is_calm { tolerated(least.0) } else { least.0 };
    made.retain(|waves| cost(waves) <= most);
    made.sort_by_key(|waves| (moves(waves), cost(waves)));
    let waves = made.into_iter().next().unwrap_or_default();
    let is_another = (cost(&waves), moves(&waves)) != least;
    let cheapest = is_another.then_some(Cheapest { hourly: least.0, moves: least.1 });
    Chosen { waves, cheapest, curve: grown.curve }
}

/// The cheapest waves of a search. A second search follows where the order of moves cost a lot.
fn best_waves(start: &State<'_>, given: Given<'_>, limit: Option<i64>, shares: Shares, pace: &mut Pace<'_>) -> Waves {
    let (before, options) = (start.cost, given.options);
    let cost = |made: &Waves| made.waves.last().map_or(before, |wave| wave.hourly_after);
    let state = found(start, given, limit, shares.search, pace);
    let best = Waves::of(&state, before, options, pace);
    let in_time = pace.used() < shares.frozen_begins;
    let cost_a_lot = cost(&best) > state.cost + state.cost / 200;
    if breaks_a_spread(start.model, options) && in_time && cost_a_lot {
        // A plan in which those nodes stay may be cheaper.
        let mut frozen = start.clone();
        frozen.frozen = true;
        let state = found(&frozen, given, limit, shares.frozen, pace);
        let other = Waves::of(&state, before, options, pace);
        if cost(&other) < cost(&best) {
            return other;
        }
    }
    best
}

/// What a plan comes to, once it is known whether it saves enough to be made.
struct Outcome {
    waves: Vec<Wave>,
    /// Whether the waves end early because the cluster would get too small.
    cut: bool,
    hourly: Money,
    transition: Money,
    /// Set where the plan is not made, as it saves too little: what it would have saved.
    held_back: Option<Money>,
    /// The same, as a share of what the removed nodes cost, if that is less than was asked for.
    too_small: Option<Percent>,
    /// The waves that are not made.
    refused: Vec<Wave>,
}

impl Outcome {
    fn of(made: Waves, start: &State<'_>, options: &Options) -> Self {
        let Waves { mut waves, cut } = made;
        let before = start.cost;
        let nodes = start.model.nodes.iter();
        let prices: BTreeMap<&str, Money> = nodes.filter_map(|node| Some((node.name.as_str(), node.price?))).collect();
        let mut hourly = waves.last().map_or(before, |wave| wave.hourly_after);
        let gone = waves.iter().flat_map(|wave| &wave.remove);
        let removed: Money = gone.filter_map(|name| prices.get(name.as_str()).copied()).sum();
        let mut transition: Money = waves.iter().map(|wave| overlap(wave, &prices)).sum();
        // What the overlap costs is spread over thirty days and taken off the saving.
        let saved = before - hourly - transition / (30 * 24);
        let roll = options.roll || options.min_savings == Some(Percent::whole(0));
        let too_small = options.min_savings.is_some_and(|least| saved.percent_of(removed) < least);
        let (mut held_back, mut refused) = (None, Vec::new());
        if !roll && (too_small || saved <= Money::ZERO) && !waves.is_empty() {
            refused = std::mem::take(&mut waves);
            held_back = Some(saved);
        }
        if waves.is_empty() {
            (hourly, transition) = (before, Money::ZERO);
        }
        let too_small = held_back.filter(|_| too_small).map(|saved| saved.percent_of(removed));
        Self { waves, cut, hourly, transition, held_back, too_small, refused }
    }

    /// Why there is nothing to do, if there is not.
    fn nothing(&self, model: &Model) -> Option<Nothing> {
        let in_scope = model.nodes.iter().any(|node| node.held.is_none());
        self.waves.is_empty().then_some(match (in_scope, self.cut) {
            (false, _) => Nothing::NothingInScope,
            (true, true) => Nothing::MinClusterSize,
            (true, false) => Nothing::NoSaving,
        })
    }
}

fn found<'m>(start: &State<'m>, given: Given<'_>, limit: Option<i64>, until: u32, pace: &mut Pace<'_>) -> State<'m> {
    let mut found = match limit {
        Some(_) => search::near(start, start.clone(), given, Limits { moves: limit, until }, pace),
        None => search::free(start, given, until, pace),
    };
    finish(&mut found, given, limit, pace);
    found
}

/// The last touch to a solution.
fn finish(found: &mut State<'_>, given: Given<'_>, limit: Option<i64>, pace: &mut Pace<'_>) {
    if given.options.roll {
        return;
    }
    keep_existing(found);
    if given.options.mode == Mode::Full {
        let churn = given.options.churn_price;
        consolidation::extend(found, limit.unwrap_or(i64::MAX), churn, pace);
    }
}

/// What it costs that a wave's removed and added nodes run side by side for ten minutes. Unit: US dollars.
fn overlap(wave: &Wave, prices: &BTreeMap<&str, Money>) -> Money {
    if wave.add.is_empty() {
        return Money::ZERO;
    }
    let gone: Money = wave.remove.iter().filter_map(|name| prices.get(name.as_str()).copied()).sum();
    let new: Money = wave.add.iter().map(|node| node.price).sum();
    gone.min(new) / 6
}

fn movable_pods(model: &Model) -> usize {
    let nodes = model.nodes.iter().filter(|node| node.held.is_none());
    nodes.map(|node| node.pods.iter().filter(|pod| !model.pods[**pod].not_running).count()).sum()
}
