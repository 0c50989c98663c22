//! What could not be bought is remembered, and not bought before it may be had again.

use std::time::Duration;

use kentroller_tests::{Stage, text};
use kentroller_world::Offering;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3600);
const TYPE: &str = "node.kubernetes.io/instance-type";
const ZONE: &str = "topology.kubernetes.io/zone";
const CAPACITY: &str = "karpenter.sh/capacity-type";

/// The offering of an entry in a plan's list.
fn offering(alternative: &Value) -> Offering {
    let value = |key: &str| {
        let all = alternative["requirements"].as_array().cloned().unwrap_or_default();
        all.iter().find(|one| one["key"] == key).map(|one| text(&one["values"][0])).unwrap_or_default()
    };
    Offering { instance_type: value(TYPE), zone: value(ZONE), capacity_type: value(CAPACITY) }
}

/// All offerings of a plan.
fn offerings(plan: &Value) -> Vec<Offering> {
    let adds = plan["spec"]["nodeClaimsToAdd"].as_array().cloned().unwrap_or_default();
    adds.iter()
        .flat_map(|add| add["alternatives"].as_array().cloned().unwrap_or_default())
        .map(|one| offering(&one))
        .collect()
}

/// The plan of a claim that is not executed.
async fn planned(stage: &Stage, claim: &str) -> Value {
    stage.claim(claim, json!({"autoExecute": false}));
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", claim) == "Created").await);
    (*stage.get("RebalancePlan", claim).expect("the plan")).clone()
}

/// As Karpenter says it: what is known not to be had, by name, with its attempts.
fn unavailable(stage: &Stage) -> Vec<(String, i64)> {
    let all = stage.list("UnavailableOffering");
    all.iter().map(|one| (text(&one["metadata"]["name"]), one["spec"]["attempts"].as_i64().unwrap_or(0))).collect()
}

/// Somebody else asks Karpenter for a node of just this offering, in vain.
async fn ask_in_vain(stage: &Stage, name: &str, plan: &Value, of: &Offering) {
    stage.operated.world.set_faults(|faults| faults.exhausted.extend([of.clone()]));
    let add = &plan["spec"]["nodeClaimsToAdd"][0];
    let mut spec = add["spec"].clone();
    let one = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
    spec["requirements"] = json!([one(TYPE, &of.instance_type), one(ZONE, &of.zone), one(CAPACITY, &of.capacity_type)]);
    let claim = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {"name": name, "labels": {"karpenter.sh/nodepool": "general"}}, "spec": spec});
    stage.operated.server.create(claim).expect("the NodeClaim");
    assert!(stage.until(LONG, |stage| stage.get("NodeClaim", name).is_none()).await);
    stage.pass(2).await;
}

fn name(of: &Offering) -> String {
    format!("{}-{}-{}", of.instance_type, of.zone, of.capacity_type)
}

#[tokio::test(start_paused = true)]
async fn what_karpenter_could_not_buy_is_not_planned_before_it_expires_and_may_be_afterwards() {
    let stage = Stage::drifted(12, 1);
    let first = planned(&stage, "first").await;
    let wanted = offerings(&first).remove(0);
    ask_in_vain(&stage, "somebody", &first, &wanted).await;
    assert_eq!(unavailable(&stage), [(name(&wanted), 1)]);
    let known = stage.get("UnavailableOffering", &name(&wanted)).expect("it is remembered");
    assert_eq!(known["spec"]["reason"], "InsufficientCapacityError");
    let second = planned(&stage, "second").await;
    let others = offerings(&second);
    assert!(!others.is_empty() && !others.contains(&wanted), "{others:?}");
    stage.operated.world.set_faults(|faults| faults.exhausted.clear());
    stage.pass(200).await;
    let third = planned(&stage, "third").await;
    assert!(offerings(&third).contains(&wanted), "{:?}", offerings(&third));
    ask_in_vain(&stage, "somebody-again", &first, &wanted).await;
    assert_eq!(unavailable(&stage), [(name(&wanted), 2)], "it adds up");
    stage.pass(3600 + 600).await;
    assert_eq!(unavailable(&stage), [], "it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn what_a_plan_of_ours_could_not_buy_is_remembered_across_a_restart() {
    let mut stage = Stage::drifted(12, 1);
    let plan = planned(&stage, "now").await;
    let wanted = offerings(&plan).remove(0);
    stage.operated.world.set_faults(|faults| faults.exhausted.extend([wanted.clone()]));
    stage.execute();
    assert!(stage.until(LONG, |stage| !unavailable(stage).is_empty()).await);
    stage.operated.restart().await;
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await, "{}", stage.plan()["status"]);
    assert!(stage.is_done("now"), "{}", stage.plan()["status"]);
    let names: Vec<String> = unavailable(&stage).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [name(&wanted)]);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_runs_does_not_ask_for_what_is_known_to_be_missing() {
    let stage = Stage::drifted(12, 1);
    let plan = planned(&stage, "now").await;
    let wanted = offerings(&plan).remove(0);
    let until = stage.operated.clock.now().saturating_add(LONG).expect("a time");
    let spec = json!({"instanceType": wanted.instance_type, "zoneId": wanted.zone, "capacityType": wanted.capacity_type,
        "reason": "InsufficientCapacityError", "expiresAt": until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
    stage.create("UnavailableOffering", "by-hand", spec).expect("a person may write one");
    let since = stage.operated.server.revision();
    stage.execute();
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await, "{}", stage.plan()["status"]);
    assert!(stage.is_done("now"), "{}", stage.plan()["status"]);
    let add = text(&plan["spec"]["nodeClaimsToAdd"][0]["metadata"]["name"]);
    let attempts = stage.plan()["status"]["nodesCreation"][&add]["attempts"].clone();
    assert_eq!((&attempts[0]["status"], &attempts[1]["status"]), (&json!("Failed"), &json!("Success")), "{attempts}");
    assert!(text(&attempts[0]["description"]).starts_with("not tried: by-hand is not to be had before"), "{attempts}");
    let first = text(&attempts[0]["nodeClaimName"]);
    let writes = stage.operated.server.writes(since).into_iter();
    let made = writes.filter(|write| &*write.kind == "NodeClaim" && write.verb == "create").map(|write| write.name);
    let made: Vec<String> = made.collect();
    assert!(!made.contains(&first), "{made:?}");
    assert!(stage.get("UnavailableOffering", "by-hand").is_some(), "what a person wrote is left alone");
}
