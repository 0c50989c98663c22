//! From a decided status to the patch that makes it so; nothing if it is so already. Pure.

use serde_json::{Map, Value, json};

use crate::condition;
use crate::failure::{Failure, STATE_IMPOSSIBLE};
use crate::outcome::Decided;
use crate::words::Edges;

/// Whether the decided `status.state` may follow the stored one; without one the object is in the first state.
///
/// # Errors
/// It may not, by what the kind declares: a mistake in the controller, of which nothing is written.
pub fn check_transition(before: &Value, decided: &Decided, states: Edges) -> Result<(), Failure> {
    let state = |status: &Value| status["state"].as_str().map(str::to_owned);
    let (Some((first, _)), Some(after)) = (states.first(), decided.status.as_ref().and_then(state)) else {
        return Ok(());
    };
    let before = state(before).unwrap_or_else(|| (*first).to_owned());
    let next = states.iter().find(|(state, _)| *state == before).map_or(&[][..], |(_, next)| next);
    if after == before || next.contains(&after.as_str()) {
        return Ok(());
    }
    let message = format!("status.state may not go from {before} to {after}; declared are {}", next.join(", "));
    Err(STATE_IMPOSSIBLE.because(message))
}

/// The merge patch of the status, if the decided one differs from the stored one.
pub fn patch(before: &Value, decided: &Decided) -> Option<Value> {
    if decided.status.is_none() && decided.marks.is_empty() {
        return None;
    }
    let mut after = decided.status.clone().unwrap_or_else(|| before.clone());
    if !after.is_object() {
        after = json!({});
    }
    let conditions = condition::merge(&condition::read(before), &decided.marks, decided.generation, decided.now);
    after["conditions"] = serde_json::to_value(conditions).expect("conditions are text");
    after["observedGeneration"] = json!(decided.generation);
    difference(before, &after)
}

/// Whether a patch of the status changes no more than how its conditions are worded.
pub fn is_wording(before: &Value, patch: &Value) -> bool {
    let unworded = |status: &Value| {
        let mut conditions = condition::read(status);
        conditions.iter_mut().for_each(|condition| condition.message.clear());
        conditions
    };
    patch.as_object().is_some_and(|patch| patch.keys().eq(["conditions"])) && unworded(before) == unworded(patch)
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
    use jiff::Timestamp;

    use super::*;
    use crate::kind::{Cluster, Kind as _};

    #[test]
    fn a_state_is_followed_by_those_that_are_declared_only() {
        let check = |before: Value, after: &str, want: Result<(), &str>| {
            let mut decided = Decided::about(Cluster::INFO, &Cluster::default(), Timestamp::UNIX_EPOCH);
            decided.status = Some(json!({"state": after}));
            const STATES: Edges = &[("Open", &["Shut"]), ("Shut", &[])];
            let followed = check_transition(&before, &decided, STATES).map_err(|failure| failure.message);
            assert_eq!(followed, want.map_err(str::to_owned));
        };
        check(json!({"state": "Open"}), "Shut", Ok(()));
        check(json!({"state": "Shut"}), "Shut", Ok(()));
        check(Value::Null, "Shut", Ok(()));
        let said = "status.state may not go from Shut to Open; declared are ";
        check(json!({"state": "Shut"}), "Open", Err(said));
        let said = "status.state may not go from Ajar to Open; declared are ";
        check(json!({"state": "Ajar"}), "Open", Err(said));
    }

    #[test]
    fn another_message_is_wording_and_anything_else_is_news() {
        let condition = |reason: &str, message: &str| json!({"type": "Ready", "status": "False", "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let before = json!({"wave": 1, "conditions": [condition("Waits", "for a")]});
        let check = |patch: Value, want: bool| assert_eq!(is_wording(&before, &patch), want, "{patch}");
        check(json!({"conditions": [condition("Waits", "for b")]}), true);
        check(json!({"conditions": [condition("Runs", "for b")]}), false);
        check(json!({"conditions": []}), false);
        check(json!({"conditions": [condition("Waits", "for b")], "wave": 2}), false);
    }

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
