//! The Deployment controller: one ReplicaSet per template, the old ones scaled down as the new one becomes ready.
//!
//! Absent: pauses, progress deadlines, revision history; a rollout keeps all replicas and adds at most a quarter.

use jiff::Timestamp;
use kentroller_planner::manifest::ObjectName;
use serde_json::{Value, json};

use super::{generation, owner_reference};
use crate::actor::Actor;
use crate::conditions;
use crate::entropy::Entropy;
use crate::hands::Hands;
use crate::seen::{Kind, News, Seen, controller, is_leaving, uid};

/// The controller.
#[derive(Debug)]
pub(crate) struct Deployments;

const HASH: &str = "pod-template-hash";

/// The hash that names a template's ReplicaSet; an own one, like nothing that Kubernetes computes.
fn hash(template: &Value) -> String {
    let seed = template
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Entropy::seeded(seed).suffix(9)
}

/// The ReplicaSet of a Deployment's present template.
pub(crate) fn replica_set_of(deployment: &Value, replicas: i64) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    let hash = hash(&template);
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    let name = format!("{}-{hash}", deployment["metadata"]["name"].as_str().unwrap_or_default());
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": deployment["metadata"]["namespace"], "labels": template["metadata"]["labels"],
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    })
}

fn count(object: &Value, part: &str, field: &str) -> i64 {
    object[part][field].as_i64().unwrap_or_default()
}

fn reconcile(key: &ObjectName, deployment: &Value, seen: &Seen, hands: &Hands) {
    let sets: Vec<(&ObjectName, &std::sync::Arc<Value>)> =
        seen.plain(Kind::ReplicaSet).filter(|(_, set)| controller(set) == Some(uid(deployment))).collect();
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let current = replica_set_of(deployment, wanted);
    let is_current = |set: &Value| set["metadata"]["name"] == current["metadata"]["name"];
    let old: i64 = sets.iter().filter(|(_, set)| !is_current(set)).map(|(_, set)| count(set, "spec", "replicas")).sum();
    match sets.iter().find(|(_, set)| is_current(set)) {
        None => drop(hands.create(replica_set_of(deployment, if old == 0 { wanted } else { (wanted + 3) / 4 }))),
        Some((new_key, new)) => {
            let ready = count(new, "status", "readyReplicas").min(count(new, "spec", "replicas"));
            let keep = (wanted - ready).clamp(0, old);
            let surge = wanted + (wanted + 3) / 4;
            scale(new_key, new, if old == 0 { wanted } else { (surge - keep).min(wanted) }, hands);
            let mut left = keep;
            for (set_key, set) in sets.iter().filter(|(_, set)| !is_current(set)) {
                let share = count(set, "spec", "replicas").min(left);
                left -= share;
                scale(set_key, set, share, hands);
            }
        }
    }
    let sum = |field: &str| sets.iter().map(|(_, set)| count(set, "status", field)).sum::<i64>();
    let updated = sets.iter().filter(|(_, set)| is_current(set)).map(|(_, set)| count(set, "status", "replicas")).sum();
    let (replicas, ready) = (sum("replicas"), sum("readyReplicas"));
    hands.edit_status("Deployment", key, |status| {
        report(status, [replicas, updated, ready], wanted, generation(deployment), hands.now);
    });
}

/// The status of a Deployment with these counts of pods: all, of the present template, ready.
fn report(status: &mut Value, [all, updated, ready]: [i64; 3], wanted: i64, generation: i64, now: Timestamp) {
    status["observedGeneration"] = json!(generation);
    for (field, number) in [
        ("replicas", all),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("unavailableReplicas", (wanted - ready).max(0)),
    ] {
        status[field] = if number == 0 { Value::Null } else { json!(number) };
    }
    let (truth, reason) = if ready >= wanted - wanted / 4 {
        ("True", "MinimumReplicasAvailable")
    } else {
        ("False", "MinimumReplicasUnavailable")
    };
    conditions::set(status, "Available", truth, reason, "", now);
}

fn scale(key: &ObjectName, set: &Value, replicas: i64, hands: &Hands) {
    if count(set, "spec", "replicas") != replicas {
        hands.edit("ReplicaSet", key, |set| set["spec"]["replicas"] = json!(replicas));
    }
}

impl Actor for Deployments {
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        for (key, deployment) in seen.plain(Kind::Deployment) {
            let touched = news.touched.get(&Kind::Deployment).is_some_and(|keys| keys.contains(key));
            if (touched || news.owners.contains(uid(deployment))) && !is_leaving(deployment) {
                reconcile(key, deployment, seen, hands);
            }
        }
        None
    }
}
