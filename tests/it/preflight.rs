//! What must hold before a plan begins, and before it buys anything.

use std::collections::BTreeSet;
use std::time::Duration;

use kentroller_tests::{Stage, text};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);

fn waits_for(stage: &Stage) -> String {
    let conditions = stage.plan()["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let reconciling = conditions.into_iter().find(|one| one["type"] == "Reconciling");
    reconciling.map_or_else(String::new, |one| text(&one["message"]))
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_bought_while_a_node_pool_is_not_ready() {
    let stage = Stage::drifted(24, 1).planned(json!({})).await;
    let classes = |truth: &str| {
        for class in stage.names("EC2NodeClass") {
            let change =
                |class: &mut Value| class["status"]["conditions"] = json!([{"type": "Ready", "status": truth}]);
            stage.operated.server.update_status("EC2NodeClass", None, &class, change).expect("it is accepted");
        }
    };
    let made = |stage: &Stage| stage.plan()["status"]["nodesCreation"].as_object().map_or(0, serde_json::Map::len);
    stage.execute();
    let have_come = |stage: &Stage| {
        let creations = stage.plan()["status"]["nodesCreation"].as_object().cloned().unwrap_or_default();
        let has_come = |one: &Value| one["attempts"].to_string().contains("Success");
        !creations.is_empty() && creations.values().all(has_come)
    };
    assert!(stage.until(LONG, have_come).await);
    classes("False");
    stage.pass(10).await;
    let before = made(&stage);
    stage.pass(600).await;
    let wanted = stage.plan()["spec"]["nodeClaimsToAdd"].as_array().map_or(0, Vec::len);
    assert_eq!(made(&stage), before, "of {wanted}");
    assert!(before < wanted, "{before} of {wanted}");
    assert_eq!(stage.plan()["status"]["state"], "Running", "{}", stage.plan()["status"]["failureMessage"]);
    assert!(waits_for(&stage).contains("to be Ready"), "{}", waits_for(&stage));
    classes("True");
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    assert_eq!(stage.plan()["status"]["state"], "Done", "{}", stage.plan()["status"]);
}

/// Has the Deployment rolled out of whose pods the plan moves the fewest; namespace, name, and the uid of its new ReplicaSet.
async fn roll_out(stage: &Stage) -> (String, String, String) {
    let moves = stage.plan()["spec"]["podsToMigrate"].as_array().cloned().expect("moves");
    let pods = stage.list("Pod");
    let owner = |moved: &Value| {
        let of = |pod: &&std::sync::Arc<Value>| {
            pod["metadata"]["name"] == moved["name"] && pod["metadata"]["namespace"] == moved["namespace"]
        };
        let pod = pods.iter().find(of)?;
        let set = text(&pod["metadata"]["ownerReferences"][0]["name"]);
        let version = text(&pod["metadata"]["labels"]["pod-template-hash"]);
        Some((text(&moved["namespace"]), set.strip_suffix(&format!("-{version}"))?.to_owned()))
    };
    let owners: Vec<(String, String)> = moves.iter().filter_map(owner).collect();
    let few = owners.iter().min_by_key(|one| owners.iter().filter(|other| other == one).count());
    let (namespace, name) = few.expect("a Deployment").clone();
    stage.edit_in("Deployment", &namespace, &name, |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!("another:1");
    });
    stage.pass(1).await;
    let sets = stage.list("ReplicaSet");
    let is_new = |set: &&std::sync::Arc<Value>| {
        let template = &set["spec"]["template"]["spec"]["containers"][0]["image"];
        set["metadata"]["ownerReferences"][0]["name"] == *name && template == "another:1"
    };
    let uid = text(&sets.iter().find(is_new).expect("a new ReplicaSet")["metadata"]["uid"]);
    (namespace, name, uid)
}

#[tokio::test(start_paused = true)]
async fn a_plan_does_not_begin_while_a_workload_that_it_moves_is_rolled_out() {
    let stage = Stage::drifted(12, 1).planned(json!({})).await;
    let (namespace, name, set) = roll_out(&stage).await;
    stage.operated.world.set_faults(|faults| faults.crashing = BTreeSet::from([set.clone()]));
    stage.execute();
    stage.pass(60).await;
    assert_eq!(stage.plan()["status"]["state"], "Created");
    assert_eq!(waits_for(&stage), format!("Waits for the rollout of {namespace}/{name}, at most ten minutes."));
    assert_eq!(stage.condition("RebalancePlan", "now", "Reconciling"), "WaitsForRollout=True");
    stage.operated.world.set_faults(|faults| faults.crashing.clear());
    assert!(stage.until(LONG, |stage| stage.plan()["status"]["state"] != "Created").await);
    let begun = stage.operated.clock.now();
    let versions: BTreeSet<String> = stage
        .list("Pod")
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .map(|pod| text(&pod["metadata"]["ownerReferences"][0]["name"]))
        .filter(|set| set.rsplit_once('-').is_some_and(|(stem, _)| stem == name))
        .collect();
    assert_eq!(versions.len(), 1, "one version runs at {begun}: {versions:?}");
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_does_not_end_holds_a_plan_for_ten_minutes_at_most() {
    let stage = Stage::drifted(12, 1).planned(json!({})).await;
    let (_, _, set) = roll_out(&stage).await;
    stage.operated.world.set_faults(|faults| faults.crashing = BTreeSet::from([set.clone()]));
    stage.execute();
    let checked: jiff::Timestamp = text(&stage.plan()["status"]["checkTime"]).parse().expect("a time");
    assert!(stage.until(LONG, |stage| stage.plan()["status"]["state"] != "Created").await);
    let waited = stage.operated.clock.now().duration_since(checked).as_secs();
    assert!((600..660).contains(&waited), "{waited} s");
}
