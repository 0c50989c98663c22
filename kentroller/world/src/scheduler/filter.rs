//! Where a pod may go: the hard rules of kube-scheduler's default profile.
//!
//! An own reading, on purpose apart from the planner's, down to the arithmetic in `readings`.

use std::collections::{BTreeMap, BTreeSet};

use kentroller_planner::manifest::{
    Effect, Labels, NodeSelectorTerm, Pod, PodAffinityTerm, PodShape, SpreadConstraint, Taint,
};

use crate::readings::selectors::{selects, term_selects};
use crate::room::{Amounts, Class, Namespaces, Room, Rooms, fill_in, term_selector, tolerates};

/// Why a node was left out, worded as the scheduler words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Miss {
    Unschedulable,
    Taint,
    NodeAffinity,
    Volume,
    Pods,
    Cpu,
    Memory,
    Spread,
    Affinity,
    AntiAffinity,
    ForeignAntiAffinity,
}

impl Miss {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unschedulable => "node(s) were unschedulable",
            Self::Taint => "node(s) had untolerated taint(s)",
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::Volume => "node(s) had volume node affinity conflict",
            Self::Pods => "Too many pods",
            Self::Cpu => "Insufficient cpu",
            Self::Memory => "Insufficient memory",
            Self::Spread => "node(s) didn't match pod topology spread constraints",
            Self::Affinity => "node(s) didn't match pod affinity rules",
            Self::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::ForeignAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
        }
    }
}

/// How strictly soft taints are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoftTaints {
    /// The scheduler's reading: a matter of score.
    Scored,
    /// Karpenter's reading on existing nodes: as hard as NoSchedule.
    Hard,
}

/// A pod's hard rules, worked out once for all nodes.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pod: &'a Pod,
    amounts: Amounts,
    soft: SoftTaints,
    spreads: Vec<Spread>,
    /// Per required affinity term: its key, and the domains that hold a match; `None` where the pod may be the first of its kind.
    wanted: Vec<(String, Option<BTreeSet<String>>)>,
    /// Domains (key, value) that the pod's own anti-affinity excludes, then those that other pods' does.
    unwanted: BTreeSet<(String, String)>,
    unwelcome: BTreeSet<(String, String)>,
    /// From where each of the pod's volumes can be reached.
    pins: Vec<Vec<NodeSelectorTerm>>,
}

#[derive(Debug)]
struct Spread {
    key: String,
    max_skew: i64,
    own: i64,
    least: i64,
    counts: BTreeMap<String, i64>,
}

impl<'a> Rules<'a> {
    pub(crate) fn of(pod: &'a Pod, rooms: &Rooms, soft: SoftTaints) -> Self {
        let shape = &pod.spec.shape;
        let hard =
            shape.topology_spread_constraints.iter().filter(|spread| spread.when_unsatisfiable == "DoNotSchedule");
        let (namespace, labels) = (&*pod.metadata.namespace, &pod.metadata.labels);
        let mut unwanted = BTreeSet::new();
        for term in &shape.affinity.pod_anti_affinity.required {
            let meant = rooms.matching_term(namespace, labels, term);
            unwanted.extend(domains(rooms, &term.topology_key, &meant).map(|value| (term.topology_key.clone(), value)));
        }
        Self {
            pod,
            amounts: Amounts::of_pod(shape),
            soft,
            spreads: hard.map(|constraint| Spread::of(pod, constraint, rooms)).collect(),
            wanted: shape.affinity.pod_affinity.required.iter().map(|term| wanted(pod, term, rooms)).collect(),
            unwanted,
            unwelcome: unwelcome(pod, rooms),
            pins: rooms.pins_of(pod),
        }
    }

    /// Why the pod may not go to this node; `None` when it may.
    pub(crate) fn miss(&self, room: &Room) -> Option<Miss> {
        let shape = &self.pod.spec.shape;
        if room.unschedulable && !tolerates(&shape.tolerations, &unschedulable_taint()) {
            return Some(Miss::Unschedulable);
        }
        let bars = |effect: &Effect| *effect != Effect::PreferNoSchedule || self.soft == SoftTaints::Hard;
        if room.taints.iter().any(|taint| bars(&taint.effect) && !tolerates(&shape.tolerations, taint)) {
            return Some(Miss::Taint);
        }
        if !meets_node_rules(shape, &room.name, &room.labels) {
            return Some(Miss::NodeAffinity);
        }
        if !self.pins.iter().all(|terms| terms.iter().any(|term| term_selects(term, &room.name, &room.labels))) {
            return Some(Miss::Volume);
        }
        let free = room.free();
        if self.amounts.pods > free.pods {
            return Some(Miss::Pods);
        }
        if self.amounts.cpu_milli > free.cpu_milli && self.amounts.cpu_milli > 0 {
            return Some(Miss::Cpu);
        }
        if self.amounts.memory > free.memory && self.amounts.memory > 0 {
            return Some(Miss::Memory);
        }
        self.miss_among_pods(room)
    }

    fn miss_among_pods(&self, room: &Room) -> Option<Miss> {
        let stands_in = |excluded: &BTreeSet<(String, String)>| {
            excluded.iter().any(|(key, value)| room.label(key) == Some(value.as_str()))
        };
        if !self.spreads.iter().all(|spread| spread.allows(room)) {
            return Some(Miss::Spread);
        }
        let welcome = |(key, domains): &(String, Option<BTreeSet<String>>)| match (room.label(key), domains) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(value), Some(domains)) => domains.contains(value),
        };
        if !self.wanted.iter().all(welcome) {
            return Some(Miss::Affinity);
        }
        if stands_in(&self.unwanted) {
            return Some(Miss::AntiAffinity);
        }
        stands_in(&self.unwelcome).then_some(Miss::ForeignAntiAffinity)
    }
}

