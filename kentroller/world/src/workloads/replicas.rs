//! The ReplicaSet controller: as many pods as asked for, and what became of them.

use jiff::Timestamp;
use kentroller_planner::manifest::ObjectName;
use kentroller_runtime::simulation::apiserver::DeleteOptions;
use serde_json::{Value, json};

use super::{generation, pod_of};
use crate::actor::Actor;
use crate::entropy::Entropy;
use crate::hands::Hands;
use crate::seen::{Kind, KnownPod, News, Seen, is_leaving, time, uid};

/// The controller.
#[derive(Debug)]
pub(crate) struct ReplicaSets {
    entropy: Entropy,
}

impl ReplicaSets {
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self { entropy }
    }

    fn reconcile(&mut self, key: &ObjectName, set: &Value, seen: &Seen, hands: &Hands) {
        let pods: Vec<(&ObjectName, &KnownPod)> = seen.of_owner(uid(set)).filter(|(_, pod)| pod.is_active()).collect();
        let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
        for _ in pods.len()..wanted {
            hands.create(pod_of(set, &mut self.entropy));
        }
        if pods.len() > wanted {
            for (pod, known) in leaving_first(&pods, seen).into_iter().take(pods.len() - wanted) {
                let options = DeleteOptions { uid: Some(uid(&known.raw).to_owned()), ..DeleteOptions::default() };
                hands.delete("Pod", pod, &options);
            }
        }
        let ready = pods.iter().filter(|(_, pod)| pod.object.status.is_ready()).count();
        hands.edit_status("ReplicaSet", key, |status| {
            *status = status_of(pods.len(), ready, generation(set));
        });
    }
}

/// The status of a ReplicaSet; counts of zero are left out, as the real type leaves them out.
fn status_of(pods: usize, ready: usize, generation: i64) -> Value {
    let mut status = json!({"replicas": pods, "observedGeneration": generation});
    for (field, count) in [("fullyLabeledReplicas", pods), ("readyReplicas", ready), ("availableReplicas", ready)] {
        if count > 0 {
            status[field] = json!(count);
        }
    }
    status
}

/// The order in which surplus pods go: without a node, not running, not ready, cheap to delete, crowded with their like, young.
fn leaving_first<'a>(pods: &[(&'a ObjectName, &'a KnownPod)], seen: &Seen) -> Vec<(&'a ObjectName, &'a KnownPod)> {
    let rank = |pod: &KnownPod| {
        let node = &pod.object.spec.node_name;
        let cost = pod.raw["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"].as_str();
        let alike = seen.on_node(node).filter(|(_, other)| other.owner_uid() == pod.owner_uid()).count();
        (
            !node.is_empty(),
            &*pod.object.status.phase == "Running",
            pod.object.status.is_ready(),
            cost.and_then(|cost| cost.parse::<i64>().ok()).unwrap_or(0),
            std::cmp::Reverse(alike),
            std::cmp::Reverse(time(&pod.raw, "creationTimestamp")),
        )
    };
    let mut order = pods.to_vec();
    order.sort_by_key(|(key, pod)| (rank(pod), *key));
    order
}

impl Actor for ReplicaSets {
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        for (key, set) in seen.plain(Kind::ReplicaSet) {
            let touched = news.touched.get(&Kind::ReplicaSet).is_some_and(|keys| keys.contains(key));
            if (touched || news.owners.contains(uid(set))) && !is_leaving(set) {
                self.reconcile(key, set, seen, hands);
            }
        }
        None
    }
}
