//! Whether the nodes that really came are worth it, and whether the plan that runs is the one that was checked.

use std::sync::Arc;
use std::time::Duration;

use kentroller_planner::Quantity;
use kentroller_tests::{Stage, text};
use kentroller_world::Offering;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);

/// A plan that waits to be executed, of a claim with this policy.
async fn planned(policy: Value) -> Stage {
    Stage::drifted(12, 1).planned(json!({"executionPolicy": policy})).await
}

async fn executed(stage: &Stage) -> Value {
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    stage.pass(120).await;
    stage.plan()
}

fn offering(alternative: &Value) -> Offering {
    let value = |key: &str| {
        let all = alternative["requirements"].as_array().into_iter().flatten();
        text(&all.into_iter().find(|one| one["key"] == key).cloned().unwrap_or_default()["values"][0])
    };
    Offering {
        instance_type: value("node.kubernetes.io/instance-type"),
        zone: value("topology.kubernetes.io/zone"),
        capacity_type: value("karpenter.sh/capacity-type"),
    }
}

/// Takes away what the new nodes of a wave are cheapest in; says which wave.
fn make_dearer(stage: &Stage) -> u64 {
    let adds = stage.plan()["spec"]["nodeClaimsToAdd"].as_array().cloned().expect("new nodes");
    let price = |one: &Value| one["priceHourly"].as_str().expect("a price").parse::<f64>().expect("a number");
    let alternatives = |add: &Value| add["alternatives"].as_array().cloned().expect("a list");
    let has_dearer = |add: &&Value| alternatives(add).iter().any(|one| price(one) > price(&alternatives(add)[0]));
    let add = adds.iter().find(has_dearer).expect("a node with a dearer alternative");
    let all = alternatives(add);
    let cheapest = all.iter().filter(|one| price(one) <= price(&all[0])).map(offering);
    stage.operated.world.set_faults(|faults| faults.exhausted.extend(cheapest.clone()));
    add["wave"].as_u64().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_wave_whose_real_nodes_save_too_little_is_given_back_and_none_of_its_old_nodes_touched() {
    let stage = planned(json!({"achievedSavingsPercentageThreshold": 100})).await;
    let wave = make_dearer(&stage);
    let plan = executed(&stage).await;
    let status = &plan["status"];
    assert_eq!(status["state"], "Failed", "{status}");
    assert_eq!(status["failureReason"], "FailureReasonInsufficientSavings", "{status}");
    assert_eq!(status["failurePhase"], "Creation", "{status}");
    assert!(text(&status["failureMessage"]).contains("achievedSavingsPercentageThreshold is 100"), "{status}");
    assert_eq!(stage.state("RebalancePlanClaim", "now"), "Failed");
    let of_wave = |list: &str| -> Vec<Value> {
        let all = plan["spec"][list].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|one| one["wave"].as_u64().unwrap_or_default() == wave).collect()
    };
    for blue in of_wave("nodeClaimsToDelete") {
        let claim = stage.get("NodeClaim", &text(&blue["nodeClaimName"])).expect("the node stays");
        let node = stage.get("Node", &text(&claim["status"]["nodeName"])).expect("the node stays");
        assert!(node["spec"]["unschedulable"].is_null(), "{node}");
    }
    let names = stage.names("NodeClaim");
    for green in of_wave("nodeClaimsToAdd") {
        let name = text(&green["metadata"]["name"]);
        assert!(!names.iter().any(|claim| claim.starts_with(&name)), "{name} is given back: {names:?}");
    }
    let gate = status["waves"].as_array().expect("waves").iter().find(|one| one["index"] == wave).expect("the wave");
    assert_eq!(gate["phase"], "Gating", "{gate}");
    assert!(!gate["achievedSavingsPercent"].is_null(), "{gate}");
    assert!(status["validatedSavings"]["greenNodes"][0]["priceHourly"].is_string(), "{status}");
    assert_eq!(stage.marks(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_and_within_it_a_dearer_offering_is_taken() {
    for policy in [json!({}), json!({"achievedSavingsPercentageThreshold": 1})] {
        let stage = planned(policy.clone()).await;
        make_dearer(&stage);
        let plan = executed(&stage).await;
        assert_eq!(plan["status"]["state"], "Done", "{policy}: {}", plan["status"]);
        assert_eq!(plan["status"]["validatedSavings"].is_null(), policy == json!({}), "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_least_saving_of_the_whole_plan_is_kept_with_the_real_nodes() {
    let stage = planned(json!({"minAchievedSavingsPercentage": 99})).await;
    let plan = executed(&stage).await;
    assert_eq!(plan["status"]["failureReason"], "FailureReasonInsufficientSavings", "{}", plan["status"]);
    assert!(text(&plan["status"]["failureMessage"]).contains("minAchievedSavingsPercentage is 99"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_edited_is_checked_anew_before_its_start_and_fails_if_it_is_wrong() {
    let stage = planned(json!({})).await;
    stage.edit("RebalancePlan", "now", |plan| {
        plan["spec"]["nodeClaimsToDelete"].as_array_mut().expect("a list").push(json!({"nodeClaimName": "nobody"}));
    });
    let plan = executed(&stage).await;
    assert_eq!(plan["status"]["state"], "Failed", "{}", plan["status"]);
    assert_eq!(plan["status"]["failureReason"], "FailureReasonClusterChanged", "{}", plan["status"]);
    assert!(text(&plan["status"]["failureMessage"]).contains("nobody"), "{}", plan["status"]);
    assert!(plan["status"]["nodesDeletion"].as_object().is_none_or(|all| all.is_empty()), "nothing was touched");
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_cluster_has_moved_on_since_it_was_checked_does_not_begin() {
    let stage = planned(json!({})).await;
    let first = text(&stage.plan()["spec"]["nodeClaimsToDelete"][0]["nodeClaimName"]);
    stage.delete("NodeClaim", &first);
    stage.pass(30 * 60).await;
    let plan = executed(&stage).await;
    assert_eq!(plan["status"]["state"], "Failed", "{}", plan["status"]);
    assert_eq!(plan["status"]["failureReason"], "FailureReasonClusterChanged", "{}", plan["status"]);
    assert!(text(&plan["status"]["failureMessage"]).contains(&first), "{}", plan["status"]);
}

#[tokio::test(start_paused = true)]
async fn a_few_pods_that_were_replaced_since_a_plan_was_checked_do_not_end_it_and_many_do() {
    let all = planned(json!({})).await.plan()["spec"]["podsToMigrate"].as_array().map_or(0, Vec::len);
    assert!(all > 50, "{all} pods move");
    // Where exactly few ends has a unit test: a pod that is made again elsewhere may take room that the plan counts on.
    for (replaced, ends) in [(2, true), (all / 3, false)] {
        let stage = planned(json!({})).await;
        let moves = stage.plan()["spec"]["podsToMigrate"].as_array().cloned().unwrap_or_default();
        let named: Vec<_> = moves.iter().map(|pod| (text(&pod["namespace"]), text(&pod["name"]))).collect();
        let mut gone: Vec<Arc<Value>> = stage.list("Pod");
        gone.retain(|pod| named.contains(&(text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]))));
        // Few are of no weight: small, and of no service whose spread they change.
        gone.retain(|pod| !ends || pod["spec"]["topologySpreadConstraints"].is_null());
        let cpu = |pod: &Value| text(&pod["spec"]["containers"][0]["resources"]["requests"]["cpu"]);
        gone.sort_by_key(|pod| Quantity::parse(&cpu(pod)).map_or(0, Quantity::milli));
        for pod in gone.into_iter().take(replaced) {
            let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
            // Nobody makes it again: what is counted is this pod alone.
            stage.edit_in("Pod", &namespace, &name, |pod| pod["metadata"]["ownerReferences"] = json!([]));
            stage.operated.server.delete("Pod", Some(&namespace), &name, &Default::default()).expect("the deletion");
        }
        stage.pass(30).await;
        let pending =
            |stage: &Stage| stage.list("Pod").iter().filter(|pod| pod["status"]["phase"] == "Pending").count();
        assert!(stage.until(Duration::from_secs(300), |stage| pending(stage) == 0).await);
        let plan = executed(&stage).await;
        let (status, reason) = (&plan["status"], plan["status"]["failureReason"].as_str());
        assert_eq!(reason, (!ends).then_some("FailureReasonClusterChanged"), "{replaced} of {all}: {status}");
        assert_eq!(text(&status["state"]).starts_with("Done"), ends, "{replaced} of {all}: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_edited_while_it_runs_fails_and_leaves_nothing_behind() {
    let stage = planned(json!({})).await;
    stage.execute();
    assert!(stage.until(LONG, |stage| !stage.plan()["status"]["nodesDeletion"].is_null()).await);
    let kept = stage.plan()["spec"]["nodeClaimsToDelete"].as_array().expect("a list").last().cloned().expect("one");
    stage.edit("RebalancePlan", "now", |plan| {
        plan["spec"]["nodeClaimsToDelete"].as_array_mut().expect("a list").pop();
    });
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    stage.pass(120).await;
    let plan = stage.plan();
    assert_eq!(plan["status"]["state"], "Failed", "{}", plan["status"]);
    assert_eq!(plan["status"]["failureReason"], "FailureReasonPlanInvalid", "{}", plan["status"]);
    assert!(stage.get("NodeClaim", &text(&kept["nodeClaimName"])).is_some());
    assert_eq!(stage.marks(), [""; 0]);
}
