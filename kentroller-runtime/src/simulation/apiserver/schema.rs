//! What a CRD does to an object: unknown fields go, defaults come, and what is wrong is named field by field.

use std::fmt;

use kube_cel::{CompiledSchema, Validator, compile_schema};
use serde_json::{Map, Value, json};

use super::Served;
use super::refusal::FieldMistake;
use super::validate;

/// The schema of one version of a CRD, ready for use.
pub(super) struct Schema {
    structural: Value,
    validator: jsonschema::Validator,
    /// The rules in CEL with what evaluates them; `None` where there are none.
    rules: Option<(CompiledSchema, Validator)>,
    /// The top-level fields that rules look at: evaluating rules costs more than everything else about a write.
    ruled: Vec<String>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

impl Schema {
    /// Reads the schema of the served version.
    ///
    /// # Panics
    /// When the CRD lacks the version, or its schema or a rule does not compile: the real server would not take it.
    pub(super) fn of(served: &Served, crd: &Value) -> Self {
        let versions = crd["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let version = versions.iter().find(|one| one["name"] == served.version.as_str());
        let structural = version.map(|one| one["schema"]["openAPIV3Schema"].clone()).unwrap_or_default();
        assert!(structural.is_object(), "the CRD of {} has no schema for version {}", served.kind, served.version);
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft4)
            .should_validate_formats(true)
            .build(&validate::json_schema(&structural, true))
            .unwrap_or_else(|mistake| panic!("the schema of {} does not compile: {mistake}", served.kind));
        let rules = has_rules(&structural).then(|| (compile_schema(&structural), Validator::new()));
        let mut broken = Vec::new();
        if let Some((rules, _)) = &rules {
            collect_broken(rules, &mut broken);
        }
        broken.sort();
        assert!(broken.is_empty(), "rules of {} do not compile: {}", served.kind, broken.join("; "));
        let ruled = ruled_fields(&structural);
        Self { structural, validator, rules, ruled }
    }

    /// The structural schema itself, for the types of lists.
    pub(super) fn structural(&self) -> &Value {
        &self.structural
    }

    /// Drops unknown fields and nulls, and fills in defaults.
    pub(super) fn complete(&self, object: &mut Value) {
        prune(&self.structural, object, true);
        default(&self.structural, object);
    }

    /// What is wrong with an object. Against an older state, what was wrong before and did not change is let through,
    /// as servers since 1.33 do.
    pub(super) fn mistakes(&self, object: &Value, old: Option<&Value>) -> Vec<FieldMistake> {
        let mut found = validate::schema_mistakes(&self.validator, object);
        validate::duplicates(&self.structural, object, "", &mut found);
        if found.iter().any(validate::hides_rules) {
            found.push(FieldMistake::invalid(
                "<nil>",
                &Value::Null,
                "some validation rules were not checked because the object was invalid; correct the existing errors to \
                 complete validation",
            ));
        } else if old.is_none_or(|old| self.ruled.iter().any(|field| object.get(field) != old.get(field)))
            && let Some((rules, evaluator)) = &self.rules
            && let Err(broken) = evaluator.validate_compiled(rules, object, old)
        {
            let mut told: Vec<FieldMistake> = broken
                .iter()
                .map(|one| validate::rule_mistake(object, &one.field_path, one.reason.as_deref(), &one.message))
                .collect();
            told.sort_by(|one, other| (&one.field, &one.message).cmp(&(&other.field, &other.message)));
            found.extend(told);
        }
        if let Some(old) = old {
            found.retain(|mistake| mistake.field == "<nil>" || validate::is_new(mistake, object, old));
            if found.iter().all(|mistake| mistake.field == "<nil>") {
                found.clear();
            }
        }
        found
    }
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(words) => words.contains_key("x-kubernetes-validations") || words.values().any(has_rules),
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}

/// The top-level fields with rules in them; all of them where the whole object has rules.
fn ruled_fields(structural: &Value) -> Vec<String> {
    let whole = structural.get("x-kubernetes-validations").is_some();
    let fields = structural["properties"].as_object().into_iter().flatten();
    fields.filter(|(_, schema)| whole || has_rules(schema)).map(|(field, _)| field.clone()).collect()
}

/// The rules that do not compile, at any depth.
fn collect_broken(rules: &CompiledSchema, broken: &mut Vec<String>) {
    broken.extend(rules.compilation_errors().iter().map(|mistake| mistake.to_string()));
    let nested = [&rules.items, &rules.additional_properties].into_iter().flatten().map(|schema| &**schema);
    let branches = rules.all_of.iter().chain(&rules.one_of).chain(&rules.any_of);
    for schema in rules.properties.values().chain(nested).chain(branches) {
        collect_broken(schema, broken);
    }
}

fn is_set(schema: &Value, word: &str) -> bool {
    schema.get(word).and_then(Value::as_bool).unwrap_or_default()
}

/// The schema of the other fields of a map.
fn additional(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|other| other.is_object() || **other == json!(true))
}

/// A null where the schema allows none counts as absent.
fn is_stray_null(schema: &Value, value: &Value) -> bool {
    value.is_null() && !is_set(schema, "nullable")
}

fn prune(schema: &Value, value: &mut Value, is_resource: bool) {
    match value {
        Value::Object(fields) => {
            let known = schema.get("properties").and_then(Value::as_object);
            let keep_unknown = is_set(schema, "x-kubernetes-preserve-unknown-fields");
            let other = additional(schema);
            fields.retain(|field, value| {
                if is_resource && matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                let Some(schema) = known.and_then(|known| known.get(field)).or(other) else { return keep_unknown };
                if !schema.is_object() {
                    // `additionalProperties: true` says nothing about what comes.
                    return true;
                }
                if is_stray_null(schema, value) {
                    return false;
                }
                prune(schema, value, is_set(schema, "x-kubernetes-embedded-resource"));
                true
            });
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                let is_resource = is_set(schema, "x-kubernetes-embedded-resource");
                items.iter_mut().for_each(|item| prune(schema, item, is_resource));
            }
        }
        _ => {}
    }
}

fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let none = Map::new();
            let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
            for (field, schema) in known {
                if let Some(given) = schema.get("default")
                    && !fields.contains_key(field)
                {
                    fields.insert(field.clone(), given.clone());
                }
                if let Some(value) = fields.get_mut(field) {
                    default(schema, value);
                }
            }
            if let Some(other) = additional(schema) {
                for (_, value) in fields.iter_mut().filter(|(field, _)| !known.contains_key(*field)) {
                    default(other, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| default(schema, item));
            }
        }
        _ => {}
    }
}
