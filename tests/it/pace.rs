//! How fast plans are carried out where things take as long as on a real provider.

use std::time::Duration;

use kentroller_tests::Stage;
use kentroller_world::{Setup, Timings};
use serde_json::json;

const LONG: Duration = Duration::from_secs(3 * 3600);

#[tokio::test(start_paused = true)]
async fn a_wave_that_is_larger_than_the_surge_comes_alone_and_is_not_waited_for_without_an_end() {
    let stage = Stage::drifted(60, 1);
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let plan = stage.plan();
    let of_wave = |wave: u64| {
        let adds = plan["spec"]["nodeClaimsToAdd"].as_array().cloned().unwrap_or_default();
        adds.iter().filter(|add| add["wave"].as_u64().unwrap_or_default() == wave).count()
    };
    let largest = (0..100).map(of_wave).max().unwrap_or_default();
    assert!(largest > 60 / 10, "the largest wave has {largest} new nodes");
    assert_eq!(stage.state("RebalancePlan", "now"), "Done", "{}", plan["status"]["failureMessage"]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_nodes_are_replaced_within_the_hour_where_everything_takes_as_long_as_on_aws() {
    let seconds = Duration::from_secs;
    let timings = Timings {
        launch: seconds(5),
        boot: seconds(60),
        node_ready: seconds(25),
        pod_start: seconds(30),
        terminate: seconds(120),
        ..Timings::default()
    };
    let stage = Stage::with(100, Setup { seed: 1, timings, ..Setup::default() });
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    let deletions = plan["status"]["nodesDeletion"].as_object().expect("nodes that go");
    let kept = deletions.values().filter(|course| course["phase"] == "Kept").count();
    let (going, coming) = (deletions.len(), plan["spec"]["nodeClaimsToAdd"].as_array().map_or(0, Vec::len));
    assert_eq!((stage.state("RebalancePlan", "now").as_str(), kept), ("Done", 0), "{going} go, {coming} come");
    assert!(going + coming >= 100, "{going} go, {coming} come");
}
