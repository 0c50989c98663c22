//! A generated cluster as `kubectl get -A -o json` prints it, object by object.

use serde::Serialize;
use serde_json::{Value, json};

use crate::value::Snapshot;

/// Adds what is missing.
type Complete = fn(&mut Value);

/// The items of the list. `whole`: with the fields that an API server sends and planning does not read, some 3 kB a pod.
pub fn items(snapshot: &Snapshot, whole: bool) -> impl Iterator<Item = String> {
    let none: Complete = |_| {};
    let (node, pod) = if whole { (whole_node as Complete, whole_pod as Complete) } else { (none, none) };
    let daemon_sets = snapshot.daemon_sets.as_deref().unwrap_or_default();
    texts("Node", &snapshot.nodes, node)
        .chain(texts("Pod", &snapshot.pods, pod))
        .chain(texts("NodePool", &snapshot.node_pools, none))
        .chain(texts("NodeClaim", &snapshot.node_claims, none))
        .chain(texts("PodDisruptionBudget", &snapshot.pdbs, none))
        .chain(texts("DaemonSet", daemon_sets, none))
        .chain(texts("PersistentVolume", &snapshot.persistent_volumes, none))
        .chain(texts("PersistentVolumeClaim", &snapshot.persistent_volume_claims, none))
}

fn texts<T: Serialize>(kind: &str, objects: &[T], complete: Complete) -> impl Iterator<Item = String> {
    objects.iter().map(move |object| {
        let mut value = serde_json::to_value(object).expect("an object is plain JSON");
        value["kind"] = kind.into();
        complete(&mut value);
        prune(&mut value);
        value.to_string()
    })
}

/// Leaves out what an API server leaves out: fields that say nothing.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, field| {
                !matches!(field, Value::Null) && *field != json!("") && *field != json!([]) && *field != json!({})
            });
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

const AT: &str = "2026-11-23T02:00:00Z";

/// What else an API server tells of a pod.
fn whole_pod(pod: &mut Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, owner) = (text(&pod["metadata"]["name"]), text(&pod["metadata"]["ownerReferences"][0]["name"]));
    pod["apiVersion"] = "v1".into();
    let metadata = &mut pod["metadata"];
    metadata["generateName"] = format!("{owner}-7c9d5f6b8-").into();
    metadata["resourceVersion"] = "123456789".into();
    metadata["annotations"]["checksum/config"] =
        "4f1c2a9e3b7d4e859c600d1c2b5e0d1c2b4f1c2a9e3b7d4e859c600d1c2b5e0d1".into();
    metadata["annotations"]["prometheus.io/scrape"] = "true".into();
    metadata["ownerReferences"][0]["apiVersion"] = "apps/v1".into();
    metadata["ownerReferences"][0]["blockOwnerDeletion"] = true.into();
    let requests = pod["spec"]["containers"][0]["resources"]["requests"].clone();
    let container = &mut pod["spec"]["containers"][0];
    container["image"] = format!("registry.example.com/{owner}/main:v1.4.2").into();
    container["imagePullPolicy"] = "IfNotPresent".into();
    container["env"] = json!([{"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        {"name": "UPSTREAM", "value": format!("http://{owner}.apps.svc.cluster.local:8080/v1?mode=\"strict\"")}]);
    container["readinessProbe"] = json!({"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "failureThreshold": 3,
        "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1});
    container["terminationMessagePath"] = "/dev/termination-log".into();
    container["terminationMessagePolicy"] = "File".into();
    container["volumeMounts"] = json!([{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access", "readOnly": true}]);
    let container = container["name"].clone();
    let spec = &mut pod["spec"];
    for (key, value) in [("dnsPolicy", "ClusterFirst"), ("restartPolicy", "Always"), ("serviceAccountName", "default")]
    {
        spec[key] = value.into();
    }
    spec["enableServiceLinks"] = true.into();
    spec["terminationGracePeriodSeconds"] = 30.into();
    let late = |key: &str| json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    if let Some(tolerations) = spec["tolerations"].as_array_mut() {
        tolerations.extend(["not-ready", "unreachable"].map(late));
    }
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        volumes.push(json!({"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}}));
    }
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": AT});
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let status = &mut pod["status"];
    status["conditions"] = conditions.map(condition).to_vec().into();
    status["containerStatuses"] = json!([{"name": container, "ready": true, "started": true, "restartCount": 0,
        "image": format!("registry.example.com/{owner}/main:v1.4.2"),
        "imageID": format!("registry.example.com/{owner}/main@sha256:{:064x}", name.len()), "containerID": format!("containerd://{:064x}", 7),
        "state": {"running": {"startedAt": AT}}, "allocatedResources": requests, "resources": {"requests": requests}}]);
    for (key, value) in [("hostIP", "10.0.1.7"), ("podIP", "10.64.12.3"), ("qosClass", "Burstable")] {
        status[key] = value.into();
    }
}

/// What else an API server tells of a node: images above all.
fn whole_node(node: &mut Value) {
    node["apiVersion"] = "v1".into();
    let image = |one: i32| json!({"names": [format!("registry.example.com/image-{one}@sha256:{one:064x}"), format!("registry.example.com/image-{one}:v1")], "sizeBytes": 123_456_789 + one});
    node["status"]["images"] = (0..15).map(image).collect();
    node["status"]["nodeInfo"] =
        json!({"architecture": "amd64", "kubeletVersion": "v1.35.8", "osImage": "Amazon Linux 2023"});
}
