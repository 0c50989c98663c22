//! The hands of the simulated actors: writes on the API server at one moment.

use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::ObjectName;
use kentroller_runtime::simulation::apiserver::{ApiServer, DeleteOptions, Refusal};
use serde_json::{Value, json};

/// Writes, all at the same moment.
#[derive(Clone, Debug)]
pub(crate) struct Hands {
    pub(crate) server: ApiServer,
    pub(crate) now: Timestamp,
}

/// Whether an actor may pass over a refusal: the object has gone or come meanwhile.
fn told<T>(what: &str, kind: &str, name: &str, answer: Result<T, Refusal>) -> Option<T> {
    match answer {
        Ok(done) => Some(done),
        Err(refusal) => {
            if !matches!(refusal.code, 404 | 409) {
                tracing::error!(kind, name, refusal = %refusal.message, "the simulated world was refused a {what}");
            }
            None
        }
    }
}

fn place(key: &ObjectName) -> Option<&str> {
    (!key.namespace.is_empty()).then_some(&*key.namespace)
}

impl Hands {
    pub(crate) fn create(&self, object: Value) -> bool {
        let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        told("create", &kind, &name, self.server.create(object)).is_some()
    }

    pub(crate) fn edit(&self, kind: &str, key: &ObjectName, change: impl FnOnce(&mut Value)) {
        told("update", kind, &key.name, self.server.update(kind, place(key), &key.name, change));
    }

    pub(crate) fn edit_status(&self, kind: &str, key: &ObjectName, change: impl FnOnce(&mut Value)) {
        let change = |object: &mut Value| {
            if !object["status"].is_object() {
                object["status"] = json!({});
            }
            change(&mut object["status"]);
        };
        told("status update", kind, &key.name, self.server.update_status(kind, place(key), &key.name, change));
    }

    pub(crate) fn delete(&self, kind: &str, key: &ObjectName, options: &DeleteOptions) {
        told("delete", kind, &key.name, self.server.delete(kind, place(key), &key.name, options));
    }

    pub(crate) fn event(&self, regarding: &Value, kind: &'static str, reason: &str, note: &str) {
        let about = |field: &str| regarding["metadata"][field].clone();
        let namespace = regarding["metadata"]["namespace"].as_str().unwrap_or("default");
        self.create(json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"generateName": format!("{}.", text(&about("name"))), "namespace": namespace},
            "type": kind, "reason": reason, "note": note, "action": reason,
            "eventTime": self.now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            "reportingController": "simulation", "reportingInstance": "simulation",
            "regarding": {
                "apiVersion": regarding["apiVersion"], "kind": regarding["kind"], "name": about("name"),
                "namespace": about("namespace"), "uid": about("uid"), "resourceVersion": about("resourceVersion"),
            },
        }));
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The key of a cluster-wide object.
pub(crate) fn wide(name: &str) -> ObjectName {
    ObjectName { namespace: "".into(), name: name.into() }
}

/// A `metav1.Time`: whole seconds.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn after(at: Timestamp, span: Duration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// The earlier of two moments, where no moment is never.
pub(crate) fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
