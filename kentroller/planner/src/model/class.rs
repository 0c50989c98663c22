//! Pods, and the classes of those that no rule can tell apart.

use super::Vector;
use crate::manifest::ObjectName;

/// A pod of the workload, running or waiting.
#[derive(Debug, Hash)]
pub(crate) struct PodUnit {
    pub name: ObjectName,
    pub class: usize,
    pub priority: i32,
    /// Where it runs; `None`: it waits for a node.
    pub node: Option<usize>,
    /// Where it runs, or where room is reserved for it.
    pub home: Option<usize>,
    /// Does not run here: it waits for a node, or will once its own is gone.
    pub not_running: bool,
    /// Takes the place of one whose node is going.
    pub is_successor: bool,
}

/// Pods that no rule can tell apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class {
    pub request: Vector,
    pub needs: usize,
    /// Terms of a node's own domain (also host ports) that the pod owns: none of the pods they select beside it.
    pub apart: Vec<usize>,
    /// Terms that select the pod, whoever owns them.
    pub selected: Vec<usize>,
    /// What the pod adds to on its node: [`Class::selected`], and what bars nobody, such as its service.
    pub counted: Vec<usize>,
    /// Terms that cap the selected pods of a node, with the cap.
    pub caps: Vec<(usize, i64)>,
    /// The term of its service, and the most pods of it that a node may hold. Our own limit, not the scheduler's: at most half
    /// of a service's pods on one node. Ignored for pods that wait and when Karpenter is imitated.
    pub share: Option<(usize, i64)>,
    /// Spreads over wider domains that the pod owns and that do not hold now: by number, and whether it counts itself.
    pub spreads: Vec<(usize, i64)>,
    /// Its preferences among nodes, by number.
    pub preferred_nodes: usize,
    /// Preferences about the pods of its node that the pod owns, by term.
    pub preferred_pods: Vec<usize>,
    /// Terms of preferences whose unmet weight changes when a pod of this class is placed, whoever owns them.
    pub affected_terms: Vec<usize>,
    /// Labels whose value it prefers to keep, by number, with the weight of leaving it.
    pub zone_affinity: Vec<(usize, i64)>,
}

impl Class {
    /// Whether it asks who is on a node besides, or is asked about.
    pub(crate) const fn has_rules(&self) -> bool {
        !(self.apart.is_empty() && self.caps.is_empty() && self.selected.is_empty())
    }
}
