//! What the tests share: a simulated cluster with the shipped operator in it, and what a user would look at.

pub mod conformance;
pub mod helm;
mod lock;
pub mod pages;
pub mod rest;
mod spot;

use std::sync::Arc;
use std::time::Duration;

use kentroller::settings::Settings;
use kentroller::simulation::{Operated, USER, empty};
use kentroller_world::{Drift, Oracle, Setup};
use serde_json::{Value, json};

use crate::lock::Lock;

/// The start of every story, two minutes before 02:00.
pub const START: &str = "2026-11-22T01:58:00Z";

/// How long a plan is waited for.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// A cluster with the operator in it, and eyes to look at both. What the operator does is judged write by write: a story
/// in which an invariant broke fails at its end.
pub struct Stage {
    pub operated: Operated,
    oracle: Oracle,
    lock: Lock,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.violations(), [""; 0], "invariants that broke in this story");
            assert_eq!(self.lock.refused(), [""; 0], "writes that the chart's admission policies refuse");
        }
    }
}

impl Stage {
    /// A drifted cluster of this many nodes; needs a paused tokio clock.
    pub fn drifted(nodes: usize, seed: u64) -> Self {
        Self::with(nodes, Setup { seed, ..Setup::default() })
    }

    pub fn with(nodes: usize, setup: Setup) -> Self {
        let start = START.parse().expect("a time");
        let drift = Drift { nodes, seed: setup.seed };
        Self::watching(Operated::start(drift, setup, start).expect("the cluster is built"))
    }

    /// A drifted cluster of twelve nodes that is rebalanced continuously, with these settings besides.
    pub fn continuous(change: impl FnOnce(&mut Settings)) -> Self {
        let stage = Self::drifted(12, 1);
        stage.operated.set(|settings| {
            settings.continuous_rebalancing = true;
            settings.min_node_age = Duration::ZERO;
            settings.polling_period = Duration::from_secs(300);
            change(settings);
        });
        stage
    }

    /// As [`Stage::drifted`], of spot nodes alone; their pool allows on-demand nodes too.
    pub fn on_spot(nodes: usize, seed: u64) -> Self {
        let start = START.parse().expect("a time");
        let (server, clock) = empty(start);
        Drift { nodes, seed }.build(&server, start).expect("the cluster is built");
        spot::on_spot(&server);
        let (setup, prices) = spot::cloud(seed);
        Self::watching(Operated::on(server, clock, setup, prices))
    }

    fn watching(operated: Operated) -> Self {
        let oracle = Oracle::watch(&operated.server, &operated.clock, USER);
        let lock = Lock::watch(&operated.server, USER);
        Self { operated, oracle, lock }
    }

    /// Invariants that broke so far.
    pub fn violations(&self) -> Vec<String> {
        self.oracle.violations().into_iter().map(|found| found.to_string()).collect()
    }

    pub fn create(&self, kind: &str, name: &str, spec: Value) -> Result<Arc<Value>, String> {
        let object = json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": kind, "metadata": {"name": name}, "spec": spec});
        self.operated.server.create(object).map_err(|refusal| refusal.message)
    }

    /// A claim that executes its plan; `spec` adds to it.
    pub fn claim(&self, name: &str, spec: Value) {
        let mut whole = json!({"autoExecute": true});
        for (field, value) in spec.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        self.create("RebalancePlanClaim", name, whole).expect("the claim is accepted");
    }

    /// As it stands once the plan of claim `now` waits to be executed; `spec` adds to that claim.
    pub async fn planned(self, mut spec: Value) -> Self {
        spec["autoExecute"] = json!(false);
        self.claim("now", spec);
        assert!(self.until(PATIENCE, |stage| stage.state("RebalancePlan", "now") == "Created").await);
        self
    }

    /// The plan of claim `now`.
    pub fn plan(&self) -> Value {
        (*self.get("RebalancePlan", "now").expect("the plan")).clone()
    }

    /// Has the plan of claim `now` executed, as a person does.
    pub fn execute(&self) {
        self.edit("RebalancePlan", "now", |plan| plan["spec"]["execute"] = json!(true));
    }

    /// A schedule whose claims execute; `spec` adds to it.
    pub fn schedule(&self, name: &str, cron: &str, spec: Value) {
        let template = json!({"metadata": {}, "spec": {"autoExecute": true}});
        let mut whole = json!({"schedule": cron, "rebalancePlanClaimTemplate": template});
        for (field, value) in spec.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        self.create("RebalancePlanSchedule", name, whole).expect("the schedule is accepted");
    }

