//! The way from a snapshot to a plan.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Budget, Catalog, CurvePoint, InputError, Kept, KeptReason, LowerBound, Mode, Money, MoveLimit, Nothing, Options,
    Percent, Plan, Snapshot, SortBy, Wave,
    advice::advice,
    bound,
    budget::Pace,
    build::build,
    cluster::{CPU, Model},
    keep::keep_rather_than_buy,
    market::Market,
    search::{self, Given, Limits},
    stable::{self, SETTLING},
    state::State,
    waiting,
    waves::Waves,
};

/// Finds the cheapest set of nodes for a cluster.
///
/// Pure and deterministic for a budget of steps. The plan may have no wave; [`Plan::nothing`] then says why.
///
/// # Errors
/// Input that contradicts itself, such as two nodes of one name.
pub fn plan(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    budget: &mut dyn Budget,
) -> Result<Plan, InputError> {
    let mut plan = solve(model(snapshot, catalog, options)?, options, budget);
    if options.advise {
        plan.advice = advice(snapshot, catalog, options, &plan, budget);
    }
    Ok(plan)
}

/// All that a plan depends on besides what is asked for.
pub(crate) fn model(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Result<Model, InputError> {
    let mut model = build(snapshot, catalog, options)?;
    waiting::seat(&mut model);
    Ok(model)
}

/// Finds the cheapest set of nodes for a model.
pub(crate) fn solve(mut model: Model, options: &Options, budget: &mut dyn Budget) -> Plan {
    // Making the model is behind us: shares are of what is left.
    let spent = budget.used(0).min(999);
    let mut left = |steps| budget.used(steps).saturating_sub(spent).saturating_mul(1000) / (1000 - spent);
    let mut pace = Pace::of(&mut left);
    // Making waves of a solution, some of them anew, takes up to one and a half times as long as making the model.
    let tail = (spent * 1500 / (1000 - spent)).min(250);
    narrow(&mut model, options, &mut pace);
    let start = State::of(&model, options.reserve);
    let before = Money::micros(start.cost);
    let bound = bound::bound(&start, &mut pace);
    let market = Market::of(&start, &bound);
    let movable = movable_pods(&model);
    let given = Given { market: &market, bound: &bound, options };
    let curve_until = if options.curve.is_empty() { 0 } else { 400 - tail };
    let (curve, last) = curve(&start, given, curve_until, &mut pace);
    let limit = options.max_moves.map(|limit| match limit {
        MoveLimit::Pods(pods) => i64::try_from(pods).unwrap_or(i64::MAX),
        MoveLimit::Share(share) => i64::try_from(share.of_count(model.workload_pods)).unwrap_or(i64::MAX),
    });
    let cost = |made: &Waves| made.waves.last().map_or(before, |wave| wave.hourly_after);
    let broken = !model.broken.is_empty() && !options.roll;
    let state =
        found(&start, given, limit, if broken { 850 - 2 * tail } else { 1000 - tail } - 2 * SETTLING, &mut pace);
    let mut best = Waves::of(&state, before, options, &mut pace);
    let mut others: Vec<Waves> = last.filter(|_| limit.is_none() && !options.roll).into_iter().collect();
    let in_time = pace.used() + 3 * tail < 1000;
    if broken && in_time && cost(&best).as_micros() > state.cost + state.cost / 200 {
        // What moves under a broken spread moves in an order, which the search does not see. Where that cost a lot, a plan
        // in which those nodes stay may be cheaper.
        let mut frozen = start.clone();
        frozen.frozen = true;
        let state = found(&frozen, given, limit, 1000 - tail - 2 * SETTLING, &mut pace);
        others.push(Waves::of(&state, before, options, &mut pace));
    }
    for made in others {
        if cost(&made) < cost(&best) {
            best = made;
        }
    }
    let Waves { mut waves, cut } = best;
    let mut held_back = None;
    let prices: BTreeMap<&str, Money> =
        model.nodes.iter().filter_map(|node| node.price.map(|price| (node.name.as_str(), price))).collect();
    let after = waves.last().map_or(before, |wave| wave.hourly_after);
    let removed: Money =
        waves.iter().flat_map(|wave| &wave.remove).filter_map(|name| prices.get(name.as_str()).copied()).sum();
    let transition: Money = waves.iter().map(|wave| overlap(wave, &prices)).sum();
    // Savings are net of what the overlap costs, spread over thirty days.
    let saved = before - after - Money::micros(transition.as_micros() / (30 * 24));
    let roll = options.roll || options.min_savings == Some(Percent::whole(0));
    let too_small = options.min_savings.is_some_and(|least| saved.percent_of(removed) < least);
    if !roll && (too_small || saved <= Money::ZERO) && !waves.is_empty() {
        waves.clear();
        held_back = Some(saved);
    }
    let in_scope = model.nodes.iter().any(|node| node.held.is_none());
    let nothing = waves.is_empty().then_some(match (in_scope, cut) {
        (false, _) => Nothing::NothingInScope,
        (true, true) => Nothing::MinClusterSize,
        (true, false) => Nothing::NoSaving,
    });
    let mut warnings = model.warnings.clone();
    if !options.roll {
        warnings.extend(stable::left(&model, &waves, limit, options, &mut pace));
    }
    Plan {
        region: model.region.clone(),
        cost_before: before,
        cost_after: if waves.is_empty() { before } else { after },
        lower_bound: Some(LowerBound { hourly: bound.hourly, method: "lp-dual" }),
        transition: if waves.is_empty() { Money::ZERO } else { transition },
        kept: kept(&model, &waves, cut, limit, held_back),
        waves,
        curve,
        advice: Vec::new(),
        warnings,
        movable_pods: movable,
        workload_pods: model.workload_pods,
        daemon_pods: model.daemon_pods,
        nothing,
        held_back: held_back.filter(|_| too_small).map(|saved| saved.percent_of(removed)),
        steps: pace.steps,
    }
}

fn found<'m>(start: &State<'m>, given: Given<'_>, limit: Option<i64>, until: u32, pace: &mut Pace<'_>) -> State<'m> {
    let mut found = match limit {
        Some(_) => search::near(start, start.clone(), given, Limits { moves: limit, until }, pace),
        None => search::free(start, given, until, pace),
    };
    if !given.options.roll {
        keep_rather_than_buy(&mut found);
        if given.options.mode == Mode::Full {
            let churn = given.options.churn_price.as_micros();
            stable::extend(&mut found, limit.unwrap_or(i64::MAX), churn, pace);
        }
    }
    found
}

