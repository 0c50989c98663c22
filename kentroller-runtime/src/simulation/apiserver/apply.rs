//! Server-side apply: who applied which fields, and what a new application means.
//!
//! Only appliers are tracked by name. A field that nobody applied belongs to whoever wrote it otherwise; of those the
//! server knows no more than that they exist. `managedFields` is therefore absent from what is served.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::object;
use super::validate;

/// One step of a path into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(String),
    /// An item of a keyed list or a set, by its key.
    Item(Key),
}

/// The key of an item: the fields that identify it as JSON text, or the value itself for a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Fields(BTreeMap<String, String>),
    Value(String),
}

impl Key {
    /// An item that has the key and nothing else.
    fn as_item(&self) -> Value {
        let value = |text: &String| serde_json::from_str(text).unwrap_or_default();
        match self {
            Self::Fields(fields) => fields.iter().map(|(field, text)| (field.clone(), value(text))).collect(),
            Self::Value(text) => value(text),
        }
    }
}

type Path = Vec<Step>;

/// An applier: its name and the subresource it writes to.
type Applier = (String, String);

/// Who applied which fields of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ownership {
    appliers: BTreeMap<Applier, BTreeSet<Path>>,
    /// Applied fields that somebody also wrote otherwise: they outlive their appliers.
    shared: BTreeSet<Path>,
}

/// What an application came to.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) object: Value,
    pub(super) ownership: Ownership,
    /// Owner and path of each field that has another owner and another value.
    pub(super) conflicts: Vec<(String, String)>,
}

/// The lists of built-in kinds (and of all metadata) that are merged by key; all other lists are one value.
fn builtin_list(path: &[Step]) -> Option<Value> {
    let fields: Vec<&str> = path
        .iter()
        .filter_map(|step| match step {
            Step::Field(field) => Some(field.as_str()),
            Step::Item(_) => None,
        })
        .collect();
    let keyed = |key: &str| Some(json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}));
    match fields.as_slice() {
        ["metadata", "ownerReferences"] => keyed("uid"),
        ["metadata", "finalizers"] => Some(json!({"x-kubernetes-list-type": "set"})),
        ["status", "conditions" | "addresses"] => keyed("type"),
        ["spec", "containers" | "initContainers" | "ephemeralContainers" | "volumes"] => keyed("name"),
        ["spec", "containers" | "initContainers", "env"] => keyed("name"),
        _ => None,
    }
}

/// The word of a schema about a list: that of the CRD where it says one.
fn list_type(schema: Option<&Value>, path: &[Step]) -> Value {
    let told = schema.filter(|schema| schema["x-kubernetes-list-type"].is_string()).cloned();
    told.or_else(|| builtin_list(path)).unwrap_or_default()
}

fn key_of(list: &Value, item: &Value) -> Option<Key> {
    match validate::item_key(list, item)? {
        Value::Object(fields) if list["x-kubernetes-list-type"] == "map" => {
            Some(Key::Fields(fields.into_iter().map(|(field, value)| (field, canonical(&value))).collect()))
        }
        value => Some(Key::Value(canonical(&value))),
    }
}

fn item_schema(schema: Option<&Value>) -> Option<&Value> {
    schema.and_then(|schema| schema.get("items"))
}

fn field_schema<'a>(schema: Option<&'a Value>, field: &str) -> Option<&'a Value> {
    let schema = schema?;
    schema["properties"].get(field).or_else(|| schema.get("additionalProperties"))
}

/// All fields that an applied object sets, as paths to values that are not taken apart further.
fn leaves(schema: Option<&Value>, value: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    match value {
        Value::Object(fields)
            if !fields.is_empty() && schema.is_none_or(|schema| schema["x-kubernetes-map-type"] != "atomic") =>
        {
            for (field, value) in fields {
                path.push(Step::Field(field.clone()));
                leaves(field_schema(schema, field), value, path, found);
                path.pop();
            }
        }
        Value::Array(items) => {
            let list = list_type(schema, path);
            let keys: Option<Vec<Key>> = items.iter().map(|item| key_of(&list, item)).collect();
            match keys.filter(|keys| !keys.is_empty()) {
                None => drop(found.insert(path.clone())),
                Some(keys) => {
                    for (key, item) in keys.into_iter().zip(items) {
                        let is_value = matches!(key, Key::Value(_));
                        path.push(Step::Item(key));
                        // The item itself is owned too, so that it goes when its last owner lets go.
                        found.insert(path.clone());
                        if !is_value {
                            leaves(item_schema(schema), item, path, found);
                        }
                        path.pop();
                    }
                }
            }
        }
        _ => drop(found.insert(path.clone())),
    }
}

/// A value as text that can be ordered: the fields of JSON objects are sorted here.
fn canonical(value: &Value) -> String {
    value.to_string()
}

fn holds(key: &Key, item: &Value) -> bool {
    match key {
        Key::Value(text) => canonical(item) == *text,
        Key::Fields(fields) => fields.iter().all(|(field, text)| canonical(&item[field]) == *text),
    }
}

fn get<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step {
        Step::Field(field) => value.get(field),
        Step::Item(key) => value.as_array()?.iter().find(|item| holds(key, item)),
    })
}

fn set(object: &mut Value, path: &[Step], wanted: Value) {
    let Some((step, rest)) = path.split_first() else {
        *object = wanted;
        return;
    };
    match step {
        Step::Field(field) => set(object::fields_mut(object).entry(field.clone()).or_insert(Value::Null), rest, wanted),
        Step::Item(key) => {
            if !object.is_array() {
                *object = json!([]);
            }
            let Value::Array(items) = object else { return };
            match items.iter_mut().find(|item| holds(key, item)) {
                Some(item) => set(item, rest, wanted),
                None => {
                    // A new item is found by its key from its first field on.
                    let mut item = key.as_item();
                    set(&mut item, rest, wanted);
                    items.push(item);
                }
            }
        }
    }
}