    pub fn get(&self, kind: &str, name: &str) -> Option<Arc<Value>> {
        self.operated.server.get(kind, None, name)
    }

    pub fn list(&self, kind: &str) -> Vec<Arc<Value>> {
        self.operated.server.list(kind)
    }

    pub fn names(&self, kind: &str) -> Vec<String> {
        self.list(kind).iter().map(|object| text(&object["metadata"]["name"])).collect()
    }

    /// `status.state`; empty while there is none.
    pub fn state(&self, kind: &str, name: &str) -> String {
        self.get(kind, name).map(|object| text(&object["status"]["state"])).unwrap_or_default()
    }

    /// `Reason=status` of a condition, such as `Scheduled=True`.
    pub fn condition(&self, kind: &str, name: &str, type_: &str) -> String {
        let object = self.get(kind, name).expect("the object exists");
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|one| one["type"] == type_);
        found.map(|one| format!("{}={}", text(&one["reason"]), text(&one["status"]))).unwrap_or_default()
    }

    /// Types and reasons of the events about an object, in their order, such as `Warning ScheduleMissed`.
    pub fn events(&self, name: &str) -> Vec<String> {
        let mut about: Vec<Arc<Value>> =
            self.list("Event").into_iter().filter(|event| event["regarding"]["name"] == name).collect();
        about.sort_by_key(|event| text(&event["eventTime"]));
        about.iter().map(|event| format!("{} {}", text(&event["type"]), text(&event["reason"]))).collect()
    }

    /// What the events of a reason say about an object.
    pub fn notes(&self, name: &str, reason: &str) -> Vec<String> {
        let all = self.list("Event").into_iter();
        let about = all.filter(|event| event["regarding"]["name"] == name && event["reason"] == reason);
        about.map(|event| text(&event["note"])).collect()
    }

    pub fn edit(&self, kind: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.operated.server.update(kind, None, name, change).expect("the edit is accepted");
    }

    pub fn edit_in(&self, kind: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.operated.server.update(kind, Some(namespace), name, change).expect("the edit is accepted");
    }

    pub fn delete(&self, kind: &str, name: &str) {
        self.operated.server.delete(kind, None, name, &Default::default()).expect("the deletion is accepted");
    }

    /// Waits until something holds, at most this long in virtual time; says whether it came.
    pub async fn until(&self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let steps = limit.as_secs().div_ceil(2);
        for _ in 0..steps {
            if holds(self) {
                return true;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        holds(self)
    }

    /// Lets virtual time pass.
    pub async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Whether the claim came to an end, and its plan took back every mark.
    pub fn is_over(&self, claim: &str) -> bool {
        let ended =
            ["Completed", "Failed", "Skipped", "Canceled"].contains(&self.state("RebalancePlanClaim", claim).as_str());
        ended && self.get("RebalancePlan", claim).is_none_or(|plan| plan["metadata"]["finalizers"].is_null())
    }

    /// Whether the plan was executed; some nodes may have been kept.
    pub fn is_done(&self, plan: &str) -> bool {
        ["Done", "DoneWithWarnings"].contains(&self.state("RebalancePlan", plan).as_str())
    }

    /// Nodes and NodeClaims with marks or cordons: there must be none when nothing executes.
    pub fn marks(&self) -> Vec<String> {
        let ours = |object: &Value| {
            let metadata = object["metadata"].to_string();
            let marked = ["rebalancing.cast.ai/plan", "cordoned-by", "rebalancing.cast.ai/status", "do-not-disrupt"];
            marked.iter().any(|mark| metadata.contains(mark))
                // A NodeClaim goes on telling with which taints its node came.
                || object["kind"] == "Node" && object["spec"]["taints"].to_string().contains("rebalancing.cast.ai")
                || object["spec"]["unschedulable"] == true
        };
        let all = self.list("Node").into_iter().chain(self.list("NodeClaim"));
        all.filter(|object| ours(object)).map(|object| text(&object["metadata"]["name"])).collect()
    }
}

/// Whether the pod is one of a workload, and belongs to no node.
pub fn is_workload(pod: &Value) -> bool {
    pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
}

/// A text field; empty if it is absent.
pub fn text(field: &Value) -> String {
    field.as_str().unwrap_or_default().to_owned()
}
