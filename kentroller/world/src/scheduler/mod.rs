//! kube-scheduler: binds pods, highest priority and longest waiting first, and says of the rest why they wait.
//!
//! Absent: preemption, profiles; it places pods of other schedulers as well.

pub(crate) mod filter;
pub(crate) mod score;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::ObjectName;
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::conditions;
use crate::entropy::Entropy;
use crate::hands::{Hands, after, sooner};
use crate::room::Class;
use crate::seen::{Kind, KnownPod, News, Seen, time, uid};
use score::Chooser;

/// The scheduler and what it remembers of pods that it could not place.
#[derive(Debug)]
pub(crate) struct Scheduler {
    chooser: Chooser,
    /// By uid: how often a pod was tried, and until when it is left alone.
    tried: BTreeMap<String, (u32, Timestamp)>,
    /// Something changed that may have made room.
    stirred: bool,
}

impl Scheduler {
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self { chooser: Chooser::new(entropy), tried: BTreeMap::new(), stirred: false }
    }

    /// The pods to try now, in the queue's order, and when the next one leaves its backoff.
    fn queue(&self, seen: &Seen, now: Timestamp) -> (Vec<ObjectName>, Option<Timestamp>) {
        let mut due: Vec<(i32, Timestamp, ObjectName)> = Vec::new();
        let mut next = None;
        for key in &seen.unbound {
            let Some(pod) = seen.pods.get(key).filter(|pod| pod.is_active() && !is_gated(pod)) else { continue };
            match self.tried.get(uid(&pod.raw)) {
                Some((_, until)) if *until > now => {
                    if self.stirred {
                        next = sooner(next, Some(*until));
                    }
                }
                Some(_) if !self.stirred => {}
                _ => {
                    let since = time(&pod.raw, "creationTimestamp").unwrap_or_default();
                    due.push((-pod.object.spec.shape.priority, since, key.clone()));
                }
            }
        }
        due.sort();
        (due.into_iter().map(|(_, _, key)| key).collect(), next)
    }
}

impl Actor for Scheduler {
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        self.stirred |= news.any(&[Kind::Node]) || news.of(Kind::Pod).any(|key| makes_room(seen, key));
        if seen.unbound.is_empty() {
            self.tried.clear();
            self.stirred = false;
            return None;
        }
        let (queue, next) = self.queue(seen, hands.now);
        if next.is_none() {
            self.stirred = false;
        }
        if queue.is_empty() {
            return next;
        }
        let mut rooms = seen.rooms();
        for key in queue {
            let pod = &seen.pods[&key];
            match self.chooser.choose(&pod.object, &rooms) {
                Ok(at) => {
                    let class = rooms.class(Class::of(&pod.object));
                    rooms.seat(at, class, pod.amounts, true);
                    self.tried.remove(uid(&pod.raw));
                    bind(&key, &rooms.list[at].name, hands);
                }
                Err(misses) => {
                    let (times, _) = self.tried.get(uid(&pod.raw)).copied().unwrap_or((0, hands.now));
                    let wait = Duration::from_secs(1 << times.min(3)).min(Duration::from_secs(10));
                    self.tried.insert(uid(&pod.raw).to_owned(), (times + 1, after(hands.now, wait)));
                    refuse(&key, &pod.raw, &misses.message(rooms.list.len()), hands);
                }
            }
        }
        next
    }
}

/// Whether somebody else has not let the pod go yet.
fn is_gated(pod: &KnownPod) -> bool {
    pod.raw["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty())
}

/// Whether a touched pod may have freed something: it has gone, is ending, or it was bound and now counts for spread.
fn makes_room(seen: &Seen, key: &ObjectName) -> bool {
    seen.pods.get(key).is_none_or(|pod| !pod.object.spec.node_name.is_empty())
}

fn bind(key: &ObjectName, node: &str, hands: &Hands) {
    hands.edit("Pod", key, |pod| pod["spec"]["nodeName"] = json!(node));
    hands.edit_status("Pod", key, |status| conditions::set(status, "PodScheduled", "True", "", "", hands.now));
}

fn refuse(key: &ObjectName, raw: &Value, message: &str, hands: &Hands) {
    let known = conditions::get(raw, "PodScheduled").is_some();
    hands.edit_status("Pod", key, |status| {
        conditions::set(status, "PodScheduled", "False", "Unschedulable", message, hands.now);
    });
    if !known {
        hands.event(raw, "Warning", "FailedScheduling", message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{bare, places, workload};

    #[tokio::test(start_paused = true)]
    async fn a_pod_waits_with_a_reason_until_there_is_room() {
        let (server, _, _world) = bare(&["n1"]).await;
        server.update("Node", None, "n1", |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
        server.create(workload("ReplicaSet", "web", 1, &json!({}))).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let pod = server.list("Pod")[0].clone();
        let (truth, reason, _) = conditions::get(&pod, "PodScheduled").unwrap();
        assert_eq!((truth, reason), ("False", "Unschedulable"));
        let before = server.revision();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(server.writes(before), vec![], "waiting writes nothing");
        server.update("Node", None, "n1", |node| node["spec"]["unschedulable"] = json!(false)).unwrap();
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(places(&server, "web"), ["n1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_higher_priority_gets_the_last_room() {
        let (server, _, _world) = bare(&["n1"]).await;
        server.update("Node", None, "n1", |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
        server.create(workload("ReplicaSet", "low", 4, &json!({}))).unwrap();
        server.create(workload("ReplicaSet", "high", 3, &json!({"priority": 10}))).unwrap();
        tokio::time::sleep(Duration::from_secs(15)).await;
        server.update("Node", None, "n1", |node| node["spec"]["unschedulable"] = json!(false)).unwrap();
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(places(&server, "high"), ["n1"; 3]);
        assert_eq!(places(&server, "low"), ["-", "-", "-", "n1"]);
    }
}
