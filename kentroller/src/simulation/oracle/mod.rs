//! The invariants that no run may break, checked at every committed write from the objects alone.
//!
//! An own reading of what the operator promises: nothing here asks the operator what it thinks. Absent: what a commit does
//! not show, such as the preconditions of a request and the age of a cache.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kentroller_planner::Percent;
use kentroller_planner::manifest::{NodeClaim, NodePool};
use kentroller_runtime::Clock;
use kentroller_runtime::simulation::apiserver::{ApiServer, Commit};
use serde_json::Value;

use crate::simulation::conditions;
use crate::simulation::karpenter::{DO_NOT_DISRUPT, NODE_POOL, is_kept};
use crate::simulation::seen::{Kind, Known, KnownPod, Seen, is_leaving, key_of, time, uid};

/// How long a pod may wait for a place once the operator has begun to move pods.
const PATIENCE: SignedDuration = SignedDuration::from_secs(120);
const PLAN: &str = "rebalancing.cast.ai/plan";
const CORDONED_BY: &str = "rebalancing.cast.ai/cordoned-by";
const MADE_BY: &str = "rebalancing.cast.ai/made-by";
const REMOVAL_DISABLED: &str = "autoscaling.cast.ai/removal-disabled";
const INCLUDE: &str = "kentroller.cast.ai/consolidation";
const PACE: &str = "kentroller.cast.ai/budget";
/// Of all pods that moved, so many may be without a ready successor at once.
const MOST_MOVING: usize = 20;

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
    /// Judges every write from now on; `operator` is the user whose deeds are judged.
    pub fn watch(server: &ApiServer, clock: &Clock, operator: &str) -> Self {
        let mut seen = Seen::default();
        seen.read(server);
        let state = Arc::new(Mutex::new(State { operator: operator.to_owned(), seen, ..State::default() }));
        let (judge, told, asked) = (Arc::downgrade(&state), clock.clone(), server.clone());
        server.on_commit(move |commit| {
            if let Some(state) = judge.upgrade() {
                lock(&state).judge(commit, told.now(), &asked);
            }
        });
        Self { state, clock: clock.clone() }
    }

    /// What was broken so far, in order.
    pub fn violations(&self) -> Vec<Violation> {
        let mut state = lock(&self.state);
        state.look_for_waiting_pods(self.clock.now());
        state.violations.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct State {
    operator: String,
    seen: Seen,
    violations: Vec<Violation>,
    /// Nodes that were shielded by somebody else before the operator first touched them.
    shielded: BTreeSet<Arc<str>>,
    /// The operator has evicted a pod or deleted a claim.
    moving: bool,
    looked: Option<Timestamp>,
    /// Uids of pods that were told of as waiting.
    told: BTreeSet<String>,
}

impl State {
    fn judge(&mut self, commit: &Commit, now: Timestamp, server: &ApiServer) {
        let write = &commit.write;
        let ours = *write.user == *self.operator;
        match (&*write.kind, write.verb, write.subresource, &commit.before) {
            ("Pod", "create", "eviction", Some(pod)) if ours => self.judge_eviction(pod, now),
            ("Pod", "delete", _, Some(pod)) if ours => {
                self.broken(now, "S4", format!("pod {} was deleted, not evicted", key_of(pod)));
            }
            ("NodeClaim", "delete", _, Some(claim)) if ours => self.judge_removal(claim, now, server),
            ("Node", _, "", Some(before)) if ours => {
                if let Some(after) = &commit.after {
                    self.judge_cordon(before, after, now);
                }
            }
            _ => {}
        }
        if let ("PodDisruptionBudget", Some(budget)) = (&*write.kind, &commit.after)
            && budget["status"]["disruptionsAllowed"].as_i64().is_some_and(|allowed| allowed < 0)
        {
            self.broken(now, "S4", format!("disruption budget {} allows less than nothing", key_of(budget)));
        }
        self.seen.take(vec![commit.clone()]);
        if self.moving && self.looked.is_none_or(|at| now.duration_since(at) >= SignedDuration::from_secs(5)) {
            self.look_for_waiting_pods(now);
        }
    }

    fn broken(&mut self, at: Timestamp, invariant: &'static str, text: String) {
        self.violations.push(Violation { at, invariant, text });
    }

    /// S20: protected pods stay. S21: never too many pods of an owner, or of all, without a ready successor.
    fn judge_eviction(&mut self, raw: &Value, now: Timestamp) {
        self.moving = true;
        let key = key_of(raw);
        let Some(pod) = self.seen.pods.get(&key) else { return };
        let marked = |mark: &str| pod.object.metadata.mark(mark) == Some("true");
        let mut found = Vec::new();
        if is_kept(pod, now) || marked(REMOVAL_DISABLED) {
            found.push(("S20", format!("pod {key} was evicted, which its own mark forbids")));
        }
        if matches!(pod.owner_kind(), "DaemonSet" | "Node") {
            found.push(("S20", format!("pod {key} of a {} was evicted", pod.owner_kind())));
        }
        let lacking = self.lacking();
        let owner = pod.owner_uid();
        let (wanted, missing) = lacking.get(owner).copied().unwrap_or((1, 0));
        let missing = missing + usize::from(pod.is_active() && pod.object.status.is_ready());
        if missing > (wanted / 4).max(1) {
            found.push((
                "S21",
                format!("the eviction of {key} leaves {missing} of the {wanted} pods of its owner not ready"),
            ));
        }
        let all: usize = lacking.values().map(|(_, missing)| missing).sum();
        if all >= MOST_MOVING {
            found.push(("S21", format!("{all} pods were without a ready successor when {key} was evicted")));
        }
        for (invariant, text) in found {
            self.broken(now, invariant, text);
        }
    }

    /// By uid of a ReplicaSet: how many pods it wants, and how many of them are not ready.
    fn lacking(&self) -> BTreeMap<String, (usize, usize)> {
        let sets = self.seen.plain(Kind::ReplicaSet);
        sets.map(|(_, set)| {
            let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
            let serves = |pod: &KnownPod| pod.is_active() && pod.object.status.is_ready();
            let ready = self.seen.of_owner(uid(set)).filter(|(_, pod)| serves(pod)).count();
            (uid(set).to_owned(), (wanted, wanted.saturating_sub(ready)))
        })
        .collect()
    }

    /// S1: a node goes only when its replacements are there. S7: only nodes that are ours to remove. S20: no shielded node.
    /// S24: what is touched bears the plan's label.
    fn judge_removal(&mut self, raw: &Value, now: Timestamp, server: &ApiServer) {
        if made_by(raw).is_some() && made_by(raw) == raw["metadata"]["labels"][PLAN].as_str() {
            // A plan gives back what it made itself.
            return;
        }
        self.moving = true;
        let name = key_of(raw).name;
        let Some(claim) = self.seen.claims.get(&name) else { return };
        let mut found = Vec::new();
        match self.pool_of(&claim.object) {
            None => found.push(("S7", format!("claim {name} was deleted, whose pool is not known"))),
            Some(pool) if pool.object.spec.replicas.is_some() => {
                found.push(("S7", format!("claim {name} of a static pool was deleted")));
            }
            Some(_) => {}
        }
        let node = self.seen.node_of(&claim.object);
        if let Some(node) = node {
            let node_name = &node.object.metadata.name;
            if node.object.metadata.mark(REMOVAL_DISABLED) == Some("true") {
                found.push(("S7", format!("claim {name} was deleted, whose node must not be removed")));
            }
            if self.shielded.contains(node_name) {
                found.push(("S20", format!("claim {name} was deleted, whose node somebody else has shielded")));
            }
            let kept = self.seen.on_node(node_name).filter(|(_, pod)| pod.is_active() && is_kept(pod, now));
            found.extend(
                kept.map(|(key, _)| ("S20", format!("claim {name} was deleted under pod {key}, which forbids it"))),
            );
        }
        let plan = |object: &Value| object["metadata"]["labels"][PLAN].as_str().map(str::to_owned);
        if plan(raw).is_none() {
            found.push(("S24", format!("claim {name} was deleted without the label of a plan")));
        }
        let plan = plan(raw).or_else(|| plan(&node?.raw));
        let missing = self.missing_greens(plan.as_deref(), &name, server);
        found.extend(missing.into_iter().map(|text| ("S1", text)));
        for (invariant, text) in found {
            self.broken(now, invariant, text);
        }
    }

    /// The replacements of a claim's wave that are not ready, as the plan lists them.
    fn missing_greens(&self, plan: Option<&str>, name: &str, server: &ApiServer) -> Vec<String> {
        let Some(uid) = plan else {
            return vec![format!("claim {name} was deleted, and neither it nor its node bears a plan's label")];
        };
        let plans = server.list("RebalancePlan");
        let Some(plan) = plans.iter().find(|plan| plan["metadata"]["uid"] == uid) else { return Vec::new() };
        let listed = |field: &str| plan["spec"][field].as_array().cloned().unwrap_or_default();
        let wave = |entry: &Value| entry["wave"].as_u64().unwrap_or_default();
        let blues = listed("nodeClaimsToDelete");
        let Some(blue) = blues.iter().find(|entry| entry["nodeClaimName"] == name) else {
            return vec![format!("claim {name} was deleted, which plan {} does not list", key_of(plan))];
        };
        let greens = listed("nodeClaimsToAdd").into_iter().filter(|green| wave(green) == wave(blue));
        let wanted = greens.filter_map(|green| green["metadata"]["name"].as_str().map(str::to_owned));
        let ready = |green: &str| {
            let attempts = self.seen.claims.iter().filter(|(name, claim)| {
                (***name == *green || name.starts_with(&format!("{green}-attempt-"))) && !is_leaving(&claim.raw)
            });
            attempts.into_iter().any(|(_, claim)| claim.object.status.is("Ready"))
        };
        wanted
            .filter(|green| !ready(green))
            .map(|green| format!("claim {name} was deleted before its replacement {green} was ready"))
            .collect()
    }

    /// S3: a slot of the pool's budget for every cordon. S10: only own cordons are lifted.
    fn judge_cordon(&mut self, before: &Value, after: &Value, now: Timestamp) {
        let name = key_of(before).name;
        let (was, is) = (before["spec"]["unschedulable"] == true, after["spec"]["unschedulable"] == true);
        let touched = |node: &Value| node["metadata"]["labels"][PLAN].is_string();
        if !touched(before) && before["metadata"]["annotations"][DO_NOT_DISRUPT] == "true" {
            self.shielded.insert(name.clone());
        }
        if was && !is && !before["metadata"]["annotations"][CORDONED_BY].is_string() {
            self.broken(now, "S10", format!("node {name} was uncordoned, which somebody else had cordoned"));
        }
        if !was && is {
            self.judge_budget(&name, after["metadata"]["annotations"][CORDONED_BY].as_str(), now);
        }
    }

    fn judge_budget(&mut self, node: &str, plan: Option<&str>, now: Timestamp) {
        let Some(claim) = self.seen.claims.values().find(|claim| claim.object.status.node_name == node) else { return };
        if plan.is_some() && made_by(&claim.raw) == plan {
            return;
        }
        let Some(pool) = self.pool_of(&claim.object) else { return };
        let members: Vec<&Known<NodeClaim>> = self.members(&pool.object).collect();
        let busy = members.iter().filter(|claim| claim.object.status.node_name != node && self.is_busy(claim)).count();
        let most = pace(pool, members.len());
        if busy + 1 > most {
            let pool = pool.object.metadata.name.clone();
            self.broken(
                now,
                "S3",
                format!("node {node} was cordoned as number {} of pool {pool}, which allows {most}", busy + 1),
            );
        }
    }

    /// The initialized nodes of a pool whose instance is not ending.
    fn members<'a>(&'a self, pool: &'a NodePool) -> impl Iterator<Item = &'a Known<NodeClaim>> {
        self.seen.claims.values().filter(|claim| {
            claim.object.metadata.labels.get(NODE_POOL).is_some_and(|name| **name == *pool.metadata.name)
                && claim.object.status.is("Initialized")
                && !conditions::is_true(&claim.raw, "InstanceTerminating")
        })
    }

    /// Whether a node holds a slot: it leaves, is not ready, or the operator has cordoned it to remove it.
    fn is_busy(&self, claim: &Known<NodeClaim>) -> bool {
        let Some(node) = self.seen.node_of(&claim.object) else { return true };
        let plan = node.raw["metadata"]["annotations"][CORDONED_BY].as_str();
        let cordoned = plan.is_some() && made_by(&claim.raw) != plan;
        is_leaving(&claim.raw) || !node.object.status.is_ready() || cordoned
    }

    fn pool_of(&self, claim: &NodeClaim) -> Option<&Known<NodePool>> {
        self.seen.pools.get(claim.metadata.labels.get(NODE_POOL)?.as_str())
    }

    /// S2: no pod waits longer than its patience once pods are being moved.
    fn look_for_waiting_pods(&mut self, now: Timestamp) {
        self.looked = Some(now);
        if !self.moving {
            return;
        }
        let waits = |pod: &&KnownPod| pod.is_active() && &*pod.object.status.phase == "Pending";
        let since = |pod: &KnownPod| time(&pod.raw, "creationTimestamp").unwrap_or(now);
        let late = self.seen.pods.values().filter(waits).filter(|pod| now.duration_since(since(pod)) > PATIENCE);
        let late: Vec<(String, String)> =
            late.map(|pod| ((*pod.object.metadata.uid).to_owned(), pod.object.metadata.key().to_string())).collect();
        for (uid, key) in late {
            if self.told.insert(uid) {
                self.broken(
                    now,
                    "S2",
                    format!("pod {key} has waited for a place for more than {} s", PATIENCE.as_secs()),
                );
            }
        }
    }
}

/// The plan that made a claim.
fn made_by(claim: &Value) -> Option<&str> {
    claim["metadata"]["annotations"][MADE_BY].as_str()
}

/// How many nodes of a pool may be disrupted at once: our own pace where the pool is handed over, else Karpenter's budgets.
fn pace(pool: &Known<NodePool>, nodes: usize) -> usize {
    let annotations = &pool.object.metadata.annotations;
    let share = |text: &str| match text.strip_suffix('%') {
        Some(_) => Percent::parse(text).map_or(0, |share| share.of_count(nodes)),
        None => text.parse().unwrap_or(0),
    };
    if annotations.get(INCLUDE).map(String::as_str) == Some("include") {
        return share(annotations.get(PACE).map_or("10%", String::as_str)).max(1);
    }
    let budgets = pool.object.spec.disruption.budgets.clone();
    let binding =
        budgets.map(|all| all.into_iter().filter(|one| one.schedule.is_none()).map(|one| share(&one.nodes)).min());
    match binding {
        None => share("10%"),
        Some(least) => least.unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests;
