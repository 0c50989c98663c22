//! Whether a node's labels, taints and the pods around it let kube-scheduler put a pod there. What cannot be told
//! (an operator of another version) counts as no.

use std::collections::{BTreeMap, BTreeSet};

use kentroller_planner::manifest::{Effect, Labels, PodAffinityTerm, SpreadConstraint, Taint};
use kentroller_runtime::{Kind, World};

use super::RebalancePlans;
use crate::api::foreign::{Node, Occupancy, Pod};

/// The pods of a cluster by where they are, some of them where they are expected to be.
pub(super) struct Neighbours<'a> {
    world: &'a World<RebalancePlans>,
    /// Pods that keep others apart.
    apart: Vec<&'a Pod>,
    /// By uid: where pods that move are expected.
    expected: BTreeMap<&'a str, &'a str>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn of(world: &'a World<RebalancePlans>, occupancy: &Occupancy) -> Self {
        let apart = occupancy.apart().filter_map(|key| world.lookup::<Pod>(key).present());
        Self { world, apart: apart.collect(), expected: BTreeMap::new() }
    }

    /// Counts the pod as being on the node, and nowhere else.
    pub(super) fn put(&mut self, pod: &'a Pod, node: &str) {
        if let Some(node) = self.world.named::<Node>(node) {
            self.expected.insert(pod.uid(), node.name());
        }
    }

    /// Everything about the pods around it that decides where the pod may go, looked up once for all nodes.
    pub(super) fn demands(&self, pod: &Pod) -> Demands<'a> {
        let affinity = &pod.spec.shape.affinity;
        let mut demands =
            Demands { forbidden: BTreeSet::new(), allowed: Vec::new(), spreads: Vec::new(), never: false };
        let apart = self.apart.iter().copied().filter(|other| other.uid() != pod.uid());
        for (other, place) in apart.filter_map(|other| self.placed(other)) {
            let theirs = other.spec.shape.affinity.pod_anti_affinity.required.iter();
            demands.forbidden.extend(
                theirs
                    .filter(|term| matches(term, other, pod) != Some(false))
                    .filter_map(|term| Some((term.topology_key.clone(), self.domain(place, &term.topology_key)?))),
            );
        }
        for term in &affinity.pod_anti_affinity.required {
            let kept_away = self.others(pod).filter(|(other, _)| matches(term, pod, other) != Some(false));
            demands.forbidden.extend(
                kept_away.filter_map(|(_, place)| {
                    Some((term.topology_key.clone(), self.domain(place, &term.topology_key)?))
                }),
            );
        }
        for term in &affinity.pod_affinity.required {
            let beside: Vec<&str> = self
                .others(pod)
                .filter(|(other, _)| matches(term, pod, other) == Some(true))
                .map(|(_, place)| place)
                .collect();
            if beside.is_empty() {
                // The first of its kind goes anywhere, if it is of the kind that it asks for.
                demands.never |= matches(term, pod, pod) != Some(true);
            } else {
                let domains = beside.iter().filter_map(|place| self.domain(place, &term.topology_key)).collect();
                demands.allowed.push((term.topology_key.clone(), domains));
            }
        }
        for spread in
            pod.spec.shape.topology_spread_constraints.iter().filter(|one| one.when_unsatisfiable != "ScheduleAnyway")
        {
            match self.open_domains(pod, spread) {
                Some(domains) => demands.spreads.push((spread.topology_key.clone(), domains)),
                None => demands.never = true,
            }
        }
        demands
    }

    /// The domains in which one more pod keeps a hard spread: at most `maxSkew` above the emptiest one.
    fn open_domains(&self, pod: &Pod, spread: &SpreadConstraint) -> Option<BTreeSet<&'a str>> {
        let (key, selector) = (spread.topology_key.as_str(), spread.label_selector.as_ref()?);
        let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
        for other in self.world.all::<Node>().filter(|other| labels_admit(other, pod)) {
            if let Some(value) = other.label(key) {
                counts.entry(value).or_default();
            }
        }
        for (other, place) in self.others(pod) {
            let same_revision = spread.match_label_keys.iter().all(|key| pod.label(key) == other.label(key));
            let counted =
                other.metadata.namespace == pod.metadata.namespace && other.deleting().is_none() && same_revision;
            if counted
                && selector.matches(&other.metadata.labels) != Some(false)
                && let Some(count) = self.domain(place, key).and_then(|value| counts.get_mut(value))
            {
                *count += 1;
            }
        }
        let few = spread.min_domains.is_some_and(|least| counts.len() < usize::try_from(least).unwrap_or(0));
        let least = if few { 0 } else { counts.values().copied().min().unwrap_or(0) };
        Some(
            counts
                .into_iter()
                .filter(|(_, count)| count + 1 - least <= spread.max_skew)
                .map(|(value, _)| value)
                .collect(),
        )
    }

    fn others<'b>(&'b self, pod: &'b Pod) -> impl Iterator<Item = (&'a Pod, &'a str)> + 'b {
        let others = self.world.all::<Pod>().filter(|other| other.uid() != pod.uid() && !other.has_ended());
        others.filter_map(|other| self.placed(other))
    }

    /// The pod with its node; `None` while it has none.
    fn placed(&self, pod: &'a Pod) -> Option<(&'a Pod, &'a str)> {
        let expected = self.expected.get(pod.uid()).copied();
        expected.or_else(|| pod.node_name()).map(|node| (pod, node))
    }

    fn domain(&self, node: &str, key: &str) -> Option<&'a str> {
        self.world.named::<Node>(node)?.label(key)
    }
}

