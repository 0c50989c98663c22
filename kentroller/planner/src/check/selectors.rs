//! Label selectors, node selector terms and tolerations, read as the API server and kube-scheduler read them.
//!
//! Answers are `Some(true)`, `Some(false)`, or `None` where a word is not known: whoever asks then refuses.

use crate::manifest::{
    Effect, Expression, LabelSelector, Labels, NodeSelectorTerm, Operator, PodShape, RequiredNodeTerms, Taint,
    Toleration,
};

/// A label as far as it is known: nodes that do not exist yet carry labels that nobody can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    Is(&'a str),
    Absent,
    Untold,
}

/// Whether one comparison holds.
pub(super) fn holds(expression: &Expression, label: Known<'_>) -> Option<bool> {
    satisfies(&expression.operator, &expression.values, label)
}

/// As [`holds`], of the parts of an expression.
pub(super) fn satisfies(operator: &Operator, values: &[String], label: Known<'_>) -> Option<bool> {
    let value = match label {
        Known::Is(value) => Some(value),
        Known::Absent => None,
        Known::Untold => return None,
    };
    let listed = |value: &str| values.iter().any(|wanted| wanted == value);
    let compared = |wanted: &[std::cmp::Ordering]| -> Option<bool> {
        let [bound] = values else { return None };
        let bound: i64 = bound.parse().ok()?;
        // A label that is absent or no integer satisfies no comparison.
        Some(value.and_then(|value| value.parse::<i64>().ok()).is_some_and(|value| wanted.contains(&value.cmp(&bound))))
    };
    use std::cmp::Ordering::{Equal, Greater, Less};
    match operator {
        Operator::In => Some(value.is_some_and(listed)),
        Operator::NotIn => Some(value.is_none_or(|value| !listed(value))),
        Operator::Exists => Some(value.is_some()),
        Operator::DoesNotExist => Some(value.is_none()),
        Operator::Gt => compared(&[Greater]),
        Operator::Lt => compared(&[Less]),
        Operator::Gte => compared(&[Greater, Equal]),
        Operator::Lte => compared(&[Less, Equal]),
        Operator::Unknown(_) => None,
    }
}

/// Whether a label selector matches; an empty one matches everything.
pub(super) fn selects(selector: &LabelSelector, labels: &Labels) -> Option<bool> {
    let equal = selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
    let mut all = equal;
    for expression in &selector.match_expressions {
        // Only the four set operators exist here.
        if matches!(expression.operator, Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte) {
            return None;
        }
        let label = labels.get(&expression.key).map_or(Known::Absent, |value| Known::Is(value));
        all &= holds(expression, label)?;
    }
    Some(all)
}

/// Whether all comparisons of a node selector term hold; a term without any matches no node.
pub(super) fn term_matches<'a>(
    term: &NodeSelectorTerm,
    name: &str,
    label: &impl Fn(&str) -> Known<'a>,
) -> Option<bool> {
    if term.match_expressions.is_empty() && term.match_fields.is_empty() {
        return Some(false);
    }
    let mut answer = Some(true);
    for expression in &term.match_expressions {
        answer = and(answer, holds(expression, label(&expression.key)));
    }
    for field in &term.match_fields {
        let one = if field.key == "metadata.name" { holds(field, Known::Is(name)) } else { None };
        answer = and(answer, one);
    }
    answer
}

/// Whether one of the terms holds.
pub(super) fn any_term<'a>(terms: &[NodeSelectorTerm], name: &str, label: &impl Fn(&str) -> Known<'a>) -> Option<bool> {
    let mut answer = Some(false);
    for term in terms {
        match term_matches(term, name, label) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => answer = None,
        }
    }
    answer
}

/// Whether a node satisfies a pod's `nodeSelector` and required node affinity.
pub(super) fn node_wanted<'a>(shape: &PodShape, name: &str, label: &impl Fn(&str) -> Known<'a>) -> Option<bool> {
    let mut answer = Some(true);
    for (key, value) in &shape.node_selector {
        let one = match label(key) {
            Known::Is(has) => Some(has == value),
            Known::Absent => Some(false),
            Known::Untold => None,
        };
        answer = and(answer, one);
    }
    if let Some(RequiredNodeTerms { node_selector_terms }) = &shape.affinity.node_affinity.required {
        answer = and(answer, any_term(node_selector_terms, name, label));
    }
    answer
}

/// Whether both hold. A certain no wins over what is not known.
pub(super) fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// The first taint that keeps a pod from being scheduled.
pub(super) fn untolerated<'t>(
    tolerations: &[Toleration],
    taints: impl IntoIterator<Item = &'t Taint>,
) -> Option<&'t Taint> {
    taints
        .into_iter()
        .filter(|taint| taint.effect != Effect::PreferNoSchedule)
        .find(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

/// A pod that bears a taint for a while only would be evicted again.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    if taint.effect == Effect::NoExecute && toleration.toleration_seconds.is_some() {
        return false;
    }
    let effect = match &taint.effect {
        Effect::NoSchedule => "NoSchedule",
        Effect::NoExecute => "NoExecute",
        Effect::PreferNoSchedule => "PreferNoSchedule",
        Effect::Unknown(_) => return false,
    };
    if !(toleration.effect.is_empty() || toleration.effect == effect) {
        return false;
    }
    match toleration.operator.as_str() {
        "Exists" => toleration.key.is_empty() || toleration.key == taint.key,
        "" | "Equal" => toleration.key == taint.key && toleration.value == taint.value,
        // `Lt` and `Gt` are behind a feature gate whose state cannot be told from here.
        _ => false,
    }
}
