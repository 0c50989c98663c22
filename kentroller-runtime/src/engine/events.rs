//! Events as users see them: events.k8s.io/v1, and only when there is something new to say.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kind::{KindInfo, ObjectKey};
use crate::outcome::{Decided, Note};

/// The longest note that the API server takes, in bytes.
const NOTE_LIMIT: usize = 1024;
/// Objects whose last events are remembered.
const MEMORY: usize = 10_000;

/// Remembers what was said last, so that the same is not said again.
#[derive(Debug, Default)]
pub struct Said {
    last: BTreeMap<(String, &'static str), String>,
}

impl Said {
    /// Whether this note is news about the object with this uid.
    pub fn is_news(&mut self, uid: &str, note: &Note) -> bool {
        self.is_new(uid, note.reason, &note.note)
    }

    /// Whether this text was not the last one about the object with this uid under this name.
    pub fn is_new(&mut self, uid: &str, name: &'static str, text: &str) -> bool {
        if self.last.len() >= MEMORY {
            self.last.clear();
        }
        let before = self.last.insert((uid.to_owned(), name), text.to_owned());
        before.as_deref() != Some(text)
    }
}

/// Who an event is about.
#[derive(Clone, Debug)]
pub struct Regarding {
    pub kind: KindInfo,
    pub object: ObjectKey,
    pub uid: String,
    pub resource_version: String,
}

impl From<&Decided> for Regarding {
    fn from(decided: &Decided) -> Self {
        Self {
            kind: decided.kind,
            object: decided.object.clone(),
            uid: decided.uid.clone(),
            resource_version: decided.resource_version.clone(),
        }
    }
}

/// Who says it.
#[derive(Clone, Copy, Debug)]
pub struct Reporter<'a> {
    pub operator: &'a str,
    pub controller: &'a str,
    /// The pod's name.
    pub instance: &'a str,
}

/// The event object. Events about cluster-scoped objects go to namespace `default`, where `kubectl describe` looks.
pub fn event(regarding: &Regarding, note: &Note, reporter: Reporter<'_>, count: u64, now: Timestamp) -> Value {
    let namespace = if regarding.object.namespace.is_empty() { "default" } else { &regarding.object.namespace };
    let mut text = note.note.clone();
    if text.len() > NOTE_LIMIT {
        text.truncate(text.floor_char_boundary(NOTE_LIMIT - 3));
        text.push_str("...");
    }
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            // Unlike any other event of this process and, through the time, of the one before.
            "name": format!("{}.{:x}.{count:x}", regarding.object.name, now.as_millisecond()),
            "namespace": namespace,
        },
        "eventTime": format!("{:.6}", now),
        "type": if note.warning { "Warning" } else { "Normal" },
        "reason": note.reason,
        "action": "Reconcile",
        "note": text,
        "reportingController": format!("{}/{}", reporter.operator, reporter.controller),
        "reportingInstance": reporter.instance,
        "regarding": {
            "apiVersion": regarding.kind.api_version(),
            "kind": regarding.kind.kind,
            "name": regarding.object.name,
            "namespace": if regarding.object.namespace.is_empty() { Value::Null } else { json!(regarding.object.namespace) },
            "uid": regarding.uid,
            "resourceVersion": regarding.resource_version,
        },
    })
}
