//! Schedules, as their users see them: objects, events and conditions of a running operator.

use std::collections::BTreeSet;
use std::time::Duration;

use kentroller::simulation::USER;
use kentroller_runtime::simulation::apiserver::{Fault, Matching, Trouble, refusal_of_code};
use kentroller_tests::{Stage, text};
use serde_json::json;

/// 2026-11-22T02:00:00Z.
const TWO: i64 = 1_795_312_800;

#[tokio::test(start_paused = true)]
async fn a_schedule_makes_a_claim_at_its_time_and_follows_it_to_its_end() {
    let stage = Stage::drifted(8, 1);
    stage.schedule("nightly", "0 2 * * *", json!({}));
    stage.pass(60).await;
    assert_eq!(stage.names("RebalancePlanClaim"), [""; 0]);
    let schedule = stage.get("RebalancePlanSchedule", "nightly").expect("the schedule");
    assert_eq!(schedule["status"]["nextScheduleTime"], "2026-11-22T02:00:00Z");
    assert_eq!(stage.condition("RebalancePlanSchedule", "nightly", "Scheduled"), "Scheduled=True");

    let claim = format!("nightly-{TWO}");
    let executes = |stage: &Stage| stage.state("RebalancePlanClaim", &claim) == "Executing";
    assert!(stage.until(Duration::from_secs(600), executes).await);
    let schedule = stage.get("RebalancePlanSchedule", "nightly").expect("the schedule");
    assert_eq!(schedule["status"]["activeCount"], 1);
    assert_eq!(schedule["status"]["active"].as_array().map(Vec::len), Some(1), "{}", schedule["status"]);
    assert!(schedule["status"]["active"][0].to_string().contains(&claim), "{}", schedule["status"]);
    assert!(
        stage.until(Duration::from_secs(3600), |stage| stage.is_over(&claim)).await,
        "{}",
        stage.state("RebalancePlanClaim", &claim)
    );
    stage.pass(10).await;
    let schedule = stage.get("RebalancePlanSchedule", "nightly").expect("the schedule");
    assert_eq!(stage.state("RebalancePlanClaim", &claim), "Completed");
    assert_eq!(schedule["status"]["lastScheduleTime"], "2026-11-22T02:00:00Z");
    assert_eq!(schedule["status"]["activeCount"], 0);
    assert_eq!(schedule["status"]["lastExecution"]["status"], "Completed");
    assert_eq!(text(&schedule["status"]["lastExecution"]["planId"]).len(), 12);
    assert!(schedule["status"]["lastSuccessfulTime"].is_string());
    assert_eq!(schedule["status"]["observedGeneration"], 1);
    assert_eq!(schedule["status"]["active"].as_array().map_or(0, Vec::len), 0);
    assert!(stage.condition("RebalancePlanSchedule", "nightly", "Ready").ends_with("=True"));
    stage.edit("RebalancePlanSchedule", "nightly", |schedule| schedule["spec"]["schedule"] = json!("0 3 * * *"));
    stage.pass(10).await;
    let schedule = stage.get("RebalancePlanSchedule", "nightly").expect("the schedule");
    assert_eq!(schedule["status"]["observedGeneration"], 2);
    assert_eq!(stage.events("nightly"), ["Normal ScheduleCreated", "Normal ClaimCreated"]);
}

