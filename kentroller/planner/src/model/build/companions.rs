//! Pods that must share their node with others: where they may go.

use std::collections::{BTreeMap, BTreeSet};

use typed_index_collections::{TiSlice, TiVec};

use super::asked::Asked;
use super::nodes::KnownNode;
use super::templates::Template;
use crate::manifest::marks::HOSTNAME;
use crate::manifest::{Expression, Moment, NodeSelectorTerm, Operator, RequiredNodeTerms};
use crate::model::NodeId;
use crate::rules::terms::Demand;
use crate::rules::{PodRole, PodRules};
use crate::value::Options;

/// Where a pod may go by the company that it needs on its node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// It needs none, or is the only one of those that it must be beside.
    Anywhere,
    /// To nodes that stay, where others of its company run.
    Beside(RequiredNodeTerms),
    /// Nowhere that can be told: those whom it needs may move themselves.
    Nowhere,
}

/// By term of affinity to a node's own pods: whom it selects.
#[derive(Default)]
struct Companions<'a> {
    by_term: BTreeMap<usize, (usize, BTreeSet<&'a str>)>,
}

impl<'a> Companions<'a> {
    /// Counts a pod that a term selects; `stays`: the node that it runs on, if that takes pods and certainly stays.
    fn count(&mut self, term: usize, stays: Option<&'a str>) {
        let (count, hosts) = self.by_term.entry(term).or_default();
        *count += 1;
        hosts.extend(stays);
    }

    /// Where a pod may go that has such terms; `selected`: those that select the pod itself.
    ///
    /// With several terms of affinity only pods that satisfy all of them are company. That is not counted here.
    fn of(&self, terms: &[usize], other_terms: bool, selected: &[usize]) -> Company {
        let [term] = terms else { return if terms.is_empty() { Company::Anywhere } else { Company::Nowhere } };
        if other_terms {
            return Company::Nowhere;
        }
        let none = (0, BTreeSet::new());
        let (count, hosts) = self.by_term.get(term).unwrap_or(&none);
        if *count == 1 && selected.contains(term) {
            return Company::Anywhere;
        }
        if hosts.is_empty() {
            return Company::Nowhere;
        }
        let beside = Expression {
            key: HOSTNAME.to_owned(),
            operator: Operator::In,
            values: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        let term = NodeSelectorTerm { match_expressions: vec![beside], match_fields: Vec::new() };
        Company::Beside(RequiredNodeTerms { node_selector_terms: vec![term] })
    }
}

/// By template: where its pods may go by the company that they need.
pub(super) fn companies(
    asked: &Asked<'_>,
    known: &TiSlice<NodeId, KnownNode<'_>>,
    rules: &PodRules<'_>,
    now: Moment,
    options: &Options,
) -> Vec<Company> {
    let is_together = |term: &usize| asked.of.terms[*term].demand == Demand::Together;
    let is_company = |term: &usize| is_together(term) && asked.of.terms[*term].key == HOSTNAME;
    let mut companions = Companions::default();
    if (0..asked.of.terms.len()).any(|term| is_company(&term)) {
        let stays = stays(asked, known, rules, now, options);
        for one in &asked.pods {
            let node = one.node.filter(|node| stays[*node] && matches!(one.role, PodRole::Workload | PodRole::Daemon));
            for term in asked.templates[one.template].selected.iter().filter(|term| is_company(term)) {
                companions.count(*term, node.map(|node| &*known[node].observed.node.metadata.name));
            }
        }
    }
    let company = |template: &Template| {
        let together: Vec<usize> = template.owned.iter().copied().filter(is_together).collect();
        let of_node: Vec<usize> = together.iter().copied().filter(is_company).collect();
        if of_node.is_empty() && together.len() > 1 {
            return Company::Nowhere;
        }
        companions.of(&of_node, together.len() > of_node.len(), &template.selected)
    };
    asked.templates.iter().map(company).collect()
}

/// Which nodes certainly stay, take pods, and are found again by their label.
fn stays(
    asked: &Asked<'_>,
    known: &TiSlice<NodeId, KnownNode<'_>>,
    rules: &PodRules<'_>,
    now: Moment,
    options: &Options,
) -> TiVec<NodeId, bool> {
    // A rule that holds a pod holds its node. Other nodes may stay as well, but that is not certain.
    let mut stays: TiVec<NodeId, bool> = vec![false; known.len()].into();
    for one in asked.pods.iter().filter(|one| one.role == PodRole::Workload) {
        if let Some(node) = one.node {
            stays[node] |= rules.holds(one.pod).is_some();
        }
    }
    for (KnownNode { observed, .. }, stays) in known.iter().zip(&mut stays) {
        let reason = |is_empty| observed.holds(now, options, is_empty, false);
        let is_named = observed.label(HOSTNAME).is_some_and(|name| *name == *observed.node.metadata.name);
        *stays = is_named
            && observed.receives(now, options)
            && (*stays || [true, false].into_iter().all(|is_empty| reason(is_empty).is_some()));
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn company_is_sought_where_it_stays() {
        let mut companions = Companions::default();
        companions.count(1, Some("a"));
        companions.count(1, None);
        companions.count(2, None);
        companions.count(3, None);
        companions.count(3, None);
        for (claim, terms, others, selected, anywhere, nowhere) in [
            ("none needed", vec![], false, vec![], true, false),
            ("some on a node that stays", vec![1], false, vec![], false, false),
            ("alone of its kind", vec![2], false, vec![2], true, false),
            ("one that may move", vec![2], false, vec![], false, true),
            ("two that may move", vec![3], false, vec![3], false, true),
            ("nobody", vec![4], false, vec![], false, true),
            ("two terms", vec![1, 2], false, vec![], false, true),
            ("another term beside", vec![1], true, vec![], false, true),
        ] {
            let company = companions.of(&terms, others, &selected);
            assert_eq!(company == Company::Anywhere, anywhere, "{claim}");
            assert_eq!(company == Company::Nowhere, nowhere, "{claim}");
        }
    }
}
