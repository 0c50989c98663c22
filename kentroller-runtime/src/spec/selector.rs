//! A label selector in a spec.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Kubernetes' label selector: every one of its labels and expressions must hold. An empty one selects everything.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use kentroller_runtime::spec::LabelSelector;
///
/// let selector: LabelSelector = serde_json::from_value(serde_json::json!({
///     "matchLabels": {"app": "cart"},
///     "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["test"]}],
/// }))?;
/// let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
/// assert!(selector.matches(&labels(&[("app", "cart"), ("tier", "web")])));
/// assert!(!selector.matches(&labels(&[("app", "cart"), ("tier", "test")])));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels with the values that they must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a [`LabelSelector`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// The label that it is about.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`; a word that this build does not know holds for nothing.
    pub operator: String,
    /// The values of `In` and `NotIn`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl LabelSelector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

impl JsonSchema for LabelSelector {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "LabelSelector".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({ "type": "string" });
        json_schema!({ "type": "object", "properties": {
            "matchLabels": { "type": "object", "additionalProperties": text, "description": "Labels with the values that they must have." },
            "matchExpressions": { "type": "array", "description": "Further requirements.", "items": {
                "type": "object", "required": ["key", "operator"], "properties": {
                    "key": { "type": "string", "description": "The label that it is about." },
                    "operator": { "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"], "description": "How the label is held against the values." },
                    "values": { "type": "array", "items": text, "description": "The values of In and NotIn." },
                },
            } },
        } })
    }
}

impl JsonSchema for Requirement {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Requirement".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = LabelSelector::json_schema(generator).to_value();
        Schema::try_from(whole["properties"]["matchExpressions"]["items"].clone()).unwrap_or_default()
    }
}

/// The schema says all that there is to check.
impl garde::Validate for LabelSelector {
    type Context = ();

    fn validate_into(&self, (): &(), _: &mut dyn FnMut() -> garde::Path, _: &mut garde::Report) {}
}

/// As [`LabelSelector`].
impl garde::Validate for Requirement {
    type Context = ();

    fn validate_into(&self, (): &(), _: &mut dyn FnMut() -> garde::Path, _: &mut garde::Report) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_selects_as_kubernetes_does() {
        let labels: BTreeMap<String, String> = [("app".to_owned(), "cart".to_owned())].into();
        let check = |key: &str, operator: &str, values: &[&str], want: bool| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let one = Requirement { key: key.to_owned(), operator: operator.to_owned(), values };
            let selector = LabelSelector { match_expressions: vec![one], ..LabelSelector::default() };
            assert_eq!(selector.matches(&labels), want, "{key} {operator}");
        };
        check("app", "In", &["cart", "shop"], true);
        check("app", "In", &["shop"], false);
        check("app", "NotIn", &["shop"], true);
        check("app", "NotIn", &["cart"], false);
        check("tier", "NotIn", &["web"], true);
        check("app", "Exists", &[], true);
        check("tier", "Exists", &[], false);
        check("tier", "DoesNotExist", &[], true);
        check("app", "Near", &["cart"], false);
        assert!(LabelSelector::default().matches(&labels));
    }
}