#[tokio::test(start_paused = true)]
async fn the_claim_carries_the_template_and_is_owned() {
    let stage = Stage::drifted(4, 1);
    let template = json!({"metadata": {"labels": {"team": "a"}, "annotations": {"why": "night"}},
        "spec": {"autoExecute": false, "minSavingsPercentage": 15}});
    stage.schedule("nightly", "@hourly", json!({"rebalancePlanClaimTemplate": template}));
    stage.pass(130).await;
    let claim = stage.get("RebalancePlanClaim", &format!("nightly-{TWO}")).expect("the claim");
    assert_eq!(claim["metadata"]["labels"]["team"], "a");
    assert_eq!(claim["metadata"]["annotations"]["why"], "night");
    assert_eq!(claim["spec"]["minSavingsPercentage"], 15);
    assert_eq!(claim["metadata"]["ownerReferences"][0]["name"], "nightly");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_schedule_rests_and_catches_nothing_up() {
    let stage = Stage::drifted(4, 1);
    stage.schedule("often", "*/5 * * * *", json!({"suspend": true}));
    stage.pass(3600).await;
    assert_eq!(stage.names("RebalancePlanClaim"), [""; 0]);
    stage.edit("RebalancePlanSchedule", "often", |schedule| schedule["spec"]["suspend"] = json!(false));
    stage.pass(60).await;
    assert_eq!(stage.names("RebalancePlanClaim"), [""; 0]);
    stage.pass(240).await;
    assert_eq!(stage.names("RebalancePlanClaim").len(), 1);
    assert_eq!(
        stage.events("often")[..3],
        ["Normal ScheduleCreated", "Normal ScheduleSuspended", "Normal ScheduleResumed"]
    );
}

#[tokio::test(start_paused = true)]
async fn while_a_claim_is_active_the_next_time_is_skipped() {
    let stage = Stage::drifted(20, 1);
    stage.schedule("often", "* * * * *", json!({}));
    stage.pass(300).await;
    assert!(stage.events("often").contains(&"Normal ScheduleSkipped".to_owned()), "{:?}", stage.events("often"));
    // Four times came while the first claim executed.
    let first = format!("often-{}", TWO - 60);
    assert_eq!(stage.names("RebalancePlanClaim"), [first.as_str()]);
    assert_eq!(stage.state("RebalancePlanClaim", &first), "Executing");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_caught_up_once() {
    let mut stage = Stage::drifted(4, 1);
    stage.schedule("often", "*/10 * * * *", json!({}));
    stage.pass(30).await;
    stage.operated.stop_for(Duration::from_secs(3 * 3600)).await;
    stage.pass(30).await;
    // The last of the times that were missed.
    assert_eq!(stage.names("RebalancePlanClaim"), [format!("often-{}", TWO + 2 * 3600 + 3000)]);
}

#[tokio::test(start_paused = true)]
async fn a_time_missed_beyond_its_deadline_is_told_and_not_run() {
    let mut stage = Stage::drifted(4, 1);
    stage.schedule("nightly", "0 2 * * *", json!({"startingDeadlineSeconds": 600}));
    stage.pass(30).await;
    stage.operated.stop_for(Duration::from_secs(3 * 3600)).await;
    stage.pass(30).await;
    assert_eq!(stage.names("RebalancePlanClaim"), [""; 0]);
    assert!(stage.events("nightly").contains(&"Warning ScheduleMissed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn finished_claims_go_when_there_are_more_than_the_limit() {
    let stage = Stage::drifted(4, 1);
    stage.schedule("often", "*/10 * * * *", json!({"failedJobsHistoryLimit": 1, "successfulJobsHistoryLimit": 1}));
    stage.pass(2 * 3600).await;
    // One of each kind is kept, and the newest of its kind: the last time was 03:50.
    let kept = stage.names("RebalancePlanClaim");
    assert!((1..=2).contains(&kept.len()) && kept.contains(&format!("often-{}", TWO + 6600)), "{kept:?}");
    assert!(kept.iter().all(|claim| stage.is_over(claim)), "{kept:?}");
    let states: BTreeSet<bool> =
        kept.iter().map(|claim| stage.state("RebalancePlanClaim", claim) == "Completed").collect();
    assert_eq!(states.len(), kept.len(), "of a kind only one: {kept:?}");
    assert!(stage.events("often").contains(&"Normal HistoryCleanup".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_schedule_takes_its_claims_along_unless_history_is_preserved() {
    for (preserve, left) in [(false, 0), (true, 1)] {
        let stage = Stage::drifted(4, 1);
        let template = json!({"metadata": {}, "spec": {"autoExecute": false}});
        stage.schedule(
            "nightly",
            "0 2 * * *",
            json!({"preserveHistory": preserve, "rebalancePlanClaimTemplate": template}),
        );
        stage.pass(200).await;
        assert_eq!(stage.names("RebalancePlanClaim").len(), 1);
        stage.delete("RebalancePlanSchedule", "nightly");
        stage.pass(30).await;
        assert_eq!(stage.names("RebalancePlanClaim").len(), left, "preserveHistory {preserve}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_schedule_says_where_and_the_others_run_on() {
    let stage = Stage::drifted(4, 1);
    stage.schedule("wrong", "0 25 * * *", json!({}));
    stage.schedule("nowhere", "0 2 * * *", json!({"timeZone": "Mars/Olympus"}));
    stage.schedule("shut", "0 2 * * *", json!({"window": "0s"}));
    stage.schedule("unclear", "0 2 * * *", json!({"window": "all night"}));
    stage.schedule("right", "0 2 * * *", json!({}));
    stage.pass(180).await;
    let told = |name: &str| stage.notes(name, "ScheduleInvalid").concat();
    assert!(told("wrong").contains("25") && told("wrong").contains("character 3"), "{}", told("wrong"));
    assert!(told("nowhere").contains("Mars/Olympus"), "{}", told("nowhere"));
    assert!(told("shut").contains("spec.window \"0s\" never opens"), "{}", told("shut"));
    assert!(told("unclear").contains("spec.window \"all night\" is no duration"), "{}", told("unclear"));
    for name in ["wrong", "nowhere", "shut", "unclear"] {
        assert_eq!(stage.condition("RebalancePlanSchedule", name, "Ready"), "ScheduleInvalid=False");
        assert_eq!(stage.condition("RebalancePlanSchedule", name, "Stalled"), "ScheduleInvalid=True");
        assert!(stage.events(name).contains(&"Warning ScheduleInvalid".to_owned()));
    }
    assert_eq!(stage.names("RebalancePlanClaim"), [format!("right-{TWO}")]);
}

#[tokio::test(start_paused = true)]
async fn with_the_feature_off_schedules_do_nothing_and_say_so() {
    let stage = Stage::drifted(4, 1);
    stage.operated.set(|settings| settings.rebalancer = false);
    stage.schedule("nightly", "0 2 * * *", json!({}));
    stage.pass(600).await;
    assert_eq!(stage.names("RebalancePlanClaim"), [""; 0]);
    assert_eq!(stage.condition("RebalancePlanSchedule", "nightly", "Scheduled"), "FeatureDisabled=False");
    stage.operated.set(|settings| settings.rebalancer = true);
    stage.pass(600).await;
    assert_eq!(stage.names("RebalancePlanClaim"), [""; 0], "the time with the feature off is not caught up");
    assert_eq!(stage.condition("RebalancePlanSchedule", "nightly", "Scheduled"), "Scheduled=True");
}

#[tokio::test(start_paused = true)]
async fn a_time_zone_and_a_prefix_move_the_times() {
    let stage = Stage::drifted(4, 1);
    stage.schedule("zone", "0 9 * * *", json!({"timeZone": "Asia/Tokyo"}));
    stage.schedule("prefix", "CRON_TZ=Asia/Tokyo 0 9 * * *", json!({}));
    stage.pass(30).await;
    for name in ["zone", "prefix"] {
        let schedule = stage.get("RebalancePlanSchedule", name).expect("the schedule");
        assert_eq!(text(&schedule["status"]["nextScheduleTime"]), "2026-11-23T00:00:00Z", "{name}");
    }
    // Eleven in Tokyo is two in Greenwich.
    stage.schedule("soon", "0 11 * * *", json!({"timeZone": "Asia/Tokyo"}));
    stage.pass(120).await;
    assert_eq!(stage.names("RebalancePlanClaim"), [format!("soon-{TWO}")]);
}

#[tokio::test(start_paused = true)]
async fn names_and_macros_mean_what_a_cron_job_means_by_them() {
    let stage = Stage::drifted(4, 1);
    // The start is 01:58 on a Sunday.
    let cases = [
        ("half-hours", "*/30 * * * *", "2026-11-22T02:00:00Z"),
        ("saturday", "0 0 * * 6", "2026-11-28T00:00:00Z"),
        ("named", "0 0 * * SAT", "2026-11-28T00:00:00Z"),
        ("daily", "@daily", "2026-11-23T00:00:00Z"),
        ("yearly", "@yearly", "2027-01-01T00:00:00Z"),
        ("either", "0 3 1 * MON", "2026-11-23T03:00:00Z"),
        ("steps", "5/20 * * * *", "2026-11-22T02:05:00Z"),
    ];
    for (name, cron, _) in cases {
        stage.schedule(name, cron, json!({}));
    }
    stage.pass(30).await;
    for (name, cron, next) in cases {
        let schedule = stage.get("RebalancePlanSchedule", name).expect("the schedule");
        assert_eq!(text(&schedule["status"]["nextScheduleTime"]), next, "{cron}");
    }
    stage.pass(120).await;
    assert_eq!(stage.names("RebalancePlanClaim"), [format!("half-hours-{TWO}")]);
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_refuses_is_told_and_done_later() {
    let stage = Stage::drifted(4, 1);
    stage.schedule("often", "*/5 * * * *", json!({"failedJobsHistoryLimit": 0, "successfulJobsHistoryLimit": 0}));
    for verb in ["create", "delete"] {
        let resource = Some("rebalanceplanclaims".to_owned());
        let matching =
            Matching { user: Some(USER.to_owned()), verb: Some(verb.to_owned()), resource, ..Matching::default() };
        let trouble = Trouble::Refuse(refusal_of_code(500));
        stage.operated.server.inject(Fault::Requests { matching, after: 0, times: 2, trouble });
    }
    assert!(
        stage
            .until(Duration::from_secs(3600), |stage| stage
                .events("often")
                .contains(&"Normal HistoryCleanup".to_owned()))
            .await
    );
    let events = stage.events("often");
    let place = |reason: &str| {
        events.iter().position(|event| event == reason).unwrap_or_else(|| panic!("{reason}: {events:?}"))
    };
    assert!(place("Warning ClaimCreationFailed") < place("Normal ClaimCreated"));
    assert!(place("Warning HistoryCleanupFailed") < place("Normal HistoryCleanup"));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_deleted_in_the_middle_of_a_run_stops_it_at_a_safe_point() {
    let stage = Stage::drifted(12, 1);
    let template = json!({"metadata": {}, "spec": {"autoExecute": true, "minSavingsPercentage": 0, "nodeConstraints": {"maxNodes": 4}}});
    stage.schedule("nightly", "0 2 * * *", json!({"rebalancePlanClaimTemplate": template}));
    let claim = format!("nightly-{TWO}");
    let evicted = |stage: &Stage| stage.operated.server.writes(0).iter().any(|write| write.subresource == "eviction");
    assert!(stage.until(Duration::from_secs(3600), evicted).await, "{}", stage.state("RebalancePlan", &claim));
    stage.delete("RebalancePlanSchedule", "nightly");
    let gone = |stage: &Stage| stage.names("RebalancePlanClaim").is_empty() && stage.names("RebalancePlan").is_empty();
    assert!(stage.until(Duration::from_secs(3600), gone).await);
    stage.pass(120).await;
    assert_eq!(stage.marks(), [""; 0]);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
    let cordoned = stage.list("Node").into_iter().filter(|node| node["spec"]["unschedulable"] == true);
    assert_eq!(cordoned.count(), 0);
}
