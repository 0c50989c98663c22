//! What must hold before the nodes of a wave are made: new nodes that no old one has gone for so far are a surge. It stays small, and
//! within the limits of the pools.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::{Quantity, Resources};
use kentroller_runtime::Kind;

use super::PlanStep;
use crate::api::foreign::{Node, NodeClaim, NodePool};
use crate::api::{DeletionPhase, NodeClaimToAdd, NodeCost, WavePhase, marks};
use crate::controllers::after;

/// With the surge a tenth more nodes than there were, and never fewer than five more.
const SURGE_SHARE: usize = 10;
const LEAST_SURGE: usize = 5;
/// Of a pool's limit, in percent: a node may be larger than the plan has it.
const USABLE: i64 = 95;
/// Karpenter gives a NodeClaim up that has no machine after five minutes.
const STUCK: Duration = Duration::from_secs(6 * 60);
const MEBI: i128 = 1024 * 1024;

impl PlanStep<'_> {
    /// What has to be before anything is bought for the wave; so many waves before it still move pods.
    pub(super) fn waits_to_begin(&mut self, index: u32, before: usize) -> Option<String> {
        self.waits_for_karpenter(index)
            .or_else(|| self.waits_for_surge(index))
            .or_else(|| self.waits_for_limits(index, before > 0))
            .or_else(|| self.waits_for_slots(index))
    }

    /// Nothing is bought where Karpenter seems not to run; each provider has one of its own.
    fn waits_for_karpenter(&self, index: u32) -> Option<String> {
        let providers: BTreeSet<&str> = self.greens(index).map(|add| add.spec.node_class_ref.group.as_str()).collect();
        let of_them = |claim: &&NodeClaim| providers.contains(claim.spec.node_class_ref.group.as_str());
        let mut claims = self.world.all::<NodeClaim>().filter(of_them);
        let stuck = claims.find(|claim| is_stuck(claim, self.world.now()))?;
        Some(format!("Karpenter to launch NodeClaim {} or to give it up: it seems not to run", stuck.name()))
    }

    /// Karpenter does not hold a NodeClaim that it did not make to the limits of its pool.
    fn waits_for_limits(&self, index: u32, is_ahead: bool) -> Option<String> {
        let mut pools = self.greens(index).filter_map(|add| self.pool_of(add));
        let full = pools.find(|pool| !self.has_within_limits(pool, index, is_ahead))?;
        Some(format!("nodes of NodePool {} to go: its limits leave no room for more", full.name()))
    }

    /// While a wave before it is under way, a wave waits until the surge has room for it. Alone it comes as it is: a wave is not split.
    /// Those behind it that only remove nodes may have begun, and wait for it.
    fn waits_for_surge(&self, index: u32) -> Option<String> {
        self.greens(index).next()?;
        // Nodes come in the order of their waves: a small wave that overtakes would take the surge for which a large one waits.
        if (0..index).any(|before| self.wave(before).is_none() && self.greens(before).next().is_some()) {
            return Some("the nodes of the waves before it".to_owned());
        }
        let mut before = self.status.waves.iter().filter(|wave| wave.index < index);
        let is_alone = before.all(|wave| wave.phase == WavePhase::Done);
        (!is_alone && self.surge_with(index) > self.most_surge()).then(|| "nodes to go before more come".to_owned())
    }

    /// How many new nodes there would be that no node has gone for, if the wave made its own. For those that were kept none will.
    fn surge_with(&self, index: u32) -> usize {
        let spec = &self.plan.spec;
        let has_begun = |wave: u32| wave == index || self.wave(wave).is_some();
        let came = spec.node_claims_to_add.iter().filter(|add| has_begun(add.wave)).count();
        let stays = |name: &str| {
            let claim = self.world.named::<NodeClaim>(name).filter(|claim| claim.deleting().is_none());
            claim.is_some_and(|claim| self.phase(&claim.status.node_name) != Some(DeletionPhase::Kept))
        };
        let settled = spec.node_claims_to_delete.iter().filter(|one| !stays(&one.node_claim_name)).count();
        came.saturating_sub(settled)
    }

    fn most_surge(&self) -> usize {
        // Nodes that were made are counted as well: rounded down.
        (self.world.all::<Node>().count() / SURGE_SHARE).max(LEAST_SURGE)
    }

    /// Whether the pool may hold what it says that it holds, what is on its way, and the nodes of the wave.
    fn has_within_limits(&self, pool: &NodePool, index: u32, is_ahead: bool) -> bool {
        let comes = |add: &&NodeClaimToAdd| {
            let waits = add.wave == index || (self.wave(add.wave).is_some() && self.is_launching(add));
            waits && add.metadata.labels.get(marks::NODE_POOL).map(String::as_str) == Some(pool.name())
        };
        let coming: Vec<&NodeClaimToAdd> = self.plan.spec.node_claims_to_add.iter().filter(comes).collect();
        let sizes = self.status.savings.as_ref().map(|savings| savings.green_nodes.as_slice()).unwrap_or_default();
        let sizes: Option<Vec<&NodeCost>> =
            coming.iter().map(|add| sizes.iter().find(|node| node.name == add.metadata.name)).collect();
        sizes.map_or(!is_ahead, |sizes| is_within(&pool.spec.limits, &pool.status.resources, &sizes, is_ahead))
    }
}

