//! What is wrong is told where it is wrong, with what to do; everything else runs on.

use std::time::Duration;

use http::StatusCode;
use kentroller::simulation::USER;
use kentroller_planner::Money;
use kentroller_runtime::simulation::apiserver::{Fault, Matching, Trouble, refusal_of_code};
use kentroller_tests::{Stage, text};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(3 * 3600);

/// A claim by hand comes to its end although something is wrong elsewhere.
#[track_caller]
fn ended(stage: &Stage, claim: &str) {
    let state = stage.state("RebalancePlanClaim", claim);
    let said = message(stage, "RebalancePlanClaim", claim, "Ready");
    assert_eq!(state, "Completed", "{claim}: {said}");
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
    assert_eq!(stage.marks(), [""; 0]);
    assert!(stage.operated.is_running() && stage.operated.world.is_turning());
}

fn refuse(stage: &Stage, verb: &str, resource: &str, code: StatusCode, times: u32) {
    let matching = Matching {
        user: Some(USER.to_owned()),
        verb: Some(verb.to_owned()),
        resource: Some(resource.to_owned()),
        ..Matching::default()
    };
    let trouble = Trouble::Refuse(refusal_of_code(code.as_u16()));
    stage.operated.server.inject(Fault::Requests { matching, after: 0, times, trouble });
}

