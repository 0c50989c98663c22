//! What the real server does to built-in kinds without a schema to read it from: only what this project can meet.

use serde_json::{Value, json};

use super::Served;
use super::object;

/// Whether the server counts changes of the spec of this kind.
pub(super) fn has_generation(served: &Served) -> bool {
    match served.group.as_str() {
        "" => matches!(served.kind.as_str(), "Pod" | "ReplicationController"),
        "coordination.k8s.io" | "events.k8s.io" | "rbac.authorization.k8s.io" => false,
        "storage.k8s.io" => served.crd.is_some(),
        _ => true,
    }
}

/// A kubelet registers its Node together with the status; every other status waits for its own write.
pub(super) fn keeps_status_on_create(served: &Served) -> bool {
    served.group.is_empty() && served.kind == "Node"
}

/// Defaults at creation.
pub(super) fn complete(served: &Served, object: &mut Value, seeded: bool) {
    if served.group.is_empty() && served.kind == "Pod" {
        complete_pod(object, seeded);
    }
    normalize(served, object);
}

fn complete_pod(pod: &mut Value, seeded: bool) {
    let spec = object::fields_mut(object::fields_mut(pod).entry("spec").or_insert_with(|| json!({})));
    for (field, default) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("enableServiceLinks", json!(true)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("priority", json!(0)),
        ("securityContext", json!({})),
    ] {
        spec.entry(field).or_insert(default);
    }
    tolerate_a_lost_node(spec.entry("tolerations").or_insert_with(|| json!([])));
    let class = quality_of_service(pod);
    let status = object::fields_mut(pod).entry("status").or_insert_with(|| json!({}));
    if !seeded || status.get("phase").is_none() {
        object::fields_mut(status).insert("phase".into(), json!("Pending"));
    }
    object::fields_mut(status).insert("qosClass".into(), json!(class));
}

/// The admission plugin DefaultTolerationSeconds.
fn tolerate_a_lost_node(tolerations: &mut Value) {
    let Value::Array(all) = tolerations else { return };
    for taint in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let known = all.iter().any(|one| {
            (one["key"] == taint || (one["key"].as_str().unwrap_or_default().is_empty() && one["operator"] == "Exists"))
                && (one["effect"] == "NoExecute" || one["effect"].as_str().unwrap_or_default().is_empty())
        });
        if !known {
            all.push(json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}

fn quality_of_service(pod: &Value) -> &'static str {
    let containers = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let part = |container: &Value, side: &str, name: &str| container["resources"][side].get(name).cloned();
    let any = |container: &Value| {
        ["cpu", "memory"]
            .iter()
            .any(|name| part(container, "requests", name).is_some() || part(container, "limits", name).is_some())
    };
    let full = |container: &Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = part(container, "limits", name);
            limit.is_some() && part(container, "requests", name).is_none_or(|request| Some(request) == limit)
        })
    };
    if !containers.iter().any(any) {
        "BestEffort"
    } else if containers.iter().all(full) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Leaves out what the server's own types leave out of the JSON: nulls, and the empty fields that we write.
pub(super) fn normalize(served: &Served, object: &mut Value) {
    if served.crd.is_some() {
        return;
    }
    drop_nulls(object);
    if served.group.is_empty()
        && served.kind == "Node"
        && let Some(Value::Object(spec)) = object.get_mut("spec")
    {
        spec.retain(|field, value| match field.as_str() {
            "unschedulable" => *value == json!(true),
            "taints" => value.as_array().is_none_or(|taints| !taints.is_empty()),
            _ => true,
        });
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The seconds a pod gets to end: none when it runs nowhere or has ended.
pub(super) fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    let unscheduled = pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if unscheduled || ended {
        return 0;
    }
    asked.or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30)
}
