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
