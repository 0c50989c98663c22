//! Pods that a plan has moved and that do not serve: it moves no others until they do.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kentroller::simulation::USER;
use kentroller_tests::{Stage, text};
use serde_json::json;

const LONG: Duration = Duration::from_secs(6 * 3600);

/// A plan that waits to be executed, and may take four hours.
async fn planned() -> Stage {
    Stage::drifted(12, 1).planned(json!({"timeouts": {"rebalanceExecutionTimeout": "4h"}})).await
}

/// The owner of a pod that moves in the first wave.
fn owner(stage: &Stage) -> String {
    let plan = stage.plan();
    let moves = plan["spec"]["podsToMigrate"].as_array().expect("pods");
    let first =
        moves.iter().find(|pod| pod["wave"].as_u64().unwrap_or_default() == 0).expect("a pod of the first wave");
    let pod = stage.list("Pod").into_iter().find(|pod| pod["metadata"]["name"] == first["name"]).expect("the pod");
    text(&pod["metadata"]["ownerReferences"][0]["uid"])
}

/// What the operator has evicted and cordoned since that version.
fn moves(stage: &Stage, since: u64) -> usize {
    let writes = stage.operated.server.writes(since).into_iter().filter(|write| *write.user == *USER);
    writes.filter(|write| write.subresource == "eviction").count()
}

#[tokio::test(start_paused = true)]
async fn while_moved_pods_do_not_serve_nothing_else_moves_and_when_they_do_it_goes_on() {
    let mut stage = planned().await;
    let owner = owner(&stage);
    stage.operated.world.set_faults(|faults| faults.crashing = BTreeSet::from([owner.clone()]));
    stage.execute();
    let says = |stage: &Stage| {
        let plan = stage.plan();
        let conditions = plan["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| text(&one["message"]).contains("before anything else moves"))
    };
    assert!(stage.until(Duration::from_secs(1800), says).await, "{}", stage.plan()["status"]["conditions"]);
    let since = stage.operated.server.revision();
    stage.pass(450).await;
    // Whose pods were moved is not forgotten with the process.
    assert!(stage.plan()["status"]["ownersMoved"].to_string().contains(&owner), "{}", stage.plan()["status"]);
    stage.operated.restart().await;
    stage.pass(450).await;
    assert_eq!(moves(&stage, since), 0);
    stage.operated.world.set_faults(|faults| faults.crashing.clear());
    assert!(stage.until(LONG, |stage| stage.is_done("now")).await, "{}", stage.plan()["status"]);
}

#[tokio::test(start_paused = true)]
async fn pods_that_never_serve_end_the_plan_and_it_says_which() {
    let stage = planned().await;
    let owner = owner(&stage);
    stage.operated.world.set_faults(|faults| faults.crashing = BTreeSet::from([owner.clone()]));
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let status = stage.plan()["status"].clone();
    assert_eq!(status["state"], "Failed", "{status}");
    assert_eq!(status["failureReason"], "FailureReasonPodsNotReady", "{status}");
    let pods =
        stage.list("Pod").into_iter().filter(|pod| pod["metadata"]["ownerReferences"][0]["uid"] == owner.as_str());
    let names: Vec<String> = pods.map(|pod| text(&pod["metadata"]["name"])).collect();
    let told = text(&status["failureMessage"]);
    assert!(names.iter().any(|name| told.contains(name)), "{told}: {names:?}");
}

#[tokio::test(start_paused = true)]
async fn pods_that_did_not_serve_before_the_plan_stop_nothing() {
    let stage = planned().await;
    let owner = owner(&stage);
    stage.operated.world.set_faults(|faults| faults.crashing = BTreeSet::from([owner.clone()]));
    let victim =
        stage.list("Pod").into_iter().find(|pod| pod["metadata"]["ownerReferences"][0]["uid"] == owner.as_str());
    let victim = victim.expect("a pod");
    let (namespace, name) = (text(&victim["metadata"]["namespace"]), text(&victim["metadata"]["name"]));
    stage.operated.server.delete("Pod", Some(&namespace), &name, &Default::default()).expect("the deletion");
    stage.pass(30).await;
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let status = stage.plan()["status"].clone();
    assert!(["Done", "DoneWithWarnings"].contains(&text(&status["state"]).as_str()), "{status}");
    let saved = &status["achievedOutcome"]["diff"]["priceHourly"];
    assert!(saved.is_string(), "{status}");
}

#[tokio::test(start_paused = true)]
async fn the_first_node_goes_alone_until_its_pods_serve_elsewhere() {
    let stage = planned().await;
    // All in one wave, and the pool lets half of its nodes go at once: nothing else holds the second one.
    stage.edit("RebalancePlan", "now", |plan| {
        for list in ["nodeClaimsToAdd", "nodeClaimsToDelete", "podsToMigrate"] {
            for entry in plan["spec"][list].as_array_mut().expect("a list") {
                entry["wave"] = json!(0);
            }
        }
    });
    stage.edit("NodePool", "general", |pool| {
        pool["metadata"]["annotations"]["kentroller.cast.ai/budget"] = json!("50%");
    });
    // (nodes cordoned for the plan, the most before one was given back)
    let seen: Arc<Mutex<(BTreeSet<String>, usize)>> = Arc::default();
    let pen = Arc::clone(&seen);
    let given_back: Arc<Mutex<bool>> = Arc::default();
    stage.operated.server.on_commit(move |commit| {
        if *commit.write.user != *USER {
            return;
        }
        let mut given_back = given_back.lock().expect("one thread");
        match (&*commit.write.kind, commit.write.verb, &commit.after) {
            ("NodeClaim", "delete", _) => *given_back = true,
            ("Node", _, Some(after))
                if after["metadata"]["annotations"]["rebalancing.cast.ai/cordoned-by"].is_string() =>
            {
                let mut seen = pen.lock().expect("one thread");
                seen.0.insert(commit.write.name.clone());
                if !*given_back {
                    seen.1 = seen.0.len();
                }
            }
            _ => {}
        }
    });
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.is_done("now")).await);
    let (all, first) = seen.lock().expect("one thread").clone();
    assert!(all.len() > 2, "{all:?}");
    assert_eq!(first, 1, "nodes were cordoned before the first was given back");
}
