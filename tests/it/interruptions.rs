//! Spot nodes are left before the provider takes them away.

use std::time::Duration;

use kentroller::settings::Settings;
use kentroller_runtime::settings::Decimal;
use kentroller_tests::{Stage, is_workload, text};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3600);
const RECOMMENDED: &str = "SpotRebalanceRecommendation";
const PREDICTED: &str = "autoscaling.cast.ai/predicted-interruption";
const TAINT: &str = "aws-node-termination-handler/rebalance-recommendation";

/// A cluster on spot machines that are no longer young; interruptions are predicted from what is seen there.
async fn stage() -> Stage {
    let stage = Stage::on_spot(12, 1);
    stage.operated.set(predicts);
    stage.pass(960).await;
    stage
}

fn predicts(settings: &mut Settings) {
    settings.prediction_model = Some("local".to_owned());
    settings.interruption_threshold = Some(Decimal::from_millionths(400_000));
}

/// Names of the NodeClaims, each with its node.
fn machines(stage: &Stage) -> Vec<(String, String)> {
    let name = |claim: &Value| (text(&claim["metadata"]["name"]), text(&claim["status"]["nodeName"]));
    stage.list("NodeClaim").iter().map(|claim| name(claim)).collect()
}

/// Type, zone and capacity type of a NodeClaim's machine.
fn bought(stage: &Stage, claim: &str) -> [String; 3] {
    let labels = stage.get("NodeClaim", claim).expect("the NodeClaim")["metadata"]["labels"].clone();
    ["node.kubernetes.io/instance-type", "topology.kubernetes.io/zone", "karpenter.sh/capacity-type"]
        .map(|key| text(&labels[key]))
}

/// What claims were made for predictions: names of nodes, and states; the oldest first.
fn claims(stage: &Stage) -> Vec<(Vec<String>, String)> {
    let mut all = stage.list("RebalancePlanClaim");
    all.retain(|claim| !claim["metadata"]["labels"]["rebalancing.cast.ai/predicts"].is_null());
    all.sort_by_key(|claim| text(&claim["metadata"]["name"]));
    let names = |claim: &Value| {
        let names = claim["spec"]["scope"]["nodeNames"].as_array().cloned().unwrap_or_default();
        names.iter().map(text).collect()
    };
    all.iter().map(|claim| (names(claim), text(&claim["status"]["state"]))).collect()
}

fn is_labelled(stage: &Stage, node: &str) -> bool {
    stage.get("Node", node).is_some_and(|node| node["metadata"]["labels"][PREDICTED] == "true")
}

fn labelled(stage: &Stage) -> Vec<String> {
    stage.names("Node").into_iter().filter(|node| is_labelled(stage, node)).collect()
}

/// Whether every claim has ended, and there are so many.
fn ended(many: usize) -> impl Fn(&Stage) -> bool {
    move |stage| {
        let claims = claims(stage);
        claims.len() == many
            && claims.iter().all(|(_, state)| ["Completed", "Skipped", "Failed", "Canceled"].contains(&state.as_str()))
            && stage.marks().is_empty()
    }
}

/// Keeps a node from going, whatever is predicted.
fn hold(stage: &Stage, node: &str) {
    stage.edit("Node", node, |node| {
        node["metadata"]["annotations"]["autoscaling.cast.ai/removal-disabled"] = json!("true")
    });
}

