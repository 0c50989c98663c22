//! The controllers of workloads on the API server.

use std::time::Duration;

use kentroller_runtime::simulation::apiserver::{ApiServer, DeleteOptions};
use serde_json::{Value, json};

use crate::stage::{bare, places, workload};

async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn status(server: &ApiServer, kind: &str, name: &str) -> Value {
    server.get(kind, Some("default"), name).unwrap()["status"].clone()
}

fn scale(server: &ApiServer, kind: &str, name: &str, replicas: usize) {
    server.update(kind, Some("default"), name, |object| object["spec"]["replicas"] = json!(replicas)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replica_set_has_as_many_pods_as_it_wants_and_lets_the_waiting_go_first() {
    let (server, _, _world) = bare(&["n1", "n2"]).await;
    server.create(workload("ReplicaSet", "web", 10, &json!({}))).unwrap();
    wait(20).await;
    assert_eq!(places(&server, "web"), ["-", "-", "n1", "n1", "n1", "n1", "n2", "n2", "n2", "n2"]);
    assert_eq!(status(&server, "ReplicaSet", "web")["readyReplicas"], 8);
    scale(&server, "ReplicaSet", "web", 7);
    wait(20).await;
    assert_eq!(places(&server, "web").len(), 7);
    assert!(!places(&server, "web").contains(&"-".to_owned()));
    assert_eq!(status(&server, "ReplicaSet", "web")["readyReplicas"], 7);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_replaces_all_pods_and_never_serves_with_less() {
    let (server, _, _world) = bare(&["n1", "n2"]).await;
    server.create(workload("Deployment", "web", 4, &json!({}))).unwrap();
    wait(20).await;
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].clone();
    server
        .update("Deployment", Some("default"), "web", |object| {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:2");
        })
        .unwrap();
    for _ in 0..60 {
        wait(1).await;
        assert!(status(&server, "Deployment", "web")["readyReplicas"].as_i64().unwrap() >= 4);
    }
    let pods = server.list("Pod");
    assert_eq!(pods.iter().map(|pod| image(pod)).collect::<Vec<_>>(), vec![json!("app:2"); 4]);
    assert_eq!(status(&server, "Deployment", "web")["updatedReplicas"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_runs_on_every_node_that_it_tolerates() {
    let (server, _, _world) = bare(&["n1", "n2", "n3"]).await;
    let taint = |key: &'static str| {
        move |node: &mut Value| node["spec"]["taints"] = json!([{"key": key, "effect": "NoSchedule"}])
    };
    server.update("Node", None, "n2", taint("foreign")).unwrap();
    server.update("Node", None, "n3", |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
    server.create(workload("DaemonSet", "agent", 0, &json!({}))).unwrap();
    wait(20).await;
    assert_eq!(places(&server, "agent"), ["n1", "n3"], "daemons go to cordoned nodes");
    server.update("Node", None, "n2", |node| node["spec"]["taints"] = json!([])).unwrap();
    wait(20).await;
    assert_eq!(places(&server, "agent"), ["n1", "n2", "n3"]);
    assert_eq!(status(&server, "DaemonSet", "agent")["numberReady"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_budget_allows_what_its_healthy_pods_leave() {
    let cases = [
        (json!({"maxUnavailable": 1}), 1),
        (json!({"maxUnavailable": "25%"}), 2),
        (json!({"maxUnavailable": 0}), 0),
        (json!({"minAvailable": 3}), 2),
        (json!({"minAvailable": "50%"}), 2),
        (json!({"minAvailable": 6}), 0),
    ];
    for (bound, allowed) in cases {
        let (server, _, _world) = bare(&["n1", "n2"]).await;
        server.create(workload("Deployment", "web", 5, &json!({}))).unwrap();
        let mut spec = bound.clone();
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        let metadata = json!({"name": "web", "namespace": "default"});
        server
            .create(
                json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}),
            )
            .unwrap();
        wait(20).await;
        let told =
            |server: &ApiServer| status(server, "PodDisruptionBudget", "web")["disruptionsAllowed"].as_i64().unwrap();
        assert_eq!(told(&server), allowed, "{bound}");
        let mut evicted = 0;
        for pod in server.list("Pod") {
            let name = pod["metadata"]["name"].as_str().unwrap();
            evicted += i64::from(server.evict("default", name, &DeleteOptions::default()).is_ok());
            wait(1).await;
        }
        assert!(evicted >= allowed.min(1) && (allowed > 0 || evicted == 0), "{bound}: {evicted}");
        wait(20).await;
        assert_eq!(told(&server), allowed, "{bound}, after its pods have come back");
    }
}