/// Where a pod may go, as far as the pods around decide it.
pub(super) struct Demands<'a> {
    /// Topology key and value of the domains from which it, or a pod there, keeps it apart.
    forbidden: BTreeSet<(String, &'a str)>,
    /// By topology key: domains of which it must be in one.
    allowed: Vec<(String, BTreeSet<&'a str>)>,
    spreads: Vec<(String, BTreeSet<&'a str>)>,
    /// No node will do, or it cannot be told.
    never: bool,
}

impl Demands<'_> {
    /// Whether the node is one of them.
    pub(super) fn admit(&self, pod: &Pod, node: &Node) -> bool {
        let within =
            |(key, domains): &(String, BTreeSet<&str>)| node.label(key).is_some_and(|value| domains.contains(value));
        !self.never
            && !self.forbidden.iter().any(|(key, value)| node.label(key) == Some(*value))
            && self.allowed.iter().all(within)
            && self.spreads.iter().all(within)
            && admits(node, pod)
    }
}

/// Whether `other` is one of the pods that a term of `pod` is about.
fn matches(term: &PodAffinityTerm, pod: &Pod, other: &Pod) -> Option<bool> {
    let Some(selector) = &term.label_selector else { return Some(false) };
    let own = term.namespaces.is_empty() && term.namespace_selector.is_none();
    let named = term.namespaces.iter().any(|name| *name == *other.metadata.namespace);
    let in_scope = if own { pod.metadata.namespace == other.metadata.namespace } else { named };
    // Labels of namespaces are not read here: a term that asks for them may be about any pod.
    if !in_scope && term.namespace_selector.is_none() {
        return Some(false);
    }
    let agree = |key: &String| pod.label(key) == other.label(key);
    if !term.match_label_keys.iter().all(agree) || term.mismatch_label_keys.iter().any(agree) {
        return Some(false);
    }
    selector
        .matches(&other.metadata.labels)
        .filter(|matched| !matched || in_scope || term.namespace_selector.as_ref().is_some_and(|all| all.is_empty()))
}

/// Whether taints and labels of the node let the pod in.
pub(super) fn admits(node: &Node, pod: &Pod) -> bool {
    let tolerated = |taint: &Taint| {
        taint.effect == Effect::PreferNoSchedule || pod.spec.shape.tolerations.iter().any(|one| one.tolerates(taint))
    };
    node.spec.taints.iter().all(tolerated) && labels_admit(node, pod)
}

fn labels_admit(node: &Node, pod: &Pod) -> bool {
    let (shape, labels): (_, &Labels) = (&pod.spec.shape, &node.metadata.labels);
    let required = shape.affinity.node_affinity.required.as_ref();
    shape.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        && required.is_none_or(|terms| {
            terms.node_selector_terms.iter().any(|term| term.matches(node.name(), labels) == Some(true))
        })
}
