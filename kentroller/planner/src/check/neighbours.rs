//! Required pod affinity and anti-affinity. The terms of pods that are already there count as well.

use std::collections::{BTreeMap, BTreeSet};

use super::board::{Board, Host};
use super::selectors::selects;
use super::tally::{Hosts, Tally};
use super::violation::Fault;
use crate::manifest::{Expression, LabelSelector, Labels, Operator, PodAffinityTerm};
use crate::value::Snapshot;

/// A term with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Resolved {
    /// `None`: every namespace.
    namespaces: Option<BTreeSet<String>>,
    /// `None`: matches no pod.
    selector: Option<LabelSelector>,
    key: String,
}

/// The tallies that bear on one kind of pod.
#[derive(Clone, Debug, Default)]
struct Terms {
    /// Hosts with pods that repel this kind.
    guards: Vec<usize>,
    affinity: Vec<usize>,
    /// Whether the pod satisfies its own affinity terms.
    matches_itself: bool,
    anti: Vec<usize>,
    unknown: bool,
}

/// What is known of pod affinities so far.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    guards: Vec<(Resolved, usize)>,
    tallies: BTreeMap<(Vec<Resolved>, String), usize>,
    by_class: BTreeMap<usize, Terms>,
}

impl Neighbours {
    /// Indexes the anti-affinities of all pods.
    pub(super) fn new(board: &mut Board<'_>) -> Self {
        let mut carriers: BTreeMap<Resolved, Vec<usize>> = BTreeMap::new();
        for (index, class) in board.classes.iter().enumerate() {
            for term in &class.shape.affinity.pod_anti_affinity.required {
                let resolved =
                    resolve(term, class.namespace, class.labels, board.snapshot).unwrap_or_else(|| Resolved {
                        // Nobody can tell whom this repels, so it repels everybody.
                        namespaces: None,
                        selector: Some(LabelSelector::default()),
                        key: term.topology_key.clone(),
                    });
                carriers.entry(resolved).or_default().push(index);
            }
        }
        let mut guards = Vec::new();
        for (resolved, classes) in carriers {
            let mut members = vec![false; board.classes.len()];
            for class in classes {
                members[class] = true;
            }
            let topology = board.topology(&resolved.key);
            let tally = board.add_tally(Tally::new(topology, Hosts::WithKey, true, members));
            guards.push((resolved, tally));
        }
        Self { guards, ..Self::default() }
    }

    /// What speaks against a pod that is on no host now going to a host.
    pub(super) fn faults(&mut self, board: &mut Board<'_>, body: usize, at: usize) -> Vec<(Fault, String)> {
        let terms = self.terms(board, board.bodies[body].class);
        let host = &board.hosts[at];
        let count = |tally: usize| board.domain(tally, at).map(|domain| board.tallies[tally].count(domain));
        let mut faults = Vec::new();
        if terms.unknown {
            let text = "a term of pod affinity or anti-affinity cannot be read".to_owned();
            faults.push((Fault::ConstraintUnknown, text));
        }
        for tally in &terms.guards {
            if count(*tally).is_some_and(|pods| pods > 0) {
                let text = format!("a pod in the same {} as node {} repels it", board.key(*tally), host.name);
                faults.push((Fault::PodAntiAffinity, text));
            }
        }
        for tally in &terms.anti {
            if count(*tally).is_some_and(|pods| pods > 0) {
                let text = format!("it repels a pod in the same {} as node {}", board.key(*tally), host.name);
                faults.push((Fault::PodAntiAffinity, text));
            }
        }
        let nobody = terms.affinity.iter().all(|tally| board.tallies[*tally].total() == 0);
        for tally in &terms.affinity {
            let met = match count(*tally) {
                None => false,
                Some(pods) => pods > 0 || (nobody && terms.matches_itself),
            };
            if !met {
                let text =
                    format!("no pod that it must be near is in the same {} as node {}", board.key(*tally), host.name);
                faults.push((Fault::PodAffinity, text));
            }
        }
        faults
    }

    /// Whether a pod that now runs on a new node would be repelled by others if that node came up elsewhere.
    pub(super) fn repelled(&self, board: &Board<'_>, body: usize, now: &Host<'_>, instead: &Host<'_>) -> bool {
        let Some(terms) = self.by_class.get(&board.bodies[body].class) else { return false };
        terms.guards.iter().any(|tally| {
            let domain = board.domain_of(*tally, &instead.labels);
            domain != board.domain_of(*tally, &now.labels)
                && domain.is_some_and(|domain| board.tallies[*tally].count(domain) > 0)
        })
    }

