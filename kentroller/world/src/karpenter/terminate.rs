//! From a deleted NodeClaim to nothing: taint, drain through disruption budgets in four tiers, end of the instance.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kentroller_planner::manifest::{Effect, Node, NodeClaim, ObjectName, Taint};
use kentroller_runtime::simulation::apiserver::DeleteOptions;
use serde_json::{Value, json};

use super::disrupt::taint;
use super::launch::has_finalizer;
use super::{DISRUPTED, DO_NOT_DISRUPT, FINALIZER, Karpenter};
use crate::conditions;
use crate::hands::{Hands, after, sooner, stamp, wide};
use crate::readings::spans;
use crate::room::tolerates;
use crate::seen::{Kind, Known, KnownPod, News, Seen, time, uid};

const EXCLUDE_FROM_BALANCERS: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
const ENDS_AT: &str = "karpenter.sh/nodeclaim-termination-timestamp";
/// Karpenter drains for at least this long.
const SHORTEST_DRAIN: Duration = Duration::from_secs(5);
/// A pod that is this late to end is no longer waited for.
const LATE: SignedDuration = SignedDuration::from_secs(60);

impl Karpenter {
    /// Takes a deleted claim one step further.
    pub(super) fn terminate(&mut self, claim: &Known<NodeClaim>, seen: &Seen, hands: &Hands) -> Option<Timestamp> {
        let key = wide(&claim.object.metadata.name);
        if !has_finalizer(&claim.raw) {
            return None;
        }
        let node = seen.node_of(&claim.object);
        if let Some(node) = node {
            let node_key = wide(&node.object.metadata.name);
            if !node.is_leaving() {
                hands.delete("Node", &node_key, &DeleteOptions::default());
                return None;
            }
            let deadline = deadline(claim, &key, hands);
            mark(&node.raw, &node_key, hands);
            if let Some(waits) = self.drain(claim, &key, node, deadline, seen, hands) {
                return waits;
            }
        }
        let ending = conditions::true_since(&claim.raw, "InstanceTerminating");
        let gone = if claim.object.status.provider_id.is_empty() {
            Some(hands.now)
        } else {
            ending.map(|at| after(at, self.timings.terminate))
        };
        match gone {
            None => {
                hands.edit_status("NodeClaim", &key, |status| {
                    conditions::set(status, "InstanceTerminating", "True", "InstanceTerminating", "", hands.now);
                });
                None
            }
            Some(at) if at > hands.now => Some(at),
            Some(_) => {
                if let Some(node) = node {
                    hands.edit("Node", &wide(&node.object.metadata.name), drop_finalizer);
                }
                hands.edit("NodeClaim", &key, drop_finalizer);
                None
            }
        }
    }

    /// Drains a node; `None` when nothing is left to wait for, else when to look again (if not only for news).
    fn drain(
        &mut self,
        claim: &Known<NodeClaim>,
        key: &ObjectName,
        node: &Known<Node>,
        deadline: Option<Timestamp>,
        seen: &Seen,
        hands: &Hands,
    ) -> Option<Option<Timestamp>> {
        if conditions::is_true(&claim.raw, "Drained") {
            return None;
        }
        let Some((_, _, since)) = conditions::get(&claim.raw, "Drained") else {
            hands.edit_status("NodeClaim", key, |status| {
                conditions::set(status, "Drained", "Unknown", "Draining", "", hands.now);
            });
            return Some(None);
        };
        let pods: Vec<(&ObjectName, &KnownPod)> =
            seen.on_node(&node.object.metadata.name).filter(|(_, pod)| is_drained(pod, hands.now)).collect();
        let mut next = None;
        if let Some(deadline) = deadline {
            next = sooner(next, force(&pods, deadline, hands));
        }
        let earliest = after(since, SHORTEST_DRAIN);
        if pods.is_empty() {
            if hands.now < earliest {
                return Some(Some(earliest));
            }
            hands.edit_status("NodeClaim", key, |status| {
                for kind in ["Drained", "VolumesDetached"] {
                    conditions::set(status, kind, "True", kind, "", hands.now);
                }
            });
            return Some(None);
        }
        let tier = pods.iter().map(|(_, pod)| tier(pod)).min().unwrap_or(0);
        for (name, pod) in
            pods.iter().filter(|(_, pod)| self::tier(pod) == tier && !pod.is_leaving() && !is_kept(pod, hands.now))
        {
            next = sooner(next, self.evict(name, pod, hands));
        }
        let late = pods.iter().filter_map(|(_, pod)| time(&pod.raw, "deletionTimestamp")?.saturating_add(LATE).ok());
        Some(sooner(next, late.filter(|at| *at > hands.now).min()))
    }

