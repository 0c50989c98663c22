//! How many nodes of a pool may be disrupted at once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kentroller_planner::rules::{DisruptionReason, budget};
use kentroller_planner::{Moment, manifest};
use kentroller_runtime::{Kind, Switches};

use super::PlanStep;
use crate::api::foreign::{Node, NodePool, Pod};
use crate::api::marks::{BUDGET, CONSOLIDATION};
use crate::api::{NodePoolBudget, marks};
use crate::backend::snapshot;
use crate::controllers::marking;

/// What counts for the slots of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// Initialized nodes whose machine is not ending.
    total: usize,
    /// So many nodes may be disrupted at once, if pods run there.
    allowed: usize,
    /// So many that are empty: budgets may have another reason for them.
    allowed_empty: usize,
    /// Nodes that count against the pool's budgets, whoever disrupts them.
    disrupting: usize,
    /// Those among them that this plan has cordoned.
    ours: usize,
    /// Those of ours whose machines are not ending so far.
    draining: usize,
}

impl Count {
    fn allowed(&self, is_empty: bool) -> usize {
        if is_empty { self.allowed_empty } else { self.allowed }
    }
}

/// The slots of all pools in one look; those that are taken in it are counted.
pub(super) struct Slots {
    pools: BTreeMap<String, Count>,
    /// So many nodes may be drained at once.
    workers: usize,
}

impl Slots {
    /// Whether the node, which is empty or not, may be disrupted too.
    pub(super) fn has_free(&self, node: &Node, is_empty: bool) -> bool {
        let draining: usize = self.pools.values().map(|count| count.draining).sum();
        self.of(node).is_some_and(|count| count.disrupting < count.allowed(is_empty)) && draining < self.workers
    }

    /// Takes one of the slots of the node's pool; it is held until the node is gone.
    pub(super) fn take(&mut self, node: &Node) {
        if let Some(count) = node.label(marks::NODE_POOL).and_then(|pool| self.pools.get_mut(pool)) {
            count.disrupting += 1;
            count.ours += 1;
            count.draining += 1;
        }
    }

    /// Whether a slot of the node's pool is free, or will be when nodes of ours are gone.
    fn has_ours(&self, node: &Node, is_empty: bool) -> bool {
        self.of(node).is_some_and(|count| count.disrupting - count.ours < count.allowed(is_empty))
    }

    fn of(&self, node: &Node) -> Option<&Count> {
        self.pools.get(node.label(marks::NODE_POOL)?)
    }

    pub(super) fn report(&self) -> Vec<NodePoolBudget> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let report = |(pool, count): (&String, &Count)| NodePoolBudget {
            allowed_disruptions: number(count.allowed),
            disrupting_count: number(count.disrupting),
            node_pool_name: pool.clone(),
            remaining_disruptions: number(count.allowed.saturating_sub(count.disrupting)),
            total_nodes: number(count.total),
        };
        self.pools.iter().map(report).collect()
    }
}

/// How many nodes of a pool of so many may be disrupted now, by the rules of planning. A pool that says nothing, and one
/// that is handed over to us without a pace, keep Karpenter's default. `ignore_zero`: a budget of none counts as the default.
fn allowed(
    pool: &manifest::NodePool,
    reason: DisruptionReason,
    ignore_zero: bool,
    total: usize,
    now: Timestamp,
) -> usize {
    let annotation = |key: &str| pool.metadata.annotations.get(key).map(String::as_str);
    let is_ours = annotation(CONSOLIDATION) == Some("include");
    let default = total.div_ceil(10);
    if is_ours && annotation(BUDGET).is_none() {
        return default.max(1);
    }
    if !is_ours && pool.spec.disruption.budgets.is_none() {
        return default;
    }
    let nodes = u32::try_from(total).unwrap_or(u32::MAX);
    let told = budget(pool, reason, nodes, Moment(now.as_second())).nodes;
    match usize::try_from(told).unwrap_or(usize::MAX) {
        0 if ignore_zero && !is_ours => default.max(1),
        allowed => allowed.min(total),
    }
}

