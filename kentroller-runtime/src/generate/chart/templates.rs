//! What the templates of a chart need to know of its values, as named templates.

use serde_json::{Map, Value, json};

use super::{Chart, Entry};
use crate::settings::{SettingInfo, SettingType};

/// Named templates, each beginning with the chart's name:
///
/// | name | is |
/// | --- | --- |
/// | `.defaults` | the default of each value in JSON, for releases whose values are of another chart's version |
/// | `.known` | the names of all values in JSON: `true` where one ends, `*` where others may stand as well |
/// | `.later` | paths and defaults of the values that nothing reads yet, in JSON |
/// | `.config` | the dynamic configuration, of `values` |
/// | `.env` | the environment of the settings that stand in no ConfigMap, of `values` |
pub fn templates(chart: &Chart<'_>) -> String {
    let entries = chart.entries();
    let handed = |setting: &&SettingInfo| setting.helm.is_some();
    let config: Vec<(Vec<&str>, String)> = chart.settings.iter().filter(handed).filter_map(key).collect();
    let env: String = chart.settings.iter().filter(handed).filter_map(variable).collect();
    let name = chart.name;
    [
        defined(name, "defaults", &defaults(&entries).to_string()),
        defined(name, "known", &known(&entries, chart.open).to_string()),
        defined(name, "later", &later(&entries).to_string()),
        defined(name, "config", &format!("{VALUES}\n{}", nested(&config, 0))),
        defined(name, "env", &format!("{VALUES}\n{env}")),
    ]
    .concat()
}

const VALUES: &str = "{{- $values := . }}";

fn defined(chart: &str, name: &str, text: &str) -> String {
    format!("{{{{- define \"{chart}.{name}\" -}}}}\n{}\n{{{{- end }}}}\n", text.trim_end())
}

/// The defaults that hold again where a value is absent. Whoever deletes an object or a list means that there is none.
fn defaults(entries: &[Entry<'_>]) -> Value {
    let mut root = json!({});
    for entry in entries.iter().filter(|entry| !entry.opaque) {
        if let Some(default) = &entry.default {
            put(&mut root, &entry.path, default.clone());
        }
    }
    root
}

fn known(entries: &[Entry<'_>], open: &[&str]) -> Value {
    let mut root = json!({});
    for entry in entries {
        put(&mut root, &entry.path, json!(true));
    }
    for path in open {
        let names = path.split('.').fold(&mut root, |parent, step| {
            if !parent[step].is_object() {
                parent[step] = json!({});
            }
            &mut parent[step]
        });
        opened(names);
    }
    root
}

/// Other names may stand here and everywhere below.
fn opened(names: &mut Value) {
    if let Value::Object(object) = names {
        object.values_mut().for_each(opened);
        object.insert("*".to_owned(), json!(true));
    }
}

fn put(root: &mut Value, path: &[&str], value: Value) {
    let Some((name, parents)) = path.split_last() else { return };
    let parent = parents.iter().fold(root, |parent, step| {
        if !parent[*step].is_object() {
            parent[*step] = Value::Object(Map::new());
        }
        &mut parent[*step]
    });
    parent[*name] = value;
}

fn later(entries: &[Entry<'_>]) -> Value {
    let waiting = entries.iter().filter(|entry| entry.later.is_some());
    waiting.map(|entry| json!({"path": entry.path, "default": entry.default})).collect()
}

/// The key of a setting in the dynamic configuration, and what stands there.
fn key(setting: &SettingInfo) -> Option<(Vec<&str>, String)> {
    Some((setting.config?.split('.').collect(), read(setting)?))
}

fn variable(setting: &SettingInfo) -> Option<String> {
    let (None, Some(env)) = (setting.config, setting.env) else { return None };
    Some(format!("- name: {env}\n  value: {{{{ {} | toString | quote }}}}\n", expression(setting)?))
}

fn read(setting: &SettingInfo) -> Option<String> {
    Some(format!("{{{{ {} | toJson }}}}", expression(setting)?))
}

/// The value of a setting; an unquoted `off` has become the boolean false on its way here.
fn expression(setting: &SettingInfo) -> Option<String> {
    let steps: Vec<String> = setting.helm?.split('.').map(|step| format!("\"{step}\"")).collect();
    let mut value = format!("index $values {}", steps.join(" "));
    if let SettingType::Word(words) = setting.type_ {
        for (word, boolean) in [("off", "false"), ("on", "true")] {
            if words.contains(&word) {
                value = format!("ternary \"{word}\" ({value}) (eq (toJson ({value})) \"{boolean}\")");
            }
        }
    }
    Some(value)
}

/// Keys by their paths as nested YAML.
fn nested(keys: &[(Vec<&str>, String)], depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let mut text = String::new();
    let mut told: Vec<&str> = Vec::new();
    for (path, value) in keys {
        let name = path[depth];
        if path.len() == depth + 1 {
            text.push_str(&format!("{indent}{name}: {value}\n"));
        } else if !told.contains(&name) {
            told.push(name);
            let below: Vec<(Vec<&str>, String)> =
                keys.iter().filter(|(other, _)| other.len() > depth + 1 && other[depth] == name).cloned().collect();
            text.push_str(&format!("{indent}{name}:\n{}", nested(&below, depth + 1)));
        }
    }
    text
}
