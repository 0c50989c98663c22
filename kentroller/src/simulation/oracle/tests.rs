//! Each invariant broken on purpose.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, DynamicObject, EvictParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::*;
use crate::simulation::drift::Drift;
use crate::simulation::world::{Setup, World, kinds};

/// The operator's hands.
struct Operator(kube::Client);

impl Operator {
    async fn evict(&self, pod: &Value) {
        let pods: Api<Pod> = Api::namespaced(self.0.clone(), pod["metadata"]["namespace"].as_str().unwrap());
        pods.evict(pod["metadata"]["name"].as_str().unwrap(), &EvictParams::default()).await.unwrap();
    }

    async fn patch_node(&self, name: &str, patch: Value) {
        let nodes: Api<Node> = Api::all(self.0.clone());
        nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn delete_claim(&self, name: &str) {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("karpenter.sh", "v1", "NodeClaim"));
        let claims: Api<DynamicObject> = Api::all_with(self.0.clone(), &kind);
        claims.delete(name, &DeleteParams::default()).await.unwrap();
    }
}

/// Does something as the operator on a drifted cluster of 20 nodes, waits, and tells which invariants broke.
async fn check(wait: u64, act: impl AsyncFnOnce(&ApiServer, &World, Operator)) -> Vec<&'static str> {
    let clock = Clock::starting_at("2026-03-02T08:00:00Z".parse().unwrap());
    let told = clock.clone();
    let server = ApiServer::new(move || told.now(), kinds());
    Drift { nodes: 20, seed: 1 }.build(&server, clock.now()).unwrap();
    let world = World::start(&server, &clock, Setup::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let oracle = Oracle::watch(&server, &clock, "operator");
    act(&server, &world, Operator(server.client("operator"))).await;
    tokio::time::sleep(Duration::from_secs(wait)).await;
    let mut broken: Vec<&str> = oracle.violations().into_iter().map(|violation| violation.invariant).collect();
    broken.dedup();
    broken
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The pods of all ReplicaSets of at least so many pods that no budget guards, those of one set together.
fn unguarded(server: &ApiServer, at_least: usize) -> Vec<Arc<Value>> {
    let budgets = server.list("PodDisruptionBudget");
    let guarded = |pod: &Value| {
        budgets
            .iter()
            .any(|budget| budget["spec"]["selector"]["matchLabels"]["app"] == pod["metadata"]["labels"]["app"])
    };
    let mut pods = server.list("Pod");
    pods.retain(|pod| pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet" && !guarded(pod));
    let owner = |pod: &Value| text(&pod["metadata"]["ownerReferences"][0]["uid"]);
    let all = pods.clone();
    pods.retain(|pod| all.iter().filter(|other| owner(other) == owner(pod)).count() >= at_least);
    pods.sort_by_key(|pod| owner(pod));
    pods
}

fn nodes(server: &ApiServer) -> Vec<String> {
    server.list("Node").iter().map(|node| text(&node["metadata"]["name"])).collect()
}

fn claim(server: &ApiServer) -> String {
    text(&server.list("NodeClaim")[0]["metadata"]["name"])
}

#[tokio::test(start_paused = true)]
async fn an_eviction_within_the_rules_breaks_nothing() {
    let broken = check(60, async |server, _, operator| operator.evict(&unguarded(server, 1)[0]).await);
    assert_eq!(broken.await, Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn the_eviction_of_a_protected_pod_is_noticed() {
    let broken = check(1, async |server, _, operator| {
        let pod = unguarded(server, 1)[0].clone();
        let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        let mark = |pod: &mut Value| pod["metadata"]["annotations"][DO_NOT_DISRUPT] = json!("2h");
        server.update("Pod", Some(&namespace), &name, mark).unwrap();
        operator.evict(&pod).await;
    });
    assert_eq!(broken.await, ["S20"]);
    let broken = check(1, async |server, _, operator| {
        let pods = server.list("Pod");
        let daemon = pods.iter().find(|pod| pod["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet");
        operator.evict(daemon.unwrap()).await;
    });
    assert_eq!(broken.await, ["S20"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_deleted_instead_of_evicted_is_noticed() {
    let broken = check(1, async |server, _, operator| {
        let pod = unguarded(server, 1)[0].clone();
        let pods: Api<Pod> = Api::namespaced(operator.0.clone(), pod["metadata"]["namespace"].as_str().unwrap());
        pods.delete(pod["metadata"]["name"].as_str().unwrap(), &DeleteParams::default()).await.unwrap();
    });
    assert_eq!(broken.await, ["S4"]);
}

#[tokio::test(start_paused = true)]
async fn too_many_pods_of_one_owner_at_once_are_noticed() {
    let broken = check(1, async |server, _, operator| {
        let pods = unguarded(server, 2);
        let owner = |pod: &Value| text(&pod["metadata"]["ownerReferences"][0]["uid"]);
        let siblings: Vec<_> = pods.iter().filter(|pod| owner(pod) == owner(&pods[0])).collect();
        for pod in &siblings[..=(siblings.len() / 4).max(1)] {
            operator.evict(pod).await;
        }
    });
    assert_eq!(broken.await, ["S21"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_removed_outside_a_plan_or_from_a_static_pool_is_noticed() {
    let broken = check(0, async |server, _, operator| operator.delete_claim(&claim(server)).await);
    assert!(broken.await.contains(&"S1"));
    let broken = check(0, async |server, _, operator| {
        server.update("NodePool", None, "general", |pool| pool["spec"]["replicas"] = json!(20)).unwrap();
        operator.delete_claim(&claim(server)).await;
    });
    assert!(broken.await.contains(&"S7"));
}

#[tokio::test(start_paused = true)]
async fn cordons_beyond_the_budget_and_foreign_ones_lifted_are_noticed() {
    let cordon = json!({"metadata": {"annotations": {CORDONED_BY: "p"}}, "spec": {"unschedulable": true}});
    for (count, expected) in [(2, vec![]), (3, vec!["S3"])] {
        let broken = check(1, async |server, _, operator| {
            for node in &nodes(server)[..count] {
                operator.patch_node(node, cordon.clone()).await;
            }
        });
        assert_eq!(broken.await, expected, "{count} of 20 nodes at a pace of 10 %");
    }
    let broken = check(1, async |server, _, operator| {
        let node = &nodes(server)[0];
        server.update("Node", None, node, |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
        operator.patch_node(node, json!({"spec": {"unschedulable": null}})).await;
    });
    assert_eq!(broken.await, ["S10"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_finds_no_place_is_noticed_once_its_patience_ends() {
    let act = async |server: &ApiServer, world: &World, operator: Operator| {
        world.set_faults(|faults| faults.lost_percent = 100);
        for node in nodes(server) {
            server.update("Node", None, &node, |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
        }
        operator.evict(&unguarded(server, 1)[0]).await;
    };
    assert_eq!(check(100, act).await, Vec::<&str>::new());
    assert_eq!(check(200, act).await, ["S2"]);
}
