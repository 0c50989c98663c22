//! The room there is for pods: nodes as kube-scheduler and Karpenter count them, kept as plain values.
//!
//! Counted are CPU, memory and the number of pods, and the places from which volumes are reached. Absent: storage, devices, host
//! ports, the number of volumes (nothing in the simulated workload asks for them).

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

use kentroller_planner::manifest::{
    Affinity, Effect, LabelSelector, Labels, Node, NodeSelectorTerm, ObjectName, Pod, PodAffinityTerm, PodShape,
    Resources, Taint, Toleration,
};

use crate::readings::requests;
use crate::readings::selectors::selects;

/// What a pod takes or a node gives. CPU in thousandths of a core, memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amounts {
    pub cpu_milli: i64,
    pub memory: i64,
    pub pods: i64,
}

impl Amounts {
    pub(crate) fn fits(self, into: Self) -> bool {
        self.cpu_milli <= into.cpu_milli && self.memory <= into.memory && self.pods <= into.pods
    }

    pub(crate) fn minus(mut self, other: Self) -> Self {
        self -= other;
        self
    }

    pub(crate) fn plus(mut self, other: Self) -> Self {
        self += other;
        self
    }

    /// The amounts of a node's `allocatable` or `capacity`.
    pub(crate) fn of_node(resources: &Resources) -> Self {
        let get = |name: &str| resources.get(name);
        Self {
            cpu_milli: get("cpu").map_or(0, |amount| amount.milli()),
            memory: get("memory").map_or(0, |amount| amount.units()),
            pods: get("pods").map_or(0, |amount| amount.units()),
        }
    }

    /// What a pod of this shape requests.
    pub(crate) fn of_pod(shape: &PodShape) -> Self {
        Self { cpu_milli: requests::of(shape, "cpu").milli(), memory: requests::of(shape, "memory").units(), pods: 1 }
    }

    pub(crate) fn min_of_each(self, other: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.min(other.cpu_milli),
            memory: self.memory.min(other.memory),
            pods: self.pods.min(other.pods),
        }
    }

    pub(crate) fn max_of_each(self, other: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.max(other.cpu_milli),
            memory: self.memory.max(other.memory),
            pods: self.pods.max(other.pods),
        }
    }
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.cpu_milli += other.cpu_milli;
        self.memory += other.memory;
        self.pods += other.pods;
    }
}

impl SubAssign for Amounts {
    fn sub_assign(&mut self, other: Self) {
        self.cpu_milli -= other.cpu_milli;
        self.memory -= other.memory;
        self.pods -= other.pods;
    }
}

/// Pods that no rule can tell apart: same namespace, labels, owner and affinities.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    pub(crate) namespace: Arc<str>,
    pub(crate) owner: String,
    pub(crate) labels: Arc<Labels>,
    pub(crate) affinity: Affinity,
}

impl Class {
    pub(crate) fn of(pod: &Pod) -> Self {
        Self {
            namespace: pod.metadata.namespace.clone(),
            owner: pod.metadata.controller().map(|owner| owner.uid.clone()).unwrap_or_default(),
            labels: Arc::clone(&pod.metadata.labels),
            affinity: pod.spec.shape.affinity.clone(),
        }
    }
}

/// How many pods of a class are on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crowd {
    pub(crate) all: i64,
    /// Without those that are ending: what topology spread counts.
    pub(crate) staying: i64,
}

/// A node, real or only thought of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    pub(crate) name: Arc<str>,
    pub(crate) labels: Labels,
    pub(crate) taints: Vec<Taint>,
    pub(crate) unschedulable: bool,
    pub(crate) allocatable: Amounts,
    pub(crate) used: Amounts,
    pub(crate) crowds: BTreeMap<usize, Crowd>,
}

impl Room {
    pub(crate) fn of(node: &Node) -> Self {
        Self {
            name: node.metadata.name.clone(),
            labels: (*node.metadata.labels).clone(),
            taints: node.spec.taints.clone(),
            unschedulable: node.spec.unschedulable,
            allocatable: Amounts::of_node(&node.status.allocatable),
            ..Self::default()
        }
    }