fn unschedulable_taint() -> Taint {
    Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        value: String::new(),
        effect: Effect::NoSchedule,
        ..Taint::default()
    }
}

/// Whether node selector and required node affinity hold.
pub(crate) fn meets_node_rules(shape: &PodShape, name: &str, labels: &Labels) -> bool {
    let selected = shape.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value));
    let affine = shape
        .affinity
        .node_affinity
        .required
        .as_ref()
        .is_none_or(|required| required.node_selector_terms.iter().any(|term| term_selects(term, name, labels)));
    selected && affine
}

/// The values of `key` on nodes that hold a pod of one of the classes.
fn domains<'r>(rooms: &'r Rooms, key: &'r str, meant: &'r [bool]) -> impl Iterator<Item = String> + 'r {
    rooms
        .list
        .iter()
        .filter(|room| room.crowds.keys().any(|class| meant[*class]))
        .filter_map(|room| room.label(key).map(str::to_owned))
}

fn wanted(pod: &Pod, term: &PodAffinityTerm, rooms: &Rooms) -> (String, Option<BTreeSet<String>>) {
    let meant = rooms.matching_term(&pod.metadata.namespace, &pod.metadata.labels, term);
    let found: BTreeSet<String> = domains(rooms, &term.topology_key, &meant).collect();
    let first = found.is_empty() && matches_pod(pod, &pod.metadata.namespace, &pod.metadata.labels, term);
    (term.topology_key.clone(), if first { None } else { Some(found) })
}

fn matches_pod(pod: &Pod, namespace: &str, labels: &Labels, term: &PodAffinityTerm) -> bool {
    Namespaces::of_term(namespace, term).hold(&pod.metadata.namespace)
        && term_selector(labels, term).is_some_and(|selector| selects(&selector, &pod.metadata.labels))
}

/// The domains from which the anti-affinity of pods already placed keeps this pod away.
fn unwelcome(pod: &Pod, rooms: &Rooms) -> BTreeSet<(String, String)> {
    let mut excluded = BTreeSet::new();
    for (number, class) in rooms.classes.iter().enumerate() {
        let Class { namespace, labels, affinity, .. } = class;
        for term in affinity.pod_anti_affinity.required.iter().filter(|term| matches_pod(pod, namespace, labels, term))
        {
            let holders = rooms.list.iter().filter(|room| room.crowds.contains_key(&number));
            excluded.extend(
                holders
                    .filter_map(|room| Some((term.topology_key.clone(), room.label(&term.topology_key)?.to_owned()))),
            );
        }
    }
    excluded
}

impl Spread {
    fn of(pod: &Pod, constraint: &SpreadConstraint, rooms: &Rooms) -> Self {
        let (own, meant) = spread_over(pod, constraint, rooms);
        let shape = &pod.spec.shape;
        let counts_for = |room: &&Room| {
            let affine =
                constraint.node_affinity_policy == "Ignore" || meets_node_rules(shape, &room.name, &room.labels);
            let hard = |effect: &Effect| *effect != Effect::PreferNoSchedule;
            let clean = constraint.node_taints_policy != "Honor"
                || room.taints.iter().all(|taint| !hard(&taint.effect) || tolerates(&shape.tolerations, taint));
            affine && clean
        };
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for room in rooms.list.iter().filter(counts_for) {
            if let Some(value) = room.label(&constraint.topology_key) {
                *counts.entry(value.to_owned()).or_default() += staying(room, &meant);
            }
        }
        let too_few = constraint.min_domains.is_some_and(|wanted| counts.len() < usize::try_from(wanted).unwrap_or(0));
        let least = if too_few { 0 } else { counts.values().min().copied().unwrap_or(0) };
        Self { key: constraint.topology_key.clone(), max_skew: constraint.max_skew.into(), own, least, counts }
    }

    fn allows(&self, room: &Room) -> bool {
        room.label(&self.key)
            .is_some_and(|value| self.counts.get(value).copied().unwrap_or(0) + self.own - self.least <= self.max_skew)
    }
}

/// How many pods of the classes stay on a node.
pub(crate) fn staying(room: &Room, meant: &[bool]) -> i64 {
    room.crowds.iter().filter(|(class, _)| meant[**class]).map(|(_, crowd)| crowd.staying).sum()
}

/// The selector that stands for a pod's siblings: all pods of its owner.
pub(crate) fn siblings(pod: &Pod, rooms: &Rooms) -> Option<Vec<bool>> {
    let owner = &pod.metadata.controller()?.uid;
    Some(rooms.classes.iter().map(|class| class.owner == *owner).collect())
}

/// Whether a constraint counts the pod itself (1 or 0), and which classes it counts.
pub(crate) fn spread_over(pod: &Pod, constraint: &SpreadConstraint, rooms: &Rooms) -> (i64, Vec<bool>) {
    let Some(mut selector) = constraint.label_selector.clone() else { return (0, vec![false; rooms.classes.len()]) };
    fill_in(&mut selector, &pod.metadata.labels, &constraint.match_label_keys);
    let own = i64::from(selects(&selector, &pod.metadata.labels));
    (own, rooms.matching(&Namespaces::One(&pod.metadata.namespace), &selector))
}
