//! What a plan does when nodes and pools come and go beside it: new ones that are lost again, old ones that are gone before
//! their turn, a Karpenter that consolidates and replaces on its own.

use std::time::Duration;

use kentroller_tests::{Stage, text};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);
const PLAN_LABEL: &str = "rebalancing.cast.ai/plan";

/// A cluster with a plan that waits to be executed.
async fn planned() -> Stage {
    Stage::drifted(12, 1).planned(json!({})).await
}

async fn over(stage: &Stage) -> Value {
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await, "{}", stage.plan()["status"]);
    stage.pass(120).await;
    let courses = stage.plan()["status"]["nodesDeletion"].clone();
    let left: Vec<String> = stage.marks().into_iter().filter(|name| courses[name]["phase"] != "Kept").collect();
    assert_eq!(left, [""; 0]);
    stage.plan()
}

/// What the plan has tried for its new nodes: name of the NodeClaim and status.
fn attempts(plan: &Value) -> Vec<(String, String)> {
    let all = plan["status"]["nodesCreation"].as_object().into_iter().flatten();
    let attempts = all.flat_map(|(_, creation)| creation["attempts"].as_array().cloned().unwrap_or_default());
    attempts.map(|one| (text(&one["nodeClaimName"]), text(&one["status"]))).collect()
}

/// Ends a machine as the cloud does: its NodeClaim goes, whatever runs there.
fn lose(stage: &Stage, claim: &str) {
    stage.delete("NodeClaim", claim);
}

