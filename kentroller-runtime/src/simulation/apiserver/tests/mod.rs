//! The server held to the rules of the real one, through a real `kube::Client`: one file per group of rules.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

mod access;
mod apply;
mod custom;
mod deletion;
mod evictions;
mod faults;
mod histories;
mod objects;
mod watches;

/// When every test begins.
const START: &str = "2026-03-01T12:00:00Z";

fn widget_crd() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10},
            "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
            "code": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            "share": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "note": {"type": "string", "nullable": true},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "limits": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "max": {"type": "integer"}, "unit": {"type": "string", "default": "m"}}
                }
            },
            "low": {"type": "integer"},
            "high": {"type": "integer"},
            "fixed": {
                "type": "string",
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed is immutable"}]
            }
        },
        "x-kubernetes-validations": [
            {"rule": "!has(self.low) || !has(self.high) || self.low <= self.high", "message": "low must not exceed high"}
        ]
    });
    let status = json!({
        "type": "object",
        "properties": {
            "state": {"type": "string", "enum": ["Idle", "Busy"]},
            "conditions": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {"type": "object", "required": ["type"], "properties": {
                    "type": {"type": "string"}, "status": {"type": "string"},
                    "lastTransitionTime": {"type": "string", "format": "date-time"}
                }}
            }
        }
    });
    let schema = json!({
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
            "spec": spec, "status": status
        }
    });
    json!({
        "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}
            }]
        }
    })
}

/// A server with the kinds of these tests, whose clock is tokio's paused one.
fn server() -> ApiServer {
    let (start, began): (Timestamp, Instant) = (START.parse().unwrap(), Instant::now());
    let now = move || start + SignedDuration::try_from(began.elapsed()).unwrap();
    ApiServer::new(
        now,
        vec![
            Served::built_in("", "v1", "Node", "nodes", false, true),
            Served::built_in("", "v1", "Pod", "pods", true, true),
            Served::built_in("", "v1", "ConfigMap", "configmaps", true, false),
            Served::built_in("apps", "v1", "ReplicaSet", "replicasets", true, true),
            Served::built_in("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true, true),
            Served::built_in("coordination.k8s.io", "v1", "Lease", "leases", true, false),
            Served::built_in("events.k8s.io", "v1", "Event", "events", true, false),
            Served::custom(widget_crd()),
        ],
    )
}

/// One request as bytes; answers code and body.
async fn ask(client: &kube::Client, method: &str, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request =
        ::http::Request::builder().method(method).uri(path).header("content-type", kind).body(Body::from(body));
    let answer = client.send(request.unwrap()).await.unwrap();
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect_bytes().await.unwrap();
    (code, serde_json::from_slice(&bytes).unwrap())
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Asks, and holds the answer to a code and to fields by JSON pointer.
async fn check(
    client: &kube::Client,
    (method, path, kind): (&str, &str, &str),
    body: Value,
    code: u16,
    fields: &[(&str, Value)],
) -> Value {
    let (found, answer) = ask(client, method, path, kind, &body).await;
    assert_eq!(found, code, "{method} {path}: {answer}");
    for (pointer, wanted) in fields {
        let got = answer.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(&got, wanted, "{method} {path} {pointer}: {answer}");
    }
    answer
}

fn pod(name: &str, app: &str, node: &str) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": "x"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    });
    if !node.is_empty() {
        pod["spec"]["nodeName"] = json!(node);
    }
    pod
}

fn widget(name: &str) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 3}})
}

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": {"a": "1"}})
}

/// The lines of a watch that have arrived, as `TYPE name@version`.
struct Lines {
    stream: std::pin::Pin<Box<dyn futures::Stream<Item = Result<Value, std::io::Error>>>>,
}

impl Lines {
    async fn open(client: &kube::Client, path: &str) -> Self {
        let request = ::http::Request::get(path).body(Vec::new()).unwrap();
        let lines = futures::AsyncBufReadExt::lines(client.request_stream(request).await.unwrap());
        Self { stream: Box::pin(lines.map_ok(|line| serde_json::from_str(&line).unwrap())) }
    }

    async fn next(&mut self) -> Value {
        self.stream.next().await.expect("the watch goes on").unwrap()
    }

    async fn next_told(&mut self) -> String {
        let line = self.next().await;
        let meta = &line["object"]["metadata"];
        let told = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}@{}", line["type"].as_str().unwrap(), told("name"), told("resourceVersion"))
    }

    async fn is_over(&mut self) -> bool {
        self.stream.next().await.is_none()
    }

    /// Whether nothing arrives for a while.
    async fn is_quiet(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.stream.next()).await.is_err()
    }
}