/// Whether the claim has waited for its machine for longer than any Karpenter that runs lets it.
fn is_stuck(claim: &NodeClaim, now: Timestamp) -> bool {
    !claim.is_launched() && claim.deleting().is_none() && after(claim.created(), STUCK) <= now
}

/// Whether so much more keeps the limits. What is made ahead leaves a reserve, and is not made where a limit cannot be judged; of a wave
/// whose turn it is the check of its plan has judged all of them.
fn is_within(limits: &Resources, used: &Resources, coming: &[&NodeCost], is_ahead: bool) -> bool {
    let usable = i128::from(if is_ahead { USABLE } else { 100 });
    limits.iter().all(|(resource, limit)| {
        // In thousandths for cpu and nodes, in bytes for memory.
        let whole: fn(Quantity) -> i64 = if resource == "memory" { Quantity::units } else { Quantity::milli };
        let more: Option<i128> = match resource.as_str() {
            "cpu" => coming.iter().map(|node| node.milli_cpu.map(i128::from)).sum(),
            "memory" => coming.iter().map(|node| Some(i128::from(node.memory_mib?) * MEBI)).sum(),
            "nodes" => Some(coming.len() as i128 * 1000),
            _ => None,
        };
        let held = used.get(resource).copied().map(whole);
        let all = held.zip(more).map(|(held, more)| i128::from(held) + more);
        all.map_or(!is_ahead, |all| all * 100 <= i128::from(whole(*limit)) * usable)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_claim_that_nobody_launches_or_gives_up_is_stuck_after_six_minutes() {
        let check = |more: Value, now: &str, want: bool| {
            let mut claim = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
                "metadata": {"name": "a", "creationTimestamp": "2026-11-22T10:00:00Z"}, "spec": {}, "status": {}});
            for (field, value) in more.as_object().into_iter().flatten() {
                claim[field] = value.clone();
            }
            let read: NodeClaim = serde_json::from_value(claim).expect("a NodeClaim");
            assert_eq!(is_stuck(&read, now.parse().expect("a time")), want, "{more} at {now}");
        };
        check(json!({}), "2026-11-22T10:05:59Z", false);
        check(json!({}), "2026-11-22T10:06:00Z", true);
        let launched = json!([{"type": "Launched", "status": "True", "lastTransitionTime": "2026-11-22T10:00:03Z"}]);
        check(json!({"status": {"conditions": launched}}), "2026-11-22T10:06:00Z", false);
        let goes = json!({"name": "a", "creationTimestamp": "2026-11-22T10:00:00Z", "deletionTimestamp": "2026-11-22T10:05:00Z"});
        check(json!({"metadata": goes}), "2026-11-22T10:06:00Z", false);
    }

    #[test]
    fn limits_are_kept_with_a_reserve_and_what_cannot_be_judged_is_not_kept() {
        let node = NodeCost { milli_cpu: Some(4_000), memory_mib: Some(16 * 1024), ..NodeCost::default() };
        let resources = |value: Value| -> Resources { serde_json::from_value(value).expect("quantities") };
        let within = |limits: &Value, used: &Value, nodes: usize, is_ahead: bool| {
            is_within(&resources(limits.clone()), &resources(used.clone()), &vec![&node; nodes], is_ahead)
        };
        let check = |limits: Value, used: Value, nodes: usize, want: bool| {
            assert_eq!(within(&limits, &used, nodes, true), want, "{limits} {used} {nodes}");
        };
        check(json!({}), json!({}), 9, true);
        check(json!({"cpu": "100"}), json!({"cpu": "87"}), 2, true);
        check(json!({"cpu": "100"}), json!({"cpu": "88"}), 2, false);
        check(json!({"memory": "100Gi"}), json!({"memory": "63Gi"}), 2, true);
        check(json!({"memory": "100Gi"}), json!({"memory": "64Gi"}), 2, false);
        check(json!({"nodes": "20"}), json!({"nodes": "18"}), 1, true);
        check(json!({"nodes": "20"}), json!({"nodes": "18"}), 2, false);
        check(json!({"cpu": "100"}), json!({}), 1, false);
        check(json!({"nvidia.com/gpu": "8"}), json!({"nvidia.com/gpu": "0"}), 1, false);
        let its_turn = |limits: Value, used: Value, nodes: usize, want: bool| {
            assert_eq!(within(&limits, &used, nodes, false), want, "{limits} {used} {nodes}");
        };
        its_turn(json!({"cpu": "100"}), json!({"cpu": "92"}), 2, true);
        its_turn(json!({"cpu": "100"}), json!({"cpu": "93"}), 2, false);
        its_turn(json!({"nodes": "0"}), json!({"nodes": "18"}), 1, false);
        its_turn(json!({"nvidia.com/gpu": "8", "cpu": "100"}), json!({"cpu": "8"}), 1, true);
        // As many large nodes as no sum in thousandths of a byte holds.
        check(json!({"memory": "40Ti"}), json!({"memory": "1Ti"}), 2_000, true);
    }
}
