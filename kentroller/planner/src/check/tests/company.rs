//! Where other pods let a pod go: affinity, anti-affinity, spread.

use serde_json::json;

use super::judged;
use super::scene::{patch, read, step};

fn pods(kind: &str, key: &str, app: &str) -> serde_json::Value {
    json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}]}}})
}

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

#[test]
fn a_pod_goes_only_where_other_pods_allow() {
    judged(&[
        (
            "anti-affinity to a pod that is there",
            |s| patch(&mut s.pod("a1").spec, pods("podAntiAffinity", HOST, "web")),
            &["pod-anti-affinity"],
        ),
        (
            "anti-affinity to a pod elsewhere",
            |s| {
                s.label_pod("c1", "app", "db");
                patch(&mut s.pod("a1").spec, pods("podAntiAffinity", ZONE, "db"));
            },
            &[],
        ),
        (
            "anti-affinity to a pod in the zone",
            |s| {
                s.label_pod("b1", "app", "db");
                patch(&mut s.pod("a1").spec, pods("podAntiAffinity", ZONE, "db"));
            },
            &["pod-anti-affinity"],
        ),
        (
            "anti-affinity of a pod that is there already",
            |s| patch(&mut s.pod("b1").spec, pods("podAntiAffinity", HOST, "web")),
            &["pod-anti-affinity"],
        ),
        (
            "anti-affinity of a pod of another namespace",
            |s| {
                s.pod("b1").metadata.namespace = "other".into();
                patch(&mut s.pod("b1").spec, pods("podAntiAffinity", HOST, "web"));
            },
            &[],
        ),
        (
            "anti-affinity of a pod that leaves first",
            |s| {
                patch(&mut s.pod("b1").spec, pods("podAntiAffinity", HOST, "web"));
                s.wave(1).moves.insert(0, step("b1", "b", "d"));
                s.request("b1", "cpu", "100m");
                s.wave(2).moves.insert(0, step("b1", "d", "c"));
            },
            &["pod-anti-affinity"],
        ),
        (
            "affinity to a pod that is there",
            |s| {
                s.label_pod("b1", "app", "db");
                patch(&mut s.pod("a1").spec, pods("podAffinity", HOST, "db"));
            },
            &[],
        ),
        (
            "affinity to a pod elsewhere",
            |s| {
                s.label_pod("c1", "app", "db");
                patch(&mut s.pod("a1").spec, pods("podAffinity", HOST, "db"));
            },
            &["pod-affinity"],
        ),
        (
            "affinity to itself, the last of its kind",
            |s| {
                s.label_pod("a1", "app", "solo");
                patch(&mut s.pod("a1").spec, pods("podAffinity", HOST, "solo"));
            },
            &[],
        ),
        ("affinity to nobody", |s| patch(&mut s.pod("a1").spec, pods("podAffinity", HOST, "ghost")), &["pod-affinity"]),
        (
            "affinity over a key that the node lacks",
            |s| patch(&mut s.pod("a1").spec, pods("podAffinity", "rack", "web")),
            &["pod-affinity"],
        ),
        (
            "a namespaceSelector without the namespaces",
            |s| {
                s.snapshot.namespaces = None;
                patch(
                    &mut s.pod("a1").spec,
                    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}},
                 "namespaceSelector": {"matchLabels": {"x": "y"}}}]}}}),
                );
            },
            &["constraint-unknown"],
        ),
        (
            "one of a pod that is there",
            |s| {
                s.snapshot.namespaces = None;
                patch(
                    &mut s.pod("b1").spec,
                    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}},
                 "namespaceSelector": {"matchLabels": {"x": "y"}}}]}}}),
                );
            },
            &["pod-anti-affinity"],
        ),
        (
            "mismatchLabelKeys: pods of the same value are left alone",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": HOST, "labelSelector": {}, "mismatchLabelKeys": ["tenant"]}]}}}),
                );
                for pod in ["a1", "b1", "agent-b"] {
                    s.label_pod(pod, "tenant", "t1");
                }
            },
            &[],
        ),
        (
            "mismatchLabelKeys: pods of another value repel",
            |s| {
                patch(
                    &mut s.pod("a1").spec,
                    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": HOST, "labelSelector": {}, "mismatchLabelKeys": ["tenant"]}]}}}),
                );
                for pod in ["a1", "agent-b"] {
                    s.label_pod(pod, "tenant", "t1");
                }
                s.label_pod("b1", "tenant", "t2");
            },
            &["pod-anti-affinity"],
        ),
    ]);
}

