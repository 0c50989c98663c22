//! From a decided status to the patch that makes it so; nothing if it is so already. Pure.

use serde_json::{Map, Value, json};

use crate::condition;
use crate::outcome::Decided;

/// The merge patch of the status subresource, if the decided status differs from the stored one.
pub fn patch(stored: &Value, decided: &Decided) -> Option<Value> {
    if decided.status.is_none() && decided.marks.is_empty() {
        return None;
    }
    let before = &stored["status"];
    let mut after = decided.status.clone().unwrap_or_else(|| before.clone());
    if !after.is_object() {
        after = json!({});
    }
    let conditions = condition::merge(&condition::read(before), &decided.marks, decided.generation, decided.now);
    after["conditions"] = serde_json::to_value(conditions).unwrap_or_default();
    after["observedGeneration"] = json!(decided.generation);
    difference(before, &after)
}

/// The merge patch (RFC 7386) from one value to another; `None` if they are equal.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        let changed = match old.get(name) {
            Some(known) => difference(known, value),
            None => Some(value.clone()),
        };
        if let Some(changed) = changed {
            patch.insert(name.clone(), changed);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_the_smallest_merge_patch() {
        let check = |before: Value, after: Value, want: Option<Value>| assert_eq!(difference(&before, &after), want);
        check(json!({"a": 1}), json!({"a": 1}), None);
        check(json!({"a": 1, "b": 2}), json!({"a": 1}), Some(json!({"b": null})));
        check(json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": 3, "c": 2}}), Some(json!({"a": {"b": 3}})));
        check(json!({"a": [1, 2]}), json!({"a": [1]}), Some(json!({"a": [1]})));
        check(Value::Null, json!({"a": 1}), Some(json!({"a": 1})));
    }
}
