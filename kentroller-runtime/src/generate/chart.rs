//! The values of a Helm chart, declared once: the operator's settings that name a `helm` path, and beside them what only the
//! chart knows. From the two come values.yaml, its schema, a table for people, and the templates that hand settings on.

mod files;
mod templates;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use self::files::{schema, table, values};
pub use self::templates::templates;
use super::schema;
use crate::settings::{SettingInfo, SettingType};

/// A value of a chart that is no setting of the operator.
#[derive(Clone, Copy, Debug)]
pub struct ChartValue {
    /// Dotted path.
    pub path: &'static str,
    /// What a value looks like.
    pub shape: Shape,
    /// The default as JSON; `None` for what is absent unless somebody gives it.
    pub default: Option<&'static str>,
    /// What it does.
    pub doc: &'static str,
    /// What will read it, if nothing does yet: it is accepted, so that values files of other versions stay right.
    pub later: Option<&'static str>,
}

/// What a value of a chart looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number, not negative.
    Integer,
    /// A number, not negative.
    Number,
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Texts by name.
    Texts,
    /// Numbers, texts, true or false by name.
    Scalars,
    /// An object of Kubernetes, passed on as it is.
    Object,
    /// A list of objects, passed on as it is.
    Objects,
}

/// A chart: its name, what it hands to the operator, and what is its own.
#[derive(Clone, Copy, Debug)]
pub struct Chart<'a> {
    /// Its name, which the names of its templates begin with.
    pub name: &'a str,
    /// The settings of the operator; those with a `helm` path are values.
    pub settings: &'a [SettingInfo],
    /// Settings, by their `helm` path, that the chart sets where the user does not: to this JSON instead of their own default.
    pub defaults: &'a [(&'a str, &'a str)],
    /// The values beside them.
    pub values: &'a [ChartValue],
    /// Paths below which other charts have values of their own: unknown names are right there.
    pub open: &'a [&'a str],
}

/// A value of a chart, wherever it is declared.
struct Entry<'a> {
    path: Vec<&'a str>,
    schema: Value,
    /// Whether names stand below it that are not ours to judge.
    opaque: bool,
    default: Option<Value>,
    looks: String,
    doc: String,
    /// Where the operator reads it; empty for what templates read.
    reads: String,
    later: Option<&'a str>,
}

impl Chart<'_> {
    /// What is wrong with the declarations, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let mut declared: BTreeMap<&str, usize> = BTreeMap::new();
        let settings = self.settings.iter().filter_map(|setting| setting.helm);
        for path in settings.chain(self.values.iter().map(|value| value.path)) {
            *declared.entry(path).or_default() += 1;
        }
        let twice = declared.iter().filter(|(_, times)| **times > 1).map(|(path, _)| {
            format!(
                "chart {}: value {path} is declared twice; what is a setting now is no value of the chart's own",
                self.name
            )
        });
        let inner = declared.keys().filter_map(|path| {
            let outer =
                declared.keys().find(|outer| path.strip_prefix(**outer).is_some_and(|rest| rest.starts_with('.')))?;
            Some(format!("chart {}: value {path} stands below {outer}, which is a value itself", self.name))
        });
        let texts = self.values.iter().filter(|value| value.default.is_some_and(|text| parsed(text).is_none()));
        let texts = texts.map(|value| value.path);
        let of_settings = self.defaults.iter().filter(|(_, text)| parsed(text).is_none()).map(|(path, _)| *path);
        let texts =
            texts.chain(of_settings).map(|path| format!("chart {}: the default of {path} is no JSON", self.name));
        let is_setting = |path: &str| self.settings.iter().any(|setting| setting.helm == Some(path));
        let strangers = self.defaults.iter().filter(|(path, _)| !is_setting(path));
        let strangers = strangers
            .map(|(path, _)| format!("chart {}: a default is declared for {path}, which is no setting", self.name));
        twice.chain(inner).chain(texts).chain(strangers).collect()
    }

    /// All values, by path.
    fn entries(&self) -> Vec<Entry<'_>> {
        let settings = self.settings.iter().filter_map(|setting| {
            let mut entry = of_setting(setting, setting.helm?)?;
            let own = self.defaults.iter().find(|(path, _)| Some(*path) == setting.helm);
            entry.default = own.and_then(|(_, text)| parsed(text)).or(entry.default);
            Some(entry)
        });
        let mut entries: Vec<Entry<'_>> = settings.chain(self.values.iter().map(of_value)).collect();
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        entries
    }
}

fn of_setting<'a>(setting: &'a SettingInfo, path: &'a str) -> Option<Entry<'a>> {
    let mut schema = schema::of_setting(setting);
    let default = schema.as_object_mut()?.remove("default");
    if let SettingType::Word(words) = setting.type_ {
        schema["enum"] = spellings(words);
    }
    let reads = match (setting.config, setting.env) {
        (Some(key), _) => format!("`{key}` of the dynamic ConfigMap"),
        (None, Some(env)) => format!("env `{env}`"),
        (None, None) => String::new(),
    };
    Some(Entry {
        path: path.split('.').collect(),
        opaque: matches!(setting.type_, SettingType::Structure(_) | SettingType::List(_)),
        schema,
        default,
        looks: setting.expected(),
        doc: setting.doc.to_owned(),
        reads,
        later: None,
    })
}

