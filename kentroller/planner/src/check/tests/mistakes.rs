//! Mistakes seeded into plans that hold: every one must be found.

use super::scene::{read, step};
use super::{Case, Scene, judged_from};
use crate::manifest::{ObjectName, Quantity};
use crate::value::{Blocker, CapacityType, Kept, KeptReason, LowerBound, Money, Offering, Rule, Wave};

/// One mistake each in the plan of the rich scene; the words that must be told, and no others.
const MISTAKES: &[Case] = &[
    ("a pod goes to a node that does not exist", |s| aim(s, "a1", "nowhere"), &["unknown-name", "not-empty"]),
    ("a pod goes to a node that a later wave adds", |s| aim(s, "a1", "new-1"), &["unknown-name", "not-empty"]),
    ("a pod goes to the node that is removed", |s| aim(s, "n1", "a"), &["no-room", "not-empty", "receiver", "taint"]),
    (
        "a pod goes to a node that an earlier wave removed",
        |s| s.wave(2).moves[0].to = "a".into(),
        &["bought-unused", "receiver", "taint"],
    ),
    ("a pod goes to where it is", |s| aim(s, "a1", "a"), &["not-empty", "wrong-origin"]),
    ("a pod goes to a tainted node", |s| aim(s, "a1", "e"), &["taint"]),
    ("a pod goes to a cordoned node", |s| aim(s, "a1", "f"), &["taint"]),
    ("a pod goes to a full node", |s| aim(s, "a1", "g"), &["no-room", "reserve"]),
    ("a pod takes the reserve of its new node", |s| aim(s, "a1", "j"), &["reserve"]),
    ("a pod goes to one that it repels", |s| aim(s, "a2", "c"), &["pod-anti-affinity"]),
    ("a pod goes away from one that it needs", |s| aim(s, "a3", "c"), &["pod-affinity"]),
    ("a pod goes to the crowded zone", |s| aim(s, "a4", "c"), &["spread"]),
    ("a pod goes away from its volume", |s| aim(s, "a5", "c"), &["volume-place"]),
    ("a pod goes where its nodeSelector forbids", |s| aim(s, "a6", "c"), &["node-selector"]),
    ("a pod goes to where its host port is taken", |s| aim(s, "a7", "c"), &["host-port"]),
    ("a pod comes before the room is free", |s| s.wave(1).moves.reverse(), &["no-room"]),
    (
        "a pod is forgotten",
        |s| {
            s.wave(1).moves.remove(0);
        },
        &["not-empty"],
    ),
    ("a pod moves twice in a wave", |s| s.wave(1).moves.push(step("a1", "b", "c")), &["duplicate"]),
    (
        "a move is written twice",
        |s| {
            let again = s.wave(1).moves[0].clone();
            s.wave(1).moves.push(again);
        },
        &["duplicate", "wrong-origin"],
    ),
    ("a pod that does not exist moves", |s| s.wave(1).moves.push(step("ghost", "a", "b")), &["unknown-name"]),
    (
        "a pod of another namespace moves",
        |s| s.wave(1).moves[0].pod.namespace = "other".into(),
        &["unknown-name", "not-empty"],
    ),
    ("a pod moves from where it is not", |s| s.wave(1).moves[0].from = "c".into(), &["wrong-origin"]),
    ("a DaemonSet's pod moves", |s| s.wave(1).moves.push(step("agent-a", "a", "b")), &["not-movable"]),
    ("a finished pod moves", |s| s.wave(1).moves.push(step("done1", "a", "b")), &["not-movable"]),
    ("a pod that waits moves", |s| s.wave(1).moves.push(step("gated1", "", "b")), &["not-movable"]),
    ("a bare pod moves", |s| s.wave(2).moves.push(step("j1", "j", "k")), &["bare-pod"]),
    ("a guarded pod moves", |s| s.wave(2).moves.push(step("k1", "k", "b")), &["pdb-allows-none"]),
    ("a pod moves off a protected node", |s| s.wave(2).moves.push(step("h1", "h", "b")), &["do-not-disrupt"]),
    ("a node that does not exist goes", |s| s.wave(1).remove.push("ghost".into()), &["unknown-name"]),
    ("a node goes twice in a wave", |s| s.wave(1).remove.push("a".into()), &["duplicate"]),
    ("a node goes in two waves", |s| s.wave(2).remove.push("a".into()), &["duplicate"]),
    (
        "a node goes that the plan adds",
        |s| s.wave(2).remove.push("new-1".into()),
        &["bought-unused", "not-empty", "receiver", "sum", "taint", "unknown-name"],
    ),
    ("a node goes with its pods", |s| s.wave(2).remove.push("n".into()), &["not-empty", "sum"]),
    (
        "a node of nobody goes",
        |s| s.wave(1).remove.push("g".into()),
        &["committed", "not-empty", "not-karpenter", "sum"],
    ),
    ("a protected node goes", |s| leave(s, "h", "h1"), &["do-not-disrupt"]),
    ("a node of a static pool goes", |s| leave(s, "i", "i1"), &["static-pool"]),
    ("a node with a bare pod goes", |s| s.wave(1).remove.push("j".into()), &["bare-pod", "sum"]),
    ("a node with a guarded pod goes", |s| leave(s, "k", "k1"), &["pdb-allows-none"]),
    (
        "a new node takes the name of a live one",
        |s| s.bought().name = "c".into(),
        &["duplicate", "unknown-name", "not-empty"],
    ),
    (
        "two new nodes of one name",
        |s| {
            let again = s.bought().clone();
            s.wave(2).add.push(again);
        },
        &["duplicate", "sum"],
    ),
    ("a new node without a name", |s| s.bought().name.clear(), &["duplicate", "unknown-name", "not-empty"]),
    (
        "a new node that nobody uses",
        |s| {
            let mut again = s.bought().clone();
            again.name = "new-2".into();
            s.wave(2).add.push(again);
            bill(s, 2, 170_000);
        },
        &["bought-unused"],
    ),
    (
        "a new node that a later wave uses",
        |s| {
            let early = s.wave(2).add.pop().unwrap();
            s.wave(1).add.push(early);
            bill(s, 1, 170_000);
            s.plan.waves[1].hourly_after -= Money::micros(170_000);
            s.plan.cost_after -= Money::micros(170_000);
        },
        &["bought-unused", "dearer"],
    ),
    (
        "a new node of a pool that does not exist",
        |s| s.bought().node_pool = "gone".into(),
        &["unknown-name", "not-empty"],
    ),
    ("a new node of a static pool", |s| s.bought().node_pool = "fixed".into(), &["labels", "static-pool"]),
    (
        "a new node of a type that does not exist",
        |s| s.bought().instance_type = "m5.mega".into(),
        &["not-offered", "not-empty"],
    ),
    (
        "a new node that is too small",
        |s| {
            s.bought().instance_type = "m5.small".into();
            pay(s, 48_000);
        },
        &["no-room", "requests", "reserve"],
    ),
    (
        "a new node of another architecture",
        |s| {
            s.bought().instance_type = "m6g.xlarge".into();
            pay(s, 154_000);
        },
        &["labels", "requirement"],
    ),
    (
        "a new node of an old generation",
        |s| {
            s.bought().instance_type = "g4dn.xlarge".into();
            pay(s, 526_000);
        },
        &["dearer", "requirement", "savings"],
    ),
    ("a new node in a zone that does not exist", |s| s.bought().zone = "r1z".into(), &["labels", "not-offered"]),
    ("a new node of capacity that is not offered", |s| s.bought().capacity_type = CapacityType::Spot, &["not-offered"]),
    (
        "a new node of capacity that nobody knows",
        |s| s.bought().capacity_type = CapacityType::Unknown("leased".into()),
        &["not-offered", "requirement"],
    ),
    (
        "a new node that is not to be had",
        |s| {
            s.bought().instance_type = "c5.2xlarge".into();
            pay(s, 340_000);
            s.bought().alternatives.clear();
        },
        &["not-available"],
    ),
    ("a new node at half its price", |s| pay(s, 85_000), &["price"]),
    ("a new node for nothing", |s| pay(s, 0), &["price"]),
    ("a new node at a negative price", |s| pay(s, -170_000), &["price"]),
    ("a new node at a price beyond all bounds", |s| pay(s, i64::MAX), &["dearer", "price", "savings", "sum"]),
    ("an alternative at another price", |s| s.bought().alternatives[0].price = Money::micros(1), &["price"]),
    ("an alternative that is too small", |s| s.bought().alternatives.insert(0, small()), &["no-room"]),
    (
        "a label that the pool does not give",
        |s| {
            s.bought().labels.insert("team".into(), "db".into());
        },
        &["labels"],
    ),
    (
        "a label out of thin air",
        |s| {
            s.bought().labels.insert("example.com/gold".into(), "yes".into());
        },
        &["labels"],
    ),
    ("a taint is forgotten", |s| s.bought().taints.clear(), &["labels"]),
    (
        "a taint is invented",
        |s| s.bought().taints.push(read(serde_json::json!({"key": "x", "effect": "NoSchedule"}))),
        &["labels"],
    ),
    (
        "DaemonSets are forgotten in the requests",
        |s| {
            s.bought().requests.insert("cpu".into(), Quantity::thousandths(1_500));
        },
        &["requests"],
    ),
    (
        "requests that the node cannot meet",
        |s| {
            s.bought().requests.insert("cpu".into(), Quantity::whole(9));
        },
        &["requests"],
    ),
    ("the cost before is wrong", |s| s.plan.cost_before += Money::micros(1), &["sum"]),
    ("the cost after is wrong", |s| s.plan.cost_after -= Money::micros(1), &["sum"]),
    ("the cost after a wave is wrong", |s| s.wave(1).hourly_after -= Money::micros(1), &["sum"]),
    ("the waves change places, their sums do not", |s| s.plan.waves.swap(0, 1), &["sum"]),
    (
        "the bound is above the cost",
        |s| s.plan.lower_bound = Some(LowerBound { hourly: s.plan.cost_after + Money::micros(1), method: "x" }),
        &["bound"],
    ),
    (
        "a wave that does nothing and costs something",
        |s| s.plan.waves.push(Wave { hourly_after: Money::micros(1), ..Wave::default() }),
        &["sum"],
    ),
    ("prices of another region", |s| s.plan.region = "r9".into(), &["not-offered", "unknown-name", "not-empty"]),
    (
        "like for like",
        |s| {
            s.bought().instance_type = "m5.large".into();
            s.bought().alternatives.clear();
            pay(s, 96_000);
            leave(s, "n", "a8");
        },
        &["like-for-like", "no-room", "reserve"],
    ),
    ("a node is kept and removed", |s| keep(s, "a"), &["duplicate"]),
    ("a node is kept that does not exist", |s| keep(s, "ghost"), &["unknown-name"]),
    (
        "a node is kept twice",
        |s| {
            keep(s, "c");
            keep(s, "c");
        },
        &["duplicate"],
    ),
    (
        "a pod that does not exist blocks",
        |s| {
            keep(s, "c");
            let pod = ObjectName { namespace: "default".into(), name: "ghost".into() };
            s.plan.kept[0].blockers.push(Blocker { pod, rule: Rule::Bare });
        },
        &["unknown-name"],
    ),
    (
        "two thousand new nodes",
        |s| {
            let one = s.bought().clone();
            s.wave(2)
                .add
                .extend((0..2_000).map(|at| crate::value::NewNode { name: format!("more-{at}"), ..one.clone() }));
        },
        &["bought-unused"],
    ), // And so on: after 1,000 reasons no more are told.
    (
        "sums at the end of the range",
        |s| {
            s.plan.cost_before = Money::micros(i64::MAX);
            s.plan.cost_after = Money::micros(i64::MIN);
            s.plan.transition = Money::micros(i64::MAX);
            s.wave(1).hourly_after = Money::micros(i64::MIN);
        },
        &["savings", "sum"],
    ),
];

