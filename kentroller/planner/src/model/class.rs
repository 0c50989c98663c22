//! Pods, and the classes of those that no rule can tell apart.

use super::{ClassId, NodeId, Vector};
use crate::manifest::ObjectName;

/// A pod of the workload, running or waiting.
#[derive(Debug, Hash)]
pub(crate) struct PodUnit {
    pub name: ObjectName,
    pub class: ClassId,
    pub priority: i32,
    /// Where it runs; `None`: it waits for a node.
    pub node: Option<NodeId>,
    /// Where it runs, or where room is reserved for it.
    pub home: Option<NodeId>,
    /// It does not run: it waits for a node, or will wait once its own is gone.
    pub not_running: bool,
    /// Takes the place of one whose node is going.
    pub is_successor: bool,
}

/// Pods that no rule can tell apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class {
    pub request: Vector,
    pub needs: usize,
    /// Anti-affinity over one node, and host ports, that the pod owns: no pod that they select may run beside it.
    pub apart: Vec<usize>,
    /// Terms that select the pod, whoever owns them.
    pub selected: Vec<usize>,
    /// Terms whose count of a node rises with the pod: [`Class::selected`], and those that forbid nothing, such as its service.
    pub counted: Vec<usize>,
    /// Spreads over nodes: terms with the most pods that they select on one node.
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
    /// Whether any term between the pods of a node concerns it.
    pub(crate) const fn has_rules(&self) -> bool {
        !(self.apart.is_empty() && self.caps.is_empty() && self.selected.is_empty())
    }
}
