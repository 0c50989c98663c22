//! The JSON schema of the dynamic configuration, for editors and for whoever writes the ConfigMap.

use serde_json::{Map, Value, json};

use crate::settings::{SettingInfo, SettingType};

/// The schema of the ConfigMap's text: settings by their dotted paths, and nothing besides.
pub fn config(title: &str, settings: &[SettingInfo]) -> Value {
    let mut root = object();
    for setting in settings {
        let Some(path) = setting.config else { continue };
        let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
        let parent = parents.split('.').filter(|step| !step.is_empty()).fold(&mut root, |parent, step| {
            let fields = fields(parent);
            fields.entry(step).or_insert_with(object)
        });
        fields(parent).insert(name.to_owned(), of_setting(setting));
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!(title);
    root
}

fn object() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

fn fields(object: &mut Value) -> &mut Map<String, Value> {
    if !object["properties"].is_object() {
        object["properties"] = json!({});
    }
    object["properties"].as_object_mut().expect("made one line above")
}

/// The schema of one setting.
pub(super) fn of_setting(setting: &SettingInfo) -> Value {
    let mut schema = of_type(setting.type_);
    schema["description"] = json!(setting.doc);
    if let (SettingType::Integer, Some((least, greatest))) = (setting.type_, setting.range) {
        for (word, bound) in [("minimum", least), ("maximum", greatest)] {
            if let Ok(bound) = bound.parse::<i64>() {
                schema[word] = json!(bound);
            }
        }
    }
    if let Some(default) = setting.default {
        schema["default"] = match setting.type_ {
            SettingType::Boolean | SettingType::Integer | SettingType::List(_) | SettingType::Structure(_) => {
                serde_json::from_str(default).unwrap_or_else(|_| json!(default))
            }
            _ => json!(default),
        };
        // What a structure is, words tell; but that it is an object its default shows.
        if schema["default"].is_object() {
            schema["type"] = json!("object");
        }
    }
    schema
}

fn of_type(type_: SettingType) -> Value {
    match type_ {
        SettingType::Boolean => json!({ "type": "boolean" }),
        SettingType::Integer => json!({ "type": "integer" }),
        SettingType::Decimal => json!({ "type": ["number", "string"] }),
        SettingType::Duration => json!({ "type": ["string", "integer"] }),
        SettingType::Text | SettingType::Secret => json!({ "type": "string" }),
        SettingType::Word(words) => json!({ "enum": words }),
        SettingType::List(SettingType::Structure(_)) => json!({ "type": "array", "items": { "type": "object" } }),
        SettingType::List(element) => json!({ "type": "array", "items": of_type(*element) }),
        SettingType::Structure(_) => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_nest_by_their_paths_and_nothing_else_is_allowed() {
        let setting = |config, type_, default, range| SettingInfo {
            name: "s",
            env: None,
            config,
            helm: None,
            type_,
            default,
            range,
            doc: "It is so.",
        };
        let schema = config(
            "Operator",
            &[
                setting(Some("mode"), SettingType::Word(&["act", "observe"]), Some("act"), None),
                setting(Some("planner.workers"), SettingType::Integer, Some("4"), Some(("1", "9"))),
                setting(Some("lifts"), SettingType::Structure("an object"), Some("{}"), None),
                setting(Some("rests"), SettingType::Structure("true, or until when"), Some("false"), None),
                setting(None, SettingType::Text, None, None),
            ],
        );
        assert_eq!(
            schema["properties"]["mode"],
            json!({"enum": ["act", "observe"], "default": "act", "description": "It is so."})
        );
        assert_eq!(
            schema["properties"]["planner"],
            json!({"type": "object", "additionalProperties": false, "properties": {"workers": {
                "type": "integer", "minimum": 1, "maximum": 9, "default": 4, "description": "It is so."}}})
        );
        let type_of = |name: &str| &schema["properties"][name]["type"];
        assert_eq!((type_of("lifts"), type_of("rests")), (&json!("object"), &Value::Null));
        assert_eq!(schema["properties"].as_object().map(Map::len), Some(4));
    }
}
