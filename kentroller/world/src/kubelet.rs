//! Kubelets and the node lifecycle controller: nodes become ready, pods start and end, taints follow conditions.
//!
//! Absent: heartbeats, images, restarts of containers, eviction of pods from lost nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::ObjectName;
use kentroller_runtime::simulation::apiserver::DeleteOptions;
use serde_json::{Value, json};

use crate::actor::{Actor, Weather};
use crate::conditions;
use crate::entropy::Entropy;
use crate::hands::{Hands, after, sooner, stamp, wide};
use crate::seen::{Kind, KnownPod, News, Seen, time, uid};
use crate::timings::Timings;

/// All kubelets.
#[derive(Debug)]
pub(crate) struct Kubelets {
    timings: Timings,
    weather: Weather,
    entropy: Entropy,
    /// Pods that start or end at a moment.
    agenda: BTreeMap<ObjectName, Timestamp>,
    /// Pods that run and are not Ready, until their owner crashes no more.
    crashing: BTreeSet<ObjectName>,
}

/// How often a pod that crashes is tried again.
const RETRY: Duration = Duration::from_secs(10);

impl Kubelets {
    pub(crate) fn new(timings: Timings, weather: Weather, entropy: Entropy) -> Self {
        Self { timings, weather, entropy, agenda: BTreeMap::new(), crashing: BTreeSet::new() }
    }

    fn crashes(&self, pod: &KnownPod) -> bool {
        self.weather.now().crashing.contains(pod.owner_uid())
    }

    /// Tries the pods again that crash; says when to do so next.
    fn restart(&mut self, seen: &Seen, hands: &Hands) -> Option<Timestamp> {
        for key in std::mem::take(&mut self.crashing) {
            match seen.pods.get(&key).filter(|pod| !pod.is_leaving()) {
                Some(pod) if self.crashes(pod) => drop(self.crashing.insert(key)),
                Some(pod) => start(&key, &pod.raw, &mut self.entropy, hands),
                None => {}
            }
        }
        (!self.crashing.is_empty()).then(|| after(hands.now, RETRY))
    }

    /// Puts what a pod does next on the agenda.
    fn plan(&mut self, key: &ObjectName, seen: &Seen, now: Timestamp) {
        let wait = match seen.pods.get(key) {
            Some(pod) if pod.object.spec.node_name.is_empty() || pod.object.status.is_finished() => None,
            Some(pod) if pod.is_leaving() => Some(self.stop_of(pod)),
            Some(pod) if &*pod.object.status.phase == "Pending" => Some(self.start_of(pod)),
            _ => None,
        };
        match wait {
            Some(wait) => drop(self.agenda.entry(key.clone()).or_insert_with(|| after(now, wait))),
            None => drop(self.agenda.remove(key)),
        }
        // A pod that was about to start and is told to end does not wait for its start.
        if let Some(pod) = seen.pods.get(key).filter(|pod| pod.is_leaving()) {
            let end = after(now, self.stop_of(pod));
            self.agenda.entry(key.clone()).and_modify(|at| *at = (*at).min(end));
        }
    }

    fn stop_of(&self, pod: &KnownPod) -> Duration {
        let grace = pod.raw["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or_default();
        self.timings.pod_stop.min(Duration::from_secs(grace))
    }

    /// What is known of the owner, or between half and one and a half of the usual time.
    fn start_of(&self, pod: &KnownPod) -> Duration {
        if let Some(measured) = self.timings.starts.get(pod.owner_uid()) {
            return *measured;
        }
        let percent = self.entropy.clone().fork(uid(&pod.raw)).between(50, 150);
        self.timings.pod_start * u32::try_from(percent).unwrap_or(100) / 100
    }

    fn nodes(&self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        let mut next = None;
        for (name, node) in &seen.nodes {
            let born = time(&node.raw, "creationTimestamp").unwrap_or_default();
            if !node.object.status.is_ready()
                && conditions::get(&node.raw, "Ready").is_some_and(|(_, why, _)| why == NOT_YET)
            {
                let at = after(born, self.timings.node_ready);
                if at <= hands.now {
                    hands.edit_status("Node", &wide(name), |status| set_ready(status, hands.now));
                } else {
                    next = sooner(next, Some(at));
                }
            }
        }
        for key in news.of(Kind::Node) {
            if let Some(node) = seen.nodes.get(&key.name) {
                keep_taints(&node.raw, key, hands);
            }
        }
        next
    }
}

const NOT_YET: &str = "KubeletNotReady";

impl Actor for Kubelets {
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        for key in news.of(Kind::Pod) {
            self.plan(key, seen, hands.now);
        }
        let due: Vec<ObjectName> =
            self.agenda.iter().filter(|(_, at)| **at <= hands.now).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.agenda.remove(&key);
            let Some(pod) = seen.pods.get(&key) else { continue };
            if pod.is_leaving() {
                end(&key, hands);
            } else if seen.nodes.get(&pod.object.spec.node_name).is_some_and(|node| node.object.status.is_ready()) {
                start(&key, &pod.raw, &mut self.entropy, hands);
                if self.crashes(pod) {
                    hands.edit_status("Pod", &key, |status| {
                        for kind in ["ContainersReady", "Ready"] {
                            conditions::set(status, kind, "False", "ContainersNotReady", "", hands.now);
                        }
                    });
                    self.crashing.insert(key);
                }
            } else {
                self.agenda.insert(key, after(hands.now, self.timings.pod_start.max(Duration::from_secs(1))));
            }
        }
        let retry = self.restart(seen, hands);
        bury_orphans(seen, news, hands);
        sooner(sooner(self.nodes(seen, news, hands), self.agenda.values().min().copied()), retry)
    }
}