impl PlanStep<'_> {
    /// Before the wave buys anything: the pool of a node that goes in which no slot is free, nor will be when nodes of ours
    /// are gone.
    pub(super) fn waits_for_slots(&mut self, wave: u32) -> Option<String> {
        self.greens(wave).next()?;
        let slots = self.slots();
        let mut nodes = self.blues(wave).filter_map(|claim| self.world.named::<Node>(&claim.status.node_name));
        let is_empty = |node: &Node| !self.world.indexed::<Pod>(node.name()).iter().any(|pod| pod.is_workload());
        let shut = nodes.find(|node| !slots.has_ours(node, is_empty(node)));
        self.slots = Some(slots);
        let pool = shut?.label(marks::NODE_POOL).unwrap_or_default();
        Some(format!("a disruption slot of NodePool {pool} before anything is bought"))
    }

    /// Those of this look, to be given back after use: they are counted once.
    pub(super) fn slots(&mut self) -> Slots {
        self.slots.take().unwrap_or_else(|| self.count_slots())
    }

    fn count_slots(&self) -> Slots {
        let mut pools: BTreeMap<String, Count> = BTreeMap::new();
        for node in self.world.all::<Node>() {
            let Some(pool) = node.label(marks::NODE_POOL) else { continue };
            if node.label(marks::INITIALIZED) != Some("true") {
                continue;
            }
            let count = pools.entry(pool.to_owned()).or_default();
            count.total += 1;
            let is_ours = marking::is_cordoned_by(node, self.plan.uid());
            count.ours += usize::from(is_ours);
            count.draining += usize::from(is_ours && node.deleting().is_none());
            count.disrupting += usize::from(is_ours || is_disrupted(node));
        }
        for (pool, count) in &mut pools {
            count.allowed = self.allowed(pool, DisruptionReason::Underutilized, count.total);
            count.allowed_empty = self.allowed(pool, DisruptionReason::Empty, count.total);
        }
        Slots { pools, workers: self.world.settings().workers() }
    }

    /// How many nodes of a pool may be disrupted at once; none of a pool that is gone.
    fn allowed(&self, pool: &str, reason: DisruptionReason, total: usize) -> usize {
        let ignore_zero =
            self.plan.spec.aggressive_mode.as_ref().is_some_and(|mode| mode.ignore_zero_node_pool_disruption_budgets);
        let Some(pool) = self.world.named::<NodePool>(pool) else { return 0 };
        allowed(&snapshot::pool(pool), reason, ignore_zero, total, self.world.now())
    }
}

/// Whether the node counts against the budget of its pool, whoever works on it: Karpenter counts nodes that are not Ready,
/// that are being deleted, or that it has chosen; another plan of ours may have cordoned it.
fn is_disrupted(node: &Node) -> bool {
    let is_chosen = node.spec.taints.iter().any(|taint| taint.key == marks::DISRUPTED);
    !node.is_ready() || node.deleting().is_some() || is_chosen || node.annotation(marks::CORDONED_BY).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(pool: Value, ignore_zero: bool, total: usize, want: usize) {
        let read: manifest::NodePool = serde_json::from_value(pool.clone()).expect("a pool");
        // A Tuesday.
        let now = "2026-11-24T10:00:00Z".parse().expect("a time");
        let of = |reason| allowed(&read, reason, ignore_zero, total, now);
        assert_eq!(of(DisruptionReason::Underutilized), want, "{pool} of {total}");
    }

    #[test]
    fn the_strictest_open_budget_for_our_reason_counts_and_percentages_round_up() {
        let of = |budgets: Value| json!({"spec": {"disruption": {"budgets": budgets}}});
        check(of(json!(null)), false, 11, 2);
        check(of(json!([])), false, 11, 11);
        check(of(json!([{"nodes": "10%"}, {"nodes": "1"}])), false, 40, 1);
        check(
            of(json!([{"nodes": "100%"}, {"nodes": "0", "schedule": "0 9 * * 1-5", "duration": "8h"}])),
            false,
            40,
            0,
        );
        check(
            of(json!([{"nodes": "100%"}, {"nodes": "0", "schedule": "0 11 * * 1-5", "duration": "8h"}])),
            false,
            40,
            40,
        );
        check(of(json!([{"nodes": "10%"}, {"nodes": "0", "reasons": ["Drifted"]}])), false, 40, 4);
        check(of(json!([{"nodes": "many"}])), false, 40, 0);
        check(of(json!([{"nodes": "0"}])), true, 30, 3);
    }

    #[test]
    fn an_empty_node_has_the_budgets_of_its_own_reason() {
        let check = |budgets: Value, filled: usize, empty: usize| {
            let pool = json!({"spec": {"disruption": {"budgets": budgets}}});
            let read: manifest::NodePool = serde_json::from_value(pool.clone()).expect("a pool");
            let of = |reason| allowed(&read, reason, false, 40, Timestamp::UNIX_EPOCH);
            let found = (of(DisruptionReason::Underutilized), of(DisruptionReason::Empty));
            assert_eq!(found, (filled, empty), "{pool}");
        };
        check(json!([{"nodes": "10%"}]), 4, 4);
        check(json!([{"nodes": "0", "reasons": ["Underutilized"]}, {"nodes": "10%"}]), 0, 4);
        check(json!([{"nodes": "0", "reasons": ["Empty"]}, {"nodes": "10%"}]), 4, 0);
    }

    #[test]
    fn a_pool_that_is_ours_keeps_our_pace_and_none_means_none() {
        let of = |pace: Value| {
            json!({
                "metadata": {"annotations": pace}, "spec": {"disruption": {"budgets": [{"nodes": "0"}]}},
            })
        };
        let include = |budget: Value| {
            let mut pace = json!({CONSOLIDATION: "include"});
            if budget.is_string() {
                pace[BUDGET] = budget;
            }
            of(pace)
        };
        check(include(json!(null)), false, 30, 3);
        check(include(json!(null)), false, 3, 1);
        check(include(json!("20%")), false, 30, 6);
        check(include(json!("0")), false, 30, 0);
        check(include(json!("0")), true, 30, 0);
        check(of(json!({})), false, 30, 0);
    }
}
