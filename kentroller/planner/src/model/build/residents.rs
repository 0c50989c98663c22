//! Pods on their nodes: what they take there, whom they bar from it, and which of them hold it.

use std::collections::BTreeMap;

use super::asked::Asked;
use super::classes::Classes;
use crate::model::{NodeBin, PodUnit, Tie, add};
use crate::rules::eligibility::{Kind, PodRules, eviction_cost};
use crate::value::{Blocker, Rule};

/// Puts all pods on their nodes and returns those of the workload.
pub(super) fn settle(
    nodes: &mut [NodeBin],
    asked: &Asked<'_>,
    classes: &Classes,
    rules: &PodRules<'_>,
) -> Vec<PodUnit> {
    let mut pods = Vec::new();
    let mut ties: Vec<BTreeMap<usize, Tie>> = vec![BTreeMap::new(); nodes.len()];
    for (one, (class, rule)) in asked.pods.iter().zip(&classes.of_pods) {
        let index = pods.len();
        if matches!(one.kind, Kind::Workload | Kind::Pending) {
            pods.push(PodUnit {
                name: one.pod.metadata.key(),
                class: *class,
                priority: one.pod.spec.shape.priority,
                node: one.node,
                home: one.node,
                ghost: one.node.is_none(),
                succeeds: false,
            });
        }
        let Some(at) = one.node else { continue };
        let node = &mut nodes[at];
        add(&mut node.used, &one.request, 1);
        for term in &classes.all[*class].counted {
            tie(&mut ties[at], *term).selected += 1;
        }
        let of = &classes.all[*class];
        for term in of.apart.iter().chain(&of.hopes) {
            tie(&mut ties[at], *term).owned += 1;
        }
        let rule = match one.kind {
            Kind::Workload | Kind::Pending => {
                node.pods.push(index);
                node.eviction_cost += eviction_cost(one.pod).max(0);
                rules.holds(one.pod).or(*rule)
            }
            Kind::Daemon => rules.holds_resident(one.pod),
            // Its successor is another pod; the node is left alone until it is gone.
            Kind::Terminating => Some(Rule::Terminating),
            Kind::Finished | Kind::Gated => None,
        };
        node.blockers.extend(rule.map(|rule| Blocker { pod: one.pod.metadata.key(), rule }));
    }
    for (node, ties) in nodes.iter_mut().zip(ties) {
        node.ties = ties.into_values().collect();
    }
    pods
}

fn tie(ties: &mut BTreeMap<usize, Tie>, term: usize) -> &mut Tie {
    ties.entry(term).or_insert(Tie { term, ..Tie::default() })
}
