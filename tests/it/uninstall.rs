//! Taken off in the order that `kentroller/docs/uninstall.md` tells, nothing of ours is left on the cluster.

use std::time::Duration;

use kentroller::controllers;
use kentroller_runtime::settings::SettingValue as _;
use kentroller_tests::Stage;
use serde_json::json;

const LONG: Duration = Duration::from_secs(3 * 3600);

/// Deletes what `kubectl delete rps,rpc,rp --all` does, and looks at what is left of every kind of ours a minute later.
async fn nothing_is_left(stage: &Stage) {
    for kind in ["RebalancePlanSchedule", "RebalancePlanClaim", "RebalancePlan"] {
        for name in stage.names(kind) {
            // What is owned may have gone with its owner.
            let _ = stage.operated.server.delete(kind, None, &name, &Default::default());
        }
    }
    stage.pass(60).await;
    for kind in controllers::kinds() {
        assert_eq!(stage.names(kind.info.kind), [""; 0], "{}: without a finalizer nothing stays", kind.info.kind);
    }
    assert_eq!(stage.marks(), [""; 0]);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn in_the_middle_of_a_plan_it_goes_in_the_documented_order_and_leaves_nothing() {
    let mut stage = Stage::drifted(12, 1);
    stage.schedule("often", "*/5 * * * *", json!({}));
    stage.claim("now", json!({}));
    let drains = |stage: &Stage| {
        stage
            .get("RebalancePlan", "now")
            .is_some_and(|plan| plan["status"]["nodesDeletion"].to_string().contains("Draining"))
    };
    assert!(stage.until(LONG, drains).await);
    stage.operated.set(|settings| settings.paused = <_>::parse("true").expect("it is right"));
    stage.pass(30).await;
    assert!(!stage.marks().is_empty(), "what runs is held where it is");
    stage.edit("RebalancePlan", "now", |plan| plan["spec"]["execute"] = json!(false));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await, "a pause stops no clean-up");
    assert_eq!(stage.state("RebalancePlan", "now"), "Canceled");
    assert_eq!(stage.marks(), [""; 0]);
    stage.operated.end().await;
    nothing_is_left(&stage).await;
}

#[tokio::test(start_paused = true)]
async fn at_rest_it_goes_at_once_and_leaves_nothing() {
    let mut stage = Stage::drifted(12, 1);
    stage.claim("now", json!({}));
    assert!(stage.until(LONG, |stage| stage.is_over("now")).await);
    stage.pass(60).await;
    assert!(stage.is_done("now"));
    stage.operated.end().await;
    nothing_is_left(&stage).await;
}
