//! Where volumes let a pod go, and which nodes take pods at all.

use std::sync::Arc;

use serde_json::json;

use super::judged;
use super::scene::{patch, read, step};

#[test]
fn a_pod_goes_only_where_its_volumes_are() {
    judged(&[
        ("the zone of its volume", |s| s.mount("a1", "data", "r1a"), &[]),
        (
            "another zone",
            |s| {
                s.mount("a1", "data", "r1a");
                s.wave(1).moves[0].to = "c".into();
            },
            &["volume-place"],
        ),
        ("a new node in the zone of its volume", |s| s.mount("d1", "data", "r1a"), &[]),
        ("a new node in another zone", |s| s.mount("d1", "data", "r1b"), &["volume-place"]),
        (
            "a claim that is not in the dump",
            |s| {
                s.mount("a1", "data", "r1a");
                s.snapshot.persistent_volume_claims.clear();
            },
            &["volume-unknown"],
        ),
        (
            "a claim whose volume is not in the dump",
            |s| {
                s.mount("a1", "data", "r1a");
                s.snapshot.persistent_volumes.clear();
            },
            &["volume-unknown"],
        ),
        (
            "a local volume",
            |s| {
                s.mount("a1", "data", "r1a");
                patch(&mut s.snapshot.persistent_volumes[0].spec, json!({"local": {"path": "/x"}}));
            },
            &["local-volume"],
        ),
        (
            "a local volume that may be lost",
            |s| {
                s.mount("a1", "data", "r1a");
                patch(&mut s.snapshot.persistent_volumes[0].spec, json!({"hostPath": {"path": "/x"}}));
                s.options.aggressive.ignore_local_persistent_volumes = true;
            },
            &[],
        ),
        (
            "with the flag the pod may also go without a place",
            |s| {
                s.mount("a1", "data", "r1a");
                patch(&mut s.snapshot.persistent_volumes[0].spec, json!({"local": {"path": "/x"}}));
                s.options.aggressive.ignore_local_persistent_volumes = true;
                s.wave(1).moves.clear();
            },
            &[],
        ),
        (
            "as many volumes as the node attaches",
            |s| {
                s.mount("a1", "data", "r1a");
                s.snapshot.csi_nodes.push(csi("b", 1));
            },
            &[],
        ),
        (
            "a volume too many",
            |s| {
                s.mount("a1", "data", "r1a");
                s.mount("b1", "logs", "r1a");
                s.snapshot.csi_nodes.push(csi("b", 1));
            },
            &["attach-limit"],
        ),
        (
            "a new node attaches what live nodes of any type do at least",
            |s| {
                s.mount("d1", "data", "r1a");
                s.mount("d1", "logs", "r1a");
                s.snapshot.csi_nodes.push(csi("c", 1));
            },
            &["attach-limit"],
        ),
    ]);
}

fn csi(node: &str, count: i64) -> crate::manifest::CsiNode {
    read(
        json!({"metadata": {"name": node}, "spec": {"drivers": [{"name": "ebs.csi.aws.com", "allocatable": {"count": count}}]}}),
    )
}

#[test]
fn pods_go_only_to_nodes_that_stay_and_serve() {
    judged(&[
        (
            "a node that is being deleted",
            |s| s.node("b").metadata.deletion_timestamp = Some(crate::manifest::Moment(1)),
            &["receiver"],
        ),
        (
            "a node whose claim is being deleted",
            |s| s.claim("b").metadata.deletion_timestamp = Some(crate::manifest::Moment(1)),
            &["receiver"],
        ),
        (
            "a drifted node",
            |s| {
                patch(
                    &mut s.claim("b").status,
                    json!({"conditions": [
            {"type": "Initialized", "status": "True"}, {"type": "Drifted", "status": "True"}]}),
                )
            },
            &["receiver"],
        ),
        (
            "a node that expires within two days",
            |s| Arc::make_mut(&mut s.claim("b").spec).expire_after = Some("100h".into()),
            &["receiver"],
        ),
        (
            "a node that never expires",
            |s| Arc::make_mut(&mut s.claim("b").spec).expire_after = Some("Never".into()),
            &[],
        ),
        (
            "a node that is not ready",
            |s| patch(&mut s.node("b").status, json!({"conditions": [{"type": "Ready", "status": "False"}]})),
            &["receiver"],
        ),
        (
            "a node that is not initialized",
            |s| {
                Arc::make_mut(&mut s.node("b").metadata.labels).remove("karpenter.sh/initialized");
                Arc::make_mut(&mut s.claim("b").status).conditions.clear();
            },
            &["receiver"],
        ),
        (
            "a node of nobody",
            |s| {
                let labels = Arc::make_mut(&mut s.node("b").metadata.labels);
                labels.retain(|key, _| !key.starts_with("karpenter"));
                s.snapshot.node_claims.retain(|claim| claim.status.node_name != "b");
            },
            &[],
        ),
        (
            "a node of another autoscaler",
            |s| {
                let labels = Arc::make_mut(&mut s.node("b").metadata.labels);
                labels.retain(|key, _| !key.starts_with("karpenter"));
                s.snapshot.node_claims.retain(|claim| claim.status.node_name != "b");
                Arc::make_mut(&mut s.node("b").metadata.annotations)
                    .insert("cluster-autoscaler.kubernetes.io/scale-down-disabled".into(), "true".into());
            },
            &["receiver"],
        ),
        ("a node at risk", |s| s.label_node("b", "autoscaling.cast.ai/predicted-interruption", "true"), &["receiver"]),
        ("a Windows node", |s| s.label_node("b", "kubernetes.io/os", "windows"), &["receiver"]),
        (
            "a node that other work holds",
            |s| {
                s.options.reserved_nodes.insert("b".into());
            },
            &["receiver"],
        ),
        (
            "a node that this wave removes",
            |s| {
                s.wave(1).moves = vec![step("a1", "a", "d")];
                s.wave(1).remove.push("d".into());
            },
            &["bought-unused", "duplicate", "not-empty", "not-movable", "receiver", "sum", "taint"],
        ),
    ]);
}
