//! Claims 1 to 14, 64 and 65: what is worth doing.

use serde_json::json;

use super::Held::Plan;
use super::Row;
use crate::scene::Must::{Buy, CostBefore, Keep, Leave, Move, Remove, RemoveSome};
use crate::scene::Scene;

pub(super) const ROWS: &[Row] = &[
    (
        1,
        "a node goes when its pods fit elsewhere",
        Plan(
            || Scene::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "600m").pod("q", "b", "600m"),
            &[RemoveSome(1), Buy(&[])],
        ),
    ),
    (
        2,
        "a node is replaced by a cheaper one",
        Plan(|| Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m"), &[Remove(&["a"]), Buy(&["m5.large"])]),
    ),
    (
        3,
        "three nodes become one",
        Plan(
            || {
                let three = Scene::new().node("a", "m5.xlarge").node("b", "m5.xlarge").node("c", "m5.xlarge");
                three.pod("p", "a", "2500m").pod("q", "b", "2500m").pod("r", "c", "2500m")
            },
            &[Remove(&["a", "b", "c"]), Buy(&["m5.2xlarge"])],
        ),
    ),
    (
        4,
        "two nodes are not replaced by one of their own type where removing one does",
        Plan(
            || Scene::new().node("a", "c5.xlarge").node("b", "c5.xlarge").pod("p", "a", "1200m").pod("q", "b", "1200m"),
            &[RemoveSome(1), Buy(&[])],
        ),
    ),
    (
        5,
        "a spot node that costs more is no replacement",
        Plan(
            || Scene::new().require(json!([])).node_in("a", "m5.large", "r1b").pod("p", "a", "1500m"),
            &[Remove(&[]), Keep("a", "no-cheaper-place")],
        ),
    ),
    (
        6,
        "an on-demand node that costs more is no replacement",
        Plan(|| Scene::new().node("a", "m5.large").pod("p", "a", "1500m"), &[Keep("a", "no-cheaper-place")]),
    ),
    (
        7,
        "the same price is no saving",
        Plan(
            || {
                // Too much memory for the cheaper type of as many cores.
                let one = Scene::new().node("a", "m5.xlarge").pod("p", "a", "3");
                one.asking("p", json!({"cpu": "3", "memory": "12Gi"}))
            },
            &[Remove(&[]), Keep("a", "no-cheaper-place")],
        ),
    ),
    (
        8,
        "spot and on-demand nodes become one",
        Plan(
            || {
                let two = Scene::new().require(json!([])).node("a", "m5.xlarge").node("b", "m5.xlarge");
                two.label("Node", "a", "karpenter.sh/capacity-type", "spot").pod("p", "a", "1").pod("q", "b", "800m")
            },
            &[Remove(&["a", "b"]), Buy(&["m5.large"])],
        ),
    ),
    (
        9,
        "a spot node moves to spot only for money, with no switch of its own",
        Plan(
            || many_spot_types().label("Node", "a", "karpenter.sh/capacity-type", "spot"),
            &[Remove(&["a"]), Buy(&["s10.large"])],
        ),
    ),
    (
        10,
        "a spot node leaves fifteen types to choose from where the pool has them",
        Plan(many_spot_types, &[Remove(&["a"]), Buy(&["s10.large"]), Leave(14)]),
    ),
    (11, "of many types the cheapest are listed", Plan(many_types, &[Remove(&["a"]), Buy(&["t10.large"]), Leave(8)])),
    (
        12,
        "minValues makes the list longer",
        Plan(
            || {
                many_types().require(
                    json!([{"key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 12}]),
                )
            },
            &[Remove(&["a"]), Buy(&["t10.large"]), Leave(11)],
        ),
    ),
    (
        13,
        "minValues that prices leave too little for cancel the move",
        Plan(
            || {
                many_types().require(
                    json!([{"key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 40}]),
                )
            },
            &[Remove(&[]), Keep("a", "no-cheaper-place")],
        ),
    ),
    (
        14,
        "minValues that Karpenter once relaxed are no excuse",
        Plan(
            || {
                many_types()
                    .require(
                        json!([{"key": "karpenter.k8s.aws/instance-family", "operator": "Exists", "minValues": 40}]),
                    )
                    .annotate("NodeClaim", "a", "karpenter.sh/nodeclaim-min-values-relaxed", "true")
            },
            &[Remove(&[])],
        ),
    ),
    (
        64,
        "with few moves allowed the one that saves most is made",
        Plan(
            || {
                a_small_and_a_large_one()
                    .ask(|options| options.max_moves = Some(kentroller_planner::MoveLimit::Pods(1)))
            },
            &[Remove(&["b"]), Move("q", "a")],
        ),
    ),
    (
        64,
        "with few nodes allowed the one that saves most goes",
        Plan(|| a_small_and_a_large_one().ask(|options| options.max_nodes = Some(1)), &[Remove(&["b"])]),
    ),
    (
        65,
        "a price that is not known stays out of every sum",
        Plan(
            || Scene::pair().node("c", "x9.huge").pod("r", "c", "1"),
            &[Remove(&["a"]), Keep("c", "price-unknown"), CostBefore("0.1920")],
        ),
    ),
    (
        65,
        "an overlay that is no number makes a price unknown",
        Plan(
            || Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m").overlay("m5.large", json!({"price": "NaN"})),
            &[Remove(&["a"]), Buy(&["c5.xlarge"])],
        ),
    ),
    (
        65,
        "nothing is bought at a price of nothing",
        Plan(
            || Scene::new().node("a", "m5.2xlarge").pod("p", "a", "1500m").overlay("m5.large", json!({"price": "0"})),
            &[Remove(&["a"]), Buy(&["c5.xlarge"])],
        ),
    ),
    (
        65,
        "an overlay's price is believed",
        Plan(
            || {
                Scene::new()
                    .node("a", "m5.2xlarge")
                    .pod("p", "a", "1500m")
                    .overlay("m5.xlarge", json!({"priceAdjustment": "-60%"}))
            },
            &[Remove(&["a"]), Buy(&["m5.xlarge"])],
        ),
    ),
];

/// A node for one core, and twenty types of one size whose prices differ by hundredths.
fn many(letter: &str, capacity_type: &str) -> Scene {
    let lines = (10..30).map(|number| {
        format!("{letter}{number}.large,r1,2,8192,amd64,29,0,,0.0{:03},r1a,{capacity_type}", 290 + number)
    });
    Scene::new().node("a", "m5.xlarge").pod("p", "a", "1500m").sells(lines)
}

fn many_types() -> Scene {
    many("t", "on-demand")
}

fn many_spot_types() -> Scene {
    many("s", "spot").require(json!([]))
}

fn a_small_and_a_large_one() -> Scene {
    Scene::new().node("a", "m5.xlarge").node("b", "m5.2xlarge").pod("p", "a", "1500m").pod("q", "b", "1500m")
}