    fn evict(&mut self, key: &ObjectName, pod: &KnownPod, hands: &Hands) -> Option<Timestamp> {
        let id = uid(&pod.raw).to_owned();
        let (times, at) = self.refused.get(&id).copied().unwrap_or((0, hands.now));
        if at > hands.now {
            return Some(at);
        }
        let options = DeleteOptions { uid: Some(id.clone()), ..DeleteOptions::default() };
        match hands.server.evict(&key.namespace, &key.name, &options) {
            Ok(()) => {
                self.refused.remove(&id);
                None
            }
            Err(refusal) if matches!(refusal.code, 429 | 500) => {
                let again = after(hands.now, Duration::from_millis(100 << times.min(7)).min(Duration::from_secs(10)));
                self.refused.insert(id, (times + 1, again));
                Some(again)
            }
            Err(_) => None,
        }
    }
}

/// With a termination grace period: pods that would outlive it are told to end in time, whatever guards them.
fn force(pods: &[(&ObjectName, &KnownPod)], deadline: Timestamp, hands: &Hands) -> Option<Timestamp> {
    let mut next = None;
    for (key, pod) in pods {
        let grace = pod.raw["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
        let at = deadline.saturating_sub(SignedDuration::from_secs(grace)).unwrap_or(hands.now);
        if pod.is_leaving() {
            continue;
        }
        if hands.now < at {
            next = sooner(next, Some(at));
            continue;
        }
        let left = deadline.duration_since(hands.now).as_secs().clamp(1, grace.max(1));
        let options = DeleteOptions {
            uid: Some(uid(&pod.raw).to_owned()),
            grace_period_seconds: Some(left),
            ..DeleteOptions::default()
        };
        hands.delete("Pod", key, &options);
    }
    next
}

/// A Node that somebody deleted takes its claim with it.
pub(super) fn follow_deleted_nodes(seen: &Seen, news: &News, hands: &Hands) {
    for key in news.of(Kind::Node) {
        let leaving = seen.nodes.get(&key.name).is_none_or(|node| node.is_leaving());
        let claim = seen.claims.values().find(|claim| *claim.object.status.node_name == *key.name);
        if let Some(claim) = claim.filter(|claim| leaving && !claim.is_leaving()) {
            hands.delete("NodeClaim", &wide(&claim.object.metadata.name), &DeleteOptions::default());
        }
    }
}

/// When the node ends by force, noted on the claim at its deletion.
fn deadline(claim: &Known<NodeClaim>, key: &ObjectName, hands: &Hands) -> Option<Timestamp> {
    if let Some(noted) = claim.raw["metadata"]["annotations"][ENDS_AT].as_str() {
        return noted.parse().ok();
    }
    let period = spans::seconds(claim.raw["spec"]["terminationGracePeriod"].as_str()?)?;
    let deleted = time(&claim.raw, "deletionTimestamp")?;
    let at = deleted.saturating_add(SignedDuration::from_secs(period)).ok()?;
    hands.edit("NodeClaim", key, |object| object["metadata"]["annotations"][ENDS_AT] = json!(stamp(at)));
    Some(at)
}

/// The node takes no new pods and leaves the load balancers.
fn mark(raw: &Value, key: &ObjectName, hands: &Hands) {
    let taints = raw["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    if taints.iter().any(|taint| taint["key"] == DISRUPTED)
        && raw["metadata"]["labels"][EXCLUDE_FROM_BALANCERS].is_string()
    {
        return;
    }
    hands.edit("Node", key, |node| {
        node["metadata"]["labels"][EXCLUDE_FROM_BALANCERS] = json!("karpenter");
        taint(node);
    });
}

fn drop_finalizer(object: &mut Value) {
    if let Some(all) = object["metadata"]["finalizers"].as_array_mut() {
        all.retain(|one| one != FINALIZER);
    }
}

/// Whether the drain is about this pod: not a static one, none that tolerates the drain, none that is long overdue.
fn is_drained(pod: &KnownPod, now: Timestamp) -> bool {
    let disrupted =
        Taint { key: DISRUPTED.into(), value: String::new(), effect: Effect::NoSchedule, ..Taint::default() };
    let overdue = time(&pod.raw, "deletionTimestamp").is_some_and(|at| now.duration_since(at) > LATE);
    !pod.object.status.is_finished()
        && pod.owner_kind() != "Node"
        && !tolerates(&pod.object.spec.shape.tolerations, &disrupted)
        && !overdue
}

/// Whether the pod forbids its eviction: `true`, or for a duration from its start.
pub(crate) fn is_kept(pod: &KnownPod, now: Timestamp) -> bool {
    match pod.object.metadata.annotations.get(DO_NOT_DISRUPT).map(String::as_str) {
        None => false,
        Some("true") => true,
        Some(text) => {
            spans::seconds(text).filter(|span| *span > 0).is_some_and(|span| match pod.object.status.start_time {
                None => true,
                Some(start) => now.as_second() < start.0.saturating_add(span),
            })
        }
    }
}

/// The four tiers of a drain: critical pods after the others, daemons after the rest within each.
fn tier(pod: &KnownPod) -> u8 {
    let class = pod.object.spec.shape.priority_class_name.as_str();
    let critical = matches!(class, "system-cluster-critical" | "system-node-critical");
    u8::from(critical) * 2 + u8::from(pod.is_daemon())
}
