//! What is wrong with the declarations of an operator as a whole: what an API server would refuse, what contradicts itself,
//! what two controllers would fight about. Each mistake names its place and what to write.

mod column;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use self::column::of_column;
use super::OwnKind;
use crate::declaration::{Declaration, Verb};
use crate::metrics;
use crate::settings::SettingInfo;

/// Everything that is wrong with these declarations, one line each; nothing, if an API server takes it all.
///
/// ```
/// use kentroller_runtime::generate::{OwnKind, mistakes};
/// use kentroller_runtime::prelude::*;
///
/// #[resource(group = "Example_Org", version = "v1", kind = "Alarm")]
/// /// Rings.
/// pub struct AlarmSpec {
///     /// What it says.
///     pub text: String,
/// }
///
/// let kinds: Vec<OwnKind> = OwnKind::of::<Alarm>().into_iter().collect();
/// let wrong = "Alarm: group `Example_Org` is no domain name; write one of yours in lower case, such as `example.org`";
/// assert_eq!(mistakes::all(&kinds, &[], &[]), [wrong]);
/// ```
pub fn all(kinds: &[OwnKind], declarations: &[Declaration], settings: &[SettingInfo]) -> Vec<String> {
    let crds: Vec<CustomResourceDefinition> = kinds.iter().map(OwnKind::crd).collect();
    let mut mistakes: Vec<String> = crds.iter().flat_map(of_crd).collect();
    mistakes.extend(names_taken_twice(&crds));
    mistakes.extend(of_controllers(declarations));
    mistakes.extend(settings.iter().filter_map(of_setting));
    // A server has no use for a CRD that is wrong.
    #[cfg(feature = "simulation")]
    if mistakes.is_empty() {
        mistakes.extend(kinds.iter().filter_map(super::samples::mistake));
    }
    mistakes
}

/// What two controllers would do to each other.
pub fn of_controllers(declarations: &[Declaration]) -> Vec<String> {
    let mut mistakes = metrics_named_twice(declarations);
    for (place, one) in declarations.iter().enumerate() {
        let writes_status = |declaration: &Declaration| {
            let mut own = declaration.access.iter().filter(|access| access.kind.info == declaration.of.info);
            own.any(|access| access.verbs.contains(&Verb::Status))
        };
        for other in &declarations[..place] {
            if one.name == other.name {
                mistakes.push(format!(
                    "two controllers are named {}: events and rights could not tell them apart",
                    one.name
                ));
            } else if one.of.info == other.of.info && writes_status(one) && writes_status(other) {
                mistakes.push(format!(
                    "controllers {} and {} both write the status of {}, and would undo each other's without end; let one of \
                     them decide, or reconcile another kind and `watches({})`",
                    other.name, one.name, one.of.info.kind, one.of.info.kind
                ));
            }
        }
    }
    mistakes
}

/// One name, one meaning: a scrape knows no controllers.
fn metrics_named_twice(declarations: &[Declaration]) -> Vec<String> {
    let engine = metrics::ALL.iter().map(|metric| ("the engine", metric.name));
    let own = declarations.iter().flat_map(|one| one.metrics.iter().map(|metric| (one.name, metric.name)));
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    let twice = engine.chain(own).filter_map(|(who, name)| {
        let other = known.insert(name, who)?;
        Some(format!("metric `{name}` is declared by {other} and by {who}; give one of them another name"))
    });
    twice.collect()
}

