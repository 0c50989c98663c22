//! Watches that break, stall, or bring what does not decode.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kentroller_runtime::simulation::apiserver::{Fault, Trouble};
use serde_json::json;

use crate::kinds::{ConfigMap, Status, Widget, config_map, map, script};
use crate::stage::{Notes, Stage, pass};

/// Writes into the status what it sees.
fn mirror() -> crate::kinds::Script {
    script(|widget, _, out| {
        out.status(&Status { seen: widget.spec.size, ..Status::default() });
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_goes_away_for_a_while_is_read_again() {
    let (stage, _replica) = Stage::with(mirror()).await;
    stage.server.inject(Fault::Unreachable { lasting: Duration::from_secs(6) });
    pass(7).await;
    stage.server.inject(Fault::ExpireHistory { kind: Some("Widget".into()) });
    stage.edit("a", json!(7));
    pass(60).await;
    assert_eq!(stage.status("a")["seen"], 7);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_never_answered_is_given_up_within_seconds() {
    let (stage, _replica) = Stage::with(mirror()).await;
    stage.trouble("watch", "widgets", 1, Trouble::Hang);
    stage.server.inject(Fault::DropWatches { kind: Some("Widget".into()) });
    pass(1).await;
    stage.edit("a", json!(7));
    pass(12).await;
    assert_eq!(stage.status("a")["seen"], 7);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dead_without_a_word_is_noticed_within_a_minute() {
    let (stage, replica) = Stage::with(mirror()).await;
    replica.dead.store(true, Ordering::Relaxed);
    stage.server.inject(Fault::DropWatches { kind: Some("Widget".into()) });
    pass(1).await;
    assert!(!replica.dead.load(Ordering::Relaxed), "the watch is on a dead connection");
    stage.edit("a", json!(7));
    pass(40).await;
    assert_eq!(stage.status("a")["seen"], 1);
    pass(10).await;
    assert_eq!(stage.status("a")["seen"], 7);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_does_not_decode_is_not_gone() {
    let seen = Notes::default();
    let noted = seen.clone();
    let (stage, replica) = Stage::with(script(move |widget, world, out| {
        if &*widget.metadata.name == "a" {
            noted.add(world.all::<Widget>().map(|one| one.spec.size).collect::<Vec<_>>());
            out.look_in(Duration::from_secs(1));
        }
        Ok(())
    }))
    .await;
    stage.widget("b");
    pass(5).await;
    stage.edit("b", json!("seven"));
    pass(5).await;
    assert_eq!(seen.all().last(), Some(&vec![1, 1]), "an event that does not decode");
    let lists = replica.lists();
    stage.server.inject(Fault::ExpireHistory { kind: Some("Widget".into()) });
    stage.server.inject(Fault::DropWatches { kind: Some("Widget".into()) });
    stage.edit("a", json!(2));
    pass(5).await;
    assert!(replica.lists() > lists);
    assert_eq!(seen.all().last(), Some(&vec![2, 1]), "a list in which it does not decode");
    assert!(stage.logged(&["WARN", "Widget", "object=b", "spec.size"]) >= 1);
    stage.edit("b", json!(9));
    pass(5).await;
    assert_eq!(seen.all().last(), Some(&vec![2, 9]));
    stage.edit("b", json!("seven"));
    stage.server.delete("Widget", None, "b", &Default::default()).expect("deleted");
    pass(5).await;
    assert_eq!(seen.all().last(), Some(&vec![2]), "and what is deleted is gone, however it looked");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_list_does_not_wait_for_a_watch_that_is_being_opened() {
    let (stage, replica) = Stage::with(script(|widget, world, out| {
        let name = format!("made-{}", widget.spec.size);
        if world.lookup::<ConfigMap>(&map(&name)).present().is_none() {
            out.create(&config_map(&name));
        }
        Ok(())
    }))
    .await;
    let of_maps = Some("ConfigMap".to_owned());
    stage.server.inject(Fault::HoldWatches { kind: of_maps.clone(), lasting: Duration::from_secs(900) });
    stage.edit("a", json!(2));
    pass(5).await;
    stage.trouble("watch", "configmaps", 1, Trouble::Hang);
    stage.server.inject(Fault::DropWatches { kind: of_maps });
    let lists = replica.lists();
    pass(4).await;
    assert_eq!(replica.lists(), lists);
    pass(2).await;
    assert_eq!(stage.logged(&["WARN", "ConfigMap", "listing afresh"]), 1);
    assert_eq!(replica.lists(), lists + 1, "its own write is overdue for a second, the watch may open for four more");
}

#[tokio::test(start_paused = true)]
async fn a_kind_whose_watches_are_cut_short_is_listed_instead_and_never_old() {
    let ages = Notes::default();
    let noted = ages.clone();
    let (stage, replica) = Stage::with(script(move |_, world, out| {
        noted.add(world.age::<ConfigMap>().as_secs());
        out.look_in(Duration::from_secs(1));
        Ok(())
    }))
    .await;
    let lists = replica.lists();
    for _ in 0..8 {
        pass(30).await;
        stage.server.inject(Fault::DropWatches { kind: Some("ConfigMap".into()) });
    }
    pass(1).await;
    let oldest = ages.all().into_iter().max();
    assert!(oldest.is_some_and(|age| (25..=35).contains(&age)), "{oldest:?}");
    assert_eq!(replica.lists() - lists, 8);
}
