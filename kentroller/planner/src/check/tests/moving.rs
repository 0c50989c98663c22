//! Where taints, selectors and host ports let a pod go.

use serde_json::json;

use super::judged;
use super::scene::{patch, read};

#[test]
fn a_pod_goes_only_where_taints_and_selectors_allow() {
    judged(&[
        ("a cordoned node", |s| s.node("b").spec.unschedulable = true, &["taint"]),
        (
            "a cordoned node that the pod tolerates",
            |s| {
                s.node("b").spec.unschedulable = true;
                patch(
                    &mut s.pod("a1").spec,
                    json!({"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}),
                );
            },
            &[],
        ),
        (
            "a taint",
            |s| s.node("b").spec.taints.push(read(json!({"key": "k", "value": "v", "effect": "NoSchedule"}))),
            &["taint"],
        ),
        (
            "a NoExecute taint",
            |s| s.node("b").spec.taints.push(read(json!({"key": "k", "effect": "NoExecute"}))),
            &["taint"],
        ),
        (
            "a taint of an unknown effect",
            |s| {
                s.node("b").spec.taints.push(read(json!({"key": "k", "effect": "NoWay"})));
                patch(&mut s.pod("a1").spec, json!({"tolerations": [{"operator": "Exists"}]}));
            },
            &["taint"],
        ),
        (
            "a soft taint",
            |s| s.node("b").spec.taints.push(read(json!({"key": "k", "effect": "PreferNoSchedule"}))),
            &[],
        ),
        (
            "a taint tolerated by value",
            |s| {
                s.node("b").spec.taints.push(read(json!({"key": "k", "value": "v", "effect": "NoSchedule"})));
                patch(&mut s.pod("a1").spec, json!({"tolerations": [{"key": "k", "value": "v"}]}));
            },
            &[],
        ),
        (
            "a taint of another value",
            |s| {
                s.node("b").spec.taints.push(read(json!({"key": "k", "value": "v", "effect": "NoSchedule"})));
                patch(&mut s.pod("a1").spec, json!({"tolerations": [{"key": "k", "value": "w"}]}));
            },
            &["taint"],
        ),
        ("a nodeSelector that holds", |s| patch(&mut s.pod("a1").spec, json!({"nodeSelector": {"team": "web"}})), &[]),
        (
            "a nodeSelector that does not",
            |s| patch(&mut s.pod("a1").spec, json!({"nodeSelector": {"kubernetes.io/hostname": "a"}})),
            &["node-selector"],
        ),
        (
            "a required term that holds",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    affinity(json!([
            {"matchExpressions": [{"key": "gone", "operator": "Exists"}]},
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["r1b"]}]}])),
                )
            },
            &[],
        ),
        (
            "a required term that does not",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    affinity(json!([
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["r1b"]}]}])),
                )
            },
            &["node-selector"],
        ),
        (
            "a term without anything matches no node",
            |s| patch(&mut s.pod("a1").spec, affinity(json!([{}]))),
            &["node-selector"],
        ),
        (
            "a field that names the node",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    affinity(json!([
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}])),
                )
            },
            &[],
        ),
        (
            "an operator that nobody knows",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    affinity(json!([
            {"matchExpressions": [{"key": "team", "operator": "Near", "values": ["x"]}]}])),
                )
            },
            &["constraint-unknown"],
        ),
        (
            "Gt on a label of the type",
            |s| {
                patch(
                    &mut s.pod("d1").spec,
                    affinity(json!([
            {"matchExpressions": [{"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["3"]}]}])),
                )
            },
            &[],
        ),
        (
            "Gt that the new node does not reach",
            |s| {
                patch(
                    &mut s.pod("d1").spec,
                    affinity(json!([
            {"matchExpressions": [{"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["4"]}]}])),
                )
            },
            &["node-selector"],
        ),
        (
            "a label of the new node that cannot be told",
            |s| {
                patch(
                    &mut s.pod("d1").spec,
                    affinity(json!([
            {"matchExpressions": [{"key": "karpenter.k8s.aws/instance-local-nvme", "operator": "DoesNotExist"}]}])),
                )
            },
            &["constraint-unknown", "node-selector"],
        ),
        (
            "a host port that is free",
            |s| {
                port("a1", s, 80);
                port("c1", s, 80);
            },
            &[],
        ),
        (
            "a host port that is taken",
            |s| {
                port("a1", s, 80);
                port("b1", s, 80);
            },
            &["host-port"],
        ),
        (
            "a host port of the new node's DaemonSet",
            |s| {
                port("d1", s, 9100);
                patch(
                    &mut s.snapshot.daemon_sets.as_mut().unwrap()[0].spec.template.spec,
                    json!({"containers": [
                {"name": "agent", "ports": [{"hostPort": 9100}], "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}]}),
                );
            },
            &["host-port"],
        ),
    ]);
}

fn port(pod: &str, scene: &mut super::Scene, port: i32) {
    scene.shape(pod).containers[0].ports.push(read(json!({"hostPort": port})));
}

fn affinity(terms: serde_json::Value) -> serde_json::Value {
    json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
}
