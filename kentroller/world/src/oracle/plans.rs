//! The plans and claims of the operator, as their objects tell, and how long it led.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kentroller_runtime::simulation::apiserver::Commit;
use serde_json::Value;

use crate::seen::{is_leaving, key_of, uid};

/// The label of everything that a plan touches: its uid.
pub(super) const PLAN: &str = "rebalancing.cast.ai/plan";
/// On what a plan made: its name.
const MADE_BY: &str = "rebalancing.cast.ai/made-by";
/// A lease that was not renewed for longer was lost meanwhile.
const LEASE: SignedDuration = SignedDuration::from_secs(15);

/// Plans by uid and claims by uid, as they are now.
#[derive(Debug, Default)]
pub(super) struct Plans {
    plans: BTreeMap<String, Arc<Value>>,
    claims: BTreeMap<String, Arc<Value>>,
}

impl Plans {
    pub(super) fn take(&mut self, commit: &Commit) {
        let of_kind = match &*commit.write.kind {
            "RebalancePlan" => &mut self.plans,
            "RebalancePlanClaim" => &mut self.claims,
            _ => return,
        };
        match (&commit.before, &commit.after) {
            (_, Some(after)) => drop(of_kind.insert(uid(after).to_owned(), after.clone())),
            (Some(before), None) => drop(of_kind.remove(uid(before))),
            (None, None) => {}
        }
    }

    pub(super) fn get(&self, uid: &str) -> Option<Plan<'_>> {
        self.plans.get(uid).map(|object| Plan(object))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Plan<'_>> {
        self.plans.values().map(|object| Plan(object))
    }

    /// Whether a claim that is being executed has this flag of its aggressive mode.
    pub(super) fn lifts(&self, flag: &str) -> bool {
        self.lifting(flag).next().is_some()
    }

    /// The aggressive modes with this flag of claims that are being executed.
    fn lifting(&self, flag: &str) -> impl Iterator<Item = &Value> {
        let executing = self.claims.values().filter(|claim| claim["status"]["state"] == "Executing");
        executing.map(|claim| &claim["spec"]["aggressiveModeConfig"]).filter(move |mode| mode[flag] == true)
    }

    /// After how long an executing claim with this flag has pods deleted whose eviction is refused.
    pub(super) fn forces_after(&self, flag: &str) -> Option<SignedDuration> {
        let told = self.lifting(flag).map(|mode| mode[format!("{flag}Timeout")].as_str().unwrap_or("10m"));
        told.filter_map(|text| text.parse().ok()).min()
    }

    /// The other claims of a claim's schedule that have not come to their end.
    pub(super) fn open_siblings<'a>(&'a self, claim: &'a Value) -> impl Iterator<Item = &'a Arc<Value>> {
        let owner = |claim: &Value| {
            let owner = claim["metadata"]["ownerReferences"][0].clone();
            (owner["kind"] == "RebalancePlanSchedule").then(|| owner["uid"].clone())
        };
        let own = owner(claim);
        let has_ended = |claim: &Value| {
            matches!(claim["status"]["state"].as_str(), Some("Completed" | "Failed" | "Skipped" | "Canceled"))
        };
        self.claims.values().filter(move |other| {
            own.is_some() && owner(other) == own && uid(other) != uid(claim) && !has_ended(other) && !is_leaving(other)
        })
    }
}

/// A plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a>(&'a Value);

impl<'a> Plan<'a> {
    pub(super) fn of(object: &'a Value) -> Self {
        Self(object)
    }

