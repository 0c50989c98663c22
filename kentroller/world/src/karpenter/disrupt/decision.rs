//! What Karpenter would disrupt next: empty nodes, a drifted one, several for at most one new node, one for a cheaper one.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_planner::manifest::{NodeClaim, ObjectName};
use serde_json::Value;

use super::budgets::within;
use super::candidates::{Candidate, pool_of};
use crate::conditions;
use crate::entropy::Entropy;
use crate::karpenter::fit::{NewClaim, Provisioning};
use crate::karpenter::{Karpenter, claim_of_pool};
use crate::readings::spans;
use crate::room::Amounts;
use crate::seen::{Known, Seen};

/// The most nodes that go together.
const MOST: usize = 100;

/// Why nodes are disrupted; the words of budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Empty,
    Drifted,
    Underutilized,
}

/// NodeClaims that go, and what is bought for them.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) reason: Reason,
    pub(super) claims: BTreeSet<Arc<str>>,
    pub(super) replacements: Vec<Replacement>,
}

/// A NodeClaim that is thought of.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    pool: Arc<str>,
    types: Vec<String>,
    places: Vec<(String, String)>,
    requests: Amounts,
}

impl Replacement {
    fn of(claim: &NewClaim<'_>) -> Self {
        Self {
            pool: claim.pool.object.metadata.name.clone(),
            types: claim.types.iter().map(|sold| sold.name().to_owned()).collect(),
            places: claim.places.iter().map(|place| (*place).clone()).collect(),
            requests: claim.requests,
        }
    }

    pub(super) fn object(&self, seen: &Seen, luck: &mut Entropy) -> Value {
        let pool = seen.pools.get(&self.pool).map(|pool| (*pool.raw).clone()).unwrap_or_default();
        let places: Vec<_> = self.places.iter().collect();
        claim_of_pool(&pool, self.types.clone(), &places, self.requests, luck)
    }
}

