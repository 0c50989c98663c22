//! What pods only wish for decides between places that cost the same, and has a price where they do not.

use serde_json::{Value, json};

use crate::scene::Must::{Buy, Move, Remove};
use crate::scene::{Must, Scene, shown};

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
const FULLEST: &[Must] = &[Remove(&["a"]), Move("p", "b")];
const KINDER: &[Must] = &[Remove(&["a"]), Move("p", "c")];

/// Node `a` goes. Its pod `p` fits beside `q` on `b`, and beside `r` on `c`, which is less full; both nodes stay.
fn choice() -> Scene {
    let pods = Scene::new().node("a", "m5.large").pod("p", "a", "1");
    let with_b = pods.node("b", "m5.large").pod("q", "b", "800m");
    kept(kept(with_b.node("c", "m5.large").pod("r", "c", "600m"), "b"), "c")
}

fn kept(scene: Scene, node: &str) -> Scene {
    scene.annotate("Node", node, "karpenter.sh/do-not-disrupt", "true")
}

fn with(spec: Value) -> Scene {
    choice().with("Pod", "p", json!({ "spec": spec }))
}

fn preferring(what: &str, weighed: Value) -> Scene {
    with(json!({"affinity": {what: {"preferredDuringSchedulingIgnoredDuringExecution": [weighed]}}}))
}

fn pods(what: &str, app: &str, key: &str) -> Scene {
    let term = json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}});
    preferring(what, json!({"weight": 10, "podAffinityTerm": term}))
}

fn spread(constraints: Value) -> Scene {
    let same = choice().label("Pod", "p", "app", "web").label("Pod", "q", "app", "web");
    same.with("Pod", "p", json!({"spec": {"topologySpreadConstraints": constraints}}))
}

/// Eight pods of one ReplicaSet: `p`, `of_b` on `b`, and the others on `d`.
fn replicas(of_b: usize, more: Value) -> Scene {
    let owner = json!({"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": "web", "controller": true}]}});
    let mut scene = kept(choice().node("d", "m5.large").pod("s", "d", "1"), "d").with("Pod", "p", owner.clone());
    for number in 0..7 {
        let name = format!("w{number}");
        let node = if number < of_b { "b" } else { "d" };
        scene = scene.pod(&name, node, "10m").with("Pod", &name, owner.clone());
    }
    scene.with("Pod", "p", json!({ "spec": more }))
}

#[test]
fn of_places_that_cost_the_same_a_pod_gets_the_kinder_one() {
    let label = |value: &str| json!({"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": [value]}]}});
    let disk = |scene: Scene| scene.label("Node", "c", "disk", "ssd");
    let anyway = |key: &str, skew: i64| json!([{"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "web"}}}]);
    let soft = |scene: Scene| {
        let taint = json!([{"key": "later", "effect": "PreferNoSchedule"}]);
        scene.with("Node", "b", json!({"spec": {"taints": taint}}))
    };
    let bearing = || soft(with(json!({"tolerations": [{"key": "later", "operator": "Exists"}]})));
    shown(vec![
        ("no wish: the fullest node", choice(), FULLEST),
        ("a label of the node", disk(preferring("nodeAffinity", label("ssd"))), KINDER),
        ("a label that no node has", disk(preferring("nodeAffinity", label("hdd"))), FULLEST),
        ("no soft taint", soft(choice()), KINDER),
        ("unless it is tolerated", bearing(), FULLEST),
        ("not beside another", pods("podAntiAffinity", "q", HOSTNAME), KINDER),
        ("beside another", pods("podAffinity", "r", HOSTNAME), KINDER),
        ("beside who is there", pods("podAffinity", "q", HOSTNAME), FULLEST),
        ("spread over nodes if it can be", spread(anyway(HOSTNAME, 1)), KINDER),
        ("within its skew", spread(anyway(HOSTNAME, 2)), FULLEST),
        ("the scheduler's own spread over nodes", replicas(3, json!({})), KINDER),
        ("within its skew too", replicas(2, json!({})), FULLEST),
        (
            "not for a pod that names a spread",
            replicas(3, json!({"topologySpreadConstraints": anyway(HOSTNAME, 9)})),
            FULLEST,
        ),
        ("its zone", choice().with("Node", "b", json!({"metadata": {"labels": {ZONE: "r1b"}}})), KINDER),
        (
            "any domain that a wish is about",
            pods("podAffinity", "p", "rack").label("Node", "a", "rack", "1").label("Node", "c", "rack", "1"),
            KINDER,
        ),
    ]);
}

#[test]
fn a_pod_leaves_its_zone_where_the_gain_pays_for_it() {
    let far_for = |price: &str| {
        let lines = [("near.large", "0.0500", "r1a"), ("far.large", price, "r1b")]
            .map(|(name, price, zone)| format!("{name},r1,2,8192,amd64,29,0,,{price},{zone},on-demand"));
        let scene = Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1").node_in("b", "m5.large", "r1b");
        let ours = scene.annotate("NodePool", "general", "kentroller.cast.ai/consolidation", "include").with(
            "NodePool",
            "general",
            json!({"spec": {"disruption": {"consolidationPolicy": "WhenEmpty"}}}),
        );
        kept(ours.pod("q", "b", "1800m"), "b").sells(lines.into_iter())
    };
    let karpenters = |scene: Scene| {
        scene.with(
            "NodePool",
            "general",
            json!({"spec": {"disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized"}}}),
        )
    };
    shown(vec![
        ("a hundredth of a cent an hour is no reason", far_for("0.0499"), &[Remove(&["a"]), Buy(&["near.large"])]),
        ("a tenth of a cent is", far_for("0.0490"), &[Remove(&["a"]), Buy(&["far.large"])]),
        (
            "but Karpenter would not leave it at that",
            karpenters(far_for("0.0499")),
            &[Remove(&["a"]), Buy(&["far.large"])],
        ),
    ]);
}