fn of_crd(crd: &CustomResourceDefinition) -> Vec<String> {
    let (names, kind) = (&crd.spec.names, &crd.spec.names.kind);
    let mut mistakes = Vec::new();
    if !is_subdomain(&crd.spec.group) {
        mistakes.push(format!(
            "{kind}: group `{}` is no domain name; write one of yours in lower case, such as `example.org`",
            crd.spec.group
        ));
    }
    let all = [&names.plural].into_iter().chain(names.singular.as_ref()).chain(names.short_names.iter().flatten());
    for name in all.chain(names.categories.iter().flatten()).filter(|name| !is_label(name)) {
        mistakes.push(format!(
            "{kind}: `{name}` is no name for kubectl: lower-case letters, digits and dashes, a letter first"
        ));
    }
    for version in &crd.spec.versions {
        if !is_label(&version.name) {
            mistakes.push(format!("{kind}: version `{}` must be as `v1` or `v1alpha1`", version.name));
        }
        let schema = version.schema.as_ref().and_then(|schema| serde_json::to_value(&schema.open_api_v3_schema).ok());
        let schema = schema.unwrap_or_default();
        let columns = version.additional_printer_columns.iter().flatten();
        mistakes.extend(columns.filter_map(|column| of_column(column, &schema)).map(|why| format!("{kind}: {why}")));
        #[cfg(feature = "simulation")]
        for part in ["spec", "status"] {
            let rules = super::cel::mistakes(part, &schema["properties"][part]);
            mistakes.extend(rules.into_iter().map(|why| format!("{kind}: {why}")));
        }
    }
    mistakes
}

/// Names that kubectl could not tell apart.
fn names_taken_twice(crds: &[CustomResourceDefinition]) -> Vec<String> {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for crd in crds {
        let names = &crd.spec.names;
        let mut own: Vec<&str> = [names.plural.as_str()]
            .into_iter()
            .chain(names.singular.as_deref())
            .chain(names.short_names.iter().flatten().map(String::as_str))
            .collect();
        own.sort_unstable();
        own.dedup();
        for name in own {
            if let Some(other) = taken.insert(name, &names.kind) {
                mistakes
                    .push(format!("`{name}` is a name of both {other} and {}; kubectl knows one of them", names.kind));
            }
        }
    }
    mistakes
}

/// A default outside of its range, or a range that nothing is in.
fn of_setting(setting: &SettingInfo) -> Option<String> {
    let (name, (least, greatest)) = (setting.env.or(setting.config).unwrap_or(setting.name), setting.range?);
    let (least_value, greatest_value) = (setting.type_.rank(least)?, setting.type_.rank(greatest)?);
    if least_value > greatest_value {
        return Some(format!(
            "setting {name}: nothing is in `range({least}, {greatest})`; the least value comes first"
        ));
    }
    let default = setting.default?;
    let value = setting.type_.rank(default)?;
    let within = (least_value..=greatest_value).contains(&value);
    (!within).then(|| format!("setting {name}: the default {default} is not from {least} to {greatest}"))
}

/// RFC 1035: what Kubernetes asks of versions and names of kinds.
fn is_label(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(plain)
        && !name.ends_with('-')
}