impl Karpenter {
    /// The first thing to do, in Karpenter's order.
    pub(super) fn decided(&self, candidates: &[Candidate<'_>], seen: &Seen, now: Timestamp) -> Option<Decision> {
        let empty = candidates.iter().filter(|one| one.pods.is_empty() && one.is("Consolidatable"));
        let empty = within(empty, Reason::Empty, seen);
        if !empty.is_empty() {
            return Some(decision(Reason::Empty, &empty, Vec::new()));
        }
        let cluster = self.cluster(seen, now);
        drifted(candidates, seen, &cluster).or_else(|| cheaper(candidates, seen, &cluster))
    }

    /// The same once more: is it still right?
    pub(super) fn confirmed(&self, thought: Decision, seen: &Seen, now: Timestamp) -> Option<Decision> {
        let candidates = self.candidates(seen, now);
        let chosen = candidates.iter().filter(|one| thought.claims.contains(&one.name));
        let chosen = chosen.filter(|one| thought.reason != Reason::Empty || one.pods.is_empty());
        let chosen = within(chosen, thought.reason, seen);
        if thought.reason == Reason::Empty {
            return (!chosen.is_empty()).then(|| decision(Reason::Empty, &chosen, Vec::new()));
        }
        if chosen.len() < thought.claims.len() || chosen.iter().any(|one| !one.is_underutilized()) {
            return None;
        }
        let again = consolidated(&chosen, seen, &self.cluster(seen, now))?;
        let same = |(new, old): (&Replacement, &Replacement)| new.types.iter().all(|one| old.types.contains(one));
        let agrees = again.replacements.len() == thought.replacements.len()
            && again.replacements.iter().zip(&thought.replacements).all(same);
        agrees.then_some(again)
    }

    /// The cluster as it is before anything leaves. Karpenter counts on no node whose own `consolidateAfter` runs.
    fn cluster<'a>(&'a self, seen: &'a Seen, now: Timestamp) -> Provisioning<'a> {
        let mut cluster = self.provisioning(seen, now);
        let settling = seen.claims.values().filter(|claim| is_settling(claim, seen));
        let settling: BTreeSet<&str> = settling.map(|claim| claim.object.status.node_name.as_str()).collect();
        for room in &mut cluster.rooms.list {
            room.unschedulable |= settling.contains(&*room.name);
        }
        cluster
    }
}

/// The node that has drifted for the longest time, and what its pods need.
fn drifted(candidates: &[Candidate<'_>], seen: &Seen, cluster: &Provisioning<'_>) -> Option<Decision> {
    let mut drifted: Vec<&Candidate<'_>> = candidates.iter().filter(|one| one.is("Drifted")).collect();
    drifted.sort_by_key(|one| conditions::true_since(&one.claim.raw, "Drifted"));
    within(drifted, Reason::Drifted, seen).into_iter().find_map(|candidate| {
        let claims = simulated(&[candidate], seen, cluster)?;
        Some(decision(Reason::Drifted, &[candidate], claims.iter().map(Replacement::of).collect()))
    })
}

/// The largest number of nodes from the top that need at most one new node; else the first that needs a cheaper one.
fn cheaper(candidates: &[Candidate<'_>], seen: &Seen, cluster: &Provisioning<'_>) -> Option<Decision> {
    let all = within(candidates.iter().filter(|one| one.is_underutilized()), Reason::Underutilized, seen);
    let (mut least, mut most, mut best) = (2, all.len().min(MOST), None);
    while least <= most {
        let middle = usize::midpoint(least, most);
        match all.get(..middle).and_then(|some| consolidated(some, seen, cluster)) {
            Some(found) => {
                best = Some(found);
                least = middle + 1;
            }
            None => most = middle - 1,
        }
    }
    best.or_else(|| all.iter().find_map(|one| consolidated(&[one], seen, cluster)))
}

/// Whether all pods of these nodes fit on others and at most one new node, which costs less than they do.
fn consolidated(leaving: &[&Candidate<'_>], seen: &Seen, cluster: &Provisioning<'_>) -> Option<Decision> {
    let mut claims = simulated(leaving, seen, cluster)?;
    let price = leaving.iter().map(|one| one.price).sum::<Option<Money>>()?;
    match claims.as_mut_slice() {
        [] => {}
        [claim] => {
            claim.types.retain(|sold| sold.price < price);
            if leaving.len() > 1 {
                // The same type once more, or a dearer one, is no gain that the others' removal would not bring alone.
                let alike =
                    leaving.iter().filter(|one| claim.types.iter().any(|sold| sold.name() == one.instance_type));
                if let Some(least) = alike.filter_map(|one| one.price).min() {
                    claim.types.retain(|sold| sold.price < least);
                }
            }
            if claim.types.is_empty() {
                return None;
            }
        }
        _ => return None,
    }
    Some(decision(Reason::Underutilized, leaving, claims.iter().map(Replacement::of).collect()))
}

/// What is bought when these nodes go; `None` when a pod of theirs finds no place, or only one on a node that is not there
/// so far.
fn simulated<'a>(leaving: &[&Candidate<'_>], seen: &'a Seen, cluster: &Provisioning<'a>) -> Option<Vec<NewClaim<'a>>> {
    let mut shop = cluster.clone();
    let names: BTreeSet<&str> = leaving.iter().map(|one| &*one.node).collect();
    shop.without(&names);
    let mut homeless = Karpenter::homeless(seen);
    let own: BTreeSet<ObjectName> =
        leaving.iter().flat_map(|one| one.pods.iter().map(|(key, _)| (*key).clone())).collect();
    for key in &own {
        let (key, pod) = seen.pods.get_key_value(key)?;
        homeless.push((key, &pod.object));
    }
    let placed = shop.place(homeless);
    let stranded = placed.missed.iter().any(|key| own.contains(*key));
    (!stranded && !placed.leans_on_coming).then_some(placed.claims)
}

fn decision(reason: Reason, claims: &[&Candidate<'_>], replacements: Vec<Replacement>) -> Decision {
    Decision { reason, claims: claims.iter().map(|one| one.name.clone()).collect(), replacements }
}

/// Whether the `consolidateAfter` of a NodeClaim runs.
fn is_settling(claim: &Known<NodeClaim>, seen: &Seen) -> bool {
    let Some(pool) = pool_of(&claim.object, seen) else { return false };
    let has_one = spans::seconds(&pool.object.spec.disruption.consolidate_after).is_some();
    has_one && !conditions::is_true(&claim.raw, "Consolidatable")
}