/// Leaves the first `max_nodes` nodes of an order; the others stay.
///
/// Without an order those come first that cost most beyond what their pods are worth.
fn narrow(model: &mut Model, options: &Options, pace: &mut Pace<'_>) {
    let Some(most) = options.max_nodes else { return };
    let mut order: Vec<usize> = (0..model.nodes.len()).filter(|node| model.nodes[*node].held.is_none()).collect();
    if order.len() <= most {
        return;
    }
    let price = |node: usize| model.nodes[node].price.map_or(0, Money::as_micros);
    let key: Vec<i64> = match options.sort_by {
        Some(SortBy::NormalizedCpuPrice) => (0..model.nodes.len())
            .map(|node| -(price(node) * 1000 / model.nodes[node].allocatable[CPU].max(1)))
            .collect(),
        Some(SortBy::RequestedCpuPrice) => {
            (0..model.nodes.len()).map(|node| -(price(node) * 1000 / model.nodes[node].used[CPU].max(1))).collect()
        }
        Some(SortBy::LeastUtilized) => model.nodes.iter().map(|node| node.utilization).collect(),
        Some(SortBy::Age) => model.nodes.iter().map(|node| node.created).collect(),
        None => {
            let start = State::of(model, options.reserve);
            let worth = bound::bound(&start, pace).worth;
            (0..model.nodes.len())
                .map(|node| {
                    let own: f64 = start.own[node].iter().map(|(class, count)| worth[*class] * *count as f64).sum();
                    own as i64 - price(node)
                })
                .collect()
        }
    };
    order.sort_by_key(|node| (key[*node], *node));
    for node in order.split_off(most) {
        model.nodes[node].held = Some((KeptReason::MaxNodes, format!("only {most} nodes were asked for")));
    }
}

