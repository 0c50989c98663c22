//! From schema violations to the sentences of the real server.

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Map, Value, json};

use super::refusal::FieldMistake;

/// The JSON schema (draft 4, whose exclusive bounds are flags, as in OpenAPI) that says the same as a structural schema.
pub(super) fn json_schema(structural: &Value, is_root: bool) -> Value {
    let Value::Object(words) = structural else { return structural.clone() };
    let mut out = Map::new();
    for (word, value) in words {
        let converted = match (word.as_str(), value) {
            ("properties", Value::Object(fields)) => {
                let convert = |(field, schema): (&String, &Value)| {
                    let rules = if is_root && field == "metadata" {
                        json!({"type": "object"})
                    } else {
                        json_schema(schema, false)
                    };
                    (field.clone(), rules)
                };
                Value::Object(fields.iter().map(convert).collect())
            }
            ("items" | "not" | "additionalProperties", _) => json_schema(value, false),
            ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => all.iter().map(|one| json_schema(one, false)).collect(),
            (
                "type" | "required" | "enum" | "format" | "pattern" | "minimum" | "maximum" | "exclusiveMinimum"
                | "exclusiveMaximum" | "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
                | "maxProperties" | "uniqueItems" | "multipleOf",
                _,
            ) => value.clone(),
            _ => continue,
        };
        out.insert(word.clone(), converted);
    }
    if structural["x-kubernetes-int-or-string"] == true {
        out.remove("anyOf");
        out.insert("type".into(), json!(["integer", "string"]));
    }
    if structural["nullable"] == true {
        if let Some(Value::String(kind)) = out.get("type").cloned() {
            out.insert("type".into(), json!([kind, "null"]));
        }
        if let Some(Value::Array(choices)) = out.get_mut("enum") {
            choices.push(Value::Null);
        }
    }
    if structural["format"] == "int32" {
        out.entry("minimum").or_insert(json!(i32::MIN));
        out.entry("maximum").or_insert(json!(i32::MAX));
    }
    Value::Object(out)
}

/// All violations of a schema, by field.
pub(super) fn schema_mistakes(validator: &Validator, object: &Value) -> Vec<FieldMistake> {
    let mut found: Vec<FieldMistake> = validator
        .iter_errors(object)
        .map(|error| {
            let place = dotted(object, error.instance_path().as_str());
            mistake(&place, error.instance(), error.kind())
        })
        .collect();
    found.sort_by(|one, other| (&one.field, &one.message).cmp(&(&other.field, &other.message)));
    found.dedup();
    found
}

/// `/spec/limits/0/cpu` as `spec.limits[0].cpu`.
fn dotted(object: &Value, pointer: &str) -> String {
    let (mut place, mut at) = (String::new(), Some(object));
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match at {
            Some(Value::Array(items)) => {
                place.push_str(&format!("[{step}]"));
                at = step.parse::<usize>().ok().and_then(|index| items.get(index));
            }
            _ => {
                place = join(&place, &step);
                at = at.and_then(|value| value.get(&step));
            }
        }
    }
    place
}

fn join(place: &str, field: &str) -> String {
    if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn mistake(place: &str, value: &Value, kind: &ValidationErrorKind) -> FieldMistake {
    let invalid = |why: String| FieldMistake::invalid(place, value, &format!("{place} in body {why}"));
    let mistyped = |wanted: &str, found: &str| FieldMistake {
        reason: "FieldValueTypeInvalid",
        field: place.into(),
        message: format!("Invalid value: {found}: {place} in body must be of type {wanted}: {found}"),
    };
    let too_many = |found: usize, limit: u64| FieldMistake {
        reason: "FieldValueTooMany",
        field: place.into(),
        message: format!("Too many: {found}: must have at most {limit} items"),
    };
    match kind {
        ValidationErrorKind::Required { property } => {
            FieldMistake::required(&join(place, property.as_str().unwrap_or_default()), "")
        }
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(all) => {
                    let all: Vec<String> = all.iter().map(|one| one.to_string()).filter(|one| one != "null").collect();
                    all.join(",")
                }
            };
            mistyped(&wanted, &format!("{:?}", type_name(value)))
        }
        ValidationErrorKind::Format { format } => mistyped(format, &value.to_string()),
        ValidationErrorKind::Enum { options } => {
            let choices: Vec<String> =
                options.as_array().into_iter().flatten().filter(|one| !one.is_null()).map(Value::to_string).collect();
            FieldMistake {
                reason: "FieldValueNotSupported",
                field: place.into(),
                message: format!("Unsupported value: {value}: supported values: {}", choices.join(", ")),
            }
        }
        ValidationErrorKind::Minimum { limit } => {
            invalid(format!("should be greater than or equal to {}", whole(limit)))
        }
        ValidationErrorKind::Maximum { limit } => invalid(format!("should be less than or equal to {}", whole(limit))),
        ValidationErrorKind::ExclusiveMinimum { limit } => invalid(format!("should be greater than {}", whole(limit))),
        ValidationErrorKind::ExclusiveMaximum { limit } => invalid(format!("should be less than {}", whole(limit))),
        ValidationErrorKind::MinLength { limit } => invalid(format!("should be at least {limit} chars long")),
        ValidationErrorKind::MaxLength { limit } => FieldMistake::too_long(place, *limit),
        ValidationErrorKind::Pattern { pattern } => invalid(format!("should match '{pattern}'")),
        ValidationErrorKind::MinItems { limit } => invalid(format!("should have at least {limit} items")),
        ValidationErrorKind::MaxItems { limit } => too_many(value.as_array().map_or(0, Vec::len), *limit),
        ValidationErrorKind::MinProperties { limit } => invalid(format!("should have at least {limit} properties")),
        ValidationErrorKind::MaxProperties { limit } => too_many(value.as_object().map_or(0, Map::len), *limit),
        ValidationErrorKind::UniqueItems => invalid("shouldn't contain duplicates".into()),
        ValidationErrorKind::MultipleOf { multiple_of } => invalid(format!("should be a multiple of {multiple_of}")),
        ValidationErrorKind::AnyOf { .. } => invalid("must validate at least one schema (anyOf)".into()),
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::OneOfMultipleValid { .. } => {
            invalid("must validate one and only one schema (oneOf)".into())
        }
        ValidationErrorKind::Not { .. } => invalid("must not validate the schema (not)".into()),
        other => invalid(format!("breaks the rule {}", other.keyword())),
    }
}

