//! How the new nodes of a plan stand with Karpenter's consolidation, in the words of `status.consolidationStability`.

use kentroller_planner::{Catalog, Money, Options, Plan, Snapshot, Steps, consolidation};

use crate::api::{ConsolidationStability, NodeStability, PoolStability};

/// How far Karpenter's rule is followed: most commands need few steps.
const STEPS: u64 = 2_000;

/// `None` where nothing is bought, and where the cluster cannot be read, which the check of the plan tells.
pub(super) fn stability(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    plan: &Plan,
) -> Option<ConsolidationStability> {
    plan.waves.iter().find(|wave| !wave.add.is_empty())?;
    let found = consolidation::stability(snapshot, catalog, options, plan, &mut Steps(STEPS)).ok()?;
    let pool_results = found.into_iter().map(|pool| PoolStability {
        node_pool_name: pool.pool,
        nodes: pool.nodes.into_iter().map(node).collect(),
        total_cost: pool.cost.hourly(),
        total_disruption_cost: pool.disruption.to_string(),
    });
    Some(ConsolidationStability {
        enabled: true,
        pool_results: pool_results.collect(),
        ..ConsolidationStability::default()
    })
}

fn node(of: consolidation::NodeStability) -> NodeStability {
    NodeStability {
        consolidatable: of.would_go,
        disruption_cost: of.disruption.to_string(),
        instance_type: of.instance_type,
        node_name: of.node,
        price_hourly: Money::hourly(of.price),
        score: format!("{}.{:02}", of.score / 100, of.score % 100),
    }
}