fn end(key: &ObjectName, hands: &Hands) {
    hands.delete("Pod", key, &DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() });
}

/// Pod garbage collection: pods on a node that is gone go at once.
fn bury_orphans(seen: &Seen, news: &News, hands: &Hands) {
    for node in news.of(Kind::Node).filter(|node| !seen.nodes.contains_key(&node.name)) {
        for (key, _) in seen.on_node(&node.name) {
            end(key, hands);
        }
    }
}

fn start(key: &ObjectName, raw: &Value, entropy: &mut Entropy, hands: &Hands) {
    let address = address(entropy);
    let containers = raw["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let states: Vec<Value> = containers.iter().map(|container| container_state(container, hands.now)).collect();
    hands.edit_status("Pod", key, |status| run(status, &address, &states, hands.now));
}

/// An address of a pod.
pub(crate) fn address(entropy: &mut Entropy) -> String {
    format!("10.1.{}.{}", entropy.below(256), entropy.between(1, 254))
}

/// The status of a pod that serves.
pub(crate) fn run(status: &mut Value, address: &str, containers: &[Value], now: Timestamp) {
    status["phase"] = json!("Running");
    status["startTime"] = json!(stamp(now));
    status["podIP"] = json!(address);
    status["containerStatuses"] = json!(containers);
    for kind in ["PodScheduled", "Initialized", "ContainersReady", "Ready"] {
        conditions::set(status, kind, "True", "", "", now);
    }
}

pub(crate) fn container_state(container: &Value, now: Timestamp) -> Value {
    json!({
        "name": container["name"], "image": container["image"], "imageID": container["image"], "ready": true,
        "started": true, "restartCount": 0, "state": {"running": {"startedAt": stamp(now)}},
    })
}

/// The status of a node that has joined and is not ready yet.
pub(crate) fn joined(now: Timestamp) -> Value {
    let mut status = json!({});
    conditions::set(&mut status, "Ready", "False", NOT_YET, "container runtime network not ready", now);
    status["conditions"].take()
}

/// The conditions of a healthy node.
pub(crate) fn set_ready(status: &mut Value, now: Timestamp) {
    for (kind, reason, message) in [
        ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ] {
        conditions::set(status, kind, "False", reason, message, now);
    }
    conditions::set(status, "Ready", "True", "KubeletReady", "kubelet is posting ready status", now);
}

/// The node lifecycle controller: `not-ready` and `unschedulable` taints follow the node.
fn keep_taints(raw: &Value, key: &ObjectName, hands: &Hands) {
    let wanted = [
        ("node.kubernetes.io/not-ready", !conditions::is_true(raw, "Ready")),
        ("node.kubernetes.io/unschedulable", raw["spec"]["unschedulable"] == true),
    ];
    let taints = raw["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |name: &str| taints.iter().any(|taint| taint["key"] == name && taint["effect"] == "NoSchedule");
    if wanted.iter().all(|(name, wanted)| has(name) == *wanted) {
        return;
    }
    hands.edit("Node", key, |node| {
        if !node["spec"]["taints"].is_array() {
            node["spec"]["taints"] = json!([]);
        }
        let Some(taints) = node["spec"]["taints"].as_array_mut() else { return };
        for (name, wanted) in wanted {
            let there = taints.iter().any(|taint| taint["key"] == name && taint["effect"] == "NoSchedule");
            if wanted && !there {
                taints.push(json!({"key": name, "effect": "NoSchedule", "timeAdded": stamp(hands.now)}));
            } else if !wanted {
                taints.retain(|taint| taint["key"] != name);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{bare, workload};
    use crate::world::pods_not_running;

    #[tokio::test(start_paused = true)]
    async fn pods_take_their_time_to_start_and_to_end() {
        let (server, _, _world) = bare(&["n1"]).await;
        server.create(workload("ReplicaSet", "web", 1, &json!({}))).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(pods_not_running(&server).len(), 1);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(pods_not_running(&server), Vec::<String>::new());
        let pod = server.list("Pod")[0].clone();
        let name = pod["metadata"]["name"].as_str().unwrap();
        assert!(conditions::is_true(&pod, "Ready") && pod["status"]["podIP"].is_string());
        server.delete("Pod", Some("default"), name, &DeleteOptions::default()).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(server.get("Pod", Some("default"), name).is_some());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(server.get("Pod", Some("default"), name).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn taints_follow_cordon_and_readiness_and_pods_of_a_lost_node_go() {
        let (server, _, _world) = bare(&["n1", "n2"]).await;
        server.create(workload("ReplicaSet", "web", 2, &json!({}))).unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        server.update("Node", None, "n1", |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let taints = |name: &str| server.get("Node", None, name).unwrap()["spec"]["taints"].clone();
        assert_eq!(taints("n1")[0]["key"], "node.kubernetes.io/unschedulable");
        server.update("Node", None, "n1", |node| node["spec"]["unschedulable"] = json!(false)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(taints("n1"), Value::Null);
        server.delete("Node", None, "n1", &DeleteOptions::default()).unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let nodes: Vec<Value> = server.list("Pod").iter().map(|pod| pod["spec"]["nodeName"].clone()).collect();
        assert_eq!(nodes, ["n2", "n2"]);
    }
}
