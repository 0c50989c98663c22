//! The rules for type and metadata that hold for every kind.

use serde_json::{Value, json};

use super::Served;
use super::object;
use super::refusal::{FieldMistake, Refusal, bad_request};

/// All annotations of an object together, keys and values, in bytes.
const LARGEST_ANNOTATIONS: usize = 256 * 1024;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                         and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                           and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or \
                           '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
                         an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                         validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// Fills in or checks `apiVersion` and `kind`.
///
/// # Errors
/// 400 for those of another kind; built-in kinds may leave them out, custom ones may not.
pub(super) fn check_type(served: &Served, object: &mut Value) -> Result<(), Refusal> {
    let (version, kind) = (served.api_version(), served.kind.clone());
    if served.crd.is_some() && object["kind"].as_str().unwrap_or_default().is_empty() {
        return Err(bad_request("Object 'Kind' is missing in the request"));
    }
    for (field, wanted) in [("apiVersion", &version), ("kind", &kind)] {
        match object[field].as_str().unwrap_or_default() {
            "" => drop(object::fields_mut(object).insert(field.into(), json!(wanted))),
            same if same == wanted => {}
            other => {
                return Err(bad_request(format!(
                    "the {field} in the data ({other}) does not match the expected {field} ({wanted})"
                )));
            }
        }
    }
    Ok(())
}

/// Leaves out empty metadata, as the server's own types do.
pub(super) fn tidy(object: &mut Value) {
    object::meta_mut(object).retain(|_, value| match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
    if let Some(Value::Object(labels)) = object::meta_mut(object).get_mut("labels") {
        labels.retain(|_, value| !value.is_null());
    }
    if let Some(Value::Object(annotations)) = object::meta_mut(object).get_mut("annotations") {
        annotations.retain(|_, value| !value.is_null());
    }
}

pub(super) fn mistakes(object: &Value) -> Vec<FieldMistake> {
    let mut found = Vec::new();
    match object::text(object, "name") {
        "" => found.push(FieldMistake::required("metadata.name", "name or generateName is required")),
        name if name.len() > 253 => {
            found.push(FieldMistake::invalid("metadata.name", &json!(name), "must be no more than 253 characters"));
        }
        name if !is_subdomain(name) => found.push(FieldMistake::invalid("metadata.name", &json!(name), SUBDOMAIN)),
        _ => {}
    }
    for (label, value) in object::meta(object, "labels").and_then(Value::as_object).into_iter().flatten() {
        found.extend(key_mistake("metadata.labels", label));
        match value.as_str() {
            Some(text) if text.len() > 63 => {
                found.push(FieldMistake::invalid("metadata.labels", value, "must be no more than 63 bytes"));
            }
            Some(text) if text.is_empty() || is_word(text) => {}
            _ => found.push(FieldMistake::invalid("metadata.labels", value, LABEL_VALUE)),
        }
    }
    let mut size = 0;
    for (key, value) in object::meta(object, "annotations").and_then(Value::as_object).into_iter().flatten() {
        found.extend(key_mistake("metadata.annotations", &key.to_lowercase()));
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if size > LARGEST_ANNOTATIONS {
        found.push(FieldMistake::too_long("metadata.annotations", LARGEST_ANNOTATIONS as u64));
    }
    for finalizer in object::finalizers(object) {
        found.extend(key_mistake("metadata.finalizers", finalizer));
    }
    found
}

/// Finalizers that an object which is leaving did not have before.
pub(super) fn new_finalizers(old: &Value, new: &Value) -> Option<FieldMistake> {
    let had = object::finalizers(old);
    let added: Vec<String> =
        object::finalizers(new).into_iter().filter(|one| !had.contains(one)).map(|one| format!("{one:?}")).collect();
    (object::is_leaving(old) && !added.is_empty()).then(|| {
        let list = added.join(", ");
        FieldMistake::forbidden(
            "metadata.finalizers",
            &format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
            ),
        )
    })
}

fn is_word(text: &str) -> bool {
    let edge = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(|part| {
        is_word(part)
            && part.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
    })
}

fn key_mistake(field: &str, key: &str) -> Option<FieldMistake> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if let Some(prefix) = prefix
        && !is_subdomain(prefix)
    {
        return Some(FieldMistake::invalid(field, &json!(key), &format!("prefix part {SUBDOMAIN}")));
    }
    if name.len() > 63 {
        return Some(FieldMistake::invalid(field, &json!(key), "name part must be no more than 63 bytes"));
    }
    (!is_word(name)).then(|| FieldMistake::invalid(field, &json!(key), QUALIFIED))
}
