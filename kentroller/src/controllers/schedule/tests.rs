//! Each case: a schedule, its claims, the time; and what is decided.

use kentroller_runtime::settings::Settings as _;
use kentroller_runtime::testing::Given;
use serde_json::{Value, json};

use super::*;
use crate::settings::Settings;

const CREATED: &str = "2026-11-20T00:00:00Z";

fn schedule(spec: Value, status: Value) -> RebalancePlanSchedule {
    let mut object = json!({
        "apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlanSchedule",
        "metadata": {"name": "nightly", "uid": "s1", "generation": 1, "creationTimestamp": CREATED},
        "spec": {"schedule": "0 2 * * *", "rebalancePlanClaimTemplate": {"metadata": {}, "spec": {"autoExecute": true}}},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    if !status.is_null() {
        object["status"] = status;
        object["status"]["observedGeneration"] =
            object["status"].get("observedGeneration").cloned().unwrap_or(json!(1));
        if object["status"].get("conditions").is_none() {
            object["status"]["conditions"] = json!([]);
        }
    }
    serde_json::from_value(object).expect("a schedule")
}

fn claim(at: &str, state: &str) -> RebalancePlanClaim {
    let second = at.parse::<Timestamp>().expect("a time").as_second();
    let mut object = json!({
        "apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlanClaim",
        "metadata": {"name": format!("nightly-{second}"), "uid": format!("c{second}"), "creationTimestamp": at,
            "labels": {(marks::SCHEDULE): "s1", (marks::SCHEDULED_FOR): second.to_string()},
            "ownerReferences": [{"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": "RebalancePlanSchedule", "name": "nightly", "uid": "s1", "controller": true, "blockOwnerDeletion": true}]},
        "spec": {},
    });
    if !state.is_empty() {
        object["status"] = json!({"state": state, "conditions": [], "completionTime": at});
    }
    serde_json::from_value(object).expect("a claim")
}

/// What is seen at a time, with these variables in the environment.
fn seen(claims: &[RebalancePlanClaim], now: &str, env: &[(&str, &str)]) -> Given<Schedules> {
    let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Given::with_settings(Settings::from_env(&get).expect("settings")).at(now).with_all(claims.iter().cloned())
}

/// The decision, without conditions, in the words of the engine's log; then the status fields that are named.
fn decide(
    schedule: &RebalancePlanSchedule,
    claims: &[RebalancePlanClaim],
    now: &str,
    env: &[(&str, &str)],
) -> (String, Value) {
    let decided = seen(claims, now, env).decide(schedule).expect("a decision");
    let text = decided.to_string();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("mark")).collect();
    (lines.join("\n"), decided.status.unwrap_or_default())
}

#[track_caller]
fn check(schedule: &RebalancePlanSchedule, claims: &[RebalancePlanClaim], now: &str, want: &str) {
    seen(claims, now, &[]).check(schedule, want);
}

fn known() -> Value {
    json!({"lastScheduleTime": "2026-11-21T02:00:00Z", "suspended": false})
}

#[test]
fn a_time_that_came_makes_one_claim_named_after_it() {
    check(
        &schedule(json!({}), known()),
        &[],
        "2026-11-22T02:00:00Z",
        "
        create RebalancePlanClaim nightly-1795312800
        look   2026-11-23T02:00:00Z",
    );
}

#[test]
fn before_its_time_nothing_is_made() {
    check(&schedule(json!({}), known()), &[], "2026-11-22T01:59:59Z", "look   2026-11-22T02:00:00Z");
}

#[test]
fn a_new_schedule_is_told_and_counts_from_its_creation() {
    check(
        &schedule(json!({}), Value::Null),
        &[],
        "2026-11-20T00:00:01Z",
        "
        event  Normal ScheduleCreated: schedule \"0 2 * * *\"
        look   2026-11-20T02:00:00Z",
    );
}

#[test]
fn after_an_outage_only_the_newest_time_is_caught_up() {
    check(
        &schedule(json!({"schedule": "* * * * *"}), known()),
        &[],
        "2026-11-28T05:00:30Z",
        "
        create RebalancePlanClaim nightly-1795842000
        look   2026-11-28T05:01:00Z",
    );
}

#[test]
fn a_time_missed_beyond_its_deadline_is_told_and_not_run() {
    for spec in [
        json!({"startingDeadlineSeconds": 600}),
        json!({"window": "4h"}),
        json!({"window": "4h", "startingDeadlineSeconds": 36_000}),
    ] {
        check(&schedule(spec, known()), &[], "2026-11-22T10:00:00Z", "
        event  Warning ScheduleMissed: 2026-11-22T02:00:00Z was missed by more than the starting deadline or the window, and is not caught up
        look   2026-11-23T02:00:00Z");
    }
}

#[test]
fn a_setting_gives_the_deadline_of_schedules_that_name_none() {
    let late = "2026-11-22T10:00:00Z";
    let (decided, _) = decide(&schedule(json!({}), known()), &[], late, &[("SCHEDULE_STARTING_DEADLINE", "10m")]);
    assert!(decided.contains("ScheduleMissed"), "{decided}");
}

#[test]
fn the_next_time_is_skipped_while_a_claim_is_active() {
    let active = claim("2026-11-21T02:00:00Z", "Executing");
    check(
        &schedule(json!({}), known()),
        &[active],
        "2026-11-22T02:00:00Z",
        "
        event  Normal ScheduleSkipped: 2026-11-22T02:00:00Z was skipped: claim nightly-1795226400 is still active
        look   2026-11-23T02:00:00Z",
    );
}

#[test]
fn a_claim_in_a_state_of_another_version_counts_as_active() {
    let (decided, _) = decide(
        &schedule(json!({}), known()),
        &[claim("2026-11-21T02:00:00Z", "Dreaming")],
        "2026-11-22T02:00:00Z",
        &[],
    );
    assert!(decided.contains("ScheduleSkipped"), "{decided}");
}

#[test]
fn a_suspended_schedule_makes_nothing_and_says_so_once() {
    let suspended = json!({"suspend": true});
    check(
        &schedule(suspended.clone(), known()),
        &[],
        "2026-11-22T02:00:00Z",
        "event  Normal ScheduleSuspended: no claims are made while spec.suspend is true",
    );
    let mut told = known();
    told["suspended"] = json!(true);
    check(&schedule(suspended.clone(), told.clone()), &[], "2026-11-22T02:00:00Z", "");
    let (resumed, _) = decide(&schedule(json!({}), told), &[], "2026-11-21T10:00:00Z", &[]);
    assert!(resumed.contains("ScheduleResumed"), "{resumed}");
    // What an older version wrote does not say whether it was suspended: nothing is told, and the field is written.
    let mut older = known();
    older.as_object_mut().expect("a status").remove("suspended");
    let (decided, status) = decide(&schedule(suspended, older), &[], "2026-11-22T02:00:00Z", &[]);
    assert_eq!((decided.as_str(), &status["suspended"]), ("", &json!(true)));
}

#[test]
fn an_edit_of_the_spec_forgets_the_times_before_it() {
    let mut status = known();
    status["observedGeneration"] = json!(0);
    let (decided, status) = decide(&schedule(json!({}), status), &[], "2026-11-25T10:00:00Z", &[]);
    assert_eq!(decided, "look   2026-11-26T02:00:00Z");
    assert_eq!(status["lastScheduleTime"], "2026-11-25T10:00:00Z");
}

#[test]
fn a_cron_expression_that_cannot_be_read_is_told_and_nothing_is_made() {
    let (decided, _) = decide(&schedule(json!({"schedule": "0 25 * * *"}), known()), &[], "2026-11-22T02:00:00Z", &[]);
    assert!(decided.starts_with("event  Warning ScheduleInvalid: "), "{decided}");
    let (decided, _) =
        decide(&schedule(json!({"timeZone": "Mars/Olympus"}), known()), &[], "2026-11-22T02:00:00Z", &[]);
    assert!(decided.contains("Mars/Olympus"), "{decided}");
}

#[test]
fn a_time_zone_moves_the_times() {
    check(
        &schedule(json!({"timeZone": "Europe/Vilnius"}), known()),
        &[],
        "2026-11-21T23:00:00Z",
        "look   2026-11-22T00:00:00Z",
    );
}

#[test]
fn the_time_with_the_feature_off_is_not_caught_up() {
    let off = [("REBALANCER_ENABLED", "false")];
    let (decided, status) = decide(&schedule(json!({}), known()), &[], "2026-11-22T02:00:00Z", &off);
    assert_eq!(decided, "look   2026-11-23T02:00:00Z");
    assert_eq!(status["lastScheduleTime"], "2026-11-22T02:00:00Z");
}

#[test]
fn finished_claims_beyond_the_limits_go_oldest_first() {
    let day = |day: u32, state: &str| claim(&format!("2026-11-{day:02}T02:00:00Z"), state);
    let claims =
        [day(11, "Completed"), day(12, "Failed"), day(13, "Completed"), day(14, "Skipped"), day(15, "Completed")];
    let spec = json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0});
    check(
        &schedule(spec, known()),
        &claims,
        "2026-11-21T10:00:00Z",
        "
        delete RebalancePlanClaim nightly-1794362400
        delete RebalancePlanClaim nightly-1794535200
        delete RebalancePlanClaim nightly-1794448800
        delete RebalancePlanClaim nightly-1794621600
        look   2026-11-22T02:00:00Z",
    );
}

