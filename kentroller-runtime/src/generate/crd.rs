//! From the CRD that kube's derive makes to the one that an API server takes without a warning.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

/// The largest integer that JSON readers agree about; a stored number beyond it may change when it is read.
const LARGEST_EXACT: f64 = 9_007_199_254_740_991.0;

/// Finishes a CRD: structural, with signed integers in bounds, without nulls, and with every list's type said.
pub fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            finish(root);
        }
    }
    crd
}

/// The manifest of a CRD, in YAML.
///
/// # Errors
/// When it cannot be written as YAML.
pub fn manifest(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::SerializeError> {
    let mut tree = serde_json::to_value(crd).unwrap_or_default();
    whole_numbers(&mut tree);
    serde_saphyr::to_string(&tree)
}

/// Reads a manifest that [`manifest`] wrote.
///
/// # Errors
/// When it is no CRD.
pub fn read(manifest: &str) -> Result<CustomResourceDefinition, serde_saphyr::Error> {
    serde_saphyr::from_str(manifest)
}

/// Bounds are floats in the type of a CRD, and whole numbers for people.
fn whole_numbers(tree: &mut Value) {
    match tree {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= LARGEST_EXACT) {
                *tree = Value::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

fn finish(schema: &mut JSONSchemaProps) {
    schema.title = None;
    schema.nullable = None;
    schema.description = schema.description.as_deref().map(joined);
    if let Some(words) = &mut schema.enum_ {
        words.retain(|word| !word.0.is_null());
    }
    bound(schema);
    let open = schema.x_kubernetes_preserve_unknown_fields == Some(true);
    if open || schema.properties.is_some() {
        // A structural schema has fields or a map, not both.
        schema.additional_properties = None;
    }
    if schema.items.is_some() && schema.x_kubernetes_list_type.is_none() {
        schema.x_kubernetes_list_type = Some("atomic".to_owned());
    }
    for field in schema.properties.iter_mut().flat_map(|fields| fields.values_mut()) {
        finish(field);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut schema.additional_properties {
        finish(value);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &mut schema.items {
        finish(item);
    }
}

/// The lines of each paragraph as one, without blocks of code.
fn joined(text: &str) -> String {
    let prose: String = text.split("```").step_by(2).collect();
    let paragraphs = prose
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// API servers know `int32` and `int64` only, and warn of other formats at every write.
fn bound(schema: &mut JSONSchemaProps) {
    let (format, largest) = match schema.format.as_deref() {
        Some("uint8") => ("int32", f64::from(u8::MAX)),
        Some("uint16") => ("int32", f64::from(u16::MAX)),
        Some("uint32") => ("int64", f64::from(u32::MAX)),
        Some("uint64" | "uint") => ("int64", LARGEST_EXACT),
        _ => return,
    };
    schema.format = Some(format.to_owned());
    schema.minimum = Some(schema.minimum.map_or(0.0, |minimum| minimum.max(0.0)));
    schema.maximum = Some(schema.maximum.map_or(largest, |maximum| maximum.min(largest)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finished(schema: serde_json::Value) -> serde_json::Value {
        let mut schema: JSONSchemaProps = serde_json::from_value(schema).expect("a schema");
        finish(&mut schema);
        serde_json::to_value(schema).expect("JSON")
    }

    #[test]
    fn what_an_api_server_would_warn_of_or_refuse_is_gone() {
        let cases = [
            (
                json!({"type": "integer", "format": "uint32"}),
                json!({"type": "integer", "format": "int64", "minimum": 0.0, "maximum": 4_294_967_295.0}),
            ),
            (
                json!({"type": "integer", "format": "uint8", "minimum": 1.0, "maximum": 50.0}),
                json!({"type": "integer", "format": "int32", "minimum": 1.0, "maximum": 50.0}),
            ),
            (json!({"type": "integer", "format": "int32"}), json!({"type": "integer", "format": "int32"})),
            (
                json!({"type": "string", "enum": ["A", null], "nullable": true}),
                json!({"type": "string", "enum": ["A"]}),
            ),
            (
                json!({"type": "array", "items": {"type": "string", "nullable": true}}),
                json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"}),
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true}),
                json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "string", "nullable": true}}),
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
            ),
        ];
        for (before, after) in cases {
            assert_eq!(finished(before.clone()), after, "{before}");
        }
    }
}
