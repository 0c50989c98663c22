//! Node consolidation: empty nodes, nodes that the evictor has emptied, and nodes past their expiry go by themselves.

use std::time::Duration;

use kentroller::settings::Settings;
use kentroller_tests::{Stage, is_workload, text};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3600);
const CONSOLIDATES: &str = "rebalancing.cast.ai/consolidates";

fn stage(change: impl FnOnce(&mut Settings)) -> Stage {
    let stage = Stage::drifted(12, 1);
    stage.operated.set(|settings| {
        settings.node_consolidation = true;
        change(settings);
    });
    stage
}

/// What node consolidation has made: plans, each with why and with its state.
fn made(stage: &Stage) -> Vec<(String, String)> {
    let mut plans: Vec<Value> = stage.list("RebalancePlan").iter().map(|plan| (**plan).clone()).collect();
    plans.sort_by_key(|plan| text(&plan["metadata"]["creationTimestamp"]));
    let told = |plan: &Value| (text(&plan["metadata"]["labels"][CONSOLIDATES]), text(&plan["status"]["state"]));
    plans.iter().map(told).filter(|(why, _)| !why.is_empty()).collect()
}

/// Empties the node that has the fewest pods, and keeps it closed: its name.
fn emptied(stage: &Stage) -> String {
    let pods = stage.list("Pod");
    let fewest = |node: &Value| {
        pods.iter().filter(|pod| is_workload(pod) && pod["spec"]["nodeName"] == node["metadata"]["name"]).count()
    };
    let nodes = stage.list("Node");
    let node = nodes.iter().min_by_key(|node| fewest(node)).expect("a node");
    let name = text(&node["metadata"]["name"]);
    stage.edit("Node", &name, |node| node["spec"]["unschedulable"] = json!(true));
    for pod in pods.iter().filter(|pod| is_workload(pod) && pod["spec"]["nodeName"] == name.as_str()) {
        let (namespace, pod) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
        stage.operated.server.delete("Pod", Some(&namespace), &pod, &Default::default()).expect("it goes");
    }
    name
}

/// A cluster with an empty node, on which only pods could run that tolerate a taint; nothing consolidates it so far.
async fn with_an_empty_node() -> (Stage, String) {
    let stage = stage(|settings| settings.node_consolidation = false);
    let node = emptied(&stage);
    stage.pass(60).await;
    stage.edit("Node", &node, |node| {
        node["spec"]["taints"] = json!([{"key": "rests", "effect": "NoSchedule"}]);
        node["spec"].as_object_mut().expect("a spec").remove("unschedulable");
    });
    (stage, node)
}

fn is_gone(node: &str) -> impl Fn(&Stage) -> bool {
    move |stage| stage.get("Node", node).is_none()
}

#[tokio::test(start_paused = true)]
async fn an_empty_node_goes_under_the_budget_of_its_pool_and_only_while_the_feature_is_on() {
    let (stage, node) = with_an_empty_node().await;
    stage.pass(600).await;
    assert_eq!(made(&stage), [], "the feature is off");
    stage.operated.set(|settings| settings.node_consolidation = true);
    assert!(stage.until(LONG, is_gone(&node)).await, "{:?}", made(&stage));
    assert!(stage.until(LONG, |stage| made(stage) == [("empty".to_owned(), "Done".to_owned())]).await);
    let plan = stage.list("RebalancePlan").remove(0);
    assert_eq!(plan["spec"]["podsToMigrate"].as_array().map_or(0, Vec::len), 0, "{plan}");
    stage.pass(300).await;
    assert_eq!(made(&stage).len(), 1, "nodes with pods stay");
    assert_eq!((stage.marks(), stage.operated.world.pods_not_running()), (Vec::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_saves_the_node() {
    let (stage, node) = with_an_empty_node().await;
    stage.operated.set(|settings| settings.node_consolidation = true);
    let cordoned = |stage: &Stage| stage.get("Node", &node).is_some_and(|node| node["spec"]["unschedulable"] == true);
    let mut waited = 0;
    while !cordoned(&stage) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += 1;
        assert!(waited < 20_000, "{:?}", made(&stage));
    }
    let like = stage.list("Pod").into_iter().find(|pod| is_workload(pod));
    let mut pod = (*like.expect("a pod")).clone();
    pod["metadata"] = json!({"name": "late", "namespace": pod["metadata"]["namespace"], "labels": {"late": "yes"}});
    pod["spec"]["nodeName"] = json!(node);
    stage.operated.server.create(pod).expect("it is bound already");
    let failed = [("empty".to_owned(), "Failed".to_owned())];
    assert!(stage.until(LONG, |stage| made(stage) == failed).await, "{:?}", made(&stage));
    stage.pass(300).await;
    let left = stage.get("Node", &node).expect("it stays");
    assert!(left["spec"]["unschedulable"].is_null(), "{left}");
    assert!(stage.list("Pod").iter().any(|pod| pod["metadata"]["labels"]["late"] == "yes"), "it is not evicted");
    assert!(left["metadata"]["annotations"]["rebalancing.cast.ai/cordoned-by"].is_null(), "{left}");
    let late = stage.list("Pod").into_iter().find(|pod| pod["metadata"]["name"] == "late").expect("the pod");
    let namespace = text(&late["metadata"]["namespace"]);
    stage.operated.server.delete("Pod", Some(&namespace), "late", &Default::default()).expect("it goes");
    stage.pass(120).await;
    assert_eq!(made(&stage), failed, "a node that was kept rests for ten minutes");
    assert!(stage.until(LONG, is_gone(&node)).await, "{:?}", made(&stage));
}

#[tokio::test(start_paused = true)]
async fn what_the_evictor_hands_over_goes_and_what_it_has_not_finished_stays() {
    let stage = stage(|_| ());
    let node = emptied(&stage);
    stage.edit("Node", &node, |node| {
        node["metadata"]["labels"]["autoscaling.cast.ai/draining"] = json!("evictor");
    });
    stage.pass(600).await;
    assert!(stage.get("Node", &node).is_some() && made(&stage).is_empty(), "the evictor has not finished");
    stage.edit("Node", &node, |node| {
        node["metadata"]["annotations"]["evictor.cast.ai/eviction-status"] = json!("done");
    });
    assert!(stage.until(LONG, is_gone(&node)).await, "{:?}", made(&stage));
    assert!(stage.until(LONG, |stage| made(stage) == [("evictor".to_owned(), "Done".to_owned())]).await);
    assert_eq!(stage.marks(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_node_past_its_expiry_is_replaced_if_karpenter_has_not_begun_within_a_minute() {
    let stage = stage(|_| ());
    let claim = stage.list("NodeClaim").remove(0);
    let (name, node) = (text(&claim["metadata"]["name"]), text(&claim["status"]["nodeName"]));
    let age = stage
        .operated
        .clock
        .now()
        .duration_since(text(&claim["metadata"]["creationTimestamp"]).parse().expect("a time"));
    stage.edit("NodeClaim", &name, |claim| claim["spec"]["expireAfter"] = json!(format!("{}s", age.as_secs() + 600)));
    stage.pass(655).await;
    assert_eq!(made(&stage), [], "it is Karpenter's");
    assert!(stage.until(LONG, is_gone(&node)).await, "{:?}", made(&stage));
    assert!(stage.until(LONG, |stage| made(stage) == [("expiry".to_owned(), "Done".to_owned())]).await);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}
