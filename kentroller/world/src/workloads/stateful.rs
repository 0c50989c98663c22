//! The StatefulSet controller: each pod that has gone comes back under its name.
//!
//! Absent: rollouts, order of starts, and the claims on volumes, which stay.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kentroller_planner::manifest::ObjectName;
use serde_json::{Value, json};

use super::generation;
use crate::actor::Actor;
use crate::hands::Hands;
use crate::seen::{Kind, News, Seen, controller, is_leaving, uid};

/// The controller, and how the pods were made that it has seen.
#[derive(Debug, Default)]
pub(crate) struct StatefulSets {
    made: BTreeMap<String, BTreeMap<ObjectName, Value>>,
}

impl StatefulSets {
    fn learn(&mut self, seen: &Seen, news: &News) {
        for (key, pod) in news.of(Kind::Pod).filter_map(|key| seen.pods.get_key_value(key)) {
            if pod.owner_kind() != "StatefulSet" {
                continue;
            }
            let Some(owner) = controller(&pod.raw) else { continue };
            self.made.entry(owner.to_owned()).or_default().entry(key.clone()).or_insert_with(|| again(&pod.raw));
        }
    }

    fn reconcile(&self, key: &ObjectName, set: &Value, seen: &Seen, hands: &Hands) {
        let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
        for (name, pod) in self.made.get(uid(set)).into_iter().flatten().take(wanted) {
            if !seen.pods.contains_key(name) {
                hands.create(pod.clone());
            }
        }
        let ready = seen.of_owner(uid(set)).filter(|(_, pod)| pod.is_active() && pod.object.status.is_ready()).count();
        hands.edit_status("StatefulSet", key, |status| {
            *status = json!({"replicas": wanted, "readyReplicas": ready, "observedGeneration": generation(set)});
        });
    }
}

/// A pod before anything has become of it.
fn again(pod: &Value) -> Value {
    let told = |field: &str| pod["metadata"][field].clone();
    let mut spec = pod["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("nodeName");
    }
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": spec,
        "metadata": {
            "name": told("name"), "namespace": told("namespace"), "labels": told("labels"),
            "annotations": told("annotations"), "ownerReferences": told("ownerReferences"),
        },
    })
}

impl Actor for StatefulSets {
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        self.learn(seen, news);
        for (key, set) in seen.plain(Kind::StatefulSet) {
            let touched = news.touched.get(&Kind::StatefulSet).is_some_and(|keys| keys.contains(key));
            if (touched || news.owners.contains(uid(set))) && !is_leaving(set) {
                self.reconcile(key, set, seen, hands);
            }
        }
        None
    }
}
