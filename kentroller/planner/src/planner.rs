//! The way from a snapshot to a plan.
use std::collections::BTreeMap;

use crate::{
    Budget, Catalog, LowerBound, InputError, Kept, KeptReason, Money, Nothing, Options, Plan, Snapshot,
    bound, build::build,
    cluster::Model,
    improve,
    state::State,
    waves, waiting,
};

/// Finds the cheapest set of nodes for a cluster.
///
/// Pure and deterministic for a budget of steps. The plan may have no wave; [`Plan::nothing`] then says why.
///
/// # Errors
/// Input that contradicts itself, such as two nodes of one name.
pub fn plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options, budget: &mut dyn Budget) -> Result<Plan, InputError> {
    let mut model = build(snapshot, catalog, options)?;
    waiting::seat(&mut model);
    let start = State::of(&model, options.reserve);
    let before = Money::micros(start.cost);
    let bound = bound::bound(&start, budget);
    let (found, steps) = improve::search(start, &bound, options, budget);
    let mut waves = waves::waves(&found, before);
    let after = waves.last().map_or(before, |wave| wave.hourly_after);
    let prices: BTreeMap<&str, Money> =
        model.nodes.iter().filter_map(|node| node.price.map(|price| (node.name.as_str(), price))).collect();
    let removed: Money = waves
        .iter()
        .flat_map(|wave| &wave.remove)
        .filter_map(|name| prices.get(name.as_str()).copied())
        .sum();
    let saved = before - after;
    let too_small = options.min_savings.is_some_and(|least| saved.percent_of(removed) < least) && !options.roll;
    if too_small || (saved <= Money::ZERO && !options.roll) {
        waves.clear();
    }
    let in_scope = model.nodes.iter().any(|node| node.held.is_none());
    let nothing = waves.is_empty().then(|| if in_scope { Nothing::NoSaving } else { Nothing::NothingInScope });
    Ok(Plan {
        region: model.region.clone(),
        cost_before: before,
        cost_after: if waves.is_empty() { before } else { after },
        lower_bound: Some(LowerBound { hourly: bound.hourly, method: "lp-dual" }),
        transition: Money::ZERO,
        kept: kept(&model, &waves, too_small, saved),
        waves,
        curve: Vec::new(),
        advice: Vec::new(),
        warnings: model.warnings.clone(),
        movable_pods: model
            .nodes
            .iter()
            .filter(|node| node.held.is_none())
            .map(|node| node.pods.iter().filter(|pod| !model.pods[**pod].ghost).count())
            .sum(),
        workload_pods: model.workload_pods,
        daemon_pods: model.daemon_pods,
        nothing,
        steps,
    })
}

fn kept(model: &Model, waves: &[crate::Wave], too_small: bool, saved: Money) -> Vec<Kept> {
    let gone: std::collections::BTreeSet<&str> = waves.iter().flat_map(|wave| wave.remove.iter().map(String::as_str)).collect();
    let mut kept: Vec<Kept> = model
        .nodes
        .iter()
        .filter(|node| !gone.contains(node.name.as_str()))
        .map(|node| {
            let (reason, detail) = match &node.held {
                Some((reason, detail)) => (*reason, detail.clone()),
                None if too_small => (KeptReason::SavingTooSmall, format!("the best plan saves {saved} USD/h, less than asked for")),
                None => (KeptReason::NoCheaperPlace, "nothing cheaper holds its pods".to_owned()),
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
