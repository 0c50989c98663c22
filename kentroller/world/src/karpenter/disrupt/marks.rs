//! What Karpenter notes on NodeClaims for its own disruption: pod events, `Consolidatable`, `Drifted`.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use kentroller_planner::manifest::{NodeClaim, NodePool};
use serde_json::json;

use super::candidates::pool_of;
use crate::conditions;
use crate::hands::{Hands, sooner, stamp, wide};
use crate::karpenter::launch::admits;
use crate::karpenter::{HASH, HASH_VERSION};
use crate::readings::spans;
use crate::seen::{Kind, Known, News, Seen};

/// The shortest time between two notes of pod events on a claim.
const NOTE_PACE: SignedDuration = SignedDuration::from_secs(10);

/// Notes on claims when pods last came or went; daemons do not count.
pub(super) fn note_pods(seen: &Seen, news: &News, hands: &Hands) {
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

/// Sets and clears `Consolidatable` by the pool's `consolidateAfter`, and `Drifted` by its template.
pub(super) fn set_conditions(seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
    let mut next = None;
    // Time alone makes nothing drift.
    let may_drift = news.any(&[Kind::NodeClaim, Kind::NodePool]);
    for (name, claim) in seen.claims.iter().filter(|(_, claim)| !claim.is_leaving()) {
        let Some(pool) = pool_of(&claim.object, seen) else { continue };
        let wait = spans::seconds(&pool.object.spec.disruption.consolidate_after);
        let at = match wait.filter(|_| claim.object.status.is("Initialized")) {
            Some(wait) => calm_since(claim).and_then(|at| at.saturating_add(SignedDuration::from_secs(wait)).ok()),
            None => None,
        };
        let consolidatable = at.is_some_and(|at| at <= hands.now);
        if !consolidatable {
            next = sooner(next, at);
        }
        let drifted = may_drift.then(|| ("Drifted", drift(claim, pool).filter(|_| claim.object.status.is("Launched"))));
        let wanted = [("Consolidatable", consolidatable.then_some("Consolidatable"))];
        for (kind, reason) in wanted.into_iter().chain(drifted) {
            if reason.is_some() != claim.object.status.is(kind) {
                hands.edit_status("NodeClaim", &wide(name), |status| match reason {
                    Some(reason) => conditions::set(status, kind, "True", reason, "", hands.now),
                    None => conditions::clear(status, kind),
                });
            }
        }
    }
    next
}

/// When pods last came or went, or else when the node was ready for them.
fn calm_since(claim: &Known<NodeClaim>) -> Option<Timestamp> {
    let noted = claim.raw["status"]["lastPodEventTime"].as_str().and_then(|text| text.parse().ok());
    noted.or_else(|| conditions::true_since(&claim.raw, "Initialized"))
}

/// Why a claim is not what its pool would make today. The pool's own note of its template counts, not the template: the two
/// differ for a moment after an edit.
fn drift(claim: &Known<NodeClaim>, pool: &Known<NodePool>) -> Option<&'static str> {
    let same = |key: &str| claim.raw["metadata"]["annotations"][key] == pool.raw["metadata"]["annotations"][key];
    let is_known = [&claim.raw, &pool.raw].iter().all(|object| object["metadata"]["annotations"][HASH].is_string());
    if is_known && same(HASH_VERSION) && !same(HASH) {
        return Some("NodePoolDrifted");
    }
    let fits = admits(&pool.object.spec.template.spec.requirements, &claim.object.metadata.labels);
    (!fits).then_some("RequirementsDrifted")
}
