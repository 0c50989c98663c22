//! Settings that change while the operator runs, by its dynamic ConfigMap.

use std::time::Duration;

use kentroller::simulation::NAMESPACE;
use kentroller_tests::{Stage, text};
use serde_json::json;

const NAME: &str = "kentroller-config";

/// A cluster whose operator follows the ConfigMap, which holds this text.
async fn stage(text: &str) -> Stage {
    let mut stage = Stage::drifted(6, 1);
    stage.operated.set(|settings| settings.dynamic_config_map_name = Some(NAME.to_owned()));
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": NAMESPACE}, "data": {"config.yaml": text}});
    stage.operated.server.create(map).expect("the ConfigMap");
    stage.operated.restart().await;
    stage.pass(30).await;
    stage
}

async fn write(stage: &Stage, text: &str) {
    let change = |map: &mut serde_json::Value| map["data"]["config.yaml"] = json!(text);
    stage.operated.server.update("ConfigMap", Some(NAMESPACE), NAME, change).expect("the edit");
    stage.pass(5).await;
}

/// What the operator says of the ConfigMap.
fn said(stage: &Stage) -> Vec<String> {
    let about = stage.list("Event").into_iter().filter(|event| event["regarding"]["name"] == NAME);
    about.map(|event| format!("{}: {}", text(&event["reason"]), text(&event["note"]))).collect()
}

/// As [`said`], without what is said of the defaults: nobody has set a model that predicts.
fn told(stage: &Stage) -> Vec<String> {
    said(stage).into_iter().filter(|line| !line.starts_with("PredictionIdle")).collect()
}