#[test]
fn owner_references_follow_preserve_history_as_it_stands_now() {
    let (decided, _) = decide(
        &schedule(json!({"preserveHistory": true}), known()),
        &[claim("2026-11-21T02:00:00Z", "Completed")],
        "2026-11-21T10:00:00Z",
        &[],
    );
    assert!(
        decided.starts_with("patch  RebalancePlanClaim nightly-1795226400 {\"metadata\":{\"ownerReferences\":[]}}"),
        "{decided}"
    );
}

#[test]
fn the_status_tells_what_runs_what_ran_and_what_comes() {
    let claims = [claim("2026-11-20T02:00:00Z", "Completed"), claim("2026-11-21T02:00:00Z", "Executing")];
    let (_, status) = decide(&schedule(json!({}), json!({})), &claims, "2026-11-21T10:00:00Z", &[]);
    assert_eq!(status["activeCount"], 1);
    assert_eq!(status["active"][0]["name"], "nightly-1795226400");
    assert_eq!(status["lastScheduleTime"], "2026-11-21T02:00:00Z");
    assert_eq!(status["lastSuccessfulTime"], "2026-11-20T02:00:00Z");
    assert_eq!(status["nextScheduleTime"], "2026-11-22T02:00:00Z");
    assert_eq!(status["lastExecution"], json!({"name": "nightly-1795226400", "status": "Executing"}));
}
