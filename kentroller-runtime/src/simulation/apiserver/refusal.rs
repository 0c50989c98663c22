//! Why a request was refused: the `metav1.Status` that the real server would answer, word for word where it is known.

use kube::core::Status;
use kube::core::response::{StatusCause, StatusDetails, StatusSummary};
use serde_json::{Value, json};

use super::Served;

/// A refused request, in the type that `kube::Error::Api` carries, so that both roads give the same value.
pub type Refusal = Box<Status>;

/// One mistake in one field, as `metav1.StatusCause` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldMistake {
    pub(super) reason: &'static str,
    /// Path such as `spec.limits[0].cpu`.
    pub(super) field: String,
    pub(super) message: String,
}

impl FieldMistake {
    pub(super) fn invalid(field: &str, value: &Value, why: &str) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), message: format!("Invalid value: {value}: {why}") }
    }

    pub(super) fn required(field: &str, why: &str) -> Self {
        let message = if why.is_empty() { "Required value".into() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    pub(super) fn forbidden(field: &str, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {why}") }
    }

    pub(super) fn too_long(field: &str, limit: u64) -> Self {
        let message = format!("Too long: may not be more than {limit} bytes");
        Self { reason: "FieldValueTooLong", field: field.into(), message }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

fn refusal(code: u16, reason: &str, message: String, details: Option<StatusDetails>) -> Refusal {
    let mut status = Status::failure(&message, reason).with_code(code);
    status.status = Some(StatusSummary::Failure);
    status.details = details;
    status.boxed()
}

fn details(group: &str, kind: &str, name: &str) -> StatusDetails {
    StatusDetails {
        name: name.into(),
        group: group.into(),
        kind: kind.into(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

/// `plural.group`, as messages name a resource.
fn resource(served: &Served) -> String {
    if served.group.is_empty() { served.plural.clone() } else { format!("{}.{}", served.plural, served.group) }
}

pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
    refusal(400, "BadRequest", message.into(), None)
}

pub(super) fn not_found(served: &Served, name: &str) -> Refusal {
    let message = format!("{} \"{name}\" not found", resource(served));
    refusal(404, "NotFound", message, Some(details(&served.group, &served.plural, name)))
}

pub(super) fn already_exists(served: &Served, name: &str) -> Refusal {
    let message = format!("{} \"{name}\" already exists", resource(served));
    refusal(409, "AlreadyExists", message, Some(details(&served.group, &served.plural, name)))
}

pub(super) fn conflict(served: &Served, name: &str, why: &str) -> Refusal {
    let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource(served));
    refusal(409, "Conflict", message, Some(details(&served.group, &served.plural, name)))
}

/// The conflict of a stale `metadata.resourceVersion`.
pub(super) fn modified(served: &Served, name: &str) -> Refusal {
    conflict(
        served,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

/// A precondition of a delete that does not hold; the real server names the kind here, not the resource.
pub(super) fn precondition(served: &Served, name: &str, what: &str, asked: &str, found: &str, why: &str) -> Refusal {
    let place = if served.group.is_empty() { served.kind.clone() } else { format!("{}.{}", served.kind, served.group) };
    let message = format!(
        "Operation cannot be fulfilled on {place} \"{name}\": the {what} in the precondition ({asked}) does not match \
         the {what} in record ({found}). The object might have been {why}"
    );
    refusal(409, "Conflict", message, Some(details(&served.group, &served.kind, name)))
}

/// Fields that another applier owns with another value.
pub(super) fn apply_conflict(conflicts: &[(String, String)], version: &str) -> Refusal {
    let mut by_owner: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
    for (owner, field) in conflicts {
        by_owner.entry(owner).or_default().push(field);
    }
    let told: Vec<String> = by_owner
        .iter()
        .map(|(owner, fields)| match fields.as_slice() {
            [field] => format!("conflict with \"{owner}\" using {version}: {field}"),
            _ => format!("conflicts with \"{owner}\" using {version}:\n- {}", fields.join("\n- ")),
        })
        .collect();
    let many = if conflicts.len() == 1 { "conflict" } else { "conflicts" };
    let message = format!("Apply failed with {} {many}: {}", conflicts.len(), told.join("\n"));
    let mut details = details("", "", "");
    details.causes = conflicts
        .iter()
        .map(|(owner, field)| StatusCause {
            reason: "FieldManagerConflict".into(),
            message: format!("conflict with \"{owner}\" using {version}"),
            field: field.clone(),
        })
        .collect();
    refusal(409, "Conflict", message, Some(details))
}

pub(super) fn invalid(served: &Served, name: &str, mistakes: Vec<FieldMistake>) -> Refusal {
    let place = if served.group.is_empty() { served.kind.clone() } else { format!("{}.{}", served.kind, served.group) };
    let told: Vec<String> = mistakes.iter().map(FieldMistake::text).collect();
    let message = match told.as_slice() {
        [one] => format!("{place} \"{name}\" is invalid: {one}"),
        _ => format!("{place} \"{name}\" is invalid: [{}]", told.join(", ")),
    };
    let mut details = details(&served.group, &served.kind, name);
    details.causes = mistakes
        .into_iter()
        .map(|mistake| StatusCause { reason: mistake.reason.into(), message: mistake.message, field: mistake.field })
        .collect();
    refusal(422, "Invalid", message, Some(details))
}

pub(super) fn forbidden(served: &Served, name: &str, why: &str) -> Refusal {
    let name_told = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
    let message = format!("{}{name_told} is forbidden: {why}", resource(served));
    refusal(403, "Forbidden", message, Some(details(&served.group, &served.plural, name)))
}

/// The eviction that a disruption budget does not allow now.
pub(super) fn disruption_budget(cause: String, retry_after_seconds: u32) -> Refusal {
    let mut details = details("", "", "");
    details.retry_after_seconds = retry_after_seconds;
    details.causes = vec![StatusCause { reason: "DisruptionBudget".into(), message: cause, field: String::new() }];
    let message = "Cannot evict pod as it would violate the pod's disruption budget.".to_owned();
    refusal(429, "TooManyRequests", message, Some(details))
}

/// An error of the server without a reason of its own.
pub(super) fn internal(message: impl Into<String>) -> Refusal {
    refusal(500, "", message.into(), None)
}

/// A list or watch from a version that is no longer kept.
pub(super) fn expired(asked: u64, oldest: u64) -> Refusal {
    refusal(410, "Expired", format!("too old resource version: {asked} ({oldest})"), None)
}

/// A list that goes on in a version that is no longer kept.
pub(super) fn expired_list() -> Refusal {
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new \
                   list without the continue parameter.";
    refusal(410, "Expired", message.into(), None)
}

pub(super) fn too_large_version(asked: u64, current: u64) -> Refusal {
    let mut details = details("", "", "");
    details.retry_after_seconds = 1;
    details.causes = vec![StatusCause {
        reason: "ResourceVersionTooLarge".into(),
        message: "Too large resource version".into(),
        field: String::new(),
    }];
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    refusal(504, "Timeout", message, Some(details))
}

pub(super) fn too_large_request(limit: usize) -> Refusal {
    let message = format!("Request entity too large: limit is {limit}");
    refusal(413, "RequestEntityTooLarge", message, None)
}

/// A refusal with the reason that belongs to the code, as proxies, quotas and overload give it; for injected faults.
pub fn of_code(code: u16) -> Refusal {
    let (reason, message) = match code {
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden"),
        404 => ("NotFound", "the server could not find the requested resource"),
        409 => {
            ("Conflict", "the object has been modified; please apply your changes to the latest version and try again")
        }
        410 => ("Expired", "The resourceVersion for the provided watch is too old."),
        422 => ("Invalid", "admission webhook denied the request"),
        429 => ("TooManyRequests", "The server has received too many requests and has asked us to try again later"),
        500 => ("InternalError", "Internal error occurred: etcdserver: leader changed"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "Timeout: request did not complete within the allotted timeout"),
        _ => ("", "unknown"),
    };
    refusal(code, reason, message.into(), None)
}

/// The body of a refusal: kube's `Status` leaves kind and version out, the wire has them.
pub(super) fn body(status: &Status) -> Value {
    let mut body = serde_json::to_value(status).unwrap_or_default();
    body["kind"] = json!("Status");
    body["apiVersion"] = json!("v1");
    body["metadata"] = json!({});
    body
}
