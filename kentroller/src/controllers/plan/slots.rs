//! How many nodes of a pool may be disrupted at once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kentroller_planner::rules::{DisruptionReason, budget};
use kentroller_planner::{Moment, manifest};
use kentroller_runtime::{Kind, Switches};

use super::{PlanStep, marking};
use crate::api::foreign::{Node, NodeClaim, NodePool};
use crate::api::marks::{BUDGET, CONSOLIDATION};
use crate::api::{NodeClaimToAdd, NodePoolBudget, marks};
use crate::backend::snapshot;

/// What counts for the slots of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Initialized nodes whose machine is not ending.
    pub(super) total: usize,
    /// Nodes that count against the pool's budgets, whoever disrupts them.
    pub(super) disrupting: usize,
    /// Those among them that this plan has cordoned.
    pub(super) ours: usize,
}

/// How many nodes of a pool of so many may be disrupted now, by the rules of planning. A pool that says nothing, and one
/// that is handed over to us without a pace, keep Karpenter's default. `ignore_zero`: a budget of none counts as the default.
fn allowed(pool: &manifest::NodePool, ignore_zero: bool, total: usize, now: Timestamp) -> usize {
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
    let told = budget(pool, DisruptionReason::Underutilized, nodes, Moment(now.as_second())).nodes;
    match usize::try_from(told).unwrap_or(usize::MAX) {
        0 if ignore_zero && !is_ours => default.max(1),
        allowed => allowed.min(total),
    }
}

impl PlanStep<'_> {
    /// Before the wave buys anything: the pool among those of its nodes in which no slot is free now.
    pub(super) fn waits_for_slots(&self, wave: u32) -> Option<String> {
        let spec = &self.plan.spec;
        let mut adds = spec.node_claims_to_add.iter().filter(|add| add.wave == wave).peekable();
        let has_begun = |add: &NodeClaimToAdd| self.status.nodes_creation.contains_key(&add.metadata.name);
        if adds.peek().is_none() || adds.any(has_begun) || self.has_touched(wave) {
            return None;
        }
        let counts = self.count_pools();
        let of_wave = spec.node_claims_to_delete.iter().filter(|one| one.wave == wave);
        let claims = of_wave.filter_map(|one| self.world.named::<NodeClaim>(&one.node_claim_name));
        let mut nodes = claims.filter_map(|claim| self.world.named::<Node>(&claim.status.node_name));
        let shut = nodes.find(|node| !self.take_slot(node, &mut counts.clone()))?;
        let pool = shut.label(marks::NODE_POOL).unwrap_or_default();
        Some(format!("a disruption slot of NodePool {pool} before anything is bought"))
    }

    pub(super) fn count_pools(&self) -> BTreeMap<String, Count> {
        let mut counts: BTreeMap<String, Count> = BTreeMap::new();
        for node in self.world.all::<Node>() {
            let Some(pool) = node.label(marks::NODE_POOL) else { continue };
            if node.label(marks::INITIALIZED) != Some("true") {
                continue;
            }
            let count = counts.entry(pool.to_owned()).or_default();
            count.total += 1;
            let is_ours = marking::is_cordoned_by(node, self.plan.uid());
            count.ours += usize::from(is_ours);
            count.disrupting += usize::from(is_ours || is_disrupted(node));
        }
        counts
    }

    /// Takes one of the slots of the node's pool, if there is one; it is held until the node is gone.
    pub(super) fn take_slot(&self, node: &Node, counts: &mut BTreeMap<String, Count>) -> bool {
        let pool = node.label(marks::NODE_POOL).unwrap_or_default();
        let Some(count) = counts.get_mut(pool) else { return false };
        let free = count.disrupting < self.allowed(pool, count.total) && count.ours < self.world.settings().workers();
        count.disrupting += usize::from(free);
        count.ours += usize::from(free);
        free
    }

    /// How many nodes of a pool may be disrupted at once; none of a pool that is gone.
    fn allowed(&self, pool: &str, total: usize) -> usize {
        let ignore_zero =
            self.plan.spec.aggressive_mode.as_ref().is_some_and(|mode| mode.ignore_zero_node_pool_disruption_budgets);
        let Some(pool) = self.world.named::<NodePool>(pool) else { return 0 };
        allowed(&snapshot::pool(pool), ignore_zero, total, self.world.now())
    }

    pub(super) fn report_budgets(&mut self, counts: &BTreeMap<String, Count>) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let report = |(pool, count): (&String, &Count)| {
            let allowed = self.allowed(pool, count.total);
            NodePoolBudget {
                allowed_disruptions: number(allowed),
                disrupting_count: number(count.disrupting),
                node_pool_name: pool.clone(),
                remaining_disruptions: number(allowed.saturating_sub(count.disrupting)),
                total_nodes: number(count.total),
            }
        };
        self.status.node_pool_budgets = counts.iter().map(report).collect();
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
        assert_eq!(allowed(&read, ignore_zero, total, now), want, "{pool} of {total}");
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
