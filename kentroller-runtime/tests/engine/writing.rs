//! Effects: on what conditions they are sent, and what becomes of one that is refused.

use std::time::Duration;

use kentroller_runtime::simulation::apiserver::{Fault, Trouble};
use kentroller_runtime::{Failure, Guard, Outcome, Reply, World};
use serde_json::json;

use crate::kinds::{CHANGED, ConfigMap, Doubles, Status, Widget, Widgets, config_map, map, script};
use crate::stage::{Notes, Stage, pass};

/// Keeps one ConfigMap.
fn keeps_one(_: &Widget, world: &World<Widgets>, out: &mut Outcome<Widgets>) -> Result<(), Failure> {
    if world.lookup::<ConfigMap>(&map("made")).present().is_none() {
        out.create(&config_map("made"));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_a_reconcile_wants_is_made_once_and_made_again_when_it_goes() {
    let (stage, replica) = Stage::with(script(|widget, world, out| {
        keeps_one(widget, world, out)?;
        out.look_in(Duration::from_secs(1));
        Ok(())
    }))
    .await;
    assert_eq!(stage.maps(), ["made"]);
    stage.server.delete("ConfigMap", Some("default"), "made", &Default::default()).expect("deleted");
    pass(5).await;
    assert_eq!(stage.maps(), ["made"]);
    assert_eq!(replica.asked("POST", "configmaps").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_lost_does_not_make_a_second_object() {
    let stage = Stage::new();
    stage.widget("a");
    stage.trouble("create", "configmaps", 1, Trouble::LoseReply);
    let replica = stage.start("one", script(keeps_one));
    pass(60).await;
    assert_eq!(stage.maps(), ["made"]);
    assert_eq!(replica.asked("POST", "configmaps").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_tried_again_with_a_growing_pause_whatever_wakes_the_object() {
    let stage = Stage::new();
    stage.widget("a");
    stage.map("noise", "a");
    stage.refuse("create", "configmaps", 5, 500);
    let shown = Notes::default();
    let shows = shown.clone();
    let replica = stage.start(
        "one",
        script(move |widget, world, out| {
            shows.add(world.reply("create ConfigMap default/made").and_then(Reply::retry_at));
            keeps_one(widget, world, out)
        }),
    );
    for number in 0..40 {
        stage.touch("noise", &number.to_string());
        pass(1).await;
    }
    let at = replica.asked_at("POST", "configmaps");
    let pauses: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16]);
    assert!(shown.len() > 30, "the object was looked at all the time");
    assert!(shown.all().iter().any(Option::is_some), "a reconcile is told when it is tried again");
    assert_eq!(stage.maps(), ["made", "noise"]);
    assert_eq!(stage.logged(&["WARN", "effect", "create", "default/made", "refused"]), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_depends_on_no_effect_is_told_though_one_was_refused() {
    let stage = Stage::new();
    stage.widget("a");
    stage.refuse("create", "configmaps", 1_000, 500);
    let _replica = stage.start(
        "one",
        script(|_, _, out| {
            out.event(CHANGED, "it happened");
            out.create(&config_map("made")).says(CHANGED, "it was made");
            Ok(())
        }),
    );
    pass(30).await;
    let notes: Vec<String> = stage.server.list("Event").iter().map(|event| event["note"].to_string()).collect();
    assert_eq!(notes, ["\"it happened\""]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_stands_after_a_group_of_effects_waits_until_all_of_them_are_accepted() {
    let stage = Stage::new();
    stage.widget("a");
    stage.refuse("create", "configmaps", 3, 500);
    let _replica = stage.start(
        "one",
        script(|widget, world, out| {
            out.event(CHANGED, "it began");
            keeps_one(widget, world, out)?;
            out.then();
            out.event(CHANGED, "it is done");
            Ok(())
        }),
    );
    let notes = || -> Vec<String> {
        stage.server.list("Event").iter().map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
    };
    pass(5).await;
    assert_eq!((notes(), stage.maps()), (vec!["it began".to_owned()], vec![]));
    pass(30).await;
    assert_eq!(
        (notes(), stage.maps()),
        (vec!["it began".to_owned(), "it is done".to_owned()], vec!["made".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_refused_is_seen_in_the_log_and_its_events_wait_for_it() {
    let stage = Stage::new();
    stage.widget("a");
    stage.refuse("patch", "widgets/status", 3, 422);
    let _replica = stage.start(
        "one",
        script(|_, _, out| {
            out.status(&Status { seen: 7, ..Status::default() });
            out.event(CHANGED, "seven was seen");
            Ok(())
        }),
    );
    pass(3).await;
    assert_eq!(stage.logged(&["WARN", "effect", "status", "Widget", "object=a", "422"]), 1);
    assert_eq!(stage.server.list("Event").len(), 0);
    pass(30).await;
    assert_eq!(stage.status("a")["seen"], 7);
    assert_eq!(stage.server.list("Event").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_first_status_that_is_refused_leads_to_no_impossible_state() {
    for code in [409, 429, 500] {
        let stage = Stage::new();
        stage.widget("a");
        stage.refuse("patch", "widgets/status", 1, code);
        let _replica = stage.start(
            "one",
            script(|widget, world, out| {
                let mut status = widget.status.clone().unwrap_or_default();
                match world.answer::<Doubles>(widget) {
                    None => {
                        status.state = Some("Asked".to_owned());
                        out.ask::<Doubles>(4);
                    }
                    Some(kentroller_runtime::Answer::Given { answer, .. }) => {
                        status.state = Some("Done".to_owned());
                        status.seen = **answer;
                    }
                    Some(_) => {}
                }
                out.status(&status);
                Ok(())
            }),
        );
        pass(10).await;
        assert_eq!(
            (stage.status("a")["state"].as_str(), stage.status("a")["seen"].as_i64()),
            (Some("Done"), Some(8)),
            "{code}"
        );
        assert_eq!(stage.logged(&["StateImpossible"]), 0, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_write_but_a_creation_bears_uid_and_version() {
    let stage = Stage::new();
    stage.widget("a");
    stage.map("patched", "");
    stage.map("deleted", "");
    let replica = stage.start(
        "one",
        script(|widget, world, out| {
            if widget.status.is_none() {
                out.status(&Status { seen: 1, ..Status::default() });
                let present = |name: &str| world.lookup::<ConfigMap>(&map(name)).present();
                if let Some(map) = present("patched") {
                    out.merge(map, json!({"data": {"a": "b"}}));
                }
                if let Some(map) = present("deleted") {
                    out.delete(map);
                }
            }
            Ok(())
        }),
    );
    let before = |kind: &str, namespace: Option<&str>, name: &str| {
        let object = stage.server.get(kind, namespace, name).expect("it is there");
        json!([object["metadata"]["uid"], object["metadata"]["resourceVersion"]])
    };
    let (widget, patched, deleted) = (
        before("Widget", None, "a"),
        before("ConfigMap", Some("default"), "patched"),
        before("ConfigMap", Some("default"), "deleted"),
    );
    pass(5).await;
    let bodies = |verb: &str, part: &str| -> Vec<serde_json::Value> {
        replica.asked(verb, part).into_iter().map(|one| one.body).collect()
    };
    let of = |body: &serde_json::Value, place: &str| json!([body[place]["uid"], body[place]["resourceVersion"]]);
    let status = bodies("PATCH", "/widgets/a/status");
    assert_eq!(status.iter().map(|body| of(body, "metadata")).collect::<Vec<_>>(), [widget]);
    let patches = bodies("PATCH", "/configmaps/patched");
    assert_eq!(patches.iter().map(|body| of(body, "metadata")).collect::<Vec<_>>(), [patched]);
    let deletes = bodies("DELETE", "/configmaps/deleted");
    assert_eq!(deletes.iter().map(|body| of(body, "preconditions")).collect::<Vec<_>>(), [deleted]);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_fence_closes_while_its_guard_reads_is_not_sent() {
    let (stage, replica) = Stage::with(script(|widget, world, out| {
        if widget.spec.size == 2
            && let Some(found) = world.lookup::<ConfigMap>(&map("kept")).present()
        {
            out.delete(found).only_if(Guard::that(|_| Ok(())).get::<ConfigMap>(map("kept")));
        }
        Ok(())
    }))
    .await;
    stage.map("kept", "");
    stage.refuse("update", "leases", 1_000, 500);
    pass(5).await;
    stage.trouble("get", "configmaps", 1, Trouble::Delay(Duration::from_secs(8)));
    stage.edit("a", json!(2));
    pass(30).await;
    assert_eq!(replica.asked("GET", "/configmaps/kept").len(), 1, "the guard has read");
    assert_eq!(replica.asked("DELETE", "").len(), 0);
    assert_eq!(stage.maps(), ["kept"]);
    assert_eq!(stage.logged(&["LeaseLost"]), 1);
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_changes_nothing_is_no_reason_to_list_anything() {
    let (stage, replica) = Stage::with(script(|widget, world, out| {
        if widget.spec.size == 2
            && let Some(found) = world.lookup::<ConfigMap>(&map("as-it-is")).present()
        {
            out.merge(found, json!({"metadata": {"labels": {"widget": "none"}}}));
        }
        Ok(())
    }))
    .await;
    stage.map("as-it-is", "none");
    pass(5).await;
    let before = replica.lists();
    stage.edit("a", json!(2));
    pass(7_200).await;
    assert!(!replica.asked("PATCH", "/configmaps/as-it-is").is_empty());
    assert_eq!((replica.lists() - before, stage.logged(&["not visible"])), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_own_write_that_nobody_looks_for_is_no_reason_to_list_anything() {
    let (stage, replica) = Stage::with(script(|widget, world, out| {
        if let Some(found) = world.lookup::<ConfigMap>(&map("changed")).present() {
            out.merge(found, json!({"data": {"size": widget.spec.size.to_string()}}));
        }
        Ok(())
    }))
    .await;
    stage.map("changed", "none");
    pass(5).await;
    let before = replica.lists();
    stage.edit("a", json!(2));
    pass(200).await;
    assert_eq!((replica.asked("PATCH", "/configmaps/changed").len(), replica.lists() - before), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_on_the_ground_of_a_watch_that_has_long_proved_nothing() {
    let ages = Notes::default();
    let noted = ages.clone();
    let (stage, replica) = Stage::with(script(move |widget, world, out| {
        noted.add(world.age::<ConfigMap>().as_secs());
        let found = world.lookup::<ConfigMap>(&map("old")).present();
        if let Some(found) = found.filter(|_| widget.spec.size > 1) {
            out.delete(found);
        }
        Ok(())
    }))
    .await;
    stage.map("old", "");
    pass(5).await;
    for verb in ["list", "watch"] {
        stage.refuse(verb, "configmaps", 30, 403);
    }
    stage.server.inject(Fault::DropWatches { kind: Some("ConfigMap".into()) });
    pass(70).await;
    stage.edit("a", json!(2));
    pass(100).await;
    assert_eq!(replica.asked("DELETE", "").len(), 0);
    assert_eq!(stage.logged(&["WARN", "StoreStale", "configmaps"]), 1);
    assert!(ages.all().iter().any(|age| *age >= 60), "{ages:?}");
    assert!(!replica.health.is_ready(), "a replica that does not see is not ready");
    pass(790).await;
    assert_eq!(stage.maps(), [""; 0], "it goes when the watch tells again");
    assert!(replica.health.is_ready());
}

#[tokio::test(start_paused = true)]
async fn no_watch_that_is_well_grows_older_than_a_minute_though_a_quiet_kind_has_no_bookmarks() {
    let ages = Notes::default();
    let noted = ages.clone();
    let (_stage, replica) = Stage::with(script(move |_, world, out| {
        noted.add(world.age::<ConfigMap>().as_secs());
        out.look_in(Duration::from_secs(1));
        Ok(())
    }))
    .await;
    let lists = replica.lists();
    pass(600).await;
    assert_eq!(replica.lists(), lists);
    let oldest = ages.all().into_iter().max();
    assert!(oldest.is_some_and(|age| (38..=45).contains(&age)), "{oldest:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_is_scraped_under_the_operators_own_name() {
    let (stage, replica) = Stage::with(script(keeps_one)).await;
    stage.edit("a", json!("seven"));
    pass(5).await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &replica.metrics.register("hive")).expect("encoded");
    for line in [
        "hive_controller_runtime_reconcile_total{controller=\"widgets\",result=\"success\"}",
        "hive_controller_runtime_reconcile_time_seconds_count{controller=\"widgets\"} 1",
        "hive_api_writes_total{verb=\"create\",kind=\"ConfigMap\",code=\"200\"} 1",
        "hive_leader_election_master_status{name=\"operator\"} 1",
        "hive_undecodable_objects{kind=\"Widget\",field=\"spec.size\"} 1",
        "hive_watch_age_seconds{kind=\"ConfigMap\"}",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(stage.logged(&["INFO", "effect", "create", "ConfigMap", "of=a", "done"]), 1);
}
