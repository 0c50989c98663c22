//! Pods on their nodes: what they take there, whom they bar from it, and which of them hold it.

use std::collections::{BTreeMap, BTreeSet};

use typed_index_collections::{TiSlice, TiVec};

use super::asked::{Asked, drivers};
use super::classes::Classes;
use crate::model::{NodeBin, NodeId, PodUnit, TermCount, add};
use crate::rules::{PodRole, PodRules, Volumes};
use crate::value::Blocker;

/// Puts all pods on their nodes and returns those of the workload.
pub(super) fn settle(
    nodes: &mut TiSlice<NodeId, NodeBin>,
    asked: &Asked<'_>,
    classes: &Classes,
    rules: &PodRules<'_>,
) -> Vec<PodUnit> {
    let mut pods = Vec::new();
    let mut term_counts: TiVec<NodeId, BTreeMap<usize, TermCount>> = vec![BTreeMap::new(); nodes.len()].into();
    for (one, (class, rule)) in asked.pods.iter().zip(&classes.of_pods) {
        let index = pods.len();
        if matches!(one.role, PodRole::Workload | PodRole::Pending) {
            pods.push(PodUnit {
                name: one.pod.metadata.key(),
                class: *class,
                priority: one.pod.spec.shape.priority,
                node: one.node,
                home: one.node,
                not_running: one.node.is_none(),
                is_successor: false,
            });
        }
        let Some(at) = one.node else { continue };
        let node = &mut nodes[at];
        add(&mut node.used, &one.request, 1);
        for term in &classes.all[*class].counted {
            counted(&mut term_counts[at], *term).selected += 1;
        }
        let of = &classes.all[*class];
        for term in of.apart.iter().chain(&of.preferred_pods) {
            counted(&mut term_counts[at], *term).owned += 1;
        }
        let rule = match one.role {
            PodRole::Workload | PodRole::Pending => {
                node.pods.push(index);
                rules.holds(one.pod).or(*rule)
            }
            PodRole::Daemon => rules.holds_resident(one.pod),
            // Its successor is another pod; the node is left alone until it is gone.
            PodRole::Terminating => rules.holds_going(one.pod),
            PodRole::Finished | PodRole::Gated => None,
        };
        node.blockers.extend(rule.map(|rule| Blocker { pod: one.pod.metadata.key(), rule }));
    }
    for (node, term_counts) in nodes.iter_mut().zip(term_counts) {
        node.term_counts = term_counts.into_values().collect();
    }
    pods
}

/// Takes back what volumes were counted too often that several pods of a node attach: each is attached once.
///
/// Whoever comes counts its own anew. A node that pods leave is given none, so that nothing is counted too little.
pub(super) fn share_volumes(
    nodes: &mut TiSlice<NodeId, NodeBin>,
    asked: &Asked<'_>,
    volumes: &Volumes<'_>,
    dims: &[String],
) {
    let mut attached: BTreeSet<(NodeId, &str)> = BTreeSet::new();
    for one in asked.pods.iter().filter(|one| !one.pod.spec.shape.volumes.is_empty()) {
        let Some(node) = one.node else { continue };
        for (driver, volume) in volumes.attached(one.pod) {
            let again = !attached.insert((node, volume));
            let dim = drivers(dims).find(|(_, name)| *name == driver).filter(|_| again);
            if let Some((dim, _)) = dim {
                nodes[node].allocatable[dim] += 1;
            }
        }
    }
}

fn counted(term_counts: &mut BTreeMap<usize, TermCount>, term: usize) -> &mut TermCount {
    term_counts.entry(term).or_insert(TermCount { term, ..TermCount::default() })
}