/// The best plan within each share of moved pods, and the waves of the last of them.
fn curve(start: &State<'_>, given: Given<'_>, until: u32, pace: &mut Pace<'_>) -> (Vec<CurvePoint>, Option<Waves>) {
    let mut shares = given.options.curve.clone();
    shares.sort();
    let saving = Options { roll: false, ..given.options.clone() };
    let before = Money::micros(start.cost);
    let mut points = Vec::new();
    let mut state = start.clone();
    let mut last = None;
    let began = pace.used();
    for (at, share) in shares.iter().enumerate() {
        let moves = i64::try_from(share.of_count(start.model.workload_pods)).unwrap_or(i64::MAX);
        let part = until.saturating_sub(began) / u32::try_from(shares.len()).unwrap_or(1);
        let until = began + part * u32::try_from(at + 1).unwrap_or(1);
        state = search::near(start, state, given, Limits { moves: Some(moves), until }, pace);
        let made = Waves::of(&state, before, &saving, pace);
        let hourly = made.waves.last().map_or(before, |wave| wave.hourly_after);
        points.push(CurvePoint { moved: *share, hourly, waves: made.waves.len() });
        last = Some(made);
    }
    (points, last)
}

/// What a wave's removed and added nodes cost while both run: ten minutes. Unit: US dollars.
fn overlap(wave: &Wave, prices: &BTreeMap<&str, Money>) -> Money {
    if wave.add.is_empty() {
        return Money::ZERO;
    }
    let gone: Money = wave.remove.iter().filter_map(|name| prices.get(name.as_str()).copied()).sum();
    let new: Money = wave.add.iter().map(|node| node.price).sum();
    Money::micros(gone.min(new).as_micros() / 6)
}

fn movable_pods(model: &Model) -> usize {
    let nodes = model.nodes.iter().filter(|node| node.held.is_none());
    nodes.map(|node| node.pods.iter().filter(|pod| !model.pods[**pod].ghost).count()).sum()
}

fn kept(model: &Model, waves: &[Wave], cut: bool, limit: Option<i64>, held_back: Option<Money>) -> Vec<Kept> {
    let gone: BTreeSet<&str> = waves.iter().flat_map(|wave| wave.remove.iter().map(String::as_str)).collect();
    let mut kept: Vec<Kept> = model
        .nodes
        .iter()
        .filter(|node| !gone.contains(node.name.as_str()))
        .map(|node| {
            let (reason, detail) = match (&node.held, held_back) {
                (Some((reason, detail)), _) => (*reason, detail.clone()),
                (None, Some(saved)) if saved > Money::ZERO => {
                    (KeptReason::SavingTooSmall, format!("the best plan saves {saved} USD/h, less than asked for"))
                }
                (None, _) if cut => (KeptReason::MinClusterSize, "the cluster would get too small".to_owned()),
                (None, _) if limit.is_some() => {
                    (KeptReason::MaxMoves, "moving its pods pays less than the moves that were made".to_owned())
                }
                (None, _) => (KeptReason::NoCheaperPlace, "nothing cheaper holds its pods".to_owned()),
            };
            Kept {
                node: node.name.clone(),
                reason,
                detail,
                blockers: node.blockers.clone(),
                would_save: if node.held.is_some() { node.price.unwrap_or_default() } else { Money::ZERO },
            }
        })
        .collect();
    kept.sort_by(|a, b| a.node.cmp(&b.node));
    kept
}