fn message(stage: &Stage, kind: &str, name: &str, condition: &str) -> String {
    let object = stage.get(kind, name).expect("the object");
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().find(|one| one["type"] == condition).map(|one| text(&one["message"])).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_quarter_megabyte_of_annotation_changes_nothing() {
    let stage = Stage::drifted(8, 1);
    let node = stage.names("Node").swap_remove(0);
    let long = "x".repeat(250 << 10);
    stage.edit("Node", &node, |node| node["metadata"]["annotations"]["example.com/long"] = json!(long));
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    ended(&stage, "now");
    let kept = stage.get("Node", &node).is_none_or(|node| node["metadata"]["annotations"]["example.com/long"] == long);
    assert!(kept, "an annotation of others is not touched");
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_more_than_a_megabyte_is_rejected_with_few_words_and_the_others_run_on() {
    let stage = Stage::drifted(8, 1);
    let pod = |number| json!({"name": format!("{}-{number}", "p".repeat(60)), "namespace": "nowhere", "srcNode": "n", "dstNodeClaimName": "c"});
    let pods: Vec<Value> = (0..9_000).map(pod).collect();
    let spec = json!({"execute": true, "nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": pods});
    assert!(spec.to_string().len() > 1_000_000);
    assert!(stage.create("RebalancePlan", "huge", spec).is_ok(), "it is below the limit of the API server");
    assert!(stage.until(LONG, |stage| stage.state("RebalancePlan", "huge") == "Failed").await);
    let plan = stage.get("RebalancePlan", "huge").expect("the plan");
    assert_eq!(plan["status"]["failureReason"], "FailureReasonPlanInvalid");
    assert!(text(&plan["status"]["failureMessage"]).len() < 2_000);
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    ended(&stage, "now");
}

#[tokio::test(start_paused = true)]
async fn a_node_claim_whose_node_is_gone_is_left_alone() {
    let stage = Stage::drifted(8, 1);
    let claims = stage.list("NodeClaim");
    let orphan = claims.iter().find(|claim| claim["status"]["nodeName"].is_string()).expect("a claim with a node");
    let name = text(&orphan["metadata"]["name"]);
    let loses = |claim: &mut Value| claim["status"]["nodeName"] = json!("nobody-knows");
    stage.operated.server.update_status("NodeClaim", None, &name, loses).expect("the edit");
    let before = stage.operated.server.revision();
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    ended(&stage, "now");
    let writes = stage.operated.server.writes(before);
    let ours = writes.iter().filter(|write| *write.user == *USER && &*write.kind == "NodeClaim" && write.name == name);
    assert_eq!(ours.count(), 0, "nobody may remove what cannot be matched with a node");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_cannot_be_read_is_named_on_what_waits_for_it() {
    for (code, says) in [
        (StatusCode::NOT_FOUND, "is its CRD installed?"),
        (StatusCode::FORBIDDEN, "grant these verbs"),
        (StatusCode::TOO_MANY_REQUESTS, "asks to wait before it lists"),
    ] {
        let mut stage = Stage::drifted(6, 1);
        stage.operated.stop_for(Duration::ZERO).await;
        refuse(&stage, "list", "nodepools", code, 6);
        stage.operated.restart().await;
        stage.claim("now", json!({}));
        stage.schedule("often", "*/5 * * * *", json!({"suspend": true}));
        stage.pass(10).await;
        assert_eq!(stage.condition("RebalancePlanClaim", "now", "Stalled"), "NotReadable=True");
        let said = message(&stage, "RebalancePlanClaim", "now", "Ready");
        assert!(said.contains("nodepools") && said.contains(says), "{said}");
        assert_eq!(stage.condition("RebalancePlanSchedule", "often", "Scheduled"), "Suspended=False", "others run on");
        assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
        ended(&stage, "now");
    }
}

#[tokio::test(start_paused = true)]
async fn kinds_that_a_cluster_may_do_without_hold_nothing_up_and_count_as_soon_as_they_are_served() {
    let mut stage = Stage::drifted(8, 1);
    stage.operated.stop_for(Duration::ZERO).await;
    for resource in ["capacitybuffers", "nodeoverlays"] {
        refuse(&stage, "list", resource, StatusCode::NOT_FOUND, 2);
    }
    keep_free(&stage);
    stage.operated.restart().await;
    let before = planned(&stage, "before").await;
    stage.pass(300).await;
    let after = planned(&stage, "after").await;
    assert!(before < after, "{} USD/h, {} with room kept free", before.hourly(), after.hourly());
}

/// A buffer of ten pods of a core each, for which there is room.
fn keep_free(stage: &Stage) {
    let metadata = json!({"name": "spare", "namespace": "default"});
    let requests = json!({"cpu": "1", "memory": "1Gi"});
    let containers = json!([{"name": "spare", "image": "spare:1", "resources": {"requests": requests}}]);
    let template = json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": {"spec": {"containers": containers}}});
    stage.operated.server.create(template).expect("the template");
    let buffer = json!({"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer", "metadata": metadata,
        "spec": {"podTemplateRef": {"name": "spare"}, "replicas": 10}});
    stage.operated.server.create(buffer).expect("the buffer");
}

/// What the cluster would cost an hour by a plan that nobody executes.
async fn planned(stage: &Stage, claim: &str) -> Money {
    stage.claim(claim, json!({"autoExecute": false}));
    let judged = |stage: &Stage| stage.state("RebalancePlan", claim) == "Created";
    assert!(stage.until(LONG, judged).await, "{}", message(stage, "RebalancePlanClaim", claim, "Ready"));
    let plan = stage.get("RebalancePlan", claim).expect("the plan");
    Money::parse(&text(&plan["status"]["savings"]["projectedClusterHourlyCost"])).expect("an amount")
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_verb_is_told_on_the_object_and_tried_again() {
    let stage = Stage::drifted(6, 1);
    stage.schedule("often", "*/5 * * * *", json!({}));
    stage.pass(30).await;
    refuse(&stage, "create", "rebalanceplanclaims", StatusCode::FORBIDDEN, 3);
    stage.pass(300).await;
    let notes = stage.notes("often", "ClaimCreationFailed");
    assert!(notes.iter().any(|note| note.contains("forbidden")), "{notes:?}");
    assert!(stage.events("often").contains(&"Normal ClaimCreated".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_goes_away_for_a_minute_in_the_middle_costs_time_only() {
    let mut stage = Stage::drifted(8, 1);
    stage.claim("now", json!({"minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 2}}));
    let executing = |stage: &Stage| stage.state("RebalancePlanClaim", "now") == "Executing";
    assert!(stage.until(Duration::from_secs(600), executing).await);
    stage.operated.server.inject(Fault::Unreachable { lasting: Duration::from_secs(60) });
    // Without its lease it ends, for another replica may act; a kubelet starts it again.
    stage.pass(30).await;
    assert!(!stage.operated.is_running());
    stage.pass(60).await;
    stage.operated.restart().await;
    assert!(
        stage.until(LONG, |stage| stage.is_over("now")).await,
        "{}",
        message(&stage, "RebalancePlan", "now", "Ready")
    );
    stage.pass(60).await;
    ended(&stage, "now");
}

#[tokio::test(start_paused = true)]
async fn without_prices_a_claim_says_so_and_goes_on_when_they_come() {
    let mut stage = Stage::drifted(6, 1);
    let key = kentroller_runtime::ObjectKey::namespaced(kentroller::simulation::NAMESPACE, "prices");
    stage.operated.prices = kentroller::backend::Prices::ConfigMap(key);
    stage.operated.restart().await;
    stage.claim("hasty", json!({"timeouts": {"planGenerationTimeout": "1m"}}));
    stage.claim("now", json!({}));
    stage.pass(90).await;
    let hasty = stage.get("RebalancePlanClaim", "hasty").expect("the claim");
    assert_eq!(hasty["status"]["failureReason"], "FailureReasonTimeout");
    let said = text(&hasty["status"]["errorMessage"]);
    assert!(said.contains("planGenerationTimeout") && said.contains("catalog.csv"), "{said}");
    assert!(message(&stage, "RebalancePlanClaim", "now", "PlanReady").contains("castai-agent/prices"));

    let metadata = json!({"name": "prices", "namespace": kentroller::simulation::NAMESPACE});
    let map = |csv: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"catalog.csv": csv}});
    stage.operated.server.create(map("instance_type,price\nm5.large,cheap\n")).expect("the ConfigMap");
    stage.pass(60).await;
    let said = message(&stage, "RebalancePlanClaim", "now", "PlanReady");
    assert!(said.contains("catalog.csv: "), "{said}");
    let prices = |map: &mut Value| map["data"]["catalog.csv"] = json!(kentroller_world::CSV);
    let namespace = Some(kentroller::simulation::NAMESPACE);
    stage.operated.server.update("ConfigMap", namespace, "prices", prices).expect("the edit");
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    ended(&stage, "now");
}
