//! Label selectors and node selector terms.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Labels, or_default};

/// How a selector compares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum Operator {
    #[default]
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
    Gte,
    Lte,
    /// A word that this build does not know; whatever carries it is never acted on.
    #[serde(untagged)]
    Unknown(String),
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => f.write_str(word),
            known => write!(f, "{known:?}"),
        }
    }
}

/// One comparison of a selector or of a NodePool's requirements.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Expression {
    #[serde(deserialize_with = "or_default")]
    pub key: String,
    pub operator: Operator,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl Expression {
    /// Whether a label's value (`None`: the label is absent) satisfies this; `None` for an unknown operator or a bound that is no integer.
    pub fn admits(&self, value: Option<&str>) -> Option<bool> {
        let integer = |text: &str| text.parse::<i64>().ok();
        let bound = |holds: fn(i64, i64) -> bool| {
            let limit = self.values.first().and_then(|text| integer(text))?;
            if self.values.len() != 1 {
                return None;
            }
            Some(value.and_then(integer).is_some_and(|value| holds(value, limit)))
        };
        match &self.operator {
            Operator::In => Some(value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value))),
            Operator::NotIn => Some(!value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value))),
            Operator::Exists => Some(value.is_some()),
            Operator::DoesNotExist => Some(value.is_none()),
            Operator::Gt => bound(|value, limit| value > limit),
            Operator::Lt => bound(|value, limit| value < limit),
            Operator::Gte => bound(|value, limit| value >= limit),
            Operator::Lte => bound(|value, limit| value <= limit),
            Operator::Unknown(_) => None,
        }
    }
}

/// A label selector: everything must hold; an empty one matches all objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    #[serde(deserialize_with = "or_default")]
    pub match_labels: Labels,
    #[serde(deserialize_with = "or_default")]
    pub match_expressions: Vec<Expression>,
}

impl LabelSelector {
    /// Whether labels satisfy the selector; `None` when it holds an operator that is unknown, or none of label selectors.
    pub fn matches(&self, labels: &Labels) -> Option<bool> {
        let mut all = self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        for expression in &self.match_expressions {
            if matches!(expression.operator, Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte) {
                return None;
            }
            all &= expression.admits(labels.get(&expression.key).map(String::as_str))?;
        }
        Some(all)
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

/// A term of a node selector: all its expressions must hold; an empty one matches no node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    #[serde(deserialize_with = "or_default")]
    pub match_expressions: Vec<Expression>,
    #[serde(deserialize_with = "or_default")]
    pub match_fields: Vec<Expression>,
}

impl NodeSelectorTerm {
    /// Whether a node satisfies the term; `None` when it holds an unknown operator or field.
    pub fn matches(&self, name: &str, labels: &Labels) -> Option<bool> {
        if self.match_expressions.is_empty() && self.match_fields.is_empty() {
            return Some(false);
        }
        let mut all = true;
        for expression in &self.match_expressions {
            all &= expression.admits(labels.get(&expression.key).map(String::as_str))?;
        }
        for field in &self.match_fields {
            if field.key != "metadata.name" {
                return None;
            }
            all &= field.admits(Some(name))?;
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_admits_what_the_scheduler_admits() {
        let cases = [
            ("In", vec!["a", "b"], Some("a"), Some(true)),
            ("In", vec!["a"], None, Some(false)),
            ("NotIn", vec!["a"], None, Some(true)),
            ("NotIn", vec!["a"], Some("a"), Some(false)),
            ("Exists", vec![], Some(""), Some(true)),
            ("DoesNotExist", vec![], None, Some(true)),
            ("Gt", vec!["4"], Some("8"), Some(true)),
            ("Gt", vec!["4"], Some("4"), Some(false)),
            ("Gte", vec!["4"], Some("4"), Some(true)),
            ("Lt", vec!["4"], None, Some(false)),
            ("Lt", vec!["four"], Some("3"), None),
            ("Near", vec!["4"], Some("3"), None),
        ];
        for (operator, values, value, admitted) in cases {
            let expression: Expression =
                serde_json::from_value(serde_json::json!({"key": "k", "operator": operator, "values": values}))
                    .expect(operator);
            assert_eq!(expression.admits(value), admitted, "{operator} {values:?} {value:?}");
        }
    }
}
