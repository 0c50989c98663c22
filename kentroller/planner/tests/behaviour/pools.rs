//! What a NodePool lets a plan buy.

use serde_json::{Value, json};

use crate::scene::Must::{Buy, Keep, Move, Remove, Warn};
use crate::scene::{Must, Scene, shown};

const NOTHING: &[Must] = &[Remove(&[]), Buy(&[])];
const LARGE: &[Must] = &[Buy(&["m5.large"])];
const COMPUTE: &[Must] = &[Buy(&["c5.xlarge"])];

/// A node that is too large for its pod: m5.large is the cheapest that would do.
fn too_large() -> Scene {
    Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m")
}

fn requiring(key: &str, operator: &str, values: Value) -> Scene {
    too_large().require(json!([{"key": key, "operator": operator, "values": values}])).label(
        "Node",
        "a",
        "topology.kubernetes.io/zone",
        "r1c",
    )
}

#[test]
fn what_live_nodes_tell_of_a_type_goes_before_what_its_name_does() {
    let amount = "karpenter.kwok.sh/instance-cpu";
    let of_the_type = |amounts: [&str; 2]| {
        ["b", "c"].iter().zip(amounts).fold(too_large(), |scene, (node, told)| {
            let pod = format!("on-{node}");
            let scene = scene.node(node, "m5.large").pod(&pod, node, "1500m").label("Node", node, amount, told);
            scene.annotate("Node", node, "karpenter.sh/do-not-disrupt", "true")
        })
    };
    shown(vec![
        ("in words of the provider's own", of_the_type(["2030m", "2030m"]), LARGE),
        ("in contradiction, which is no word", of_the_type(["2030m", "2"]), LARGE),
    ]);
}

#[test]
fn requirements_say_what_is_bought() {
    let cores = "karpenter.k8s.aws/instance-cpu";
    let family = "karpenter.k8s.aws/instance-family";
    let chosen = |requirement: Value, selector: Value| {
        too_large().require(json!([requirement])).label("Node", "a", "topology.kubernetes.io/zone", "r1c").with(
            "Pod",
            "p",
            json!({"spec": {"nodeSelector": selector}}),
        )
    };
    shown(vec![
        ("none", too_large(), LARGE),
        ("In", requiring(family, "In", json!(["c5", "z9"])), COMPUTE),
        ("NotIn", requiring(family, "NotIn", json!(["m5"])), COMPUTE),
        ("Exists", requiring(family, "Exists", json!([])), LARGE),
        ("Exists of what no type has", requiring("karpenter.k8s.aws/instance-gpu-count", "Exists", json!([])), NOTHING),
        ("DoesNotExist", requiring("karpenter.k8s.aws/instance-gpu-count", "DoesNotExist", json!([])), LARGE),
        (
            "DoesNotExist of what cannot be told",
            requiring("karpenter.k8s.aws/instance-local-nvme", "DoesNotExist", json!([])),
            NOTHING,
        ),
        ("Gt", requiring(cores, "Gt", json!(["2"])), COMPUTE),
        ("Gte", requiring(cores, "Gte", json!(["2"])), LARGE),
        ("Lt", requiring(cores, "Lt", json!(["4"])), LARGE),
        ("Lte", requiring(cores, "Lte", json!(["1"])), NOTHING),
        (
            "a zone that no node is in",
            requiring("topology.kubernetes.io/zone", "In", json!(["r1z"])),
            &[Buy(&["m5.large"])],
        ),
        ("another architecture", requiring("kubernetes.io/arch", "In", json!(["arm64"])), NOTHING),
        ("an operator that nobody knows", requiring(cores, "Near", json!(["4"])), NOTHING),
        (
            "a label of the user's own, chosen",
            chosen(json!({"key": "tier", "operator": "In", "values": ["x", "y"]}), json!({"tier": "x"})),
            LARGE,
        ),
        ("a label of the user's own, any", chosen(json!({"key": "tier", "operator": "Exists"}), json!({})), LARGE),
        (
            "one that the pod wants otherwise",
            chosen(json!({"key": "tier", "operator": "In", "values": ["x"]}), json!({"tier": "y"})),
            NOTHING,
        ),
        (
            "on-demand unless more is asked",
            too_large().with("NodePool", "general", json!({"spec": {"template": {"spec": {"requirements": []}}}})),
            &[Buy(&["m5.large"]), Move("p", "m5.large")],
        ),
        (
            "a static pool",
            too_large().pool("fixed", json!({"replicas": 3})).with(
                "NodePool",
                "general",
                json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}),
            ),
            NOTHING,
        ),
        (
            "one that is not ready",
            too_large().with(
                "NodePool",
                "general",
                json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}),
            ),
            &[Buy(&[]), Warn("NodePool general", "is not Ready")],
        ),
        (
            "one that is being deleted",
            too_large().with("NodePool", "general", json!({"metadata": {"deletionTimestamp": "2026-11-24T11:59:00Z"}})),
            NOTHING,
        ),
    ]);
}

