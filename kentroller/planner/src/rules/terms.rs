//! Which pods may share a node or a zone: required (anti-)affinity and topology spread, as counts by domain.

use std::collections::BTreeMap;

use super::placement::FULL_WEIGHT;
use crate::manifest::{LabelSelector, Labels, PodAffinityTerm, PodShape, SpreadConstraint};

/// What a term demands of the pods that it selects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    /// No selected pod in the owner's domain.
    Apart,
    /// A selected pod in the owner's domain.
    Together,
    /// Selected pods spread over domains.
    Spread {
        max_skew: i64,
        min_domains: i64,
        /// Whether domains count only where the pod's node selector and affinity hold.
        honor_affinity: bool,
        /// Whether domains count only where the pod tolerates the taints.
        honor_taints: bool,
        /// The owner's needs, by number. They decide which nodes count where a policy honours them.
        needs: u32,
        /// The labels of all its hard spreads. A node that lacks one of them counts for none.
        keys: Vec<String>,
    },
}

/// One demand about pods of some namespaces, per domain of one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term {
    pub demand: Demand,
    pub key: String,
    pub selector: LabelSelector,
    /// Sorted; `None`: every namespace.
    pub namespaces: Option<Vec<String>>,
}

/// A term cannot be judged: an operator, a policy or a namespace's labels are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotKnown;

impl Term {
    /// Whether the term selects a pod. Terms with unknown operators were refused when they were made.
    pub(crate) fn selects(&self, namespace: &str, labels: &Labels) -> bool {
        let here =
            self.namespaces.as_ref().is_none_or(|list| list.binary_search_by(|n| n.as_str().cmp(namespace)).is_ok());
        here && self.selector.matches(labels).unwrap_or(false)
    }
}

/// The hard terms of a pod.
pub(crate) fn of_pod(
    shape: &PodShape,
    namespace: &str,
    labels: &Labels,
    needs: u32,
    namespaces: Option<&BTreeMap<String, Labels>>,
) -> Result<Vec<Term>, NotKnown> {
    let mut terms = Vec::new();
    for (list, demand) in [
        (&shape.affinity.pod_anti_affinity.required, Demand::Apart),
        (&shape.affinity.pod_affinity.required, Demand::Together),
    ] {
        for term in list {
            terms.push(of_affinity(term, demand.clone(), namespace, labels, namespaces)?);
        }
    }
    let hard = shape.topology_spread_constraints.iter().filter(|one| one.when_unsatisfiable != "ScheduleAnyway");
    let mut keys: Vec<String> = hard.map(|one| one.topology_key.clone()).collect();
    keys.sort();
    for constraint in &shape.topology_spread_constraints {
        match constraint.when_unsatisfiable.as_str() {
            "" | "DoNotSchedule" => terms.push(of_spread(constraint, namespace, labels, (needs, keys.clone()))?),
            "ScheduleAnyway" => {}
            _ => return Err(NotKnown),
        }
    }
    terms.sort();
    terms.dedup();
    Ok(terms)
}

/// The soft terms of a pod with their weights of 1 to 100. One that cannot be judged weighs nothing.
pub(crate) fn preferred_terms(
    shape: &PodShape,
    namespace: &str,
    labels: &Labels,
    namespaces: Option<&BTreeMap<String, Labels>>,
) -> Vec<(Term, i64)> {
    let mut preferred_terms = Vec::new();
    for (list, demand) in [
        (&shape.affinity.pod_anti_affinity.preferred, Demand::Apart),
        (&shape.affinity.pod_affinity.preferred, Demand::Together),
    ] {
        for one in list {
            let term = of_affinity(&one.pod_affinity_term, demand.clone(), namespace, labels, namespaces);
            preferred_terms.extend(term.ok().map(|term| (term, i64::from(one.weight).clamp(0, FULL_WEIGHT))));
        }
    }
    for constraint in shape.topology_spread_constraints.iter().filter(|one| one.when_unsatisfiable == "ScheduleAnyway")
    {
        preferred_terms.extend(
            of_spread(constraint, namespace, labels, (u32::MAX, Vec::new())).ok().map(|term| (term, FULL_WEIGHT)),
        );
    }
    preferred_terms
}

