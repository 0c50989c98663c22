//! What is written on nodes and NodeClaims while their nodes come and go, and how it is taken back. Only marks that bear the
//! uid of their owner are taken back; what somebody else put there stays.

use jiff::Timestamp;
use kentroller_planner::manifest;
use kentroller_runtime::Kind;
use serde_json::{Value, json};

use crate::api::NodeTaint;
use crate::api::foreign::Node;
use crate::api::marks::{
    CORDONED_BY, DO_NOT_DISRUPT, DRAINING, ENDS_AT, EVICTION_STATUS, FORMER_SHIELD, LATER, PLAN, RESERVED_BY, STATUS,
    UNCORDON_AFTER, former_note, former_value,
};

pub(super) fn is_cordoned_by(node: &Node, plan: &str) -> bool {
    node.spec.unschedulable && node.annotation(CORDONED_BY) == Some(plan)
}

/// Whether the node is cordoned by somebody else than this plan, or than any plan where none is named: it stays as it is.
pub(crate) fn is_cordoned_by_another(unschedulable: bool, mark: Option<&str>, plan: Option<&str>) -> bool {
    unschedulable && plan.map_or(mark.is_none(), |plan| mark != Some(plan))
}

pub(crate) fn is_tainted(node: &Node) -> bool {
    node.spec.taints.iter().any(|taint| taint.key == LATER)
}

pub(super) fn cordon(plan: &str) -> Value {
    json!({
        "metadata": {"labels": {PLAN: plan}, "annotations": {CORDONED_BY: plan}},
        "spec": {"unschedulable": true},
    })
}

pub(super) fn label(plan: &str) -> Value {
    json!({"metadata": {"labels": {PLAN: plan}}})
}

/// A new node takes no pods until its wave is drained.
pub(super) fn reserve(plan: &str) -> Value {
    json!({"metadata": {"labels": {PLAN: plan}, "annotations": {RESERVED_BY: plan}}, "spec": {"unschedulable": true}})
}

/// It takes pods from here.
pub(super) fn open() -> Value {
    json!({"metadata": {"annotations": {RESERVED_BY: null}}, "spec": {"unschedulable": null}})
}

/// Pods are to prefer other nodes.
pub(super) fn later() -> NodeTaint {
    NodeTaint { key: LATER.to_owned(), effect: manifest::Effect::PreferNoSchedule, ..NodeTaint::default() }
}

/// `taints` is one list without merging: it is written whole, on the version that was read.
pub(super) fn taint(node: &Node, plan: &str) -> Value {
    let later = manifest::Taint::from(&later());
    let taints: Vec<Value> = node.spec.taints.iter().chain([&later]).map(written).collect();
    json!({"metadata": {"labels": {PLAN: plan}}, "spec": {"taints": taints}})
}

/// Takes the soft taint off a node that is to take pods.
pub(crate) fn untaint(node: &Node) -> Value {
    let taints: Vec<Value> = node.spec.taints.iter().filter(|taint| taint.key != LATER).map(written).collect();
    json!({"spec": {"taints": taints}})
}

/// Whether the node bears our shield, and nobody shielded it before.
pub(crate) fn is_shielded_by_us(node: &Node) -> bool {
    node.annotation(FORMER_SHIELD).is_some_and(|note| former_value(note) != Some("true"))
}

/// Whether the evictor of CAST AI has cordoned and emptied the node, and hands it over to be removed.
pub(super) fn is_evicted(node: &Node) -> bool {
    let is = |mark: &str, word: &str| node.label(mark).or_else(|| node.annotation(mark)) == Some(word);
    node.spec.unschedulable && is(EVICTION_STATUS, "done") && is(DRAINING, "evictor")
}

/// Shields the node from Karpenter; what it had before is noted beside it.
pub(super) fn shield(node: &Node, plan: &str) -> Value {
    json!({"metadata": {"labels": {PLAN: plan}, "annotations": shield_after(node.annotation(DO_NOT_DISRUPT))}})
}

/// The shield with the note of what was there before.
pub(super) fn shield_after(former: Option<&str>) -> Value {
    json!({DO_NOT_DISRUPT: "true", FORMER_SHIELD: former_note(former)})
}