#[test]
fn every_mistake_in_a_plan_made_by_hand_is_found() {
    judged_from(Scene::rich, MISTAKES);
}

fn aim(scene: &mut Scene, pod: &str, to: &str) {
    let step = scene.plan.waves[0].moves.iter_mut().find(|step| *step.pod.name == *pod).unwrap();
    to.clone_into(&mut step.to);
}

/// Removes another m5.large in wave 2, its one pod moved to `b`.
fn leave(scene: &mut Scene, node: &str, pod: &str) {
    scene.wave(2).remove.push(node.to_owned());
    scene.wave(2).moves.push(step(pod, node, "b"));
    bill(scene, 2, -96_000);
}

/// Makes the sums from a wave on dearer.
fn bill(scene: &mut Scene, from: usize, micros: i64) {
    for wave in &mut scene.plan.waves[from - 1..] {
        wave.hourly_after += Money::micros(micros);
    }
    scene.plan.cost_after += Money::micros(micros);
}

/// Another price for the new node, with the sums that follow from it.
fn pay(scene: &mut Scene, micros: i64) {
    let change = Money::micros(micros) - scene.bought().price;
    scene.bought().price = Money::micros(micros);
    bill(scene, 2, change.as_micros());
}

fn keep(scene: &mut Scene, node: &str) {
    scene.plan.kept.push(Kept {
        node: node.to_owned(),
        reason: KeptReason::NoCheaperPlace,
        detail: String::new(),
        blockers: Vec::new(),
        would_save: Money::ZERO,
    });
}

fn small() -> Offering {
    Offering {
        instance_type: "m5.small".into(),
        zone: "r1a".into(),
        capacity_type: CapacityType::OnDemand,
        price: Money::micros(48_000),
    }
}