fn taint(stage: &Stage, node: &str) {
    stage.edit("Node", node, |node| node["spec"]["taints"] = json!([{"key": TAINT, "effect": "PreferNoSchedule"}]));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_the_provider_recommends_to_leave_is_labelled_told_and_replaced() {
    let stage = stage().await;
    assert_eq!((claims(&stage), labelled(&stage)), (vec![], vec![]), "a calm cluster gives no alarm");
    let (claim, node) = machines(&stage).remove(0);
    let place = bought(&stage, &claim);
    stage.says(&claim, RECOMMENDED);
    assert!(stage.until(Duration::from_secs(70), |stage| is_labelled(stage, &node)).await, "within a poll interval");
    stage.pass(2).await;
    assert_eq!(stage.events(&node), ["Warning SpotInterruptionPredicted"]);
    let note = stage.notes(&node, "SpotInterruptionPredicted").remove(0);
    assert!(note.contains("probability 0.8 the provider recommended 0 min ago to leave it"), "{note}");
    assert!(stage.until(LONG, ended(1)).await, "{:?}", claims(&stage));
    assert_eq!(claims(&stage), [(vec![node.clone()], "Completed".to_owned())]);
    assert!(stage.get("Node", &node).is_none(), "it has left");
    let new = stage.list("NodeClaim");
    let new = new.iter().filter(|claim| !claim["metadata"]["annotations"]["rebalancing.cast.ai/made-by"].is_null());
    let places: Vec<_> = new.map(|claim| bought(&stage, &text(&claim["metadata"]["name"]))).collect();
    assert!(!places.contains(&place), "nothing of its pool is bought: {places:?}");
    let avoided = format!("{}-{}-spot-at-risk", place[0], place[1]);
    assert!(stage.get("UnavailableOffering", &avoided).is_some(), "{:?}", stage.names("UnavailableOffering"));
    stage.pass(1800).await;
    assert_eq!((claims(&stage).len(), labelled(&stage)), (1, vec![]));
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_makes_one_claim_and_what_comes_while_it_runs_the_next_one() {
    let stage = stage().await;
    let all = machines(&stage);
    for (claim, _) in &all[..4] {
        stage.says(claim, RECOMMENDED);
    }
    assert!(stage.until(Duration::from_secs(70), |stage| !claims(stage).is_empty()).await);
    let mut first: Vec<String> = all[..4].iter().map(|(_, node)| node.clone()).collect();
    first.sort();
    assert_eq!(claims(&stage)[0].0, first);
    stage.says(&all[4].0, RECOMMENDED);
    stage.says(&all[5].0, RECOMMENDED);
    assert!(stage.until(LONG, ended(2)).await, "{:?}", claims(&stage));
    let mut second = vec![all[4].1.clone(), all[5].1.clone()];
    second.sort();
    assert_eq!(claims(&stage)[1].0, second);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn machines_of_the_pool_in_which_one_was_taken_away_are_left_and_others_stay() {
    let stage = stage().await;
    let place = |claim: &Value| {
        let labels = &claim["metadata"]["labels"];
        (text(&labels["node.kubernetes.io/instance-type"]), text(&labels["topology.kubernetes.io/zone"]))
    };
    let all = stage.list("NodeClaim");
    let alike = |one: &Value| all.iter().filter(|other| place(other) == place(one)).count();
    let lost = all.iter().max_by_key(|one| alike(one)).expect("a NodeClaim");
    let mut others: Vec<String> = all
        .iter()
        .filter(|one| place(one) == place(lost) && one["metadata"]["name"] != lost["metadata"]["name"])
        .map(|one| text(&one["status"]["nodeName"]))
        .collect();
    others.sort();
    assert!(!others.is_empty(), "some pool has two machines");
    stage.interrupt(&text(&lost["metadata"]["name"]));
    assert!(stage.until(Duration::from_secs(70), |stage| !claims(stage).is_empty()).await);
    assert_eq!((&claims(&stage)[0].0, &labelled(&stage)), (&others, &others));
    assert!(stage.until(LONG, ended(1)).await, "{:?}", claims(&stage));
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn after_the_end_of_its_claim_a_node_rests_for_the_cooldown_also_across_a_restart() {
    let mut stage = stage().await;
    let (_, node) = machines(&stage).remove(0);
    hold(&stage, &node);
    taint(&stage, &node);
    assert!(stage.until(Duration::from_secs(120), ended(1)).await, "{:?}", claims(&stage));
    assert_eq!(claims(&stage), [(vec![node.clone()], "Skipped".to_owned())], "what protects it stands");
    stage.pass(600).await;
    stage.operated.restart().await;
    stage.pass(240).await;
    assert_eq!((claims(&stage).len(), is_labelled(&stage, &node)), (1, true), "its cooldown is not over");
    stage.edit("Node", &node, |node| node["metadata"]["annotations"] = json!({}));
    assert!(stage.until(Duration::from_secs(180), |stage| claims(stage).len() == 2).await, "it is over");
    assert!(stage.until(LONG, ended(2)).await, "{:?}", claims(&stage));
    assert!(stage.get("Node", &node).is_none(), "it has left");
}

#[tokio::test(start_paused = true)]
async fn a_label_goes_when_the_risk_is_gone_and_one_of_somebody_else_stays() {
    let stage = stage().await;
    let all = machines(&stage);
    let (claim, node) = &all[0];
    let (_, other) = &all[1];
    hold(&stage, node);
    stage.edit("Node", other, |node| node["metadata"]["labels"][PREDICTED] = json!("true"));
    stage.says(claim, RECOMMENDED);
    assert!(stage.until(Duration::from_secs(70), |stage| is_labelled(stage, node)).await);
    stage.pass(1100).await;
    assert!(is_labelled(&stage, node), "a recommendation counts for twenty minutes");
    assert!(stage.until(Duration::from_secs(180), |stage| !is_labelled(stage, node)).await);
    let left = stage.get("Node", node).expect("it stays")["metadata"]["annotations"].to_string();
    assert!(!left.contains("predicted"), "{left}");
    assert!(is_labelled(&stage, other));
}

#[tokio::test(start_paused = true)]
async fn with_the_feature_off_nothing_is_replaced_and_labels_are_taken_back() {
    let stage = stage().await;
    let (_, node) = machines(&stage).remove(0);
    hold(&stage, &node);
    taint(&stage, &node);
    assert!(stage.until(Duration::from_secs(70), |stage| is_labelled(stage, &node)).await);
    stage.operated.set(|settings| settings.spot_interruption_prediction = false);
    assert!(stage.until(Duration::from_secs(60), |stage| !is_labelled(stage, &node)).await);
    stage.pass(1200).await;
    assert_eq!(claims(&stage).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_spot_nodes_of_karpenter_are_judged() {
    let stage = stage().await;
    let all = machines(&stage);
    let (_, on_demand) = &all[0];
    stage.edit("Node", on_demand, |node| node["metadata"]["labels"]["karpenter.sh/capacity-type"] = json!("on-demand"));
    taint(&stage, on_demand);
    let mut foreign = (*stage.get("Node", &all[1].1).expect("a node")).clone();
    foreign["metadata"] = json!({"name": "foreign", "labels": {"karpenter.sh/capacity-type": "spot",
        "node.kubernetes.io/instance-type": "m5.large", "topology.kubernetes.io/zone": "us-east-1a"}});
    foreign["spec"] = json!({"taints": [{"key": TAINT, "effect": "NoSchedule"}]});
    stage.operated.server.create(foreign).expect("the node");
    stage.pass(600).await;
    assert_eq!((claims(&stage), labelled(&stage)), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_node_of_a_plan_that_runs_is_left_alone() {
    let stage = stage().await.planned(json!({"minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 3}})).await;
    let nodes: Vec<String> = stage.plan()["spec"]["nodeClaimsToDelete"]
        .as_array()
        .expect("nodes that go")
        .iter()
        .map(|one| text(&one["nodeClaimName"]))
        .collect();
    assert!(!nodes.is_empty());
    stage.execute();
    stage.pass(10).await;
    for claim in &nodes {
        stage.says(claim, RECOMMENDED);
    }
    let over = |stage: &Stage| {
        assert_eq!((labelled(stage), claims(stage)), (vec![], vec![]));
        stage.is_over("now")
    };
    assert!(stage.until(LONG, over).await, "{}", stage.plan()["status"]);
    assert!(stage.is_done("now"), "{}", stage.plan()["status"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_model_nothing_is_predicted() {
    let stage = Stage::on_spot(6, 1);
    let (claim, node) = machines(&stage).remove(0);
    stage.says(&claim, RECOMMENDED);
    taint(&stage, &node);
    stage.pass(600).await;
    assert_eq!((claims(&stage), labelled(&stage)), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn while_it_observes_a_node_is_told_of_by_a_claim_alone() {
    let stage = stage().await;
    stage.operated.set(|settings| settings.mode = kentroller::settings::OperatorMode::Observe);
    let (claim, node) = machines(&stage).remove(0);
    stage.says(&claim, RECOMMENDED);
    assert!(stage.until(Duration::from_secs(70), |stage| !claims(stage).is_empty()).await);
    stage.pass(300).await;
    assert!(!is_labelled(&stage, &node) && stage.marks().is_empty());
    assert_eq!(claims(&stage), [(vec![node.clone()], "Ready".to_owned())]);
    let pods = stage.list("Pod").into_iter().filter(|pod| is_workload(pod) && pod["spec"]["nodeName"] == node.as_str());
    assert!(pods.count() > 0, "nothing has moved");
}