#[test]
fn limits_hold_for_old_and_new_nodes_together() {
    let limited = |limits: Value| too_large().with("NodePool", "general", json!({"spec": {"limits": limits}}));
    shown(vec![
        ("cores enough", limited(json!({"cpu": "10"})), LARGE),
        ("too few cores", limited(json!({"cpu": "9"})), NOTHING),
        ("memory enough", limited(json!({"memory": "40Gi"})), LARGE),
        ("too little memory", limited(json!({"memory": "30Gi"})), NOTHING),
        ("nodes enough", limited(json!({"nodes": "2"})), LARGE),
        ("too few nodes", limited(json!({"nodes": "1"})), NOTHING),
        ("no accelerators, and none are bought", limited(json!({"nvidia.com/gpu": "0"})), LARGE),
        ("of something that nobody can count", limited(json!({"example.com/card": "5"})), NOTHING),
        (
            "nodes under way count",
            limited(json!({"cpu": "10"})).with("NodePool", "general", json!({"status": {"resources": {"cpu": "9"}}})),
            NOTHING,
        ),
    ]);
}

#[test]
fn a_claim_may_leave_instance_criteria_aside_where_the_pool_allows_it() {
    let strict = || requiring("karpenter.k8s.aws/instance-family", "In", json!(["z9"]));
    let ignoring = |scene: Scene| scene.ask(|options| options.aggressive.ignore_instance_criteria = true);
    let allowing =
        |scene: Scene| scene.annotate("NodePool", "general", "kentroller.cast.ai/ignore-instance-criteria", "allow");
    let other = || requiring("kubernetes.io/arch", "In", json!(["arm64"]));
    shown(vec![
        ("neither", strict(), NOTHING),
        ("the pool allows, nobody asks", allowing(strict()), NOTHING),
        (
            "somebody asks, the pool does not allow",
            ignoring(strict()),
            &[Buy(&[]), Warn("NodePool general", "WouldDrift")],
        ),
        ("both", allowing(ignoring(strict())), LARGE),
        ("both, but for what is not asked of instances", allowing(ignoring(other())), NOTHING),
    ]);
}

#[test]
fn prices_are_those_that_karpenter_believes() {
    let cheap = |spec: Value| too_large().overlay("m5.xlarge", spec);
    shown(vec![
        ("a price", cheap(json!({"price": "0.05"})), &[Buy(&["m5.xlarge"])]),
        ("a price that changes nothing", cheap(json!({"price": "0.15"})), LARGE),
        ("an adjustment", cheap(json!({"priceAdjustment": "-0.1"})), &[Buy(&["m5.xlarge"])]),
        ("a share", cheap(json!({"priceAdjustment": "-60%"})), &[Buy(&["m5.xlarge"])]),
        ("a node that costs nothing more is kept", too_large().overlay("m5.2xlarge", json!({"price": "0.01"})), &[Keep("a", "no-cheaper-place")]),
        ("the heavier overlay counts", cheap(json!({"price": "0.05", "weight": 5})).change(|all| {
            let mut other = all.node_overlays[0].clone();
            other.metadata.name = "other".into();
            other.spec.price = Some("0.30".to_owned());
            other.spec.weight = 9;
            all.node_overlays.push(other);
        }), LARGE),
        ("between NodePools the price decides, whatever their weights", too_large().with("NodePool", "general", json!({"spec": {"weight": 90}})).pool("spot", json!({
            "weight": 1, "template": {"spec": {"requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}]}}})), LARGE),
    ]);
}
