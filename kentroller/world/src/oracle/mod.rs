//! The invariants that no run may break, checked at every committed write from the objects alone.
//!
//! An own reading of what the operator promises: nothing here asks the operator what it thinks. Each file holds the
//! invariants that its head names; S2, S4 and S8 are here. Absent:
//!
//! - what a commit does not show: the age of a cache (S9), what was read before a delete, writes past the lease (S6);
//! - S3 when a budget shrinks after the cordon, and budgets that hold at times or for reasons only; S7 by scope, age and
//!   size of the cluster; S10 for a cordon of another plan;
//! - S13, S14, S22: the world has neither prices that change nor nodes and pods that fail;
//! - S20 for local volumes, bare pods and Jobs, S21 for what is no ReplicaSet and by destination: the world has none;
//! - S15 to S19, L5 to L8, which other tests look at or nobody.

mod cordons;
mod creations;
mod ends;
mod evictions;
mod plans;
mod removals;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kentroller_planner::manifest::{NodeClaim, NodePool};
use kentroller_runtime::Clock;
use kentroller_runtime::simulation::apiserver::{ApiServer, Commit, Write};

use crate::catalogue::Catalogue;
use crate::karpenter::NODE_POOL;
use crate::seen::{Known, KnownPod, Seen, time};
use ends::Course;
use plans::{Lead, Plans};

/// How long a pod may wait for a place once the operator has begun to move pods.
const PATIENCE: SignedDuration = SignedDuration::from_secs(120);
const REMOVAL_DISABLED: &str = "autoscaling.cast.ai/removal-disabled";

/// Invariants that a write breaks, and how.
type Found = Vec<(&'static str, String)>;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub at: Timestamp,
    /// `S1`, `S2` and so on.
    pub invariant: &'static str,
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.at, self.invariant, self.text)
    }
}

/// Watches a server, for as long as it is kept.
#[derive(Debug)]
pub struct Oracle {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

impl Oracle {
    /// Judges every write from now on; `operator` is the user whose deeds are judged. Plans are known from their next write.
    pub fn watch(server: &ApiServer, clock: &Clock, operator: &str) -> Self {
        Self::watch_beside(server, clock, operator, Catalogue::shipped())
    }

    /// As [`Oracle::watch`], where the cloud sells what this catalogue says.
    pub fn watch_beside(server: &ApiServer, clock: &Clock, operator: &str, catalogue: Catalogue) -> Self {
        let mut seen = Seen::default();
        seen.read(server);
        let state = Arc::new(Mutex::new(State::of(operator, seen, catalogue)));
        // Weak: the server keeps its observers for ever.
        let (judge, told) = (Arc::downgrade(&state), clock.clone());
        server.on_commit(move |commit| {
            if let Some(state) = judge.upgrade() {
                lock(&state).judge(commit, told.now());
            }
        });
        Self { state, clock: clock.clone() }
    }

