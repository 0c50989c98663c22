//! The controllers of workloads: Deployments, ReplicaSets, StatefulSets, DaemonSets and disruption budgets.

mod budgets;
mod daemons;
mod deployments;
mod replicas;
mod stateful;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::entropy::Entropy;
use crate::seen::uid;

pub(crate) use budgets::Budgets;
pub(crate) use daemons::{Daemons, belongs as daemon_belongs, daemon_pod, spec_of as daemon_spec};
pub(crate) use deployments::{Deployments, replica_set_of};
pub(crate) use replicas::ReplicaSets;
pub(crate) use stateful::StatefulSets;

/// On a ReplicaSet that plays an owner of another kind: how pods refer to that owner.
pub(crate) const PLAYS: &str = "simulation/plays";

/// A pod of an owner's template, named after the owner with a random ending.
pub(crate) fn pod_of(owner: &Value, entropy: &mut Entropy) -> Value {
    let template = &owner["spec"]["template"];
    let name = format!("{}-{}", owner["metadata"]["name"].as_str().unwrap_or_default(), entropy.suffix(5));
    let mut metadata = json!({
        "name": name, "namespace": owner["metadata"]["namespace"], "ownerReferences": [owner_reference(owner)],
    });
    for field in ["labels", "annotations"] {
        if template["metadata"][field].is_object() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// The reference that makes an object the controller of another.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    let played = owner["metadata"]["annotations"][PLAYS].as_str().and_then(|text| serde_json::from_str(text).ok());
    if let Some(Value::Object(mut reference)) = played {
        reference.insert("uid".to_owned(), json!(uid(owner)));
        return Value::Object(reference);
    }
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": uid(owner), "controller": true, "blockOwnerDeletion": true,
    })
}

/// The selector of a workload or a budget; `None` when it is absent or does not decode.
pub(crate) fn selector(object: &Value) -> Option<kentroller_planner::manifest::LabelSelector> {
    serde_json::from_value(object["spec"].get("selector")?.clone()).ok()
}

fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or_default()
}