fn of_affinity(
    term: &PodAffinityTerm,
    demand: Demand,
    namespace: &str,
    labels: &Labels,
    known: Option<&BTreeMap<String, Labels>>,
) -> Result<Term, NotKnown> {
    let mut selector = term.label_selector.clone();
    if let Some(selector) = &mut selector {
        merge(selector, &term.match_label_keys, labels, crate::manifest::Operator::In);
        merge(selector, &term.mismatch_label_keys, labels, crate::manifest::Operator::NotIn);
    }
    let namespaces = match &term.namespace_selector {
        None if term.namespaces.is_empty() => Some(vec![namespace.to_owned()]),
        None => Some(term.namespaces.clone()),
        Some(selector) if selector.is_empty() => None,
        Some(selector) => {
            let mut list = term.namespaces.clone();
            for (name, labels) in known.ok_or(NotKnown)? {
                if selector.matches(labels).ok_or(NotKnown)? {
                    list.push(name.clone());
                }
            }
            Some(list)
        }
    };
    finish(demand, &term.topology_key, selector, namespaces)
}

/// `owner`: its needs, and the labels of all its hard spreads.
fn of_spread(
    constraint: &SpreadConstraint,
    namespace: &str,
    labels: &Labels,
    (needs, keys): (u32, Vec<String>),
) -> Result<Term, NotKnown> {
    let mut selector = constraint.label_selector.clone();
    if let Some(selector) = &mut selector {
        merge(selector, &constraint.match_label_keys, labels, crate::manifest::Operator::In);
    }
    // One that is empty counts nobody: `countPodsMatchSelector` of kube-scheduler's plugin PodTopologySpread.
    let selector = selector.filter(|selector| !selector.is_empty());
    let policy = |word: &str, default: bool| match word {
        "" => Ok(default),
        "Honor" => Ok(true),
        "Ignore" => Ok(false),
        _ => Err(NotKnown),
    };
    let honor_affinity = policy(&constraint.node_affinity_policy, true)?;
    let honor_taints = policy(&constraint.node_taints_policy, false)?;
    if constraint.max_skew < 1 {
        return Err(NotKnown);
    }
    let demand = Demand::Spread {
        max_skew: i64::from(constraint.max_skew),
        min_domains: i64::from(constraint.min_domains.unwrap_or(1)),
        honor_affinity,
        honor_taints,
        needs: if honor_affinity || honor_taints { needs } else { u32::MAX },
        keys,
    };
    finish(demand, &constraint.topology_key, selector, Some(vec![namespace.to_owned()]))
}

fn finish(
    demand: Demand,
    key: &str,
    selector: Option<LabelSelector>,
    namespaces: Option<Vec<String>>,
) -> Result<Term, NotKnown> {
    // An absent selector selects no pod; `In` nothing does the same.
    let selector = selector.unwrap_or_else(|| LabelSelector {
        match_expressions: vec![crate::manifest::Expression {
            key: String::new(),
            operator: crate::manifest::Operator::In,
            values: Vec::new(),
        }],
        ..LabelSelector::default()
    });
    if key.is_empty() || selector.matches(&Labels::new()).is_none() && !selector.match_labels.is_empty() {
        return Err(NotKnown);
    }
    if selector.match_expressions.iter().any(|expression| expression.admits(Some("")).is_none()) {
        return Err(NotKnown);
    }
    let namespaces = namespaces.map(|mut list| {
        list.sort();
        list.dedup();
        list
    });
    Ok(Term { demand, key: key.to_owned(), selector, namespaces })
}

/// Narrows a selector to pods that have (or have not) the owner's own value of some labels.
fn merge(selector: &mut LabelSelector, keys: &[String], labels: &Labels, operator: crate::manifest::Operator) {
    for key in keys {
        if let Some(value) = labels.get(key) {
            selector.match_expressions.push(crate::manifest::Expression {
                key: key.clone(),
                operator: operator.clone(),
                values: vec![value.clone()],
            });
        }
    }
}
