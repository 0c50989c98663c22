//! Who may act, and how soon another one does.

use std::time::Duration;

use kentroller_runtime::operator::{Ended, Operator};
use kentroller_runtime::reconciler;
use kentroller_runtime::simulation::apiserver::Trouble;
use serde_json::json;

use crate::kinds::{ConfigMap, Script, Widgets, config_map, map, script};
use crate::stage::{Stage, pass, pass_millis};

/// Makes a ConfigMap that is named for the size of the widget.
fn makes() -> Script {
    script(|widget, world, out| {
        let name = format!("made-{}", widget.spec.size);
        if world.lookup::<ConfigMap>(&map(&name)).present().is_none() {
            out.create(&config_map(&name));
        }
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn the_second_replica_acts_only_after_the_first_has_let_go() {
    let (stage, first) = Stage::with(makes()).await;
    let second = stage.start("two", makes());
    stage.edit("a", json!(2));
    pass(30).await;
    let made = |replica: &crate::stage::Replica| replica.asked("POST", "configmaps").len();
    assert_eq!((made(&first), made(&second)), (2, 0));
    let _ = first.stop.send(true);
    assert_eq!(first.ended.await.expect("no panic"), Ended::Stopped);
    stage.edit("a", json!(3));
    pass(10).await;
    assert_eq!(made(&second), 1);
}

/// Lets the first replica end like this; says how long the second takes to act, and how many lists it asks for.
async fn takeover(kill: bool, offset_millis: u64) -> (u128, usize) {
    let (stage, first) = Stage::with(makes()).await;
    let second = stage.start("two", makes());
    pass_millis(60_000 + offset_millis).await;
    assert!(second.health.is_ready(), "a replica that stands by is ready to take over");
    let (lists, began) = (second.lists(), stage.clock.now());
    if kill {
        first.ended.abort();
    } else {
        let _ = first.stop.send(true);
    }
    stage.edit("a", json!(2));
    while stage.server.get("ConfigMap", Some("default"), "made-2").is_none() {
        pass_millis(10).await;
        assert!(stage.clock.now().duration_since(began).as_secs() < 60, "nobody takes over");
    }
    let by_second = second.asked("POST", "configmaps").len();
    assert_eq!(by_second, 1);
    let took = stage.clock.now().duration_since(began).as_millis();
    pass(60).await;
    (took.unsigned_abs(), second.lists() - lists)
}

#[tokio::test(start_paused = true)]
async fn a_standby_takes_over_from_the_dead_within_17_seconds_and_from_the_stopped_within_3_and_lists_nothing() {
    for offset in [0, 500, 1_000, 1_500, 1_990] {
        let (took, lists) = takeover(true, offset).await;
        assert!((8_000..=17_050).contains(&took) && lists == 0, "killed: {took} ms, {lists} lists");
        let (took, lists) = takeover(false, offset).await;
        assert!(took <= 3_000 && lists == 0, "stopped: {took} ms, {lists} lists");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_is_not_ready_before_it_has_read_everything() {
    let stage = Stage::new();
    stage.widget("a");
    stage.trouble("list", "configmaps", 1, Trouble::Delay(Duration::from_secs(20)));
    let replica = stage.start("one", makes());
    pass(15).await;
    assert!(!replica.health.is_ready());
    assert!(replica.health.is_alive());
    pass(10).await;
    assert!(replica.health.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_answered_is_asked_for_again() {
    let stage = Stage::new();
    stage.widget("a");
    stage.trouble("get", "leases", 1, Trouble::Hang);
    let _replica = stage.start("one", makes());
    pass(8).await;
    assert_eq!(stage.maps(), ["made-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_ends_and_writes_nothing_past_its_deadline() {
    let (stage, replica) = Stage::with(makes()).await;
    stage.refuse("update", "leases", 1_000, 500);
    pass(13).await;
    stage.edit("a", json!(2));
    pass(30).await;
    assert_eq!(replica.ended.await.expect("no panic"), Ended::LeaseLost);
    assert_eq!(stage.maps(), ["made-1"]);
}

#[tokio::test(start_paused = true)]
async fn controllers_that_would_undo_each_other_do_not_start() {
    let stage = Stage::new();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let operator =
        Operator::of(vec![reconciler::<Widgets>(), reconciler::<Widgets>()]).settings(script(|_, _, _| Ok(())));
    let running = tokio::spawn(operator.run_until(stage.server.client("one"), stage.clock.clone(), stopped));
    let ended = tokio::time::timeout(Duration::from_secs(60), running).await.expect("it ends at once");
    let why = ended.expect_err("it does not start").into_panic();
    let why = why.downcast_ref::<String>().expect("a text");
    assert!(why.starts_with("these controllers cannot run together: two controllers are named widgets"), "{why}");
}