/// Takes back what bears the plan's uid on a node, and its shield.
pub(crate) fn release(node: &Node, plan: &str) -> Value {
    let mut patch = release_claim(node);
    for cordon in [CORDONED_BY, RESERVED_BY].into_iter().filter(|cordon| node.annotation(cordon) == Some(plan)) {
        patch["metadata"]["annotations"][cordon] = Value::Null;
        // A node on its way out takes no pods again, nor does one that was cordoned before us.
        if node.deleting().is_none() && !is_evicted(node) {
            patch["spec"]["unschedulable"] = Value::Null;
        }
    }
    if is_tainted(node) {
        patch["spec"]["taints"] = untaint(node)["spec"]["taints"].take();
    }
    patch
}

/// Takes the label and the shield back. A shield that somebody changed meanwhile is theirs.
pub(crate) fn release_claim<K: Kind>(object: &K) -> Value {
    let mut patch = json!({"metadata": {"labels": {PLAN: null}, "annotations": {}}});
    if object.annotation(ENDS_AT).is_some() && object.deleting().is_none() {
        patch["metadata"]["annotations"][ENDS_AT] = Value::Null;
    }
    let Some(former) = object.annotation(FORMER_SHIELD).map(former_value) else { return patch };
    patch["metadata"]["annotations"][FORMER_SHIELD] = Value::Null;
    if object.annotation(DO_NOT_DISRUPT) == Some("true") && former != Some("true") {
        patch["metadata"]["annotations"][DO_NOT_DISRUPT] = json!(former);
    }
    patch
}

/// The uid of the plan whose marks the object bears.
pub(crate) fn owner<K: Kind>(object: &K) -> Option<&str> {
    let cordon = || [CORDONED_BY, RESERVED_BY].into_iter().find_map(|cordon| object.annotation(cordon));
    object.label(PLAN).or_else(cordon)
}

/// Takes back what the plan put on the node, and says if it was being drained. With a time it stays cordoned until then.
pub(super) fn keep(node: &Node, plan: &str, was_drained: bool, until: Option<Timestamp>) -> Value {
    let mut patch = release(node, plan);
    if was_drained {
        patch["metadata"]["annotations"][STATUS] = json!("drain-failed");
    }
    if let Some(until) = until {
        patch["metadata"]["annotations"][UNCORDON_AFTER] = json!(until.to_string());
        if let Some(spec) = patch["spec"].as_object_mut() {
            spec.remove("unschedulable");
        }
    }
    patch
}

/// When a node that was kept takes pods again. One that cannot be read is over.
pub(crate) fn uncordon_time(node: &Node) -> Option<Timestamp> {
    Some(node.annotation(UNCORDON_AFTER)?.parse().unwrap_or(Timestamp::MIN))
}

/// A node that was kept takes pods again.
pub(crate) fn uncordon() -> Value {
    let mut patch = stay_open();
    patch["spec"] = json!({"unschedulable": null});
    patch
}

/// It takes pods already, and nobody opens it once more.
pub(crate) fn stay_open() -> Value {
    json!({"metadata": {"annotations": {UNCORDON_AFTER: null}}})
}

/// Karpenter ends what is left on the node at this time, once its NodeClaim is deleted.
pub(super) fn end_at(plan: &str, end: Timestamp) -> Value {
    json!({"metadata": {"labels": {PLAN: plan}, "annotations": {ENDS_AT: end.to_string()}}})
}

/// Nothing on the node is ended by force.
pub(super) fn end_never() -> Value {
    json!({"metadata": {"annotations": {ENDS_AT: null}}})
}

fn written(taint: &manifest::Taint) -> Value {
    let mut written = json!({"key": taint.key, "effect": taint.effect});
    if !taint.value.is_empty() {
        written["value"] = json!(taint.value);
    }
    if let Some(time) = taint.time_added.text() {
        written["timeAdded"] = json!(time);
    }
    written
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::testing::object;

    use super::*;

    #[test]
    fn our_shield_is_ours_unless_somebody_had_shielded_the_node_before() {
        let node = |annotations: Value| -> Node {
            object(
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "annotations": annotations}, "spec": {}}),
            )
        };
        let shielded = |former: Option<&str>| {
            let shield = shield_after(former);
            is_shielded_by_us(&node(shield))
        };
        assert!(shielded(None));
        assert!(shielded(Some("false")), "what was there before forbade nothing");
        assert!(!shielded(Some("true")));
        assert!(!is_shielded_by_us(&node(json!({DO_NOT_DISRUPT: "true"}))));
    }
}
