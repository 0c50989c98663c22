//! `evictionConfig`: which pods and nodes are handled otherwise than the rules have it, as the settings and files say it.

use kentroller_planner::manifest::{Expression, LabelSelector, Labels, NodeSelectorTerm, Operator};
use kentroller_planner::{EvictionRule, EvictionTarget, Strictness};
use kentroller_runtime::settings::{SettingType, SettingValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A list of entries, as it was written and as it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct EvictionConfig {
    written: Value,
    rules: Vec<EvictionRule>,
}

impl EvictionConfig {
    /// What it says, in the order of its entries.
    pub fn rules(&self) -> &[EvictionRule] {
        &self.rules
    }
}

impl TryFrom<Value> for EvictionConfig {
    type Error = String;

    fn try_from(written: Value) -> Result<Self, String> {
        Ok(Self { rules: eviction_rules(&written)?, written })
    }
}

impl From<EvictionConfig> for Value {
    fn from(config: EvictionConfig) -> Self {
        config.written
    }
}

impl SettingValue for EvictionConfig {
    const TYPE: SettingType = SettingType::List(&SettingType::Structure(
        "with exactly one of podSelector and nodeSelector, and settings with removalDisabled, disposable or aggressive",
    ));

    fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().and_then(|written| Self::from_config(&written))
    }
    fn from_config(value: &Value) -> Option<Self> {
        Self::try_from(value.clone()).ok()
    }
}

/// One entry of an `evictionConfig`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    pod_selector: Option<PodSelector>,
    #[serde(alias = "nodeSelectorTerm")]
    node_selector: Option<NodeSelector>,
    settings: Settings,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodSelector {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    kind: String,
    replicas_min: Option<u32>,
    #[serde(default)]
    label_selector: LabelSelector,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NodeSelector {
    #[serde(default)]
    label_selector: LabelSelector,
    #[serde(default)]
    match_labels: Labels,
    #[serde(default)]
    match_expressions: Vec<Expression>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    removal_disabled: Switch,
    #[serde(default)]
    disposable: Switch,
    #[serde(default)]
    aggressive: Switch,
}

#[derive(Default, Deserialize)]
struct Switch {
    #[serde(default)]
    enabled: bool,
}

/// The rules that a list of entries says.
///
/// # Errors
/// An entry that cannot be read, or names both pods and nodes, or neither.
fn eviction_rules(list: &Value) -> Result<Vec<EvictionRule>, String> {
    let entries: Vec<Entry> =
        serde_json::from_value(list.clone()).map_err(|error| format!("evictionConfig: {error}"))?;
    let mut rules = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let selects = match (entry.pod_selector, entry.node_selector) {
            (Some(pods), None) => EvictionTarget::Pods {
                namespaces: Some(pods.namespace).filter(|namespace| !namespace.is_empty()).into_iter().collect(),
                labels: pods.label_selector,
                kind: pods.kind,
                min_replicas: pods.replicas_min,
                max_replicas: None,
            },
            (None, Some(nodes)) => {
                let labels = nodes.label_selector.match_labels.into_iter().chain(nodes.match_labels);
                let equal = labels.map(|(key, value)| Expression { key, operator: Operator::In, values: vec![value] });
                let others = nodes.label_selector.match_expressions.into_iter().chain(nodes.match_expressions);
                EvictionTarget::Nodes(vec![NodeSelectorTerm {
                    match_expressions: equal.chain(others).collect(),
                    match_fields: Vec::new(),
                }])
            }
            _ => return Err(format!("evictionConfig[{index}]: exactly one of podSelector and nodeSelector is needed")),
        };
        let settings = entry.settings;
        // The most restrictive that is on.
        let strictness = [
            (settings.removal_disabled, Strictness::RemovalDisabled),
            (settings.disposable, Strictness::Disposable),
            (settings.aggressive, Strictness::Aggressive),
        ];
        if let Some((_, strictness)) = strictness.into_iter().find(|(switch, _)| switch.enabled) {
            rules.push(EvictionRule { place: index, selects, strictness });
        }
    }
    Ok(rules)
}