    /// What was broken so far, in order.
    pub fn violations(&self) -> Vec<Violation> {
        let mut state = lock(&self.state);
        state.look_for_waiting_pods(self.clock.now());
        state.look_at_ends(self.clock.now());
        state.violations.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct State {
    operator: String,
    seen: Seen,
    plans: Plans,
    catalogue: Catalogue,
    lead: Lead,
    violations: Vec<Violation>,
    /// Nodes that were shielded by somebody else before the operator first touched them.
    shielded: BTreeSet<Arc<str>>,
    /// Nodes and NodeClaims that somebody else has shielded since they are there.
    shielded_by_others: BTreeSet<Arc<str>>,
    /// Nodes that the operator has cordoned, with the uid of the plan and since when; until they are uncordoned or gone.
    cordons: BTreeMap<Arc<str>, (String, Timestamp)>,
    /// Names of the NodeClaims whose nodes the operator has cordoned at any time, to remove them.
    touched: BTreeSet<String>,
    /// Names of the NodeClaims that the operator made.
    created: BTreeSet<Arc<str>>,
    /// By uid of a plan.
    courses: BTreeMap<String, Course>,
    /// Uids of the owners whose pods the operator evicted.
    moved: BTreeSet<String>,
    /// When the operator first evicted a pod or deleted a claim.
    moving: Option<Timestamp>,
    looked: Option<Timestamp>,
    /// Uids of pods that were told of as waiting.
    told: BTreeSet<String>,
}

impl State {
    fn of(operator: &str, seen: Seen, catalogue: Catalogue) -> Self {
        Self {
            operator: operator.to_owned(),
            seen,
            plans: Plans::default(),
            catalogue,
            lead: Lead::default(),
            violations: Vec::new(),
            shielded: BTreeSet::new(),
            shielded_by_others: BTreeSet::new(),
            cordons: BTreeMap::new(),
            touched: BTreeSet::new(),
            created: BTreeSet::new(),
            courses: BTreeMap::new(),
            moved: BTreeSet::new(),
            moving: None,
            looked: None,
            told: BTreeSet::new(),
        }
    }

    fn judge(&mut self, commit: &Commit, now: Timestamp) {
        if *commit.write.user == *self.operator {
            let mut found = self.judge_deed(commit, now);
            found.extend(lacks_preconditions(&commit.write));
            self.note(found, now);
        } else if let ("Node" | "NodeClaim", Some(before), Some(after)) =
            (&*commit.write.kind, &commit.before, &commit.after)
        {
            self.note_shield(before, after);
        }
        self.seen.take(vec![commit.clone()]);
        self.plans.take(commit);
        let is_cordoned = commit.after.as_ref().is_some_and(|after| after["spec"]["unschedulable"] == true);
        if &*commit.write.kind == "Node" && !is_cordoned {
            self.cordons.remove(&*commit.write.name);
        }
        if &*commit.write.kind == "ConfigMap" {
            self.lead.hear(commit.after.as_deref());
        }
        if &*commit.write.kind == "Lease" && *commit.write.user == *self.operator {
            self.lead.renew(now);
            self.look_at_ends(now);
        }
        if self.moving.is_some() && self.looked.is_none_or(|at| now.duration_since(at) >= SignedDuration::from_secs(5))
        {
            self.look_for_waiting_pods(now);
        }
    }

    /// S4: pods leave by eviction, unless a claim has them forced. The rest is judged where the heads of the files say.
    fn judge_deed(&mut self, commit: &Commit, now: Timestamp) -> Found {
        let Commit { write, before, after } = commit;
        match (&*write.kind, write.verb, write.subresource, before, after) {
            ("Pod", "create", "eviction", Some(pod), _) => self.judge_eviction(pod, now),
            ("Pod", "delete", _, Some(pod), _) => {
                let mut found = self.judge_eviction(pod, now);
                found.extend(self.judge_force(pod, now));
                found
            }
            ("NodeClaim", "create", _, _, Some(claim)) => self.judge_creation(claim),
            ("NodeClaim", "delete", _, Some(claim), _) => self.judge_removal(claim, now),
            ("NodeClaim", _, "", Some(before), Some(after)) => self.judge_claim_change(before, after),
            ("Node", _, "", Some(before), Some(after)) => self.judge_node(before, after, now),
            ("RebalancePlan", _, _, before, Some(after)) => self.judge_plan(before.as_deref(), after),
            ("RebalancePlanClaim", "create", _, _, Some(claim)) => self.judge_claim(claim),
            _ => Found::new(),
        }
    }

    fn note(&mut self, found: Found, at: Timestamp) {
        self.violations.extend(found.into_iter().map(|(invariant, text)| Violation { at, invariant, text }));
    }

    fn pool_of(&self, claim: &NodeClaim) -> Option<&Known<NodePool>> {
        self.seen.pools.get(claim.metadata.labels.get(NODE_POOL)?.as_str())
    }

    /// S2: no pod that came since pods are being moved waits longer than its patience.
    fn look_for_waiting_pods(&mut self, now: Timestamp) {
        self.looked = Some(now);
        let Some(moving) = self.moving else { return };
        let waits = |pod: &&KnownPod| pod.is_active() && &*pod.object.status.phase == "Pending";
        let since = |pod: &KnownPod| time(&pod.raw, "creationTimestamp").unwrap_or(now);
        let late = |pod: &&KnownPod| since(pod) >= moving && now.duration_since(since(pod)) > PATIENCE;
        let late = self.seen.pods.values().filter(waits).filter(late);
        let late: Vec<(String, String)> =
            late.map(|pod| ((*pod.object.metadata.uid).to_owned(), pod.object.metadata.key().to_string())).collect();
        for (uid, key) in late {
            if self.told.insert(uid) {
                let text = format!("pod {key} has waited for a place for more than {} s", PATIENCE.as_secs());
                self.note(vec![("S2", text)], now);
            }
        }
    }
}

/// S8: a write is meant for one state of one object: it tells the uid, and the version where it decides on what was read.
fn lacks_preconditions(write: &Write) -> Option<(&'static str, String)> {
    let told = write.preconditions;
    let is_whole = match (&*write.kind, write.verb, write.subresource) {
        ("Lease" | "Event", ..) => true,
        (_, "create", "eviction") | ("Pod", "delete", _) => told.uid,
        (_, "create", _) => true,
        _ => told.uid && told.resource_version,
    };
    let Write { verb, kind, name, subresource, .. } = write;
    (!is_whole).then(|| ("S8", format!("{verb} {kind} {name} {subresource} came without uid or version")))
}

#[cfg(test)]
mod tests;
