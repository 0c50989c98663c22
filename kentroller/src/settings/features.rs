//! Features that ConfigMaps of their own switch, beside the dynamic one: off anywhere is off.

use std::collections::BTreeMap;

use kentroller_runtime::Kind;
use kentroller_runtime::settings::SettingMistake;
use serde_json::Value;

use super::{Settings, mistake};
use crate::api::foreign::ConfigMap;
use crate::api::marks;

/// The key of their text: features by name, true or false each.
pub const DOCUMENT: &str = "features.yaml";

/// Where the switch of a feature is.
type Place = fn(&mut Settings) -> &mut bool;

const FEATURES: [(&str, Place); 4] = [
    ("rebalancer", |settings| &mut settings.rebalancer),
    ("continuousRebalancing", |settings| &mut settings.continuous_rebalancing),
    ("nodeConsolidation", |settings| &mut settings.node_consolidation),
    ("spotInterruptionPrediction", |settings| &mut settings.spot_interruption_prediction),
];

/// Features that others have and this version has not: maps that name them are read, and nothing follows.
const MISSING: [&str; 2] = ["clm", "commitmentBudgets"];

/// What such ConfigMaps say.
#[derive(Debug, Default)]
pub(super) struct Said {
    on: Vec<Place>,
    off: Vec<Place>,
    /// Whether one of them cannot be read: it says what it said before.
    pub(super) has_mistakes: bool,
}

impl Said {
    pub(super) fn by<'a>(maps: impl Iterator<Item = &'a ConfigMap>) -> Self {
        let mut said = Self::default();
        for read in maps.filter_map(of) {
            match read {
                Ok(features) => {
                    for (name, place) in FEATURES {
                        match features.get(name) {
                            Some(true) => said.on.push(place),
                            Some(false) => said.off.push(place),
                            None => {}
                        }
                    }
                }
                Err(_) => said.has_mistakes = true,
            }
        }
        said
    }

    /// Switches on what is switched on; while a text has a mistake, what is on in `last` stays on as well.
    pub(super) fn switch_on(&self, settings: &mut Settings, last: Option<&Settings>) {
        let before = self.before(last);
        for place in self.on.iter().chain(before.iter().filter(|(_, is_on)| *is_on).map(|(place, _)| place)) {
            *place(settings) = true;
        }
    }

    /// Switches off what is switched off, whatever else says on; while a text has a mistake, what is off in `last` stays off as well.
    pub(super) fn switch_off(&self, settings: &mut Settings, last: Option<&Settings>) {
        let before = self.before(last);
        for place in self.off.iter().chain(before.iter().filter(|(_, is_on)| !*is_on).map(|(place, _)| place)) {
            *place(settings) = false;
        }
    }

    /// What was in force, where a text that cannot be read may have said it.
    fn before(&self, last: Option<&Settings>) -> Vec<(Place, bool)> {
        let mut last = last.filter(|_| self.has_mistakes).cloned();
        let is_on = |(_, place): (&str, Place)| Some((place, *place(last.as_mut()?)));
        FEATURES.into_iter().filter_map(is_on).collect()
    }
}

/// The features that a ConfigMap switches; `None` if it is not labelled as one that does.
///
/// # Errors
/// Every mistake in it; then nothing of it counts, and what it said before does.
pub(crate) fn of(map: &ConfigMap) -> Option<Result<BTreeMap<String, bool>, Vec<SettingMistake>>> {
    (map.label(marks::FEATURES) == Some("true")).then(|| read(map.data.get(DOCUMENT).map_or("", String::as_str)))
}

fn read(text: &str) -> Result<BTreeMap<String, bool>, Vec<SettingMistake>> {
    let unreadable = |why: String| vec![mistake(DOCUMENT, "unreadable", why)];
    let read: Value = serde_saphyr::from_str(text).map_err(|error| unreadable(format!("it must be YAML: {error}")))?;
    let entries = match read {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(entries) => entries,
        _ => return Err(unreadable("it must name features, with true or false each".to_owned())),
    };
    let names: Vec<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
    let is_known = |name: &str| names.contains(&name) || MISSING.contains(&name);
    let mut features = BTreeMap::new();
    let mut mistakes = Vec::new();
    for (name, value) in entries {
        match value {
            _ if !is_known(&name) => {
                let known = format!("there is no such feature; there are {}", names.join(", "));
                mistakes.push(mistake(&name, &value.to_string(), known));
            }
            Value::Bool(is_on) => drop(features.insert(name, is_on)),
            other => mistakes.push(mistake(&name, &other.to_string(), "true or false is expected".to_owned())),
        }
    }
    if mistakes.is_empty() { Ok(features) } else { Err(mistakes) }
}

/// What the map switches on and this version does not have.
pub(crate) fn missing(features: &BTreeMap<String, bool>) -> Vec<&str> {
    MISSING.into_iter().filter(|name| features.get(*name) == Some(&true)).collect()
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::settings::Settings as _;
    use kentroller_runtime::testing::object;
    use serde_json::json;

    use super::*;

    fn map(text: &str) -> ConfigMap {
        object(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "f", "namespace": "a", "labels": {(marks::FEATURES): "true"}}, "data": {"features.yaml": text}}))
    }

    fn settings() -> Settings {
        Settings::from_env(&|_| None).expect("the defaults are right")
    }

    /// Whether continuous rebalancing is on after these texts.
    fn is_on(texts: &[&str], last: Option<&Settings>) -> bool {
        let maps: Vec<ConfigMap> = texts.iter().map(|text| map(text)).collect();
        let (said, mut settings) = (Said::by(maps.iter()), settings());
        said.switch_on(&mut settings, last);
        said.switch_off(&mut settings, last);
        settings.continuous_rebalancing
    }

    #[test]
    fn on_is_on_unless_any_map_says_off() {
        let (on, off) = ("continuousRebalancing: true", "continuousRebalancing: false");
        for (texts, wanted) in [
            (&[][..], false),
            (&[on], true),
            (&[on, off], false),
            (&[off, on], false),
            (&["nodeConsolidation: true"], false),
            (&[""], false),
        ] {
            assert_eq!(is_on(texts, None), wanted, "{texts:?}");
        }
    }

    #[test]
    fn features_that_this_version_does_not_have_are_read_and_those_switched_on_are_told() {
        let read = of(&map("clm: true\ncommitmentBudgets: false\nrebalancer: false")).expect("it is labelled");
        let read = read.expect("it is right");
        assert_eq!(missing(&read), ["clm"]);
        assert_eq!(read.get("rebalancer"), Some(&false), "the others count");
    }

    #[test]
    fn a_text_with_a_mistake_says_what_was_in_force_and_off_elsewhere_is_off_all_the_same() {
        let mut last = settings();
        for was_on in [true, false] {
            last.continuous_rebalancing = was_on;
            assert_eq!(is_on(&["continuous: true"], Some(&last)), was_on);
            assert!(!is_on(&["continuous: true", "continuousRebalancing: false"], Some(&last)));
        }
        for wrong in
            ["- rebalancer", "rebalancer: often", "rebalanser: false", "rebalancer: {enabled: true}", "a: [", "7"]
        {
            assert!(of(&map(wrong)).expect("it is labelled").is_err(), "{wrong}");
        }
    }
}