fn of_value(value: &ChartValue) -> Entry<'_> {
    let (mut schema, looks) = value.shape.told();
    let later =
        value.later.map(|later| format!(" Accepted for later ({later}); nothing reads it yet.")).unwrap_or_default();
    let doc = format!("{}{later}", value.doc.trim());
    schema["description"] = json!(doc);
    Entry {
        path: value.path.split('.').collect(),
        schema,
        opaque: matches!(value.shape, Shape::Texts | Shape::Scalars | Shape::Object | Shape::Objects),
        default: value.default.and_then(parsed),
        looks,
        doc,
        reads: String::new(),
        later: value.later,
    }
}

impl Shape {
    /// Its schema, and its words for people.
    fn told(self) -> (Value, String) {
        let (schema, words) = match self {
            Self::Boolean => (json!({"type": "boolean"}), "true or false"),
            Self::Integer => (json!({"type": "integer", "minimum": 0}), "a whole number"),
            Self::Number => (json!({"type": "number", "minimum": 0}), "a number"),
            Self::Text => (json!({"type": "string"}), "a text"),
            Self::Word(words) => return (json!({"enum": spellings(words)}), format!("one of {}", words.join(", "))),
            Self::Texts => (json!({"type": "object", "additionalProperties": {"type": "string"}}), "texts by name"),
            Self::Scalars => {
                let any = json!({"type": ["string", "number", "boolean"]});
                (json!({"type": "object", "additionalProperties": any}), "values by name")
            }
            Self::Object => (json!({"type": "object"}), "an object"),
            Self::Objects => (json!({"type": "array", "items": {"type": "object"}}), "a list of objects"),
        };
        (schema, words.to_owned())
    }
}

/// Words as they may stand in a values file: there an unquoted `off` is the boolean false, and `on` is true.
fn spellings(words: &[&str]) -> Value {
    let boolean = |word: &&str| match *word {
        "off" => Some(json!(false)),
        "on" => Some(json!(true)),
        _ => None,
    };
    words.iter().map(|word| json!(word)).chain(words.iter().filter_map(boolean)).collect()
}

fn parsed(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: &[&str] = &["off", "safe"];

    fn setting(
        helm: &'static str,
        config: Option<&'static str>,
        type_: SettingType,
        default: &'static str,
    ) -> SettingInfo {
        let env = Some("SET");
        SettingInfo {
            name: "set",
            env,
            config,
            helm: Some(helm),
            type_,
            default: Some(default),
            range: None,
            doc: "Sets.",
        }
    }

    fn value(
        path: &'static str,
        shape: Shape,
        default: Option<&'static str>,
        later: Option<&'static str>,
    ) -> ChartValue {
        ChartValue { path, shape, default, doc: "Does.", later }
    }

    fn settings() -> Vec<SettingInfo> {
        vec![
            setting("plan.drain", Some("drain.mode"), SettingType::Word(MODES), "off"),
            setting("plan.workers", None, SettingType::Integer, "10"),
        ]
    }

    fn own() -> Vec<ChartValue> {
        vec![
            value("replicas", Shape::Integer, Some("2"), None),
            value("image.tag", Shape::Text, None, None),
            value("affinity", Shape::Object, Some(r#"{"podAntiAffinity":{}}"#), None),
            value("plan.clm", Shape::Boolean, Some("false"), Some("live migration")),
        ]
    }

    #[test]
    fn values_stand_in_order_with_what_they_do_above_them() {
        let (settings, own) = (settings(), own());
        let chart = Chart { name: "op", settings: &settings, defaults: &[], values: &own, open: &[] };
        assert_eq!(
            values(&chart),
            "\n# Does. An object.\naffinity:\n  podAntiAffinity: {}\n\nimage:\n  # Does. A text.\n  # tag:\n\nplan:\n\
             \x20 # Does. Accepted for later (live migration); nothing reads it yet. True or false.\n  clm: false\n\
             \x20 # Sets. One of off, safe.\n  drain: \"off\"\n  # Sets. A whole number.\n  workers: 10\n\n\
             # Does. A whole number.\nreplicas: 2\n"
        );
        assert_eq!(chart.mistakes(), [""; 0]);
    }

    #[test]
    fn an_unquoted_off_is_a_boolean_and_right() {
        let (settings, own) = (settings(), own());
        let chart = Chart { name: "op", settings: &settings, defaults: &[], values: &own, open: &[] };
        assert_eq!(schema(&chart)["properties"]["plan"]["properties"]["drain"]["enum"], json!(["off", "safe", false]));
        let text = templates(&chart);
        let drain = r#"mode: {{ ternary "off" (index $values "plan" "drain") (eq (toJson (index $values "plan" "drain")) "false") | toJson }}"#;
        assert!(text.contains(drain), "{text}");
    }

    #[test]
    fn what_is_declared_twice_or_within_another_is_told() {
        let settings = settings();
        let wrong = [
            value("plan.workers", Shape::Integer, Some("1"), None),
            value("plan.drain.after", Shape::Integer, Some("x"), None),
        ];
        let chart = Chart { name: "op", settings: &settings, defaults: &[], values: &wrong, open: &[] };
        assert_eq!(
            chart.mistakes(),
            [
                "chart op: value plan.workers is declared twice; what is a setting now is no value of the chart's own",
                "chart op: value plan.drain.after stands below plan.drain, which is a value itself",
                "chart op: the default of plan.drain.after is no JSON",
            ]
        );
    }
}
