//! Everything can be made to rest, at any moment and by whoever may write a ConfigMap; nothing is lost by it.

use std::time::Duration;

use kentroller::simulation::{NAMESPACE, USER};
use kentroller_tests::{Stage, text};
use serde_json::{Value, json};

const NAME: &str = "kentroller-config";
const LONG: Duration = Duration::from_secs(3 * 3600);

/// A cluster whose operator follows the ConfigMap, which says nothing so far.
async fn stage() -> Stage {
    let mut stage = Stage::drifted(12, 1);
    stage.operated.set(|settings| settings.dynamic_config_map_name = Some(NAME.to_owned()));
    let metadata = json!({"name": NAME, "namespace": NAMESPACE});
    stage
        .operated
        .server
        .create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}))
        .expect("accepted");
    stage.operated.restart().await;
    stage
}

/// Says this in the ConfigMap.
async fn say(stage: &Stage, data: &Value) {
    let change = |map: &mut Value| map["data"] = data.clone();
    stage.operated.server.update("ConfigMap", Some(NAMESPACE), NAME, change).expect("the edit");
    stage.pass(1).await;
}

/// What the operator did since that version to anything that is not its own.
fn touched(stage: &Stage, since: u64) -> Vec<String> {
    let writes = stage.operated.server.writes(since).into_iter().filter(|write| *write.user == *USER);
    let foreign = writes.filter(|write| ["Node", "NodeClaim", "Pod"].contains(&&*write.kind));
    foreign.map(|write| format!("{} {} {}{}", write.verb, write.kind, write.name, write.subresource)).collect()
}

/// A plan that is at work when somebody says this is held for two hours, longer than any of its time-outs, and goes on when
/// the ConfigMap says nothing of it any more.
async fn holds(says: Value, reason: &str) -> (Stage, Value) {
    let stage = stage().await;
    stage.claim("now", json!({}));
    let drains = |stage: &Stage| {
        let plan = stage.get("RebalancePlan", "now");
        plan.is_some_and(|plan| plan["status"]["nodesDeletion"].to_string().contains("Draining"))
    };
    assert!(stage.until(LONG, drains).await);
    stage.pass(5).await;
    say(&stage, &says).await;
    stage.pass(1).await;
    let since = stage.operated.server.revision();
    stage.pass(2 * 3600).await;
    assert_eq!(touched(&stage, since), [""; 0], "{says}");
    assert_eq!(stage.state("RebalancePlan", "now"), "Running");
    assert_eq!(stage.condition("RebalancePlan", "now", "Reconciling"), format!("{reason}=True"), "{says}");
    say(&stage, &json!({})).await;
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let status = stage.plan()["status"].clone();
    (stage, status)
}

#[tokio::test(start_paused = true)]
async fn a_plan_at_work_is_held_by_every_switch_and_ends_afterwards_as_if_nothing_had_been() {
    let undisturbed = {
        let stage = stage().await;
        stage.claim("now", json!({}));
        assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
        stage.plan()["status"].clone()
    };
    assert_eq!(undisturbed["state"], "Done", "{undisturbed}");
    for (says, reason) in [
        (json!({"paused": "true"}), "Paused"),
        (json!({"config.yaml": "paused: true"}), "Paused"),
        (json!({"config.yaml": "rebalancer: {enabled: false}"}), "FeatureDisabled"),
        (json!({"config.yaml": "mode: observe"}), "ModeObserve"),
    ] {
        let (stage, status) = holds(says.clone(), reason).await;
        assert_eq!(status["state"], "Done", "{says}: {status}");
        assert_eq!(status["achievedOutcome"]["diff"], undisturbed["achievedOutcome"]["diff"], "{says}");
        stage.pass(60).await;
        assert_eq!(stage.marks(), [""; 0], "{says}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_everything_is_paused_nothing_begins_and_no_time_is_caught_up() {
    let stage = stage().await;
    say(&stage, &json!({"paused": "true", "config.yaml": "paused: false"})).await;
    let since = stage.operated.server.revision();
    stage.schedule("often", "*/5 * * * *", json!({}));
    stage.claim("now", json!({}));
    stage.pass(3600).await;
    assert_eq!(touched(&stage, since), [""; 0]);
    assert_eq!(stage.names("RebalancePlanClaim"), ["now"]);
    assert_eq!(stage.names("RebalancePlan"), [""; 0]);
    assert_eq!(stage.condition("RebalancePlanSchedule", "often", "Scheduled"), "Paused=False");
    assert_eq!(stage.condition("RebalancePlanClaim", "now", "Reconciling"), "Paused=True");
    say(&stage, &json!({})).await;
    stage.pass(2).await;
    assert_eq!(stage.names("RebalancePlanClaim"), ["now"], "the twelve times of the pause are not caught up");
    assert!(stage.until(LONG, |stage| stage.is_done("now")).await);
}

#[tokio::test(start_paused = true)]
async fn a_pause_with_an_end_ends_by_itself_and_one_that_cannot_be_read_is_told() {
    let stage = stage().await;
    let end = stage.operated.clock.now() + Duration::from_secs(1800);
    say(&stage, &json!({"paused": end.to_string()})).await;
    stage.claim("now", json!({}));
    stage.pass(1700).await;
    assert_eq!(stage.condition("RebalancePlanClaim", "now", "Reconciling"), "Paused=True");
    say(&stage, &json!({"paused": "tomorrow"})).await;
    let about = stage.list("Event").into_iter().filter(|event| event["regarding"]["name"] == NAME);
    let told: Vec<String> = about.map(|event| text(&event["note"])).collect();
    assert!(told.iter().any(|note| note.contains("paused is `tomorrow`")), "{told:?}");
    assert_eq!(stage.names("RebalancePlan"), [""; 0], "the last good one stays");
    assert!(stage.until(Duration::from_secs(300), |stage| stage.get("RebalancePlan", "now").is_some()).await);
}
