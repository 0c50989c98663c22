//! How fast plans are carried out where things take as long as on a real provider.

use std::time::Duration;

use kentroller_tests::Stage;
use kentroller_world::{Setup, Timings};
use serde_json::json;

const LONG: Duration = Duration::from_secs(3 * 3600);

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
