//! Each invariant broken on purpose.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kentroller_runtime::simulation::apiserver::{DeleteOptions, Served};
use kube::api::{Api, DeleteParams, DynamicObject, EvictParams, Patch, PatchParams, Preconditions};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::*;
use crate::drift::Drift;
use crate::karpenter::DO_NOT_DISRUPT;
use crate::seen::uid;
use crate::world::{Setup, World, kinds};

/// The operator's hands.
struct Operator(kube::Client);

impl Operator {
    async fn force(&self, pod: &Value) {
        let pods: Api<Pod> = Api::namespaced(self.0.clone(), pod["metadata"]["namespace"].as_str().unwrap());
        let uid = Some(text(&pod["metadata"]["uid"]));
        let preconditions = Some(Preconditions { uid, resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        pods.delete(pod["metadata"]["name"].as_str().unwrap(), &params).await.unwrap();
    }

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
    let mut kinds = kinds();
    kinds.push(Served::built_in("autoscaling.cast.ai", "v1alpha", "RebalancePlan", "rebalanceplans", false, true));
    kinds.push(Served::built_in(
        "autoscaling.cast.ai",
        "v1alpha",
        "RebalancePlanClaim",
        "rebalanceplanclaims",
        false,
        true,
    ));
    kinds.push(Served::built_in("coordination.k8s.io", "v1", "Lease", "leases", true, false));
    let server = ApiServer::new(move || told.now(), kinds);
    Drift { nodes: 20, seed: 1 }.build(&server, clock.now()).unwrap();
    let world = World::start(&server, &clock, Setup::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let oracle = Oracle::watch(&server, &clock, "operator");
    act(&server, &world, Operator(server.client("operator"))).await;
    tokio::time::sleep(Duration::from_secs(wait)).await;
    let mut broken: Vec<&str> = oracle.violations().into_iter().map(|violation| violation.invariant).collect();
    // These hands tell no preconditions; that is judged in a test of its own.
    broken.retain(|invariant| *invariant != "S8");
    broken.sort_unstable();
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
async fn a_pod_may_be_forced_only_where_a_claim_asks_for_it_and_after_its_time() {
    for (flags, wait, expected) in [
        (json!({"ignoreBlockingPDB": true}), 590, vec!["S4"]),
        (json!({"ignoreBlockingPDB": true}), 600, vec![]),
        (json!({"ignoreBlockingPDB": true, "ignoreBlockingPDBTimeout": "1m"}), 60, vec![]),
        (json!({"ignoreBlockingPDBTimeout": "1m"}), 60, vec!["S4"]),
        // Such pods only that bear the mark.
        (json!({"ignoreProblemRemovalDisabledPods": true}), 600, vec!["S4"]),
    ] {
        let told = flags.to_string();
        let broken = check(1, async move |server, _, operator| {
            let pod = unguarded(server, 1)[0].clone();
            let uid = plan(server, "p", of_greens(server, 0), "Running", json!({}));
            let claim = json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlanClaim",
                "metadata": {"name": "c"}, "spec": {"aggressiveModeConfig": flags}});
            server.create(claim).unwrap();
            let executing = |claim: &mut Value| claim["status"]["state"] = json!("Executing");
            server.update_status("RebalancePlanClaim", None, "c", executing).unwrap();
            let cordon = |node: &mut Value| {
                node["metadata"]["annotations"]["rebalancing.cast.ai/cordoned-by"] = json!(uid);
                node["spec"]["unschedulable"] = json!(true);
            };
            server.acting_as("operator").update("Node", None, &text(&pod["spec"]["nodeName"]), cordon).unwrap();
            pass(wait).await;
            operator.force(&pod).await;
        });
        assert_eq!(broken.await, expected, "{told}, {wait} s after the cordon");
    }
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
    let cordon =
        json!({"metadata": {"annotations": {"rebalancing.cast.ai/cordoned-by": "p"}}, "spec": {"unschedulable": true}});
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

/// A plan of the operator's with this state; `status` adds to it.
fn plan(server: &ApiServer, name: &str, spec: Value, state: &str, status: Value) -> String {
    let operator = server.acting_as("operator");
    let made = operator
        .create(json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlan", "metadata": {"name": name}, "spec": spec}))
        .unwrap();
    set(server, name, state, status);
    uid(&made).to_owned()
}

fn set(server: &ApiServer, name: &str, state: &str, status: Value) {
    let operator = server.acting_as("operator");
    let change = |object: &mut Value| {
        object["status"] = status;
        object["status"]["state"] = json!(state);
    };
    operator.update_status("RebalancePlan", None, name, change).unwrap();
}

/// A plan that makes `n0`, `n1` and so on, and removes the first node of the cluster.
fn of_greens(server: &ApiServer, count: usize) -> Value {
    let add = |number: usize| json!({"metadata": {"name": format!("n{number}")}, "alternatives": [{}], "wave": 0});
    let adds: Vec<Value> = (0..count).map(add).collect();
    json!({"nodeClaimsToAdd": adds, "nodeClaimsToDelete": [{"nodeClaimName": claim(server), "wave": 0}]})
}

/// Makes a NodeClaim for a plan as the operator does, after the example of another.
fn make(server: &ApiServer, name: &str, plan: &str, uid: &str) {
    let example = server.list("NodeClaim")[0].clone();
    let mut labels = example["metadata"]["labels"].clone();
    labels["rebalancing.cast.ai/plan"] = json!(uid);
    let annotations = json!({"rebalancing.cast.ai/made-by": plan});
    let metadata = json!({"name": name, "labels": labels, "annotations": annotations});
    let operator = server.acting_as("operator");
    operator
        .create(json!({"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": metadata, "spec": example["spec"]}))
        .unwrap();
}

fn remove(server: &ApiServer, claim: &str) {
    server.acting_as("operator").delete("NodeClaim", None, claim, &DeleteOptions::default()).unwrap();
}

fn label(server: &ApiServer, claim: &str, plan: &str) {
    let mark = |claim: &mut Value| claim["metadata"]["labels"]["rebalancing.cast.ai/plan"] = json!(plan);
    server.acting_as("operator").update("NodeClaim", None, claim, mark).unwrap();
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_plan_beside_a_running_one_is_noticed() {
    let broken = check(0, async |server, _, _| {
        plan(server, "one", json!({}), "Running", json!({}));
        plan(server, "two", json!({}), "Created", json!({}));
    });
    assert_eq!(broken.await, [""; 0]);
    let broken = check(0, async |server, _, _| {
        plan(server, "one", json!({}), "Running", json!({}));
        plan(server, "two", json!({}), "Running", json!({}));
    });
    assert_eq!(broken.await, ["S5"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_removed_before_its_replacement_or_for_a_plan_that_is_gone_is_noticed() {
    for (wait, expected) in [(0, vec!["S1"]), (120, vec![])] {
        let broken = check(0, async |server, _, _| {
            let uid = plan(server, "p", of_greens(server, 1), "Running", json!({}));
            make(server, "n0", "p", &uid);
            pass(wait).await;
            label(server, &claim(server), &uid);
            remove(server, &claim(server));
        });
        assert_eq!(broken.await, expected, "{wait} s after the new node was asked for");
    }
    let broken = check(0, async |server, _, _| {
        label(server, &claim(server), "gone");
        remove(server, &claim(server));
    });
    assert_eq!(broken.await, ["S1"]);
}

#[tokio::test(start_paused = true)]
async fn more_new_nodes_than_planned_are_noticed() {
    let story = |names: &'static [&'static str], planned: usize, state: &'static str| {
        check(0, async move |server, _, _| {
            let uid = plan(server, "p", of_greens(server, planned), state, json!({}));
            for name in names {
                make(server, name, "p", &uid);
            }
        })
    };
    assert_eq!(story(&["n0", "n1"], 2, "Running").await, [""; 0]);
    assert_eq!(story(&["n7"], 2, "Running").await, ["S11"], "not planned");
    assert_eq!(story(&["n0"], 2, "Created").await, ["S11"], "not begun");
    assert_eq!(story(&["n0", "n0-attempt-1"], 2, "Running").await, ["S11"], "two for one");
    const SIX: [&str; 6] = ["n0", "n1", "n2", "n3", "n4", "n5"];
    let in_waves = |last: usize| {
        check(0, async move |server, _, _| {
            let mut spec = of_greens(server, 6);
            spec["nodeClaimsToAdd"][last]["wave"] = json!(1);
            let uid = plan(server, "p", spec, "Running", json!({}));
            SIX.into_iter().for_each(|name| make(server, name, "p", &uid));
        })
    };
    assert_eq!(in_waves(5).await, ["S23"], "too many at once");
    assert_eq!(story(&SIX, 6, "Running").await, [""; 0], "one wave, which cannot be split");
}

#[tokio::test(start_paused = true)]
async fn a_new_node_is_taken_back_only_where_its_plan_has_removed_nothing_for_it() {
    for (state, has_removed, wait, expected) in [
        ("Failed", false, 1, vec![]),
        ("Canceled", false, 1, vec![]),
        ("DoneWithWarnings", false, 1, vec![]),
        ("Failed", true, 1, vec!["S12"]),
        ("Done", true, 1, vec!["S12"]),
        ("Running", false, 1, vec![]),
        ("Running", false, 120, vec!["S12"]),
    ] {
        let broken = check(0, async |server, _, _| {
            let blue = claim(server);
            let uid = plan(server, "p", of_greens(server, 1), "Running", json!({}));
            make(server, "n0", "p", &uid);
            pass(wait).await;
            if has_removed {
                server.delete("NodeClaim", None, &blue, &DeleteOptions::default()).unwrap();
            }
            set(server, "p", state, json!({"wave": 0}));
            remove(server, "n0");
        });
        assert_eq!(broken.await, expected, "{state} after {wait} s, removed: {has_removed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_ended_plan_leaves_behind_is_noticed() {
    let story = |lift: bool| {
        check(0, async move |server, _, _| {
            let uid = plan(server, "p", json!({}), "Running", json!({}));
            let operator = server.acting_as("operator");
            let node = nodes(server)[0].clone();
            let cordon = |node: &mut Value| {
                node["metadata"]["annotations"]["rebalancing.cast.ai/cordoned-by"] = json!(uid);
                node["spec"]["unschedulable"] = json!(true);
            };
            operator.update("Node", None, &node, cordon).unwrap();
            // The mark goes, the cordon stays.
            let release = |node: &mut Value| {
                let marks = node["metadata"]["annotations"].as_object_mut().unwrap();
                marks.remove("rebalancing.cast.ai/cordoned-by");
                if lift {
                    node["spec"]["unschedulable"] = Value::Null;
                }
            };
            operator.update("Node", None, &node, release).unwrap();
            set(server, "p", "Done", json!({}));
            let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "n"}, "spec": {}});
            operator.create(lease).unwrap();
            for number in 0..70 {
                pass(2).await;
                operator.update("Lease", Some("n"), "l", |lease| lease["spec"]["number"] = json!(number)).unwrap();
            }
        })
    };
    assert_eq!(story(true).await, [""; 0]);
    assert_eq!(story(false).await, ["L3"]);
}

#[tokio::test(start_paused = true)]
async fn foreign_marks_that_change_are_noticed() {
    for patch in [
        json!({"metadata": {"labels": {"team": "other"}}}),
        json!({"metadata": {"annotations": {DO_NOT_DISRUPT: "true"}}}),
        json!({"metadata": {"labels": {"autoscaling.cast.ai/predicted-interruption": "true"}}}),
        json!({"spec": {"taints": [{"key": "dedicated", "effect": "NoSchedule"}]}}),
    ] {
        let told = patch.clone();
        let broken =
            check(0, async move |server, _, operator| operator.patch_node(&nodes(server)[0], patch).await).await;
        assert_eq!(broken, ["S10"], "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_without_preconditions_is_noticed() {
    let clock = Clock::starting_at("2026-03-02T08:00:00Z".parse().unwrap());
    let told = clock.clone();
    let server = ApiServer::new(move || told.now(), kinds());
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {}});
    let node = server.create(node).unwrap();
    let oracle = Oracle::watch(&server, &clock, "operator");
    let operator = Operator(server.client("operator"));
    let pinned = json!({"metadata": {"uid": uid(&node), "resourceVersion": node["metadata"]["resourceVersion"],
        "labels": {"rebalancing.cast.ai/plan": "p"}}});
    operator.patch_node("n", pinned).await;
    assert_eq!(oracle.violations(), []);
    operator.patch_node("n", json!({"metadata": {"labels": {"rebalancing.cast.ai/plan": null}}})).await;
    let broken: Vec<&str> = oracle.violations().iter().map(|violation| violation.invariant).collect();
    assert_eq!(broken, ["S8"]);
}
