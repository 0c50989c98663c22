//! Karpenter's own consolidation, as far as it goes here: empty nodes, where a pool lets it.
//!
//! Absent: consolidation of nodes that are not empty, and the schedules of budgets (a budget with one always binds).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kentroller_planner::manifest::{DisruptionBudget, NodeClaim, NodePool};
use kentroller_runtime::simulation::apiserver::DeleteOptions;
use serde_json::json;

use super::provision::is_stalling;
use super::terminate::is_kept;
use super::{DO_NOT_DISRUPT, Karpenter, NODE_POOL};
use crate::conditions;
use crate::hands::{Hands, after, sooner, stamp, wide};
use crate::readings::{shares, spans};
use crate::seen::{Kind, Known, News, Seen, is_leaving};

/// How often the loop looks.
const PACE: Duration = Duration::from_secs(10);
/// How long a decision waits to be checked again.
const VALIDATION: Duration = Duration::from_secs(15);
/// The shortest time between two notes of pod events on a claim.
const NOTE_PACE: SignedDuration = SignedDuration::from_secs(10);

/// The loop's memory.
#[derive(Debug, Default)]
pub(super) struct Disruption {
    /// Names of the claims found empty, and when that is checked again.
    chosen: Option<(BTreeSet<Arc<str>>, Timestamp)>,
    next_pass: Option<Timestamp>,
}

impl Karpenter {
    pub(super) fn disrupt(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        note_pods(seen, news, hands);
        let next = mark_consolidatable(seen, hands);
        if let Some((chosen, at)) = self.disruption.chosen.take() {
            if at > hands.now {
                self.disruption.chosen = Some((chosen, at));
                return sooner(next, Some(at));
            }
            for name in empty_within_budget(seen, hands.now).intersection(&chosen) {
                hands.event(&seen.claims[name].raw, "Normal", "DisruptionLaunching", "Disrupting NodeClaim: Empty");
                hands.delete("NodeClaim", &wide(name), &DeleteOptions::default());
            }
            self.disruption.next_pass = Some(after(hands.now, PACE));
        }
        let found = empty_within_budget(seen, hands.now);
        if found.is_empty() || seen.claims.values().any(is_stalling) {
            return next;
        }
        match self.disruption.next_pass.filter(|at| *at > hands.now) {
            Some(at) => sooner(next, Some(at)),
            None => {
                let at = after(hands.now, VALIDATION);
                self.disruption.chosen = Some((found, at));
                sooner(next, Some(at))
            }
        }
    }
}

/// Notes on claims when pods last came or went; daemons do not count.
fn note_pods(seen: &Seen, news: &News, hands: &Hands) {
    let nodes: BTreeSet<&str> = news
        .of(Kind::Pod)
        .filter_map(|key| seen.pods.get(key))
        .filter(|pod| !pod.is_daemon() && (pod.is_leaving() || &*pod.object.status.phase == "Pending"))
        .map(|pod| &*pod.object.spec.node_name)
        .filter(|node| !node.is_empty())
        .collect();
    for claim in seen.claims.values().filter(|claim| nodes.contains(claim.object.status.node_name.as_str())) {
        let noted: Option<Timestamp> =
            claim.raw["status"]["lastPodEventTime"].as_str().and_then(|text| text.parse().ok());
        if noted.is_none_or(|at| hands.now.duration_since(at) >= NOTE_PACE) {
            hands.edit_status("NodeClaim", &wide(&claim.object.metadata.name), |status| {
                status["lastPodEventTime"] = json!(stamp(hands.now));
            });
        }
    }
}

fn pool_of<'a>(claim: &NodeClaim, seen: &'a Seen) -> Option<&'a Known<NodePool>> {
    seen.pools.get(claim.metadata.labels.get(NODE_POOL)?.as_str())
}

/// Sets and clears `Consolidatable` by the pool's `consolidateAfter`.
fn mark_consolidatable(seen: &Seen, hands: &Hands) -> Option<Timestamp> {
    let mut next = None;
    for (name, claim) in seen.claims.iter().filter(|(_, claim)| !is_leaving(&claim.raw)) {
        let Some(pool) = pool_of(&claim.object, seen) else { continue };
        let wait = spans::seconds(&pool.object.spec.disruption.consolidate_after);
        let since = claim.raw["status"]["lastPodEventTime"].as_str().and_then(|text| text.parse().ok());
        let since = since.or_else(|| conditions::true_since(&claim.raw, "Initialized"));
        let at = match (wait, since, claim.object.status.is("Initialized")) {
            (Some(wait), Some(since), true) => since.saturating_add(SignedDuration::from_secs(wait)).ok(),
            _ => None,
        };
        let wanted = at.is_some_and(|at| at <= hands.now);
        if !wanted {
            next = sooner(next, at);
        }
        if wanted != conditions::is_true(&claim.raw, "Consolidatable") {
            hands.edit_status("NodeClaim", &wide(name), |status| match wanted {
                true => conditions::set(status, "Consolidatable", "True", "Consolidatable", "", hands.now),
                false => conditions::clear(status, "Consolidatable"),
            });
        }
    }
    next
}

/// Claims whose node may go because nothing but daemons runs there, no more of a pool than its budgets allow.
fn empty_within_budget(seen: &Seen, now: Timestamp) -> BTreeSet<Arc<str>> {
    let mut taken: BTreeMap<&str, i64> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (name, claim) in &seen.claims {
        let (Some(pool), Some(node)) = (pool_of(&claim.object, seen), seen.node_of(&claim.object)) else { continue };
        let shielded = node.raw["metadata"]["annotations"][DO_NOT_DISRUPT] == "true";
        let empty = !seen
            .on_node(&node.object.metadata.name)
            .any(|(_, pod)| is_kept(pod, now) || (!pod.is_daemon() && !pod.object.status.is_finished()));
        if is_leaving(&claim.raw) || shielded || !empty || !conditions::is_true(&claim.raw, "Consolidatable") {
            continue;
        }
        let pool_name = &*pool.object.metadata.name;
        let used = taken.entry(pool_name).or_default();
        if *used < allowed(&pool.object, seen) {
            *used += 1;
            found.insert(name.clone());
        }
    }
    found
}

/// How many more nodes of a pool may be disrupted as empty.
fn allowed(pool: &NodePool, seen: &Seen) -> i64 {
    let members = || {
        seen.claims.values().filter(|claim| {
            claim.object.metadata.labels.get(NODE_POOL).is_some_and(|name| **name == *pool.metadata.name)
                && claim.object.status.is("Initialized")
                && !conditions::is_true(&claim.raw, "InstanceTerminating")
        })
    };
    let busy = members().filter(|claim| {
        is_leaving(&claim.raw) || seen.node_of(&claim.object).is_none_or(|node| !node.object.status.is_ready())
    });
    let default = [DisruptionBudget { nodes: "10%".into(), ..DisruptionBudget::default() }];
    let budgets = pool.spec.disruption.budgets.as_deref().unwrap_or(&default);
    let of_reason = budgets
        .iter()
        .filter(|budget| budget.reasons.as_ref().is_none_or(|reasons| reasons.iter().any(|one| one == "Empty")));
    let most = of_reason.map(|budget| amount(&budget.nodes, members().count())).min().unwrap_or(i64::MAX);
    (most - i64::try_from(busy.count()).unwrap_or(i64::MAX)).max(0)
}

/// What cannot be read lets no node go.
fn amount(text: &str, whole: usize) -> i64 {
    shares::of(text, whole).map_or(0, |share| i64::try_from(share).unwrap_or(i64::MAX))
}
