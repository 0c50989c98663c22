//! Which labels a selector means.
//!
//! After "Labels and Selectors" and "Assigning Pods to Nodes" (operators). A word that is not known holds for nothing.

use kentroller_planner::manifest::{LabelSelector, Labels, NodeSelectorTerm, Operator};

/// Whether a label selector means an object; an empty one means all.
pub(crate) fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let equal = selector.match_labels.iter().all(|(key, value)| labels.get(key).is_some_and(|own| own == value));
    let compares = |operator: &Operator| {
        matches!(operator, Operator::In | Operator::NotIn | Operator::Exists | Operator::DoesNotExist)
    };
    equal
        && selector.match_expressions.iter().all(|one| {
            compares(&one.operator) && holds(&one.operator, &one.values, labels.get(&one.key).map(String::as_str))
        })
}

/// Whether a term of a node selector means a node; an empty one means none.
pub(crate) fn term_selects(term: &NodeSelectorTerm, node: &str, labels: &Labels) -> bool {
    let NodeSelectorTerm { match_expressions: expressions, match_fields: fields } = term;
    let is_empty = expressions.is_empty() && fields.is_empty();
    !is_empty
        && expressions.iter().all(|one| holds(&one.operator, &one.values, labels.get(&one.key).map(String::as_str)))
        && fields.iter().all(|one| one.key == "metadata.name" && holds(&one.operator, &one.values, Some(node)))
}

/// Whether the value of a label (`None` where the label is missing) is as an operator wants it.
pub(crate) fn holds(operator: &Operator, values: &[String], value: Option<&str>) -> bool {
    let listed = value.is_some_and(|value| values.iter().any(|one| one == value));
    let against = || match (value?.parse::<i64>(), values) {
        (Ok(value), [limit]) => Some(value.cmp(&limit.parse().ok()?)),
        _ => None,
    };
    match operator {
        Operator::In => listed,
        Operator::NotIn => !listed,
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::Gt => against().is_some_and(std::cmp::Ordering::is_gt),
        Operator::Gte => against().is_some_and(std::cmp::Ordering::is_ge),
        Operator::Lt => against().is_some_and(std::cmp::Ordering::is_lt),
        Operator::Lte => against().is_some_and(std::cmp::Ordering::is_le),
        Operator::Unknown(_) => false,
    }
}
