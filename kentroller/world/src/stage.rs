//! What the tests of the actors play on.

use std::time::Duration;

use kentroller_runtime::Clock;
use kentroller_runtime::simulation::apiserver::ApiServer;
use serde_json::{Value, json};

use crate::catalogue::{HOSTNAME, ZONE};
use crate::drift::Drift;
use crate::kubelet;
use crate::world::{Setup, World, kinds};

fn empty() -> (ApiServer, Clock) {
    let clock = Clock::starting_at("2026-03-02T08:00:00Z".parse().unwrap());
    let told = clock.clone();
    (ApiServer::new(move || told.now(), kinds()), clock)
}

/// A drifted cluster of some nodes with its world turning.
pub(crate) async fn drifted(nodes: usize, setup: Setup) -> (ApiServer, Clock, World) {
    let (server, clock) = empty();
    Drift { nodes, seed: setup.seed }.build(&server, clock.now()).unwrap();
    let world = World::start(&server, &clock, setup);
    (server, clock, world)
}

/// Nodes of 4 cores and 8 GiB with these names, in two zones by turns, which nobody launched; nothing runs there.
pub(crate) async fn bare(nodes: &[&str]) -> (ApiServer, Clock, World) {
    let (server, clock) = empty();
    for (number, name) in nodes.iter().enumerate() {
        let labels = json!({HOSTNAME: name, ZONE: if number % 2 == 0 { "a" } else { "b" }});
        let amounts = json!({"cpu": "4", "memory": "8Gi", "pods": "10"});
        let mut status = json!({"capacity": amounts, "allocatable": amounts});
        kubelet::set_ready(&mut status, clock.now());
        let metadata = json!({"name": name, "labels": labels});
        server
            .seed(json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}, "status": status}))
            .unwrap();
    }
    let world = World::start(&server, &clock, Setup::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    (server, clock, world)
}

/// A workload of pods that ask for 1 core and 1 GiB; `spec` is merged into the pods' spec.
pub(crate) fn workload(kind: &str, name: &str, replicas: usize, spec: &Value) -> Value {
    let labels = json!({"app": name});
    let requests = json!({"requests": {"cpu": "1", "memory": "1Gi"}});
    let mut pod = json!({"containers": [{"name": "app", "image": "app:1", "resources": requests}]});
    for (field, value) in spec.as_object().into_iter().flatten() {
        pod[field] = value.clone();
    }
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = json!(replicas);
    }
    object
}

/// The nodes of a workload's pods, in order; `-` for a pod without one. Pods that end are left out.
pub(crate) fn places(server: &ApiServer, name: &str) -> Vec<String> {
    let pods = server.list("Pod").into_iter();
    let own =
        pods.filter(|pod| pod["metadata"]["labels"]["app"] == name && pod["metadata"]["deletionTimestamp"].is_null());
    let mut nodes: Vec<String> = own.map(|pod| pod["spec"]["nodeName"].as_str().unwrap_or("-").to_owned()).collect();
    nodes.sort();
    nodes
}