    pub(crate) fn free(&self) -> Amounts {
        self.allocatable.minus(self.used)
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

/// By claim on a volume: from where the volume can be reached, any of these.
pub(crate) type Pins = Arc<BTreeMap<ObjectName, Vec<NodeSelectorTerm>>>;

/// All nodes, and the classes of the pods on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms {
    pub(crate) list: Vec<Room>,
    pub(crate) classes: Vec<Class>,
    pub(crate) pins: Pins,
    by_class: BTreeMap<Class, usize>,
}

impl Rooms {
    pub(crate) fn of(list: Vec<Room>) -> Self {
        Self { list, ..Self::default() }
    }

    /// From where the volumes of a pod can be reached: a list for each.
    pub(crate) fn pins_of(&self, pod: &Pod) -> Vec<Vec<NodeSelectorTerm>> {
        let claims = pod.spec.shape.volumes.iter().filter(|volume| !volume.claim.is_empty());
        let keys = claims
            .map(|volume| ObjectName { namespace: pod.metadata.namespace.clone(), name: volume.claim.as_str().into() });
        keys.filter_map(|key| self.pins.get(&key).cloned()).collect()
    }

    /// The number of a class, given on first sight.
    pub(crate) fn class(&mut self, class: Class) -> usize {
        if let Some(known) = self.by_class.get(&class) {
            return *known;
        }
        let number = self.classes.len();
        self.classes.push(class.clone());
        self.by_class.insert(class, number);
        number
    }

    /// Puts a pod on a node.
    pub(crate) fn seat(&mut self, at: usize, class: usize, amounts: Amounts, staying: bool) {
        let room = &mut self.list[at];
        room.used += amounts;
        let crowd = room.crowds.entry(class).or_default();
        crowd.all += 1;
        crowd.staying += i64::from(staying);
    }

    /// Which classes a selector of pods of `namespace` means.
    pub(crate) fn matching(&self, namespaces: &Namespaces<'_>, selector: &LabelSelector) -> Vec<bool> {
        self.classes.iter().map(|class| namespaces.hold(&class.namespace) && selects(selector, &class.labels)).collect()
    }

    /// Which classes a term of (anti-)affinity of a pod means.
    pub(crate) fn matching_term(&self, namespace: &str, labels: &Labels, term: &PodAffinityTerm) -> Vec<bool> {
        match term_selector(labels, term) {
            Some(selector) => self.matching(&Namespaces::of_term(namespace, term), &selector),
            None => vec![false; self.classes.len()],
        }
    }
}

/// The selector of a term with its `matchLabelKeys` filled in from the pod; `None` matches no pod.
pub(crate) fn term_selector(labels: &Labels, term: &PodAffinityTerm) -> Option<LabelSelector> {
    let mut selector = term.label_selector.clone()?;
    fill_in(&mut selector, labels, &term.match_label_keys);
    Some(selector)
}

pub(crate) fn fill_in(selector: &mut LabelSelector, labels: &Labels, keys: &[String]) {
    for key in keys {
        if let Some(value) = labels.get(key) {
            selector.match_labels.insert(key.clone(), value.clone());
        }
    }
}

/// The namespaces a term looks into.
#[derive(Debug)]
pub(crate) enum Namespaces<'a> {
    All,
    One(&'a str),
    Listed(&'a [String]),
}

impl<'a> Namespaces<'a> {
    /// Simulated namespaces have no labels, so a selector means all of them when it is empty and none otherwise.
    pub(crate) fn of_term(own: &'a str, term: &'a PodAffinityTerm) -> Self {
        match (&term.namespace_selector, term.namespaces.is_empty()) {
            (Some(selector), _) if selector.is_empty() => Self::All,
            (None, true) => Self::One(own),
            _ => Self::Listed(&term.namespaces),
        }
    }

    pub(crate) fn hold(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(own) => *own == namespace,
            Self::Listed(list) => list.iter().any(|one| one == namespace),
        }
    }
}

/// Whether one of the tolerations covers the taint.
pub(crate) fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        let effect = match &taint.effect {
            Effect::NoSchedule => "NoSchedule",
            Effect::PreferNoSchedule => "PreferNoSchedule",
            Effect::NoExecute => "NoExecute",
            Effect::Unknown(word) => word,
        };
        (toleration.effect.is_empty() || toleration.effect == effect)
            && match (toleration.operator.as_str(), toleration.key.is_empty()) {
                ("Exists", true) => true,
                ("Exists", false) => toleration.key == taint.key,
                ("" | "Equal", _) => toleration.key == taint.key && toleration.value == taint.value,
                _ => false,
            }
    })
}
