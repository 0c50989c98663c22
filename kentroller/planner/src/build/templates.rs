//! What is the same for all pods of one shape, namespace, labels and volumes.
use std::collections::BTreeMap;

use crate::{
    Rule,
    cluster::Vector,
    companions::{Companions, Company},
    manifest::{Labels, RequiredNodeTerms},
    rules::terms::{Demand, HOSTNAME, Term},
};

/// What is the same for all pods of one shape, namespace, labels and volumes.
pub(super) struct Template {
    pub(super) needs: usize,
    /// Terms that the pod owns, by number.
    pub(super) owned: Vec<usize>,
    /// Terms that select the pod, by number.
    pub(super) selected: Vec<usize>,
    pub(super) ports: Vec<(String, i32)>,
    pub(super) request: Vector,
    pub(super) rule: Option<Rule>,
    /// Whether volumes tie it to a place.
    pub(super) tied: bool,
}

/// Shape and labels by address, namespace, what its volumes ask for, and whether it belongs to its node.
pub(super) type TemplateKey<'a> = (usize, &'a str, usize, Vec<RequiredNodeTerms>, Option<Rule>, bool);

impl Template {
    pub(super) fn company(&self, companions: &Companions<'_>, all_terms: &[Term]) -> Company {
        let together = || self.owned.iter().copied().filter(|term| all_terms[*term].demand == Demand::Together);
        let of_node: Vec<usize> = together().filter(|term| all_terms[*term].key == HOSTNAME).collect();
        companions.of(&of_node, together().count() > of_node.len(), &self.selected)
    }
}

/// Finds for each template the terms that select it.
pub(super) fn select(templates: &mut [Template], sources: &[(&str, &Labels)], all_terms: &[Term]) {
    // Most selectors name a label and its value; only those whose first pair the pod has are tried.
    let mut by_pair: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    let mut others = Vec::new();
    for (number, term) in all_terms.iter().enumerate() {
        match term.selector.match_labels.iter().next() {
            Some((key, value)) => by_pair.entry((key, value)).or_default().push(number),
            None => others.push(number),
        }
    }
    for (template, (namespace, labels)) in templates.iter_mut().zip(sources) {
        let pairs = labels.iter().filter_map(|(key, value)| by_pair.get(&(key.as_str(), value.as_str())));
        let tried = pairs.flatten().chain(&others);
        template.selected = tried.copied().filter(|term| all_terms[*term].selects(namespace, labels)).collect();
        template.selected.sort_unstable();
    }
}
