//! The whole world on the API server, in virtual time.

use std::time::Duration;

use kentroller_runtime::simulation::apiserver::{DeleteOptions, Write};
use serde_json::json;

use super::*;
use crate::conditions;
use crate::stage::{bare, drifted};

fn names(server: &ApiServer, kind: &str) -> Vec<String> {
    server.list(kind).iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// The name, namespace and node of a pod that is not a daemon's and may be evicted.
fn movable(server: &ApiServer) -> (String, String, String) {
    let guarded = |pod: &Value| {
        let label = &pod["metadata"]["labels"]["app"];
        server
            .list("PodDisruptionBudget")
            .iter()
            .any(|budget| budget["spec"]["selector"]["matchLabels"]["app"] == *label)
    };
    let pods = server.list("Pod");
    let free = pods.iter().find(|pod| pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet" && !guarded(pod));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pod = free.unwrap();
    (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]), text(&pod["spec"]["nodeName"]))
}

#[tokio::test(start_paused = true)]
async fn a_drifted_cluster_stands_still_for_an_hour() {
    let (server, _, world) = drifted(20, Setup::default()).await;
    let before = server.revision();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(server.writes(before), Vec::<Write>::new());
    assert!(world.is_turning());
}

#[tokio::test(start_paused = true)]
async fn an_evicted_pod_comes_back_elsewhere() {
    let (server, _, world) = drifted(20, Setup::default()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (namespace, name, node) = movable(&server);
    let count = names(&server, "Pod").len();
    server.update("Node", None, &node, |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
    let before = server.revision();
    server.evict(&namespace, &name, &DeleteOptions::default()).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(server.get("Pod", Some(&namespace), &name).is_none());
    assert_eq!(names(&server, "Pod").len(), count);
    assert_eq!(world.pods_not_running(), Vec::<String>::new());
    let created = server
        .writes(before)
        .into_iter()
        .find(|write| write.verb == "create" && &*write.kind == "Pod" && write.subresource.is_empty())
        .unwrap();
    let pod = server.get("Pod", Some(&created.namespace), &created.name).unwrap();
    assert_ne!(pod["spec"]["nodeName"], node.as_str());
}

/// Asks for a pod that no node of the cluster holds, and answers its name.
fn ask_for_room(server: &ApiServer) -> String {
    let container = json!({"name": "app", "image": "a:1", "resources": {"requests": {"cpu": "30", "memory": "100Gi"}}});
    let labels = json!({"app": "big"});
    let set = server.create(json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "big", "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
    }));
    set.unwrap()["metadata"]["name"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_room_makes_karpenter_launch() {
    let (server, _, world) = drifted(5, Setup::default()).await;
    let (claims, price) = (names(&server, "NodeClaim"), world.price_per_hour());
    ask_for_room(&server);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let launched = server
        .list("NodeClaim")
        .into_iter()
        .find(|claim| !claims.iter().any(|name| claim["metadata"]["name"] == name.as_str()))
        .unwrap();
    assert!(!conditions::is_true(&launched, "Registered"), "a launch takes its time");
    assert_eq!(world.pods_not_running().len(), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.pods_not_running(), Vec::<String>::new());
    let name = launched["metadata"]["name"].as_str().unwrap();
    let claim = server.get("NodeClaim", None, name).unwrap();
    let node = server.get("Node", None, claim["status"]["nodeName"].as_str().unwrap()).unwrap();
    for condition in ["Launched", "Registered", "Initialized", "Ready"] {
        assert!(conditions::is_true(&claim, condition), "{condition}: {claim}");
    }
    assert_eq!(node["metadata"]["labels"]["karpenter.sh/nodepool"], "general");
    assert_eq!(node["metadata"]["labels"]["karpenter.sh/initialized"], "true");
    assert_eq!(node["spec"]["taints"], Value::Null);
    let bought = Catalogue::shipped()
        .get(node["metadata"]["labels"]["node.kubernetes.io/instance-type"].as_str().unwrap())
        .unwrap()
        .price;
    assert_eq!(world.price_per_hour(), price + bought);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_claim_drains_its_node_and_ends_it() {
    let (server, _, world) = drifted(20, Setup::default()).await;
    let (_, _, node) = movable(&server);
    let node_object = server.get("Node", None, &node).unwrap();
    let claim = node_object["metadata"]["ownerReferences"][0]["name"].as_str().unwrap().to_owned();
    let price = world.price_per_hour();
    // Pods that must not be moved would hold the drain for ever.
    for pod in server.list("Pod").iter().filter(|pod| pod["spec"]["nodeName"] == node.as_str()) {
        let (namespace, name) = (pod["metadata"]["namespace"].as_str(), pod["metadata"]["name"].as_str().unwrap());
        server
            .update("Pod", namespace, name, |pod| drop(pod["metadata"].as_object_mut().unwrap().remove("annotations")))
            .unwrap();
    }
    for budget in server.list("PodDisruptionBudget") {
        let (namespace, name) =
            (budget["metadata"]["namespace"].as_str(), budget["metadata"]["name"].as_str().unwrap());
        server
            .update("PodDisruptionBudget", namespace, name, |budget| {
                budget["spec"] = json!({"selector": budget["spec"]["selector"], "maxUnavailable": 1})
            })
            .unwrap();
    }
    server.delete("NodeClaim", None, &claim, &DeleteOptions::default()).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let leaving = server.get("Node", None, &node).unwrap();
    assert_eq!(leaving["spec"]["taints"][0]["key"], "karpenter.sh/disrupted", "{leaving}");
    tokio::time::sleep(Duration::from_secs(180)).await;
    assert!(server.get("NodeClaim", None, &claim).is_none());
    assert!(server.get("Node", None, &node).is_none());
    assert_eq!(world.pods_not_running(), Vec::<String>::new());
    assert!(server.list("Pod").iter().all(|pod| pod["spec"]["nodeName"] != node.as_str()));
    assert!(world.price_per_hour() < price);
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_capacity_is_deleted_at_once_and_another_type_is_taken_next() {
    let (server, _, world) = drifted(5, Setup::default()).await;
    let holds = |sold: &&crate::Sold| sold.allocatable().cpu_milli >= 30_000;
    let cheapest = Catalogue::shipped().cheapest_first().iter().find(holds).unwrap().name().to_owned();
    world.set_faults(|faults| {
        for sold in Catalogue::shipped().cheapest_first() {
            for zone in crate::ZONES {
                faults.exhausted.insert(crate::Offering {
                    instance_type: sold.name().into(),
                    zone: zone.into(),
                    capacity_type: "on-demand".into(),
                });
            }
        }
    });
    let claims = names(&server, "NodeClaim");
    let before = server.revision();
    ask_for_room(&server);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(names(&server, "NodeClaim"), claims);
    let event = server.list("Event").into_iter().find(|event| event["reason"] == "InsufficientCapacityError");
    assert!(event.is_some(), "{:?}", server.writes(before));
    world.set_faults(|faults| faults.exhausted.retain(|offering| offering.instance_type == cheapest));
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(world.pods_not_running(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_never_joins_is_given_up_after_a_quarter_of_an_hour() {
    let (server, _, world) =
        drifted(5, Setup { faults: Faults { lost_percent: 100, ..Faults::default() }, ..Setup::default() }).await;
    ask_for_room(&server);
    tokio::time::sleep(Duration::from_secs(890)).await;
    let lost = names(&server, "NodeClaim");
    assert_eq!((lost.len(), world.pods_not_running().len()), (6, 1));
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_ne!(names(&server, "NodeClaim"), lost);
    world.set_faults(|faults| faults.lost_percent = 0);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(world.pods_not_running(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_unlaunched_claim_stalls_all_provisioning() {
    let (server, _, _world) = drifted(
        5,
        Setup {
            faults: Faults { slow_percent: 100, slow_launch: Duration::from_secs(120), ..Faults::default() },
            ..Setup::default()
        },
    )
    .await;
    let pool = server.get("NodePool", None, "general").unwrap();
    let mut entropy = Entropy::seeded(9);
    let claim = crate::karpenter::claim_of_pool(
        &pool,
        vec!["m5.large".into()],
        &[&("us-east-1a".to_owned(), "on-demand".to_owned())],
        Default::default(),
        &mut entropy,
    );
    server.create(claim).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask_for_room(&server);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(names(&server, "NodeClaim").len(), 6, "nothing is bought while a claim has no instance");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(names(&server, "NodeClaim").len(), 7);
}

#[tokio::test(start_paused = true)]
async fn empty_nodes_go_where_a_pool_lets_karpenter_consolidate() {
    let (server, _, _world) = drifted(20, Setup::default()).await;
    for deployment in server.list("Deployment") {
        let (namespace, name) =
            (deployment["metadata"]["namespace"].as_str(), deployment["metadata"]["name"].as_str().unwrap());
        server.update("Deployment", namespace, name, |object| object["spec"]["replicas"] = json!(0)).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(names(&server, "Node").len(), 20, "consolidateAfter is Never");
    let shielded = names(&server, "Node")[0].clone();
    server
        .update("Node", None, &shielded, |node| {
            node["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] = json!("true")
        })
        .unwrap();
    server
        .update("NodePool", None, "general", |pool| pool["spec"]["disruption"]["consolidateAfter"] = json!("30s"))
        .unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(names(&server, "Node").len() >= 18, "the budget is 10 %");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(names(&server, "Node"), [shielded]);
}

#[tokio::test(start_paused = true)]
async fn half_empty_nodes_become_fewer_and_cheaper_where_a_pool_lets_karpenter_consolidate() {
    let (server, _, world) = drifted(20, Setup::default()).await;
    let before = world.price_per_hour();
    let consolidate = |policy: &'static str| {
        let change = move |pool: &mut Value| {
            pool["spec"]["disruption"]["consolidateAfter"] = json!("30s");
            pool["spec"]["disruption"]["consolidationPolicy"] = json!(policy);
        };
        server.update("NodePool", None, "general", change).unwrap();
    };
    consolidate("WhenEmpty");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(names(&server, "Node").len(), 19, "one is empty");
    consolidate("WhenEmptyOrUnderutilized");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let (nodes, after) = (names(&server, "Node").len(), world.price_per_hour());
    assert!(nodes < 14 && after.as_micros() * 10 < before.as_micros() * 8, "{nodes} nodes, {before:?} {after:?}");
    assert_eq!(world.pods_not_running(), [""; 0]);
    let tainted = server.list("Node").into_iter().filter(|node| node.to_string().contains("karpenter.sh/disrupted"));
    assert_eq!(tainted.count(), 0, "what was begun has ended");
    let writes = server.revision();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let deleted =
        server.writes(writes).into_iter().filter(|write| &*write.kind == "NodeClaim" && write.verb == "delete");
    assert_eq!(deleted.count(), 0, "it has come to rest");
}

#[tokio::test(start_paused = true)]
async fn nodes_of_an_older_template_are_replaced_one_by_one_and_those_of_a_budget_of_none_stay() {
    let (server, _, world) = drifted(8, Setup::default()).await;
    let first = names(&server, "Node");
    let edit = |change: fn(&mut Value)| drop(server.update("NodePool", None, "general", change).unwrap());
    edit(|pool| {
        pool["spec"]["template"]["metadata"]["labels"] = json!({"team": "a"});
        pool["spec"]["disruption"]["budgets"] = json!([{"nodes": "0", "reasons": ["Drifted"]}]);
    });
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(names(&server, "Node"), first);
    edit(|pool| pool["spec"]["disruption"]["budgets"] = json!([{"nodes": "1"}]));
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    let pods = server.list("Pod").into_iter();
    let budgets = server.list("PodDisruptionBudget").into_iter();
    let shut: Vec<_> = budgets.filter(|budget| budget["status"]["disruptionsAllowed"] == 0).collect();
    let is_shut = |pod: &Value| {
        let app = |budget: &Value| budget["spec"]["selector"]["matchLabels"]["app"].clone();
        let mut over = shut.iter().filter(|one| one["metadata"]["namespace"] == pod["metadata"]["namespace"]);
        over.any(|budget| app(budget) == pod["metadata"]["labels"]["app"])
    };
    let forbids =
        pods.filter(|pod| pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true" || is_shut(pod));
    let held: Vec<String> = forbids.filter_map(|pod| pod["spec"]["nodeName"].as_str().map(str::to_owned)).collect();
    for node in server.list("Node") {
        let (name, is_new) = (node["metadata"]["name"].as_str().unwrap(), node["metadata"]["labels"]["team"] == "a");
        assert_eq!(is_new, !held.iter().any(|held| held == name), "{name}");
        assert_eq!(is_new, !first.iter().any(|old| old == name), "{name}");
    }
    assert_eq!(world.pods_not_running(), [""; 0]);
}

#[test]
fn the_same_seed_gives_the_same_writes() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (server, _, _world) = drifted(8, Setup { seed, ..Setup::default() }).await;
            ask_for_room(&server);
            let (namespace, name, _) = movable(&server);
            server.evict(&namespace, &name, &DeleteOptions::default()).unwrap();
            tokio::time::sleep(Duration::from_secs(120)).await;
            let objects = kinds().into_iter().flat_map(|kind| server.list(&kind.kind));
            let bytes: Vec<String> = objects.map(|object| object.to_string()).collect();
            (bytes, server.writes(0))
        })
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_respects_budgets_and_waits_for_pods_that_must_stay() {
    let (server, _, _world) = drifted(20, Setup::default()).await;
    let kept = server
        .list("Pod")
        .into_iter()
        .find(|pod| pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true");
    let kept = kept.unwrap_or_else(|| {
        let (namespace, name, _) = movable(&server);
        let mark = |pod: &mut Value| pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] = json!("true");
        server.update("Pod", Some(&namespace), &name, mark).unwrap()
    });
    let node = kept["spec"]["nodeName"].as_str().unwrap();
    let claim = server.get("Node", None, node).unwrap()["metadata"]["ownerReferences"][0]["name"].clone();
    let claim = claim.as_str().unwrap();
    server.delete("NodeClaim", None, claim, &DeleteOptions::default()).unwrap();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let name = kept["metadata"]["name"].as_str().unwrap();
    let pod = server.get("Pod", kept["metadata"]["namespace"].as_str(), name).unwrap();
    assert!(pod["metadata"]["deletionTimestamp"].is_null());
    let claim = server.get("NodeClaim", None, claim).unwrap();
    assert_eq!(conditions::get(&claim, "Drained").unwrap().1, "Draining");
}

#[tokio::test(start_paused = true)]
async fn a_termination_grace_period_ends_every_pod() {
    let (server, _, _world) = drifted(20, Setup::default()).await;
    let (namespace, name, node) = movable(&server);
    let mark = |pod: &mut Value| pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] = json!("true");
    server.update("Pod", Some(&namespace), &name, mark).unwrap();
    let claim = server.get("Node", None, &node).unwrap()["metadata"]["ownerReferences"][0]["name"].clone();
    let claim = claim.as_str().unwrap();
    server.update("NodeClaim", None, claim, |claim| claim["spec"]["terminationGracePeriod"] = json!("5m")).unwrap();
    server.delete("NodeClaim", None, claim, &DeleteOptions::default()).unwrap();
    tokio::time::sleep(Duration::from_secs(240)).await;
    assert!(server.get("Pod", Some(&namespace), &name).is_some());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(server.get("NodeClaim", None, claim).is_none());
}

#[tokio::test(start_paused = true)]
async fn nodes_that_nobody_launched_cost_nothing_that_is_not_known() {
    let (_, _, world) = bare(&["n1"]).await;
    assert_eq!(world.price_per_hour(), Money::ZERO);
}