    pub(super) fn uid(self) -> &'a str {
        uid(self.0)
    }

    pub(super) fn name(self) -> String {
        key_of(self.0).to_string()
    }

    pub(super) fn state(self) -> &'a str {
        self.0["status"]["state"].as_str().unwrap_or_default()
    }

    pub(super) fn is_running(self) -> bool {
        self.state() == "Running"
    }

    pub(super) fn has_ended(self) -> bool {
        matches!(self.state(), "Done" | "DoneWithWarnings" | "Failed" | "Canceled" | "Expired")
    }

    /// Its finalizer says that it may have marks on the cluster.
    pub(super) fn is_marked(self) -> bool {
        self.0["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|one| one == PLAN))
    }

    /// Whether it forces a drain that takes too long.
    pub(super) fn forces(self) -> bool {
        self.0["spec"]["aggressiveMode"]["drainTimeout"].is_string()
    }

    /// How long it may take, as its spec says.
    pub(super) fn limit(self) -> Option<&'a str> {
        self.0["spec"]["timeouts"]["rebalanceExecutionTimeout"].as_str()
    }

    fn list(self, field: &str) -> impl Iterator<Item = &'a Value> {
        self.0["spec"][field].as_array().into_iter().flatten()
    }

    /// Whether it made this NodeClaim: the object says so, and the plan lists it.
    pub(super) fn made(self, claim: &Value) -> bool {
        let name = key_of(claim).name;
        claim["metadata"]["annotations"][MADE_BY] == self.0["metadata"]["name"] && self.green(&name).is_some()
    }

    /// The new node that a NodeClaim of this name is for, and the number of the attempt.
    pub(super) fn green(self, claim: &str) -> Option<Green<'a>> {
        self.list("nodeClaimsToAdd").find_map(|add| {
            let name = add["metadata"]["name"].as_str()?;
            let rest = claim.strip_prefix(name)?;
            let attempt = if rest.is_empty() { 0 } else { rest.strip_prefix("-attempt-")?.parse().ok()? };
            Some(Green { add, name, attempt })
        })
    }

    /// Names of the new nodes of a wave.
    pub(super) fn greens_of(self, wave: u64) -> impl Iterator<Item = &'a str> {
        self.list("nodeClaimsToAdd")
            .filter(move |add| wave_of(add) == wave)
            .filter_map(|add| add["metadata"]["name"].as_str())
    }

    /// The wave that removes a NodeClaim.
    pub(super) fn removes(self, claim: &str) -> Option<u64> {
        self.list("nodeClaimsToDelete").find(|entry| entry["nodeClaimName"] == claim).map(wave_of)
    }

    /// Names of all NodeClaims that it removes.
    pub(super) fn blues(self) -> impl Iterator<Item = &'a str> {
        self.list("nodeClaimsToDelete").filter_map(|entry| entry["nodeClaimName"].as_str())
    }

    /// How many of the nodes that were to go it has given up, as its status says.
    pub(super) fn kept(self) -> usize {
        let nodes = self.0["status"]["nodesDeletion"].as_object();
        nodes.map_or(0, |nodes| nodes.values().filter(|node| node["phase"] == "Kept").count())
    }

    /// Whether it failed or was stopped before it touched a node that the wave of this new node removes; `touched` has the
    /// NodeClaims of all nodes that were. The new node has to be given back then.
    pub(super) fn must_give_back(self, claim: &str, touched: &BTreeSet<String>) -> bool {
        let Some(green) = self.green(claim) else { return false };
        let wave = wave_of(green.add);
        matches!(self.state(), "Failed" | "Canceled") && !touched.iter().any(|blue| self.removes(blue) == Some(wave))
    }

    /// Whether it has ended and removed none of the nodes for which this new one came: `is_there` tells of a NodeClaim whether
    /// it is there. The new node is of no use then.
    pub(super) fn may_give_back(self, claim: &str, is_there: impl Fn(&str) -> bool) -> bool {
        let Some(green) = self.green(claim) else { return false };
        let wave = wave_of(green.add);
        self.has_ended() && self.blues().filter(|blue| self.removes(blue) == Some(wave)).all(is_there)
    }
}

/// A new node of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Green<'a> {
    add: &'a Value,
    pub(super) name: &'a str,
    pub(super) attempt: usize,
}

impl Green<'_> {
    pub(super) fn wave(self) -> u64 {
        wave_of(self.add)
    }

    pub(super) fn offerings(self) -> usize {
        self.add["alternatives"].as_array().map_or(0, Vec::len).max(1)
    }
}

fn wave_of(entry: &Value) -> u64 {
    entry["wave"].as_u64().unwrap_or_default()
}

/// How long the operator has led in all and was free to work, as its renewals and the ConfigMaps tell: what it owes "in time"
/// it owes in this time.
#[derive(Debug, Default)]
pub(super) struct Lead {
    pub(super) total: SignedDuration,
    renewed: Option<Timestamp>,
    /// Somebody has it rest.
    rests: bool,
}

impl Lead {
    pub(super) fn renew(&mut self, now: Timestamp) {
        let since = self.renewed.map(|at| now.duration_since(at)).filter(|since| *since <= LEASE);
        if !self.rests {
            self.total += since.unwrap_or_default();
        }
        self.renewed = Some(now);
    }

    /// A ConfigMap has changed: whether it has the operator rest, in the words that stories use.
    pub(super) fn hear(&mut self, map: Option<&Value>) {
        let data = map.map(|map| &map["data"]);
        let says = |key: &str| data.and_then(|data| data[key].as_str()).unwrap_or_default();
        let text = says("config.yaml");
        let words = ["paused: true", "rebalancer: {enabled: false}", "mode: observe"];
        self.rests = says("paused") == "true" || words.iter().any(|words| text.contains(words));
    }
}