fn remove(object: &mut Value, path: &[Step]) {
    let Some((step, rest)) = path.split_first() else { return };
    match (step, object) {
        (Step::Field(field), Value::Object(fields)) => {
            if rest.is_empty() {
                fields.remove(field);
            } else if let Some(value) = fields.get_mut(field) {
                remove(value, rest);
            }
        }
        (Step::Item(key), Value::Array(items)) => {
            if rest.is_empty() {
                items.retain(|item| !holds(key, item));
            } else if let Some(item) = items.iter_mut().find(|item| holds(key, item)) {
                remove(item, rest);
            }
        }
        _ => {}
    }
}

/// A path as the server writes it: `.spec.limits[name="cpu"]`.
fn told(path: &[Step]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Field(field) => format!(".{field}"),
            Step::Item(Key::Value(text)) => format!("[={text}]"),
            Step::Item(Key::Fields(fields)) => {
                let keys: Vec<String> = fields.iter().map(|(field, text)| format!("{field}={text}")).collect();
                format!("[{}]", keys.join(","))
            }
        })
        .collect()
}

/// The fields of an application that this subresource may set.
fn wanted_fields(schema: Option<&Value>, wanted: &Value, splits_status: bool, subresource: &str) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    leaves(schema, wanted, &mut Vec::new(), &mut found);
    found.retain(|path| match path.as_slice() {
        [Step::Field(first), rest @ ..] => match (first.as_str(), rest) {
            ("apiVersion" | "kind", _) => false,
            ("metadata", [Step::Field(second), ..]) => {
                subresource.is_empty()
                    && !matches!(
                        second.as_str(),
                        "name"
                            | "namespace"
                            | "uid"
                            | "resourceVersion"
                            | "creationTimestamp"
                            | "generation"
                            | "managedFields"
                    )
            }
            ("metadata", _) => false,
            ("status", _) => !splits_status || subresource == "status",
            _ => subresource.is_empty(),
        },
        _ => false,
    });
    found
}

impl Ownership {
    /// The ownership that creating an object by applying it makes.
    pub(super) fn of_creation(schema: Option<&Value>, wanted: &Value, splits_status: bool, applier: &str) -> Self {
        let fields = wanted_fields(schema, wanted, splits_status, "");
        Self { appliers: [((applier.into(), String::new()), fields)].into(), shared: BTreeSet::new() }
    }

    /// Applies an object onto the present one. With conflicts, the outcome is the one of a forced application.
    pub(super) fn apply(
        &self,
        schema: Option<&Value>,
        present: &Value,
        wanted: &Value,
        splits_status: bool,
        applier: &str,
        subresource: &str,
    ) -> Applied {
        let fields = wanted_fields(schema, wanted, splits_status, subresource);
        let me: Applier = (applier.into(), subresource.into());
        let (mut object, mut ownership, mut conflicts) = (present.clone(), self.clone(), Vec::new());
        let mine = ownership.appliers.remove(&me).unwrap_or_default();
        for path in &fields {
            let (Some(value), live) = (get(wanted, path), get(present, path)) else { continue };
            if is_empty_map(value) && live.is_some_and(Value::is_object) {
                // Nothing is said about what is in it.
                continue;
            }
            let others: Vec<&Applier> =
                ownership.appliers.iter().filter(|(_, owned)| owned.contains(path)).map(|(name, _)| name).collect();
            let written = self.shared.contains(path) || (others.is_empty() && !mine.contains(path));
            match live {
                // The item as such has no value: it is there as soon as its fields are.
                Some(live) if live != value && !is_keyed_item(path) => {
                    let owners = others.iter().map(|(name, _)| name.clone());
                    let unnamed = written.then(|| "unknown".to_owned());
                    conflicts.extend(owners.chain(unnamed).map(|owner| (owner, told(path))));
                    ownership.release(path);
                }
                Some(_) if written => drop(ownership.shared.insert(path.clone())),
                _ => {}
            }
            if !is_keyed_item(path) {
                set(&mut object, path, value.clone());
            }
        }
        for path in mine.difference(&fields) {
            let kept = self.shared.contains(path) || ownership.appliers.values().any(|owned| owned.contains(path));
            let has_content = get(&object, path).is_some_and(|value| value.is_object() && !is_empty_map(value));
            if !kept && (is_keyed_item(path) || !has_content) {
                remove(&mut object, path);
                ownership.shared.remove(path);
            }
        }
        if !fields.is_empty() {
            ownership.appliers.insert(me, fields);
        }
        Applied { object, ownership, conflicts }
    }

    /// A write that is no application takes what it changes.
    pub(super) fn written(&mut self, old: &Value, new: &Value) {
        let changed: Vec<Path> = self
            .appliers
            .values()
            .flatten()
            .filter(|path| get(old, path) != get(new, path) && !is_keyed_item(path))
            .cloned()
            .collect();
        for path in &changed {
            self.release(path);
        }
    }

    fn release(&mut self, path: &Path) {
        for owned in self.appliers.values_mut() {
            owned.remove(path);
        }
        self.shared.remove(path);
    }
}

fn is_empty_map(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn is_keyed_item(path: &[Step]) -> bool {
    matches!(path.last(), Some(Step::Item(Key::Fields(_))))
}
