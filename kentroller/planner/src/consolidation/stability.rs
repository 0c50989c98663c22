//! How the new nodes of a plan stand with Karpenter's own consolidation afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::{Rule, Terms, pods};
use super::settle::{end, may_go};
use crate::manifest::NodePool;
use crate::model::build::model;
use crate::model::{BinId, BinRef};
use crate::value::{Budget, Catalog, InputError, Money, Options, Pace, Plan, Snapshot};

/// The new nodes of one NodePool, among all of its nodes after the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStability {
    /// The name of the NodePool.
    pub pool: String,
    /// What its nodes cost an hour.
    pub cost: Money,
    /// What it would count to disrupt all of them: one for each node, and one for each pod that moves.
    pub disruption: i64,
    /// Its new nodes, by name.
    pub nodes: Vec<NodeStability>,
}

/// One new node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStability {
    /// Its name in the plan.
    pub node: String,
    /// Its instance type.
    pub instance_type: String,
    /// What it costs an hour.
    pub price: Money,
    /// What it would count to disrupt it.
    pub disruption: i64,
    /// Its share of the pool's cost over its share of the pool's disruption, in hundredths.
    pub score: i64,
    /// Whether Karpenter's rule would remove it, now or after other commands.
    pub would_go: bool,
}

/// The new nodes of a plan by NodePool, as Karpenter's rule sees them once the plan is carried out. Source of the score:
/// `pkg/controllers/disruption/balanced.go`, v1.14.1.
///
/// # Errors
/// The same input errors as planning.
pub fn stability(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    plan: &Plan,
    budget: &mut dyn Budget,
) -> Result<Vec<PoolStability>, InputError> {
    let model = model(snapshot, catalog, options)?;
    let (mut state, names) = end(&model, &plan.waves);
    let mut pools: BTreeMap<&str, PoolStability> = BTreeMap::new();
    for bin in state.bins.keys().filter(|bin| state.bins[*bin].open) {
        let (pool, offering) = match state.bins[bin].bin_ref {
            BinRef::Node(node) => (model.nodes[node].pool, None),
            BinRef::New(offering) => (Some(model.offerings[offering].pool), Some(&model.offerings[offering])),
        };
        let Some(pool) = pool.and_then(|pool| snapshot.node_pools.get(pool)) else { continue };
        let name = &*pool.metadata.name;
        let all = pools.entry(name).or_insert_with(|| PoolStability {
            pool: name.to_owned(),
            cost: Money::ZERO,
            disruption: 0,
            nodes: Vec::new(),
        });
        let (price, disruption) = (state.bins[bin].price, 1 + pods(&state, bin));
        all.cost += price;
        all.disruption += disruption;
        all.nodes.extend(offering.map(|offering| NodeStability {
            node: names[bin].clone(),
            instance_type: offering.instance_type.clone(),
            price,
            disruption,
            score: 0,
            would_go: false,
        }));
    }
    let gone = would_go(&mut state, &snapshot.node_pools, budget);
    let gone: BTreeSet<&str> = gone.iter().filter_map(|bin| names.get(*bin)).map(String::as_str).collect();
    for pool in pools.values_mut() {
        for node in &mut pool.nodes {
            node.score = score(node, pool.cost, pool.disruption);
            node.would_go = gone.contains(node.node.as_str());
        }
        pool.nodes.sort_by(|one, other| one.node.cmp(&other.node));
    }
    Ok(pools.into_values().filter(|pool| !pool.nodes.is_empty()).collect())
}

/// What Karpenter's rule removes, command after command.
fn would_go<'m>(state: &mut crate::solution::State<'m>, pools: &[NodePool], budget: &mut dyn Budget) -> Vec<BinId> {
    let is_balanced = |pool: &NodePool| pool.spec.disruption.consolidation_policy == "Balanced";
    let rule = Rule::of(state.model, may_go).with_balanced(pools.iter().map(is_balanced).collect());
    let pace = &mut Pace::of(budget);
    let commands = std::iter::from_fn(|| rule.command(state, Terms::default(), pace));
    commands.flat_map(|command| command.gone).collect()
}

fn score(node: &NodeStability, cost: Money, disruption: i64) -> i64 {
    let micros = |money: Money| i128::from(money.as_micros());
    let of_the_rest = micros(cost) * i128::from(node.disruption);
    let score = 100 * micros(node.price) * i128::from(disruption) / of_the_rest.max(1);
    i64::try_from(score).unwrap_or(i64::MAX)
}