#[tokio::test(start_paused = true)]
async fn a_new_node_that_is_lost_after_it_came_is_made_once_more_and_the_plan_ends_well() {
    let stage = planned().await;
    stage.execute();
    let come = |stage: &Stage| attempts(&stage.plan()).iter().any(|(_, status)| status == "Success");
    assert!(stage.until(LONG, come).await);
    let (lost, _) = attempts(&stage.plan()).into_iter().find(|(_, status)| status == "Success").expect("it came");
    lose(&stage, &lost);
    let plan = over(&stage).await;
    assert_eq!(plan["status"]["state"], "Done", "{}", plan["status"]);
    let tried = attempts(&plan);
    assert!(tried.contains(&(lost.clone(), "Failed".to_owned())), "{tried:?}");
    assert!(
        tried.iter().any(|(name, status)| name.starts_with(&lost) && *name != lost && status == "Success"),
        "{tried:?}"
    );
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_new_node_that_is_lost_while_its_wave_is_drained_does_not_hold_the_plan_until_its_time_out() {
    let stage = planned().await;
    stage.execute();
    let draining = |stage: &Stage| -> Option<u64> {
        let waves = stage.plan()["status"]["waves"].as_array().cloned().unwrap_or_default();
        let wave = waves.iter().find(|one| one["phase"] == "Draining")?["index"].as_u64();
        let adds = stage.plan()["spec"]["nodeClaimsToAdd"].as_array().cloned().unwrap_or_default();
        wave.filter(|wave| adds.iter().any(|add| add["wave"].as_u64().unwrap_or_default() == *wave))
    };
    assert!(stage.until(LONG, |stage| draining(stage).is_some()).await);
    let wave = draining(&stage).expect("a wave");
    let adds = stage.plan()["spec"]["nodeClaimsToAdd"].as_array().cloned().expect("new nodes");
    let add = adds.iter().find(|add| add["wave"].as_u64().unwrap_or_default() == wave).expect("a node of the wave");
    lose(&stage, &text(&add["metadata"]["name"]));
    let begun = stage.operated.clock.now();
    let plan = over(&stage).await;
    assert!(stage.is_done("now"), "{}", plan["status"]);
    let took = stage.operated.clock.now().duration_since(begun);
    assert!(took.as_secs() < 1_800, "{took:?}: the plan's own limit is an hour");
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_bought_for_nodes_that_are_gone_before_their_turn() {
    let stage = planned().await;
    let spec = stage.plan()["spec"].clone();
    let of = |list: &str, wave: u64| -> Vec<Value> {
        let all = spec[list].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|one| one["wave"].as_u64().unwrap_or_default() == wave).collect()
    };
    let is_both = |wave: &u64| !of("nodeClaimsToAdd", *wave).is_empty() && !of("nodeClaimsToDelete", *wave).is_empty();
    let wave = (0..100).rev().find(is_both).expect("a wave that replaces nodes");
    for one in of("nodeClaimsToDelete", wave) {
        lose(&stage, &text(&one["nodeClaimName"]));
    }
    stage.execute();
    let plan = over(&stage).await;
    assert!(stage.is_done("now"), "{}", plan["status"]);
    let bought: Vec<String> = attempts(&plan).into_iter().map(|(name, _)| name).collect();
    for add in of("nodeClaimsToAdd", wave) {
        let name = text(&add["metadata"]["name"]);
        assert!(
            !bought.iter().any(|bought| bought.starts_with(&name)),
            "{name} of wave {wave}: {bought:?} {}",
            plan["status"]["waves"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_node_that_comes_too_late_is_left_to_the_pods_that_found_it() {
    let stage = planned().await;
    stage.execute();
    let joined = |stage: &Stage| {
        let ours = stage.list("NodeClaim").into_iter().find(|claim| {
            !claim["metadata"]["labels"][PLAN_LABEL].is_null()
                && !claim["metadata"]["annotations"]["rebalancing.cast.ai/made-by"].is_null()
                && !text(&claim["status"]["nodeName"]).is_empty()
        })?;
        Some((text(&ours["metadata"]["name"]), text(&ours["status"]["nodeName"])))
    };
    assert!(stage.until(LONG, |stage| joined(stage).is_some()).await);
    let (claim, node) = joined(&stage).expect("a node");
    // Somebody's pods run there although it is not initialized so far.
    let requests = json!({"cpu": "10m", "memory": "16Mi"});
    stage
        .operated
        .server
        .create(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "early", "namespace": "shop"},
            "spec": {"nodeName": node, "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "app", "image": "app:1", "resources": {"requests": requests}}]},
        }))
        .expect("the pod is accepted");
    // It waits for a device that does not come.
    let never = |node: &mut Value| {
        node["spec"]["taints"] = json!([{"key": "readiness.k8s.io/gpu", "effect": "NoSchedule"}]);
    };
    stage.edit("Node", &node, never);
    let plan = over(&stage).await;
    let kept = stage.get("NodeClaim", &claim).expect("it is left to the pod");
    assert!(kept["metadata"]["deletionTimestamp"].is_null() && kept["metadata"]["labels"][PLAN_LABEL].is_null());
    assert!(stage.operated.server.get("Pod", Some("shop"), "early").is_some());
    assert!(plan["status"]["warnings"].to_string().contains("came too late for its plan"), "{}", plan["status"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_node_pool_is_deleted_while_it_buys_ends_at_once_and_says_so() {
    let stage = planned().await;
    for pool in stage.names("NodePool") {
        stage.delete("NodePool", &pool);
    }
    stage.execute();
    assert!(stage.until(Duration::from_secs(600), |stage| stage.state("RebalancePlan", "now") == "Failed").await);
    assert_eq!(stage.plan()["status"]["failureReason"], "FailureReasonClusterChanged", "{}", stage.plan()["status"]);
}

/// Lets Karpenter consolidate, as it does where nobody says otherwise.
fn let_karpenter_consolidate(stage: &Stage) {
    for pool in stage.names("NodePool") {
        stage.edit("NodePool", &pool, |pool| pool["spec"]["disruption"]["consolidateAfter"] = json!("30s"));
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_karpenter_that_consolidates_a_plan_comes_to_its_end_and_none_of_its_nodes_is_taken() {
    let stage = planned().await;
    let_karpenter_consolidate(&stage);
    let from = stage.operated.server.revision();
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "now") == "Running").await);
    let needed: Vec<String> = stage.plan()["spec"]["podsToMigrate"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pod| text(&pod["dstNodeClaimName"]))
        .collect();
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await, "{}", stage.plan()["status"]);
    let writes = stage.operated.server.writes(from).into_iter();
    let taken = writes.filter(|write| {
        &*write.kind == "NodeClaim" && write.verb == "delete" && &*write.user != kentroller::simulation::USER
    });
    let taken: Vec<String> = taken.map(|write| write.name).filter(|name| needed.contains(name)).collect();
    assert_eq!(taken, [""; 0], "nodes that take pods of the plan");
    let plan = over(&stage).await;
    assert!(stage.is_done("now"), "{}", plan["status"]);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
    let unplanned = stage.operated.unplanned(from);
    assert!(unplanned.len() <= 1, "{unplanned:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_plan_karpenter_finds_little_to_undo() {
    let stage = planned().await;
    stage.execute();
    let plan = over(&stage).await;
    let told = &plan["status"]["consolidationStability"];
    let nodes =
        told["poolResults"].as_array().into_iter().flatten().flat_map(|pool| pool["nodes"].as_array()).flatten();
    let (names, lost): (Vec<String>, Vec<bool>) =
        nodes.map(|node| (text(&node["nodeName"]), node["consolidatable"] == true)).unzip();
    let new = plan["spec"]["nodeClaimsToAdd"].as_array().expect("those that come").iter();
    let mut new: Vec<String> = new.map(|add| text(&add["metadata"]["name"])).collect();
    new.sort();
    assert_eq!((names, &told["enabled"]), (new, &json!(true)), "{told}");
    assert!(lost.iter().filter(|lost| **lost).count() <= 1, "{told}");
    let (price, from) = (stage.operated.world.price_per_hour(), stage.operated.server.revision());
    let_karpenter_consolidate(&stage);
    stage.pass(3_600).await;
    // A plan is as calm as its tolerance lets it be: so much may be left.
    let unplanned = stage.operated.unplanned(from);
    assert!(unplanned.len() <= 1, "{unplanned:?}");
    let (left, price) = (stage.operated.world.price_per_hour().as_micros(), price.as_micros());
    assert!(left <= price && left * 100 >= price * 97, "{left} of {price}");
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn while_karpenter_replaces_drifted_nodes_the_budget_of_the_pool_holds_for_both() {
    let stage = planned().await;
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "now") == "Running").await);
    for pool in stage.names("NodePool") {
        stage.edit("NodePool", &pool, |pool| pool["spec"]["template"]["metadata"]["labels"]["team"] = json!("shop"));
    }
    // What it had bought by then is of the old template; it buys nothing more of that.
    let plan = over(&stage).await;
    let changed = plan["status"]["failureReason"] == "FailureReasonClusterChanged";
    assert!(changed || stage.is_done("now"), "{}", plan["status"]);
    stage.pass(2 * 3_600).await;
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}
