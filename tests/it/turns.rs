//! Who goes before whom.

use std::time::Duration;

use kentroller_tests::{Stage, text};
use serde_json::json;

const LONG: Duration = Duration::from_secs(3 * 3600);
const NIGHTLY: &str = "nightly-1795312800";

#[tokio::test(start_paused = true)]
async fn what_a_schedule_runs_ends_at_the_border_of_its_wave_for_what_a_person_asks() {
    let stage = Stage::drifted(12, 1);
    stage.schedule("nightly", "0 2 22 11 *", json!({}));
    let drains = |stage: &Stage| {
        let plan = stage.get("RebalancePlan", NIGHTLY);
        plan.is_some_and(|plan| plan["status"]["nodesDeletion"].to_string().contains("Draining"))
    };
    assert!(stage.until(LONG, drains).await);
    stage.claim("hand", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("hand") && stage.is_over(NIGHTLY)).await);
    let (nightly, hand) = (stage.get("RebalancePlan", NIGHTLY), stage.get("RebalancePlan", "hand"));
    let (nightly, hand) = (nightly.expect("the plan"), hand.expect("the plan"));
    assert_eq!(nightly["status"]["state"], "Canceled", "{}", nightly["status"]);
    assert!(text(&nightly["status"]["failureMessage"]).contains("yields to claim hand"), "{}", nightly["status"]);
    assert_eq!(stage.state("RebalancePlanClaim", NIGHTLY), "Canceled");
    let courses = nightly["status"]["nodesDeletion"].as_object().expect("nodes that went").clone();
    assert!(
        courses.values().all(|course| course["phase"] == "Gone" || course["phase"] == "Ending"),
        "the wave that was under way is done: {courses:?}"
    );
    let all = nightly["spec"]["nodeClaimsToDelete"].as_array().map_or(0, Vec::len);
    assert!(courses.len() < all, "{} of {all}", courses.len());
    assert_eq!(hand["status"]["state"], "Done", "{}", hand["status"]);
    stage.pass(60).await;
    assert_eq!(stage.marks(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn when_the_window_of_a_schedule_is_over_its_plan_ends_at_the_border_of_its_wave() {
    let stage = Stage::drifted(24, 1);
    stage.schedule("nightly", "0 2 22 11 *", json!({"window": "3m"}));
    assert!(stage.until(LONG, |stage| stage.is_over(NIGHTLY)).await);
    let claim = stage.get("RebalancePlanClaim", NIGHTLY).expect("the claim");
    let end = "2026-11-22T02:03:00Z";
    assert_eq!(claim["metadata"]["annotations"]["rebalancing.cast.ai/window-end"], end);
    let plan = stage.get("RebalancePlan", NIGHTLY).expect("the plan");
    assert_eq!(plan["status"]["state"], "Canceled", "{}", plan["status"]);
    let why = format!("the window of its schedule ended at {end}");
    assert_eq!(plan["status"]["failureMessage"], *why);
    assert_eq!(claim["status"]["errorMessage"], format!("the plan was canceled: {why}"));
    let courses = plan["status"]["nodesDeletion"].as_object().expect("nodes that went").clone();
    assert!(courses.values().all(|course| course["phase"] == "Gone" || course["phase"] == "Ending"), "{courses:?}");
    let late = courses.values().filter(|course| *text(&course["cordonTime"]) > *end);
    assert_eq!(late.count(), 0, "no node is cordoned after the end: {courses:?}");
    let all = plan["spec"]["nodeClaimsToDelete"].as_array().map_or(0, Vec::len);
    assert!((1..all).contains(&courses.len()), "{} of {all}", courses.len());
    stage.pass(60).await;
    assert_eq!(stage.marks(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_waits_when_the_window_of_its_schedule_is_over_ends_without_a_plan_being_begun() {
    let stage = Stage::drifted(12, 1);
    // Its plan waits for a person, who does not come in the window.
    let template = json!({"metadata": {}, "spec": {"autoExecute": false}});
    stage.schedule("nightly", "0 2 22 11 *", json!({"window": "10m", "rebalancePlanClaimTemplate": template}));
    assert!(stage.until(LONG, |stage| stage.is_over(NIGHTLY)).await);
    let plan = stage.get("RebalancePlan", NIGHTLY).expect("the plan");
    assert_eq!(plan["status"]["state"], "Canceled", "{}", plan["status"]);
    assert_eq!(plan["status"]["startTime"], json!(null));
    let claim = stage.get("RebalancePlanClaim", NIGHTLY).expect("the claim");
    assert_eq!(claim["status"]["state"], "Canceled");
    let ended = text(&claim["status"]["completionTime"]);
    assert!(("2026-11-22T02:10:00Z".."2026-11-22T02:11:00Z").contains(&&*ended), "{ended}");
}
