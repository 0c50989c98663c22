//! What `evictionConfig` says of pods and nodes.

use crate::manifest::{Node, Pod};
use crate::value::{EvictionRule, EvictionTarget, Options, Strictness};

/// The entries of `evictionConfig` that bind. Those that protect always bind. Those that lift a rule bind continuous mode only.
fn binding(options: &Options) -> impl Iterator<Item = &EvictionRule> {
    options.eviction.iter().filter(|rule| options.continuous || rule.strictness == Strictness::RemovalDisabled)
}

/// Whether a kind is that of the pod's controller, or of the controller's own. `None`: the pod does not tell.
fn is_of(kind: &str, pod: &Pod) -> Option<bool> {
    let owner = pod.metadata.controller().map_or("", |owner| owner.kind.as_str());
    match (owner, kind) {
        (owner, kind) if owner == kind => Some(true),
        // A Deployment marks its pods; any other ReplicaSet may have an owner of any kind.
        ("ReplicaSet", "Deployment") => pod.metadata.labels.contains_key("pod-template-hash").then_some(true),
        ("" | "StatefulSet" | "DaemonSet" | "ReplicationController", _) => Some(false),
        _ => None,
    }
}

/// The entry that decides over a pod, of those that name pods. `replicas` is asked for its controller's replicas only where it matters.
pub(super) fn of_pod<'a>(
    pod: &Pod,
    replicas: impl Fn() -> Option<u32>,
    options: &'a Options,
) -> Option<&'a EvictionRule> {
    let matching = binding(options).filter(|rule| match &rule.selects {
        EvictionTarget::Nodes(_) => false,
        EvictionTarget::Pods { namespaces, labels, kind, min_replicas, max_replicas } => {
            // Where it cannot be told, entries that protect match, and no others.
            let protects = rule.strictness == Strictness::RemovalDisabled;
            let bounded = |bound: Option<u32>, holds: fn(u32, u32) -> bool| {
                bound.is_none_or(|bound| replicas().map_or(protects, |count| holds(count, bound)))
            };
            (namespaces.is_empty() || namespaces.iter().any(|one| **one == *pod.metadata.namespace))
                && labels.matches(&pod.metadata.labels).unwrap_or(protects)
                && (kind.is_empty() || is_of(kind, pod).unwrap_or(protects))
                && bounded(min_replicas.filter(|least| *least > 0), |count, bound| count >= bound)
                && bounded(*max_replicas, |count, bound| count <= bound)
        }
    });
    matching.reduce(stricter)
}

/// The entry that decides over a node, of those that name nodes.
pub(super) fn of_node<'a>(node: &Node, options: &'a Options) -> Option<&'a EvictionRule> {
    let matching = binding(options).filter(|rule| match &rule.selects {
        EvictionTarget::Nodes(terms) => terms.iter().any(|term| {
            term.matches(&node.metadata.name, &node.metadata.labels)
                .unwrap_or(rule.strictness == Strictness::RemovalDisabled)
        }),
        EvictionTarget::Pods { .. } => false,
    });
    matching.reduce(stricter)
}

/// The stricter of two; the first of two that are alike.
pub(super) fn stricter<'a>(one: &'a EvictionRule, other: &'a EvictionRule) -> &'a EvictionRule {
    if other.strictness > one.strictness { other } else { one }
}