    fn terms(&mut self, board: &mut Board<'_>, index: usize) -> Terms {
        if let Some(terms) = self.by_class.get(&index) {
            return terms.clone();
        }
        let class = &board.classes[index];
        let (namespace, labels, affinity) = (class.namespace, class.labels, &class.shape.affinity);
        let mut terms = Terms::default();
        for (resolved, tally) in &self.guards {
            if matches(resolved, namespace, labels).unwrap_or(true) {
                terms.guards.push(*tally);
            }
        }
        let resolved = |terms: &[PodAffinityTerm]| -> Option<Vec<Resolved>> {
            terms.iter().map(|term| resolve(term, namespace, labels, board.snapshot)).collect()
        };
        let wanted = resolved(&affinity.pod_affinity.required);
        let unwanted = resolved(&affinity.pod_anti_affinity.required);
        terms.unknown = wanted.is_none() || unwanted.is_none();
        // A pod counts for affinity only when it matches all terms; for anti-affinity each term stands alone.
        let wanted = wanted.unwrap_or_default();
        for term in &wanted {
            terms.affinity.push(self.tally(board, wanted.clone(), &term.key, &mut terms.unknown));
        }
        terms.matches_itself = wanted.iter().all(|term| matches(term, namespace, labels) == Some(true));
        for term in unwanted.unwrap_or_default() {
            let key = term.key.clone();
            terms.anti.push(self.tally(board, vec![term], &key, &mut terms.unknown));
        }
        self.by_class.insert(index, terms.clone());
        terms
    }

    fn tally(&mut self, board: &mut Board<'_>, terms: Vec<Resolved>, key: &str, unknown: &mut bool) -> usize {
        let name = (terms, key.to_owned());
        if let Some(tally) = self.tallies.get(&name) {
            return *tally;
        }
        let mut members = Vec::with_capacity(board.classes.len());
        for class in &board.classes {
            let mut all = Some(true);
            for term in &name.0 {
                all = super::selectors::and(all, matches(term, class.namespace, class.labels));
            }
            *unknown |= all.is_none();
            members.push(all == Some(true));
        }
        let topology = board.topology(key);
        let tally = board.add_tally(Tally::new(topology, Hosts::WithKey, true, members));
        self.tallies.insert(name, tally);
        tally
    }
}

fn matches(term: &Resolved, namespace: &str, labels: &Labels) -> Option<bool> {
    let Some(selector) = &term.selector else { return Some(false) };
    if term.namespaces.as_ref().is_some_and(|named| !named.contains(namespace)) {
        return Some(false);
    }
    selects(selector, labels)
}

/// Fills in a term; `None` when the namespaces that it speaks of are not known.
fn resolve(term: &PodAffinityTerm, namespace: &str, labels: &Labels, snapshot: &Snapshot) -> Option<Resolved> {
    let mut namespaces: Option<BTreeSet<String>> = Some(term.namespaces.iter().cloned().collect());
    match &term.namespace_selector {
        None if term.namespaces.is_empty() => namespaces = Some(BTreeSet::from([namespace.to_owned()])),
        None => {}
        Some(selector) if selector.is_empty() => namespaces = None,
        Some(selector) => {
            for candidate in snapshot.namespaces.as_ref()? {
                if selects(selector, &candidate.metadata.labels)? {
                    namespaces.as_mut()?.insert((*candidate.metadata.name).to_owned());
                }
            }
        }
    }
    let selector = term.label_selector.as_ref().map(|selector| {
        let mut selector = selector.clone();
        narrow(&mut selector, &term.match_label_keys, &Operator::In, labels);
        narrow(&mut selector, &term.mismatch_label_keys, &Operator::NotIn, labels);
        selector
    });
    Some(Resolved { namespaces, selector, key: term.topology_key.clone() })
}

/// Adds the pod's own values of some keys to a selector; keys that the pod lacks are left out.
pub(super) fn narrow(selector: &mut LabelSelector, keys: &[String], operator: &Operator, labels: &Labels) {
    for key in keys {
        if let Some(value) = labels.get(key) {
            let expression = Expression { key: key.clone(), operator: operator.clone(), values: vec![value.clone()] };
            // The API server may have merged it already.
            if !selector.match_expressions.contains(&expression) {
                selector.match_expressions.push(expression);
            }
        }
    }
}
