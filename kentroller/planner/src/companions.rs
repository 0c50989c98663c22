//! Pods that must share their node with others: where they may go.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    manifest::{Expression, NodeSelectorTerm, Operator, RequiredNodeTerms},
    rules::terms::HOSTNAME,
};

/// Where a pod may go by the company that it needs on its node.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// It needs none, or is the only one of those that it must be beside.
    Anywhere,
    /// To nodes that stay, where others of its company run.
    Beside(RequiredNodeTerms),
    /// Nowhere that can be told: those whom it needs may move themselves.
    Nowhere,
}

/// By term of affinity to a node's own pods: whom it selects.
#[derive(Debug, Default)]
pub(crate) struct Companions<'a> {
    by_term: BTreeMap<usize, (usize, BTreeSet<&'a str>)>,
}

impl<'a> Companions<'a> {
    /// Counts a pod that a term selects; `stays`: the node that it runs on, if that takes pods and certainly stays.
    pub(crate) fn count(&mut self, term: usize, stays: Option<&'a str>) {
        let (count, hosts) = self.by_term.entry(term).or_default();
        *count += 1;
        hosts.extend(stays);
    }

    /// Where a pod may go that has such terms; `selected`: those that select the pod itself.
    ///
    /// With several terms of affinity only pods that satisfy all of them are company, which is not counted here.
    pub(crate) fn of(&self, terms: &[usize], other_terms: bool, selected: &[usize]) -> Company {
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
