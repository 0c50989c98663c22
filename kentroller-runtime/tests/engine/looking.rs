//! When an object is looked at: at once, in its interval, in its time, once more.

use std::time::Duration;

use kentroller_runtime::Failure;
use serde_json::json;

use crate::kinds::{Status, script};
use crate::stage::{Notes, Stage, pass, pass_millis};

#[tokio::test(start_paused = true)]
async fn a_poisoned_object_stalls_only_itself() {
    let stage = Stage::new();
    stage.widget("bad");
    stage.widget("good");
    let replica = stage.start(
        "one",
        script(|widget, _, out| {
            assert!(&*widget.metadata.name != "bad", "poisoned");
            out.status(&Status { seen: 1, ..Status::default() });
            Ok(())
        }),
    );
    pass(60).await;
    assert_eq!((stage.status("good")["seen"].as_i64(), stage.status("bad").is_null()), (Some(1), true));
    assert!(!replica.ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_with_a_growing_pause() {
    let looks = Notes::default();
    let noted = looks.clone();
    let (_stage, _replica) = Stage::with(script(move |_, world, _| {
        noted.add(world.now().as_second());
        Err(Failure::transient("NotNow", "not now"))
    }))
    .await;
    pass(60).await;
    let pauses: Vec<i64> = looks.all().windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_foreign_events_is_looked_at_once_in_an_interval_and_an_edit_at_once() {
    let looks = Notes::default();
    let noted = looks.clone();
    let (stage, _replica) = Stage::with(script(move |widget, world, _| {
        noted.add((world.now(), widget.spec.size));
        Ok(())
    }))
    .await;
    stage.map("noise", "a");
    pass(5).await;
    let before = looks.len();
    for number in 0..1_000 {
        stage.touch("noise", &number.to_string());
        pass_millis(10).await;
    }
    let during = looks.len() - before;
    assert!((10..=11).contains(&during), "{during} looks in ten seconds");

    stage.touch("noise", "once more");
    pass_millis(10).await;
    let edited = stage.clock.now();
    stage.edit("a", json!(2));
    pass_millis(10).await;
    let (at, size) = *looks.all().last().expect("looked at");
    assert_eq!((size, at.duration_since(edited).as_millis()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_be_looked_at_at_once_does_not_spin_and_is_told() {
    let looks = Notes::default();
    let noted = looks.clone();
    let (stage, _replica) = Stage::with(script(move |_, world, out| {
        noted.add(());
        out.look_at(world.now());
        Ok(())
    }))
    .await;
    pass(20).await;
    assert!((20..=26).contains(&looks.len()), "{} looks in 25 seconds", looks.len());
    assert_eq!(stage.logged(&["WARN", "in a row", "widgets", "object=a"]), 1);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_changes_each_time_does_not_spin_and_is_told() {
    let (stage, replica) = Stage::with(script(|widget, _, out| {
        let seen = widget.status.as_ref().map_or(0, |status| status.seen);
        out.status(&Status { seen: seen + 1, ..Status::default() });
        Ok(())
    }))
    .await;
    pass(20).await;
    let writes = replica.asked("PATCH", "/widgets/a/status").len();
    assert!((20..=26).contains(&writes), "{writes} writes in 25 seconds");
    assert_eq!(stage.logged(&["WARN", "in a row", "widgets", "object=a"]), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_final_is_looked_at_again_after_some_five_minutes() {
    let looks = Notes::default();
    let noted = looks.clone();
    let stage = Stage::new();
    for name in ["a", "b", "over"] {
        stage.widget(name);
    }
    let set = |widget: &mut serde_json::Value| widget["status"] = json!({"state": "Done"});
    stage.server.update_status("Widget", None, "over", set).expect("updated");
    let _replica = stage.start(
        "one",
        script(move |widget, world, _| {
            noted.add((widget.metadata.name.to_string(), world.now().as_second()));
            if &*widget.metadata.name == "b" { Err(Failure::terminal("Never", "never")) } else { Ok(()) }
        }),
    );
    pass(1_000).await;
    let of = |name: &str| -> Vec<i64> {
        let all = looks.all();
        let at: Vec<i64> = all.iter().filter(|(of, _)| of == name).map(|(_, at)| *at).collect();
        at.windows(2).map(|pair| pair[1] - pair[0]).collect()
    };
    for name in ["a", "b"] {
        let pauses = of(name);
        assert!(pauses.len() == 3 && pauses.iter().all(|pause| (270..330).contains(pause)), "{name}: {pauses:?}");
    }
    assert_eq!(of("over"), [0; 0]);
    assert_ne!(of("a"), of("b"), "they do not come at once");
}

#[tokio::test(start_paused = true)]
async fn an_idle_operator_writes_nothing_but_its_lease() {
    let (stage, replica) = Stage::with(script(|_, _, out| {
        out.ready(true, "Seen", "It was seen.");
        out.status(&Status { seen: 1, ..Status::default() });
        out.look_in(Duration::from_secs(30));
        Ok(())
    }))
    .await;
    pass(60).await;
    let since = stage.server.revision();
    pass(3600).await;
    let kinds: std::collections::BTreeSet<String> =
        stage.server.writes(since).iter().map(|write| write.kind.to_string()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Lease"]);
    assert!(!replica.ended.is_finished());
}
