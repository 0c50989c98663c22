//! From a typed change to the merge patch that makes it, and nothing else.

use serde_json::{Map, Value};

use crate::kind::Kind;

/// The merge patch that makes `after` of `before`; `None` if they are the same. The status is left out.
pub(super) fn between<K: Kind>(before: &K, after: &K) -> Option<Value> {
    let tree =
        |object: &K| serde_json::to_value(object).expect("a kind is made of JSON, and of maps with text for keys");
    let mut patch = difference(&tree(before), &tree(after))?;
    if let Some(fields) = patch.as_object_mut() {
        fields.remove("status");
    }
    (patch != Value::Object(Map::new())).then_some(patch)
}

fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter_map(|(key, value)| {
        let change = old.get(key).map_or_else(|| Some(value.clone()), |old| difference(old, value))?;
        Some((key.clone(), change))
    });
    let patch: Map<String, Value> = gone.chain(changed).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_says_what_changed_and_nothing_else() {
        let check = |before: Value, after: Value, want: Option<Value>| assert_eq!(difference(&before, &after), want);
        check(json!({"a": 1, "b": {"c": 2}}), json!({"a": 1, "b": {"c": 2}}), None);
        check(
            json!({"a": 1, "b": {"c": 2, "d": 3}}),
            json!({"a": 1, "b": {"c": 4, "d": 3}}),
            Some(json!({"b": {"c": 4}})),
        );
        check(json!({"a": 1, "b": 2}), json!({"b": 2}), Some(json!({"a": null})));
        check(json!({}), json!({"a": {"b": 1}}), Some(json!({"a": {"b": 1}})));
        check(json!({"a": [1, 2]}), json!({"a": [2]}), Some(json!({"a": [2]})));
    }
}
