//! The controller of PodDisruptionBudgets: how many of the guarded pods are healthy, and how many may go.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kentroller_planner::manifest::{LabelSelector, ObjectName};
use serde_json::{Map, Value, json};

use super::{generation, selector};
use crate::actor::Actor;
use crate::conditions;
use crate::hands::{Hands, after, sooner};
use crate::readings::selectors::selects;
use crate::seen::{Kind, KnownPod, News, Seen, controller, uid};

/// How long an eviction that did not end in a deletion keeps its place in a budget.
const FORGOTTEN_AFTER: std::time::Duration = std::time::Duration::from_secs(120);

/// The controller.
#[derive(Debug)]
pub(crate) struct Budgets;

/// What a budget comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) expected: i64,
    pub(crate) healthy: i64,
    pub(crate) desired: i64,
}

impl Count {
    /// Counts the pods that a budget guards; pods that `gone` names count as ended.
    pub(crate) fn of(budget: &Value, seen: &Seen, gone: &Map<String, Value>) -> Self {
        let namespace = budget["metadata"]["namespace"].as_str().unwrap_or_default();
        let selector = selector(budget);
        let guarded: Vec<(&ObjectName, &KnownPod)> =
            selector.iter().flat_map(|selector| guarded(selector, namespace, seen)).collect();
        let healthy = guarded
            .iter()
            .filter(|(key, pod)| pod.is_active() && pod.object.status.is_ready() && !gone.contains_key(&*key.name));
        let healthy = i64::try_from(healthy.count()).unwrap_or(i64::MAX);
        let whole = i64::try_from(guarded.iter().filter(|(_, pod)| pod.is_active()).count()).unwrap_or(i64::MAX);
        let scale = scale(&guarded, seen);
        let spec = &budget["spec"];
        let (expected, desired) = match (&spec["maxUnavailable"], &spec["minAvailable"]) {
            (Value::Null, Value::Null) => (whole, whole),
            (Value::Null, at_least @ Value::Number(_)) => (whole, scaled(at_least, whole)),
            (Value::Null, at_least) => (scale, scaled(at_least, scale)),
            (at_most, _) => (scale, (scale - scaled(at_most, scale)).max(0)),
        };
        Self { expected, healthy, desired }
    }

    pub(crate) fn allowed(&self) -> i64 {
        if self.expected == 0 { 0 } else { (self.healthy - self.desired).max(0) }
    }

    /// The budget's status.
    pub(crate) fn report(&self, status: &mut Value, disrupted: Map<String, Value>, generation: i64, now: Timestamp) {
        let allowed = self.allowed();
        for (field, number) in [
            ("disruptionsAllowed", allowed),
            ("currentHealthy", self.healthy),
            ("desiredHealthy", self.desired),
            ("expectedPods", self.expected),
            ("observedGeneration", generation),
        ] {
            status[field] = json!(number);
        }
        status["disruptedPods"] = if disrupted.is_empty() { Value::Null } else { Value::Object(disrupted) };
        let (truth, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        conditions::set(status, "DisruptionAllowed", truth, reason, "", now);
    }
}

fn guarded<'a>(
    selector: &'a LabelSelector,
    namespace: &'a str,
    seen: &'a Seen,
) -> impl Iterator<Item = (&'a ObjectName, &'a KnownPod)> {
    let from = ObjectName { namespace: namespace.into(), name: "".into() };
    let of_namespace = seen.pods.range(from..).take_while(move |(key, _)| *key.namespace == *namespace);
    of_namespace.filter(|(_, pod)| !pod.object.status.is_finished() && selects(selector, &pod.object.metadata.labels))
}

/// How many pods the owners of the guarded pods want together.
fn scale(guarded: &[(&ObjectName, &KnownPod)], seen: &Seen) -> i64 {
    let owners: BTreeSet<&str> = guarded.iter().map(|(_, pod)| pod.owner_uid()).collect();
    let sets: Vec<_> = seen.plain(Kind::ReplicaSet).filter(|(_, set)| owners.contains(uid(set))).collect();
    // A Deployment in a rollout counts once, with what it wants in all.
    let deployments: BTreeSet<&str> = sets.iter().filter_map(|(_, set)| controller(set)).collect();
    let of_deployments = seen.plain(Kind::Deployment).filter(|(_, one)| deployments.contains(uid(one)));
    let stateful = seen.plain(Kind::StatefulSet).filter(|(_, set)| owners.contains(uid(set))).map(|(_, set)| set);
    let of_sets = sets.iter().filter(|(_, set)| controller(set).is_none()).map(|(_, set)| *set);
    of_deployments
        .map(|(_, one)| one)
        .chain(of_sets)
        .chain(stateful)
        .filter_map(|one| one["spec"]["replicas"].as_i64())
        .sum()
}

/// A number, or a percentage of a whole, rounded up.
fn scaled(amount: &Value, whole: i64) -> i64 {
    match amount.as_str().and_then(|text| text.strip_suffix('%')) {
        Some(percent) => (percent.parse::<i64>().unwrap_or(0) * whole + 99) / 100,
        None => amount.as_i64().unwrap_or(0),
    }
}

fn reconcile(key: &ObjectName, budget: &Value, seen: &Seen, hands: &Hands) -> Option<Timestamp> {
    let mut disrupted = budget["status"]["disruptedPods"].as_object().cloned().unwrap_or_default();
    let expiry = |since: &Value| {
        let since: Timestamp = since.as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        after(since, FORGOTTEN_AFTER)
    };
    disrupted.retain(|name, since| {
        let pod = seen.pods.get(&ObjectName { namespace: key.namespace.clone(), name: name.as_str().into() });
        pod.is_some_and(|pod| !pod.is_leaving()) && expiry(since) > hands.now
    });
    let next = disrupted.values().map(expiry).min();
    let count = Count::of(budget, seen, &disrupted);
    hands.edit_status("PodDisruptionBudget", key, |status| {
        count.report(status, disrupted, generation(budget), hands.now);
    });
    next
}

impl Actor for Budgets {
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        let namespaces: BTreeSet<&str> = [Kind::Pod, Kind::ReplicaSet, Kind::Deployment]
            .into_iter()
            .flat_map(|kind| news.of(kind))
            .map(|key| &*key.namespace)
            .collect();
        let mut next = None;
        for (key, budget) in seen.plain(Kind::DisruptionBudget) {
            let touched = news.touched.get(&Kind::DisruptionBudget).is_some_and(|keys| keys.contains(key));
            if touched || namespaces.contains(&*key.namespace) || !budget["status"]["disruptedPods"].is_null() {
                next = sooner(next, reconcile(key, budget, seen, hands));
            }
        }
        next
    }
}
