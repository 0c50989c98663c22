//! Which nodes a claim is about.

use kentroller_planner::manifest;
use kentroller_runtime::resource;

#[resource(part)]
/// Which nodes a plan may replace.
///
/// A claim without a scope is about the whole cluster; a scope that is given and names nothing is about no node.
#[rule(
    "!(has(self.nodeNames) && size(self.nodeNames) > 0 && has(self.nodeSelector))",
    message = "nodeNames and nodeSelector are mutually exclusive"
)]
#[derive(Default)]
pub struct Scope {
    /// The names of the nodes; not together with nodeSelector.
    pub node_names: Vec<String>,
    /// Selects nodes by labels and fields; not together with nodeNames.
    pub node_selector: Option<NodeSelector>,
}

#[resource(part)]
/// Selects nodes: one of the terms must hold.
#[derive(Default)]
pub struct NodeSelector {
    /// The terms, of which one must hold for a node.
    #[required]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

#[resource(part)]
/// A term holds when all its requirements hold; a term without any holds for no node.
#[derive(Default)]
pub struct NodeSelectorTerm {
    /// Requirements on the labels of the node.
    pub match_expressions: Vec<SelectorRequirement>,
    /// Requirements on fields of the node; metadata.name is the only one.
    pub match_fields: Vec<SelectorRequirement>,
}

#[resource(part)]
/// A requirement on one label or field.
#[derive(Default)]
pub struct SelectorRequirement {
    /// The label or field that is compared.
    pub key: String,
    /// How it is compared: In, NotIn, Exists, DoesNotExist, Gt or Lt.
    #[schemars(with = "String")]
    #[garde(skip)]
    pub operator: manifest::Operator,
    /// What it is compared with: some for In and NotIn, none for Exists and DoesNotExist, one integer for Gt and Lt.
    pub values: Vec<String>,
}

impl NodeSelector {
    /// Whether the selector selects a node of this name with these labels; `None` when a term that could decide holds an
    /// operator or a field that this build does not know.
    pub fn selects(&self, name: &str, labels: &manifest::Labels) -> Option<bool> {
        let verdicts: Vec<Option<bool>> = self
            .node_selector_terms
            .iter()
            .map(|term| manifest::NodeSelectorTerm::from(term).matches(name, labels))
            .collect();
        if verdicts.contains(&Some(true)) {
            return Some(true);
        }
        (!verdicts.contains(&None)).then_some(false)
    }
}

impl From<&NodeSelectorTerm> for manifest::NodeSelectorTerm {
    fn from(term: &NodeSelectorTerm) -> Self {
        let all = |list: &[SelectorRequirement]| list.iter().map(manifest::Expression::from).collect();
        Self { match_expressions: all(&term.match_expressions), match_fields: all(&term.match_fields) }
    }
}

impl From<&SelectorRequirement> for manifest::Expression {
    fn from(one: &SelectorRequirement) -> Self {
        Self { key: one.key.clone(), operator: one.operator.clone(), values: one.values.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn terms_are_alternatives_and_what_is_not_known_selects_nothing() {
        let spot = json!({"matchExpressions": [{"key": "pool", "operator": "In", "values": ["spot"]}]});
        let named = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]});
        let strange = json!({"matchExpressions": [{"key": "pool", "operator": "Near", "values": ["spot"]}]});
        let cases = [
            (json!([spot]), "n2", Some(true)),
            (json!([named]), "n2", Some(false)),
            (json!([named, spot]), "n2", Some(true)),
            (json!([strange]), "n2", None),
            (json!([strange, spot]), "n2", Some(true)),
            (json!([strange, named]), "n2", None),
            (json!([{}]), "n2", Some(false)),
            (json!([]), "n2", Some(false)),
        ];
        let labels = BTreeMap::from([("pool".to_owned(), "spot".to_owned())]);
        for (terms, name, selected) in cases {
            let selector: NodeSelector =
                serde_json::from_value(json!({"nodeSelectorTerms": terms})).expect("any operator is read");
            assert_eq!(selector.selects(name, &labels), selected, "{terms}");
        }
    }
}
