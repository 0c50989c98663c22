//! Room for pods that wait, and headroom.

use serde_json::json;

use super::{Scene, judged};
use crate::value::Headroom;

#[test]
fn pods_that_wait_and_headroom_keep_their_room() {
    judged(&[
        ("a pod waits and keeps its room", |s| wait(s, "1"), &[]),
        ("a pod waits for the room that the plan takes", |s| wait(s, "6"), &["pending-room"]),
        ("a pod waits that had no room before", |s| wait(s, "9"), &[]),
        (
            "a gated pod waits for something else",
            |s| {
                wait(s, "6");
                s.shape("w").gates = 1;
            },
            &[],
        ),
        (
            "two pods wait and share what is left",
            |s| {
                wait(s, "2");
                wait(s, "2");
                s.snapshot.pods.last_mut().unwrap().metadata.name = "w2".into();
            },
            &[],
        ),
        (
            "many pods wait: together they had room and have none",
            |s| {
                for at in 0..6 {
                    wait(s, "1500m");
                    s.snapshot.pods.last_mut().unwrap().metadata.name = format!("w{at}").into();
                }
            },
            &["pending-room"],
        ),
        ("headroom that is left", |s| headroom(s, 4_000), &[]),
        ("headroom that the plan takes", |s| headroom(s, 9_000), &["headroom"]),
    ]);
}

fn wait(scene: &mut Scene, cpu: &str) {
    scene.add_pod(
        "w",
        "",
        "ReplicaSet",
        json!({
        "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]}),
    );
}

fn headroom(scene: &mut Scene, milli_cpu: i64) {
    scene.options.headroom.insert("general".to_owned(), Headroom { milli_cpu, bytes: 0 });
}
