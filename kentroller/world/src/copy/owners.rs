//! The pods, and somebody who makes each of them again.
//!
//! A dump seldom has the owners of pods, and of most kinds only their own controllers know what they do. So each owner that keeps
//! a number of pods is played by a ReplicaSet with its uid, whose template is one of the pods; a StatefulSet by itself.

use std::collections::BTreeMap;

use kentroller_runtime::simulation::apiserver::ApiServer;
use serde_json::{Value, json};

use super::{Dumped, Uncopied, fill, seed};
use crate::hands::text;
use crate::seen::is_leaving;
use crate::workloads::PLAYS;

/// Kind, namespace and name of an owner.
type Key = (String, String, String);

/// An owner, and what there is of it.
#[derive(Debug, Default)]
struct Owner<'a> {
    uid: String,
    /// As pods refer to it.
    reference: Value,
    /// Pods that run or wait.
    pods: Vec<&'a Value>,
}

pub(super) fn controller(pod: &Value) -> Option<&Value> {
    pod["metadata"]["ownerReferences"].as_array()?.iter().find(|owner| owner["controller"] == true)
}

fn key_of(pod: &Value, owner: &Value) -> Key {
    (text(&owner["kind"]), namespace(pod), text(&owner["name"]))
}

fn namespace(object: &Value) -> String {
    object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned()
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Puts owners and pods on the server. Pods that are being deleted are taken as gone.
pub(super) fn put(dumped: &Dumped, server: &ApiServer, nodes: &BTreeMap<String, String>) -> Result<(), Uncopied> {
    let owners = owners(dumped);
    for daemon in dumped.of_kind("DaemonSet") {
        let key = ("DaemonSet".to_owned(), namespace(daemon), text(&daemon["metadata"]["name"]));
        let mut daemon = daemon.clone();
        if let Some(owner) = owners.get(&key) {
            daemon["metadata"]["uid"] = json!(owner.uid);
        }
        if daemon["spec"]["template"].is_object() {
            seed(server, daemon)?;
        }
    }
    for ((kind, namespace, name), owner) in &owners {
        let is_there = |kind: &str| server.get(kind, Some(namespace), name).is_some();
        let object = match kind.as_str() {
            "Node" => continue,
            "DaemonSet" if is_there("DaemonSet") => continue,
            _ => played(dumped, (kind, namespace, name), owner),
        };
        seed(server, object)?;
    }
    let pods = dumped.of_kind("Pod").iter().filter(|pod| !is_leaving(pod));
    for pod in pods {
        seed(server, copied(pod, &owners, nodes))?;
    }
    Ok(())
}

fn owners(dumped: &Dumped) -> BTreeMap<Key, Owner<'_>> {
    let mut owners: BTreeMap<Key, Owner<'_>> = BTreeMap::new();
    for pod in dumped.of_kind("Pod").iter().filter(|pod| !is_leaving(pod)) {
        let Some(reference) = controller(pod) else { continue };
        let key = key_of(pod, reference);
        let uid = match reference["uid"].as_str().unwrap_or_default() {
            "" => format!("{}-{}-{}", key.0, key.1, key.2),
            told => told.to_owned(),
        };
        let owner = owners.entry(key).or_default();
        owner.uid = uid;
        owner.reference = reference.clone();
        if !has_ended(pod) {
            owner.pods.push(pod);
        }
    }
    owners
}

/// The object that makes the pods of an owner again.
fn played(dumped: &Dumped, (kind, namespace, name): (&str, &str, &str), owner: &Owner<'_>) -> Value {
    let is_it = |object: &&Value| object["metadata"]["name"] == *name && self::namespace(object) == namespace;
    let told = dumped.of_kind(kind).iter().find(is_it).and_then(|object| object["spec"]["replicas"].as_u64());
    let replicas = if kind == "Job" { None } else { told };
    let (kind, name) = match kind {
        "DaemonSet" | "StatefulSet" | "ReplicaSet" => (kind.to_owned(), name.to_owned()),
        other => ("ReplicaSet".to_owned(), format!("{}.{name}", other.to_lowercase())),
    };
    let mut metadata = json!({"name": name, "namespace": namespace, "uid": owner.uid});
    if owner.reference["kind"] != *kind {
        metadata["annotations"] = json!({PLAYS: owner.reference.to_string()});
    }
    let template = owner.pods.first().map_or_else(|| json!({"metadata": {}, "spec": {}}), |pod| template(pod, &kind));
    let labels = template["metadata"]["labels"].clone();
    let mut spec = json!({"selector": {"matchLabels": labels}, "template": template});
    if kind != "DaemonSet" {
        spec["replicas"] = json!(replicas.unwrap_or(owner.pods.len() as u64));
    }
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// A template that makes pods like this one.
fn template(pod: &Value, kind: &str) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("nodeName");
    }
    if kind == "DaemonSet" {
        // Each pod of a daemon is bound to its node.
        if let Some(affinity) = spec["affinity"]["nodeAffinity"].as_object_mut() {
            affinity.remove("requiredDuringSchedulingIgnoredDuringExecution");
        }
    }
    let told = |field: &str| pod["metadata"][field].clone();
    json!({"metadata": {"labels": told("labels"), "annotations": told("annotations")}, "spec": spec})
}

/// A pod as it was, whose owner is the one on the server.
fn copied(pod: &Value, owners: &BTreeMap<Key, Owner<'_>>, nodes: &BTreeMap<String, String>) -> Value {
    let mut copy = pod.clone();
    let Some(reference) = controller(pod) else {
        if let Some(metadata) = copy["metadata"].as_object_mut() {
            metadata.remove("ownerReferences");
        }
        return copy;
    };
    let (key, mut reference) = (key_of(pod, reference), reference.clone());
    let node = text(&pod["spec"]["nodeName"]);
    let uid = if key.0 == "Node" { nodes.get(&key.2).or_else(|| nodes.get(&node)) } else { None };
    reference["uid"] = json!(uid.or_else(|| owners.get(&key).map(|owner| &owner.uid)));
    copy["metadata"]["ownerReferences"] = json!([reference]);
    let bound = |pod: &Value| pod["spec"]["affinity"]["nodeAffinity"].to_string().contains("matchFields");
    if key.0 == "DaemonSet" && !bound(pod) && !node.is_empty() {
        let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
        let terms = json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
        copy["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = terms;
    }
    if copy["status"]["phase"] == "Running" {
        fill(&mut copy["status"], "startTime", pod["metadata"]["creationTimestamp"].clone());
    }
    copy
}