fn spread(key: &str, skew: i32, more: serde_json::Value) -> serde_json::Value {
    let mut one = json!({"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}});
    for (name, value) in more.as_object().unwrap() {
        one[name] = value.clone();
    }
    json!({"topologySpreadConstraints": [one]})
}

#[test]
fn a_pod_goes_only_where_its_spread_allows() {
    // Pods of app web: a1, b1 and d1 in zone r1a, c1 in r1b; one on each node.
    judged(&[
        ("by zone, within the skew", |s| patch(&mut s.pod("a1").spec, spread(ZONE, 2, json!({}))), &[]),
        (
            "by zone, broken already: staying in the crowded zone is refused",
            |s| patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({}))),
            &["spread"],
        ),
        (
            "by zone, broken already: going to the other zone",
            |s| {
                patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({})));
                s.wave(1).moves[0].to = "c".into();
            },
            &[],
        ),
        (
            "ScheduleAnyway",
            |s| patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({"whenUnsatisfiable": "ScheduleAnyway"}))),
            &[],
        ),
        (
            "a word that nobody knows",
            |s| patch(&mut s.pod("a1").spec, spread(ZONE, 9, json!({"whenUnsatisfiable": "Maybe"}))),
            &["constraint-unknown"],
        ),
        (
            "minDomains above the domains there are: the least counts 0",
            |s| patch(&mut s.pod("a1").spec, spread(ZONE, 2, json!({"minDomains": 3}))),
            &["spread"],
        ),
        ("a key that the node lacks", |s| patch(&mut s.pod("a1").spec, spread("rack", 9, json!({}))), &["spread"]),
        (
            "by host: the emptied node is a domain with none",
            |s| patch(&mut s.pod("a1").spec, spread(HOST, 1, json!({}))),
            &["spread"],
        ),
        ("by host, skew 2", |s| patch(&mut s.pod("a1").spec, spread(HOST, 2, json!({}))), &[]),
        (
            "nodes that its selector excludes are no domains",
            |s| {
                patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({})));
                patch(&mut s.pod("a1").spec, json!({"nodeSelector": {ZONE: "r1a"}}));
            },
            &[],
        ),
        (
            "unless the policy ignores the selector",
            |s| {
                patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({"nodeAffinityPolicy": "Ignore"})));
                patch(&mut s.pod("a1").spec, json!({"nodeSelector": {ZONE: "r1a"}}));
            },
            &["spread"],
        ),
        (
            "tainted nodes count unless the policy honours taints",
            |s| {
                patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({})));
                s.node("c").spec.taints.push(read(json!({"key": "k", "effect": "NoSchedule"})));
            },
            &["spread"],
        ),
        (
            "with Honor they do not",
            |s| {
                patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({"nodeTaintsPolicy": "Honor"})));
                s.node("c").spec.taints.push(read(json!({"key": "k", "effect": "NoSchedule"})));
            },
            &[],
        ),
        (
            "matchLabelKeys narrow what counts",
            |s| {
                patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({"matchLabelKeys": ["version"]})));
                s.label_pod("a1", "version", "2");
            },
            &[],
        ),
        (
            "pods that are being deleted do not count",
            |s| {
                patch(&mut s.pod("a1").spec, spread(ZONE, 1, json!({})));
                s.pod("b1").metadata.deletion_timestamp = Some(crate::manifest::Moment(1));
            },
            &[],
        ),
        (
            "a new node in an emptier domain",
            |s| {
                patch(&mut s.pod("d1").spec, spread(HOST, 1, json!({})));
                s.bought().alternatives.clear();
            },
            &[],
        ),
    ]);
}
