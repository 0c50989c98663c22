//! Requests as kube-scheduler counts them, and the room for them.

use std::sync::Arc;

use serde_json::json;

use super::judged;
use super::scene::{patch, read, step};

#[test]
fn a_pod_goes_only_where_its_requests_fit() {
    judged(&[
        (
            "cpu that just fits, without a reserve",
            |s| {
                s.request("a1", "cpu", "1330m");
                s.options.reserve = crate::value::Percent::whole(0);
            },
            &[],
        ),
        ("cpu that just fits leaves no reserve", |s| s.request("a1", "cpu", "1330m"), &["reserve"]),
        (
            "a milli-cpu too much",
            |s| {
                s.request("a1", "cpu", "1331m");
                s.options.reserve = crate::value::Percent::whole(0);
            },
            &["no-room", "reserve"],
        ),
        ("memory", |s| s.request("a1", "memory", "6300Mi"), &["no-room", "reserve"]),
        ("an extended resource that the node lacks", |s| s.request("a1", "example.com/fpga", "1"), &["no-room"]),
        (
            "an extended resource that the node has",
            |s| {
                s.request("a1", "example.com/fpga", "1");
                for node in ["a", "b"] {
                    Arc::make_mut(&mut s.node(node).status)
                        .allocatable
                        .insert("example.com/fpga".into(), read(json!("1")));
                }
            },
            &[],
        ),
        (
            "pods count",
            |s| {
                Arc::make_mut(&mut s.node("b").status).allocatable.insert("pods".into(), read(json!("2")));
            },
            &["no-room"],
        ),
        (
            "an init container that needs more than the rest",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    json!({"initContainers": [{"name": "i", "resources": {"requests": {"cpu": "1400m"}}}]}),
                );
            },
            &["no-room", "reserve"],
        ),
        (
            "an init container that needs less than the rest",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    json!({"initContainers": [{"name": "i", "resources": {"requests": {"cpu": "400m"}}}]}),
                );
            },
            &[],
        ),
        (
            "a sidecar adds to the rest",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    json!({"initContainers": [
                {"name": "i", "restartPolicy": "Always", "resources": {"requests": {"cpu": "900m"}}}]}),
                );
            },
            &["no-room", "reserve"],
        ),
        (
            "an init container runs beside the sidecars before it",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    json!({"initContainers": [
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "300m"}}},
                {"name": "i", "resources": {"requests": {"cpu": "1100m"}}}]}),
                );
            },
            &["no-room", "reserve"],
        ),
        (
            "an init container before the sidecars runs alone",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    json!({"initContainers": [
                {"name": "i", "resources": {"requests": {"cpu": "1100m"}}},
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "300m"}}}]}),
                );
            },
            &[],
        ),
        ("overhead", |s| patch(&mut s.pod("a1").spec, json!({"overhead": {"cpu": "900m"}})), &["no-room", "reserve"]),
        (
            "pod-level resources replace the sum of the containers",
            |s| {
                patch(&mut s.pod("a1").spec, json!({"resources": {"requests": {"cpu": "1400m"}}}));
            },
            &["no-room", "reserve"],
        ),
        (
            "a smaller pod-level request",
            |s| {
                s.request("a1", "cpu", "1400m");
                patch(&mut s.pod("a1").spec, json!({"resources": {"requests": {"cpu": "500m"}}}));
            },
            &[],
        ),
        (
            "a limit stands in for a request",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    json!({"containers": [{"name": "main", "resources": {"limits": {"cpu": "1400m"}}}]}),
                );
            },
            &["no-room", "reserve"],
        ),
        (
            "what a pod holds after an in-place resize counts",
            |s| {
                patch(
                    &mut s.pod("b1").status,
                    json!({"containerStatuses": [{"name": "main", "resources": {"requests": {"cpu": "1400m"}}}]}),
                );
            },
            &["no-room", "reserve"],
        ),
        (
            "the pod that moves into the room of one that left before it",
            |s| {
                s.request("b1", "cpu", "1500m");
                s.wave(1).moves.insert(0, step("b1", "b", "c"));
            },
            &[],
        ),
        (
            "the order of moves counts",
            |s| {
                s.request("b1", "cpu", "1500m");
                s.wave(1).moves.push(step("b1", "b", "c"));
            },
            &["no-room"],
        ),
        (
            "finished pods take no room",
            |s| {
                s.add_pod(
                    "b2",
                    "b",
                    "ReplicaSet",
                    json!({"containers": [
            {"name": "main", "resources": {"requests": {"cpu": "1300m"}}}]}),
                );
                s.pod("b2").status.phase = "Succeeded".into();
            },
            &[],
        ),
    ]);
}