/// Whether a claim that asks for it is executed: it is not while the operator only observes.
async fn executes(stage: &Stage, claim: &str) -> bool {
    stage.claim(claim, json!({"minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 1}}));
    let known = |stage: &Stage| stage.get("RebalancePlan", claim).is_some();
    assert!(stage.until(Duration::from_secs(300), known).await, "{claim} has no plan");
    let execute = stage.get("RebalancePlan", claim).expect("the plan")["spec"]["execute"] == true;
    stage.delete("RebalancePlanClaim", claim);
    let gone = |stage: &Stage| stage.get("RebalancePlan", claim).is_none();
    assert!(stage.until(Duration::from_secs(3600), gone).await, "{claim} stays");
    execute
}

#[tokio::test(start_paused = true)]
async fn a_feature_is_switched_without_a_restart() {
    let stage = stage("rebalancer: {enabled: false}").await;
    stage.schedule("often", "*/5 * * * *", json!({}));
    stage.pass(5).await;
    assert_eq!(stage.condition("RebalancePlanSchedule", "often", "Scheduled"), "FeatureDisabled=False");
    write(&stage, "rebalancer: {enabled: true}").await;
    assert_eq!(stage.condition("RebalancePlanSchedule", "often", "Scheduled"), "Scheduled=True");
    write(&stage, "rebalancer: {enabled: false}").await;
    assert_eq!(stage.condition("RebalancePlanSchedule", "often", "Scheduled"), "FeatureDisabled=False");
    stage.operated.server.delete("ConfigMap", Some(NAMESPACE), NAME, &Default::default()).expect("the deletion");
    stage.pass(5).await;
    assert_eq!(
        stage.condition("RebalancePlanSchedule", "often", "Scheduled"),
        "Scheduled=True",
        "the environment counts"
    );
    assert_eq!(told(&stage), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn how_far_the_operator_goes_is_switched_without_a_restart() {
    let stage = stage("mode: observe").await;
    assert!(!executes(&stage, "first").await);
    write(&stage, "mode: act").await;
    assert!(executes(&stage, "second").await);
    write(&stage, "mode: approve").await;
    assert!(!executes(&stage, "third").await);
}

#[tokio::test(start_paused = true)]
async fn a_text_with_a_mistake_is_rejected_whole_and_the_last_good_one_stays() {
    let stage = stage("mode: observe").await;
    let wrong = [
        ("mode: act\nrebalancer: {planTimelimit: 3s}", "rebalancer.planTimelimit"),
        ("mode: everything", "mode is `everything`"),
        ("mode: act\nrebalancer: {planTimeLimit: 3h}", "rebalancer.planTimeLimit is `3h`"),
        ("mode: act\nrebalancer: 7", "rebalancer"),
        ("mode: [act", "it must be YAML"),
    ];
    for (number, (text, says)) in wrong.into_iter().enumerate() {
        write(&stage, text).await;
        let told = told(&stage);
        assert_eq!(told.len(), number + 1, "{text}: {told:?}");
        assert!(
            told.iter().any(|note| note.starts_with("ConfigRejected: ") && note.contains(says)),
            "{text}: {told:?}"
        );
    }
    assert!(!executes(&stage, "now").await);
}

#[tokio::test(start_paused = true)]
async fn while_no_text_was_right_since_the_start_nothing_is_touched() {
    let stage = stage("mode: [act").await;
    assert!(!executes(&stage, "first").await);
    write(&stage, "mode: act").await;
    assert!(executes(&stage, "second").await);
}

#[tokio::test(start_paused = true)]
async fn predictions_that_lack_a_setting_are_told_on_the_config_map() {
    let stage = stage("mode: act").await;
    let has = |stage: &Stage, words: &str| said(stage).iter().any(|line| line.contains(words));
    assert!(has(
        &stage,
        "PredictionIdle: no interruption is predicted: SPOT_INTERRUPTION_PREDICTION_MODEL_NAME is not set"
    ));
    stage.operated.set(|settings| settings.prediction_model = Some("v7".to_owned()));
    write(&stage, "mode: approve").await;
    assert!(has(
        &stage,
        "PredictionRefused: no interruption is predicted: SPOT_INTERRUPTION_PREDICTION_MODEL_NAME is \"v7\""
    ));
    let before = said(&stage).len();
    write(&stage, "spotInterruptionPrediction: {enabled: false}").await;
    assert_eq!(said(&stage).len(), before, "nobody wants any");
}

/// What a ConfigMap of features says in this namespace.
async fn features(stage: &Stage, namespace: &str, text: &str) {
    let metadata =
        json!({"name": "features", "namespace": namespace, "labels": {"kentroller.cast.ai/features": "true"}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"features.yaml": text}});
    let change = |map: &mut serde_json::Value| map["data"]["features.yaml"] = json!(text);
    if stage.operated.server.create(map).is_err() {
        stage.operated.server.update("ConfigMap", Some(namespace), "features", change).expect("the edit");
    }
    // Of several namespaces a change may be told by the next list only.
    stage.pass(60).await;
}

#[tokio::test(start_paused = true)]
async fn features_are_switched_in_every_namespace_that_is_watched_and_off_anywhere_is_off() {
    let mut stage = stage("rebalancer: {enabled: true}").await;
    stage.operated.set(|settings| settings.features_watch_namespaces = vec!["platform".to_owned(), "team".to_owned()]);
    stage.operated.restart().await;
    stage.schedule("often", "*/5 * * * *", json!({"suspend": false}));
    let is_on = |stage: &Stage| stage.condition("RebalancePlanSchedule", "often", "Scheduled") == "Scheduled=True";
    stage.pass(30).await;
    assert!(is_on(&stage));
    features(&stage, "elsewhere", "rebalancer: false").await;
    assert!(is_on(&stage), "nobody watches there");
    for namespace in ["team", NAMESPACE] {
        features(&stage, namespace, "rebalancer: false").await;
        assert!(!is_on(&stage), "off in {namespace}");
        features(&stage, "platform", "rebalancer: true").await;
        assert!(!is_on(&stage), "off anywhere is off");
        features(&stage, namespace, "rebalanser: true").await;
        let told = stage.notes("features", "ConfigRejected");
        assert!(told.iter().any(|note| note.contains("rebalanser") && note.contains("rebalancer")), "{told:?}");
        assert!(!is_on(&stage), "what was in force stays");
        features(&stage, namespace, "rebalancer: true").await;
        assert!(is_on(&stage), "on again");
    }
}