/// A bound, which is a float in the type of a CRD, as the real server tells it.
fn whole(limit: &Value) -> String {
    let text = limit.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// A rule in CEL that does not hold. The real server names the type of the value, not the value.
pub(super) fn rule_mistake(object: &Value, place: &str, reason: Option<&str>, why: &str) -> FieldMistake {
    let kind = json!(at(object, place).map_or("object", type_name));
    match reason {
        Some("FieldValueRequired") => FieldMistake::required(place, why),
        Some("FieldValueForbidden") => FieldMistake::forbidden(place, why),
        Some("FieldValueDuplicate") => FieldMistake {
            reason: "FieldValueDuplicate",
            field: place.into(),
            message: format!("Duplicate value: {kind}"),
        },
        _ => FieldMistake::invalid(place, &kind, why),
    }
}

/// Whether the real server skips the rules in CEL because of this mistake.
pub(super) fn hides_rules(mistake: &FieldMistake) -> bool {
    matches!(mistake.reason, "FieldValueRequired" | "FieldValueTooLong" | "FieldValueTooMany" | "FieldValueTypeInvalid")
}

/// Items of a list that must differ and do not.
pub(super) fn duplicates(schema: &Value, value: &Value, place: &str, found: &mut Vec<FieldMistake>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let known = schema["properties"].get(field).or_else(|| schema.get("additionalProperties"));
                if let Some(schema) = known.filter(|schema| schema.is_object()) {
                    duplicates(schema, value, &join(place, field), found);
                }
            }
        }
        Value::Array(items) => {
            let mut seen: Vec<Value> = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let place = format!("{place}[{index}]");
                if let Some(key) = item_key(schema, item) {
                    if seen.contains(&key) {
                        found.push(FieldMistake {
                            reason: "FieldValueDuplicate",
                            field: place.clone(),
                            message: format!("Duplicate value: {key}"),
                        });
                    }
                    seen.push(key);
                }
                duplicates(&schema["items"], item, &place, found);
            }
        }
        _ => {}
    }
}

/// What tells the items of a list apart; `None` for lists that are one value.
pub(super) fn item_key(schema: &Value, item: &Value) -> Option<Value> {
    match schema["x-kubernetes-list-type"].as_str()? {
        "set" => Some(item.clone()),
        "map" => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array()?.iter().filter_map(Value::as_str);
            Some(keys.map(|key| (key.to_owned(), item[key].clone())).collect())
        }
        _ => None,
    }
}

/// The value at a path such as `spec.limits[0].cpu`.
fn at<'a>(object: &'a Value, place: &str) -> Option<&'a Value> {
    let mut value = object;
    for step in place.split(['.', '[']).filter(|step| !step.is_empty()) {
        value = match step.strip_suffix(']') {
            Some(index) => value.get(index.parse::<usize>().ok()?)?,
            None => value.get(step)?,
        };
    }
    Some(value)
}

/// Whether a mistake is about something that changed. A missing field is judged by what it is missing in.
pub(super) fn is_new(mistake: &FieldMistake, object: &Value, old: &Value) -> bool {
    let place = match mistake.reason {
        "FieldValueRequired" => mistake.field.rsplit_once('.').map_or("", |(parent, _)| parent),
        _ => &mistake.field,
    };
    at(object, place) != at(old, place)
}
