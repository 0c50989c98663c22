//! Reading and writing the few fields of an object that the server itself cares about.

use serde_json::{Map, Value, json};

/// Namespace (empty for cluster-wide kinds) and name: the order of lists.
pub(super) type Key = (String, String);

pub(super) fn meta<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(field)
}

/// A text field of the metadata; empty when absent.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    meta(object, field).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(object: &Value, field: &str) -> Option<i64> {
    meta(object, field)?.as_i64()
}

pub(super) fn is_leaving(object: &Value) -> bool {
    meta(object, "deletionTimestamp").is_some_and(|at| !at.is_null())
}

pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    let list = meta(object, "finalizers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// The metadata, made when absent, whatever stood there.
pub(super) fn meta_mut(object: &mut Value) -> &mut Map<String, Value> {
    let fields = fields_mut(object);
    fields_mut(fields.entry("metadata").or_insert_with(|| json!({})))
}

/// The fields of an object; anything that is not an object becomes an empty one.
pub(super) fn fields_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("made an object one line above"),
    }
}

pub(super) fn set_meta(object: &mut Value, field: &str, value: Value) {
    meta_mut(object).insert(field.to_owned(), value);
}

/// Copies a field of the metadata from another state of the object, absence included.
pub(super) fn keep_meta(object: &mut Value, from: &Value, field: &str) {
    match meta(from, field) {
        Some(value) => set_meta(object, field, value.clone()),
        None => drop(meta_mut(object).remove(field)),
    }
}

/// Copies a top-level field from another state of the object, absence included.
pub(super) fn keep(object: &mut Value, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) => drop(fields_mut(object).insert(field.to_owned(), value.clone())),
        None => drop(fields_mut(object).remove(field)),
    }
}

/// The uids of all owners.
pub(super) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let list = meta(object, "ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|owner| owner["uid"].as_str())
}

/// Whether two states differ in anything but metadata and, where it is a part of its own, status.
pub(super) fn differs_beyond(one: &Value, other: &Value, aside: &[&str]) -> bool {
    fn fields<'a>(object: &'a Value, aside: &[&str]) -> Vec<(&'a String, &'a Value)> {
        let all = object.as_object().into_iter().flatten();
        all.filter(|(field, _)| !aside.contains(&field.as_str())).collect()
    }
    fields(one, aside) != fields(other, aside)
}