/// RFC 1123, with a dot: what Kubernetes asks of a group.
fn is_subdomain(name: &str) -> bool {
    let part = |part: &str| {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        !part.is_empty() && part.chars().all(plain) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::settings::SettingType;

    fn crd(change: impl FnOnce(&mut Value)) -> CustomResourceDefinition {
        let text = json!({"type": "string"});
        let mut crd = json!({"metadata": {"name": "notices.example.org"}, "spec": {
            "group": "example.org", "scope": "Cluster",
            "names": {"kind": "Notice", "plural": "notices", "singular": "notice", "shortNames": ["nt"]},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "additionalPrinterColumns": [{"name": "Text", "type": "string", "jsonPath": ".spec.text"},
                    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"text": text, "count": {"type": "integer"},
                        "until": {"type": "string", "format": "date-time"}}},
                    "status": {"type": "object", "properties": {"conditions": {"type": "array", "items": {"type": "object",
                        "properties": {"status": text}}}}},
                }}}}],
        }});
        change(&mut crd);
        serde_json::from_value(crd).expect("a CRD")
    }

    #[test]
    fn a_kind_that_an_api_server_refuses_is_told() {
        let check = |change: fn(&mut Value), want: &[&str]| assert_eq!(of_crd(&crd(change)), want);
        check(|_| {}, &[]);
        check(
            |crd| crd["spec"]["group"] = "Example_Org".into(),
            &["Notice: group `Example_Org` is no domain name; write one of yours in lower case, such as `example.org`"],
        );
        check(
            |crd| crd["spec"]["versions"][0]["name"] = "1.0".into(),
            &["Notice: version `1.0` must be as `v1` or `v1alpha1`"],
        );
        check(
            |crd| crd["spec"]["names"]["shortNames"][0] = "N t".into(),
            &["Notice: `N t` is no name for kubectl: lower-case letters, digits and dashes, a letter first"],
        );
        let column = |at: usize, path: &str, type_: &str| {
            let crd = crd(|crd| {
                crd["spec"]["versions"][0]["additionalPrinterColumns"][at]["jsonPath"] = path.into();
                crd["spec"]["versions"][0]["additionalPrinterColumns"][at]["type"] = type_.into();
            });
            of_crd(&crd).join("\n")
        };
        assert_eq!(
            column(0, ".spec.txt", "string"),
            "Notice: column `Text` shows `.spec.txt`, and there is no such field"
        );
        assert_eq!(
            column(1, ".status.conditions[0].state", "string"),
            "Notice: column `Ready` shows `.status.conditions[0].state`, and there is no such field"
        );
        assert_eq!(
            column(0, ".spec.text", "integer"),
            "Notice: column `Text` is of type integer, and `.spec.text` is of type string"
        );
        assert_eq!(column(1, ".status.conditions[?(@.type=='Ready')].status", "string"), "");
        assert_eq!(column(0, ".spec.until", "date"), "");
        assert_eq!(column(0, ".spec.count", "number"), "");
        assert_eq!(
            column(0, ".spec.text", "date"),
            "Notice: column `Text` is of type date, and `.spec.text` is of type string"
        );
    }

    #[cfg(feature = "simulation")]
    #[test]
    fn the_rules_of_spec_and_status_are_looked_at() {
        let wrong = crd(|crd| {
            let rules = json!([{"rule": "self.until != 'a'"}]);
            crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] =
                rules;
        });
        assert_eq!(
            of_crd(&wrong),
            ["Notice: spec: rule `self.until != 'a'`: `!=` between a timestamp and a string; write `timestamp('…')`"]
        );
    }

    #[test]
    fn names_of_two_kinds_are_told() {
        let other = crd(|crd| crd["spec"]["names"] = json!({"kind": "Note", "plural": "notes", "shortNames": ["nt"]}));
        assert_eq!(
            names_taken_twice(&[crd(|_| {}), other]),
            ["`nt` is a name of both Notice and Note; kubectl knows one of them"]
        );
    }

    #[test]
    fn a_default_out_of_range_and_a_range_reversed_are_told() {
        let check = |type_, default, range, want: Option<&str>| {
            let setting = SettingInfo {
                name: "a",
                env: Some("A"),
                config: None,
                helm: None,
                type_,
                default: Some(default),
                range: Some(range),
                doc: "",
            };
            assert_eq!(of_setting(&setting).as_deref(), want);
        };
        check(SettingType::Integer, "10", ("1", "100"), None);
        check(SettingType::Integer, "1000", ("1", "100"), Some("setting A: the default 1000 is not from 1 to 100"));
        check(
            SettingType::Integer,
            "10",
            ("100", "1"),
            Some("setting A: nothing is in `range(100, 1)`; the least value comes first"),
        );
        check(SettingType::Duration, "10s", ("1s", "10m"), None);
        check(SettingType::Duration, "1h", ("1s", "10m"), Some("setting A: the default 1h is not from 1s to 10m"));
        check(SettingType::Decimal, "50.5", ("0", "100"), None);
    }
}
