//! Conditions as JSON, read and written the way Kubernetes' controllers do: a time moves only with the status.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::hands::stamp;

/// Sets a condition in a `status`.
pub(crate) fn set(status: &mut Value, kind: &str, truth: &str, reason: &str, message: &str, now: Timestamp) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(all) = status["conditions"].as_array_mut() else { return };
    let mut wanted = json!({"type": kind, "status": truth, "lastTransitionTime": stamp(now)});
    for (field, text) in [("reason", reason), ("message", message)] {
        if !text.is_empty() {
            wanted[field] = json!(text);
        }
    }
    match all.iter_mut().find(|one| one["type"] == kind) {
        Some(one) => {
            if one["status"] == truth {
                wanted["lastTransitionTime"] = one["lastTransitionTime"].clone();
            }
            *one = wanted;
        }
        None => all.push(wanted),
    }
}

/// Takes a condition away.
pub(crate) fn clear(status: &mut Value, kind: &str) {
    if let Some(all) = status["conditions"].as_array_mut() {
        all.retain(|one| one["type"] != kind);
    }
}

fn find<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == kind)
}

/// Whether an object has the condition with status `True`.
pub(crate) fn is_true(object: &Value, kind: &str) -> bool {
    find(object, kind).is_some_and(|one| one["status"] == "True")
}

/// The status, reason and time of a condition.
pub(crate) fn get<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, Timestamp)> {
    let found = find(object, kind)?;
    let at = found["lastTransitionTime"].as_str()?.parse().ok()?;
    Some((found["status"].as_str()?, found["reason"].as_str().unwrap_or_default(), at))
}

/// Since when a condition is `True`.
pub(crate) fn true_since(object: &Value, kind: &str) -> Option<Timestamp> {
    get(object, kind).filter(|(truth, _, _)| *truth == "True").map(|(_, _, at)| at)
}
