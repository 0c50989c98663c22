//! Hard topology spread, as the filter of kube-scheduler's `PodTopologySpread` reads it.

use std::collections::BTreeMap;

use super::board::Board;
use super::neighbours::narrow;
use super::selectors::selects;
use super::tally::{Hosts, Tally};
use super::violation::Fault;
use crate::manifest::{LabelSelector, Labels, Operator, RequiredNodeTerms, SpreadConstraint, Toleration};

/// All that decides what a constraint counts. Pods that differ in their names only share it.
type Signature<'a> = (
    &'a str,
    Option<LabelSelector>,
    &'a str,
    Vec<String>,
    (bool, &'a Labels, &'a Option<RequiredNodeTerms>),
    (bool, &'a [Toleration]),
);

#[derive(Clone, Copy, Debug)]
struct Counted {
    tally: usize,
    max_skew: i64,
    min_domains: usize,
    counts_itself: bool,
}

/// The hard constraints of the kinds of pods met so far.
#[derive(Debug, Default)]
pub(super) struct Spread<'a> {
    tallies: BTreeMap<Signature<'a>, usize>,
    /// `None`: a constraint that cannot be read.
    by_class: BTreeMap<usize, Option<Vec<Counted>>>,
}

impl<'a> Spread<'a> {
    /// What speaks against a pod that is on no host now going to a host.
    pub(super) fn faults(&mut self, board: &mut Board<'a>, body: usize, at: usize) -> Vec<(Fault, String)> {
        let class = board.bodies[body].class;
        if !self.by_class.contains_key(&class) {
            let constraints = self.constraints(board, class);
            self.by_class.insert(class, constraints);
        }
        let Some(Some(constraints)) = self.by_class.get(&class) else {
            return vec![(Fault::ConstraintUnknown, "a topologySpreadConstraint cannot be read".to_owned())];
        };
        let host = &board.hosts[at];
        let mut faults = Vec::new();
        for constraint in constraints {
            let tally = &board.tallies[constraint.tally];
            let key = board.key(constraint.tally);
            let Some(domain) = board.domain(constraint.tally, at) else {
                faults.push((Fault::Spread, format!("node {} has no label {key}", host.name)));
                continue;
            };
            let least = if tally.domains() < constraint.min_domains { 0 } else { tally.least() };
            let skew = tally.count(domain) + i64::from(constraint.counts_itself) - least;
            if skew > constraint.max_skew {
                let limit = constraint.max_skew;
                let text = format!("on node {} the skew over {key} would be {skew}, maxSkew is {limit}", host.name);
                faults.push((Fault::Spread, text));
            }
        }
        faults
    }

    fn constraints(&mut self, board: &mut Board<'a>, index: usize) -> Option<Vec<Counted>> {
        let shape = board.classes[index].shape;
        let mut hard = Vec::new();
        for constraint in &shape.topology_spread_constraints {
            match constraint.when_unsatisfiable.as_str() {
                "DoNotSchedule" => hard.push(constraint),
                "ScheduleAnyway" => {}
                _ => return None,
            }
        }
        let mut keys: Vec<String> = hard.iter().map(|constraint| constraint.topology_key.clone()).collect();
        keys.sort();
        keys.dedup();
        hard.into_iter().map(|constraint| self.counted(board, index, constraint, &keys)).collect()
    }

    fn counted(
        &mut self,
        board: &mut Board<'a>,
        index: usize,
        constraint: &'a SpreadConstraint,
        keys: &[String],
    ) -> Option<Counted> {
        let (namespace, labels, shape) = {
            let class = &board.classes[index];
            (class.namespace, class.labels, class.shape)
        };
        let honor_affinity = honors(&constraint.node_affinity_policy, true)?;
        let honor_taints = honors(&constraint.node_taints_policy, false)?;
        let mut selector = constraint.label_selector.clone();
        if constraint.match_label_keys.iter().any(|key| labels.contains_key(key)) {
            let selector = selector.get_or_insert_default();
            narrow(selector, &constraint.match_label_keys, &Operator::In, labels);
        }
        let signature: Signature<'a> = (
            namespace,
            selector.clone(),
            &constraint.topology_key,
            keys.to_vec(),
            (honor_affinity, &shape.node_selector, &shape.affinity.node_affinity.required),
            (honor_taints, if honor_taints { &shape.tolerations } else { &[] }),
        );
        // Of an empty selector kube-scheduler counts nobody (`countPodsMatchSelector`), as of none at all.
        let member = |namespace_of: &str, labels: &Labels| match &selector {
            _ if namespace_of != namespace => Some(false),
            None => Some(false),
            Some(selector) if selector.is_empty() => Some(false),
            Some(selector) => selects(selector, labels),
        };
        let counts_itself = member(namespace, labels)?;
        let tally = match self.tallies.get(&signature) {
            Some(tally) => *tally,
            None => {
                let members: Option<Vec<bool>> =
                    board.classes.iter().map(|class| member(class.namespace, class.labels)).collect();
                let members = members?;
                let keys = keys.iter().map(|key| board.topology(key)).collect();
                let hosts = Hosts::SeenBy { class: index, keys, honor_affinity, honor_taints };
                let topology = board.topology(&constraint.topology_key);
                let tally = board.add_tally(Tally::new(topology, hosts, false, members));
                self.tallies.insert(signature, tally);
                tally
            }
        };
        let min_domains = usize::try_from(constraint.min_domains.unwrap_or(1)).unwrap_or(0);
        Some(Counted { tally, max_skew: i64::from(constraint.max_skew), min_domains, counts_itself })
    }
}

fn honors(policy: &str, default: bool) -> Option<bool> {
    match policy {
        "" => Some(default),
        "Honor" => Some(true),
        "Ignore" => Some(false),
        _ => None,
    }
}
