//! An API server as one of its users sees it, request by request: codes, bodies and warnings are kept as they come.

use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;

use futures::{AsyncBufReadExt, Stream, TryStreamExt};
use http::Request;
use kube::Client;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

/// The content types of requests.
pub const JSON: &str = "application/json";
pub const MERGE: &str = "application/merge-patch+json";

/// One user's connection. Every request is sent once, whatever it is answered.
pub struct Api {
    client: Client,
    warnings: Mutex<Vec<String>>,
}

/// What a request was answered; the body of a refusal is a `Status`.
#[derive(Clone, Debug)]
pub struct Answer {
    pub code: u16,
    pub body: Value,
}

impl Api {
    pub fn new(client: Client) -> Self {
        Self { client, warnings: Mutex::default() }
    }

    /// The user of a kubeconfig.
    pub async fn of(kubeconfig: &Path) -> Self {
        Self::impersonating(kubeconfig, None).await
    }

    /// Another user, as whom that of the kubeconfig may act.
    pub async fn impersonating(kubeconfig: &Path, user: Option<&str>) -> Self {
        let read = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let mut config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
            .await
            .expect("a whole kubeconfig");
        config.default_retry = false;
        config.auth_info.impersonate = user.map(str::to_owned);
        Self::new(Client::try_from(config).expect("a client"))
    }

    /// Sends a request with a body, or without one if it is null.
    pub async fn ask(&self, method: &str, path: &str, content: &str, body: &Value) -> Answer {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(path).header("content-type", content);
        let request = request.body(Body::from(bytes)).expect("a request");
        let answer = self.client.send(request).await.expect("an API server that answers");
        let warnings = answer.headers().get_all("warning").iter();
        let warnings: Vec<String> =
            warnings.map(|one| format!("{method} {path}: {}", String::from_utf8_lossy(one.as_bytes()))).collect();
        self.warnings.lock().expect("no test panics in between").extend(warnings);
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect_bytes().await.expect("a whole answer");
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { code, body }
    }

    /// An object or a list, or `None` if there is none.
    pub async fn find(&self, path: &str) -> Option<Value> {
        let answer = self.ask("GET", path, JSON, &Value::Null).await;
        if answer.code == 404 {
            return None;
        }
        assert_eq!(answer.code, 200, "GET {path}: {}", answer.body);
        Some(answer.body)
    }

    /// An object that is there.
    pub async fn get(&self, path: &str) -> Value {
        self.find(path).await.unwrap_or_else(|| panic!("{path} is not there"))
    }

    /// The objects of a list.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        self.get(path).await["items"].as_array().cloned().unwrap_or_default()
    }

    /// Creates an object; the path is that of its list.
    pub async fn create(&self, path: &str, object: &Value) -> Value {
        let answer = self.ask("POST", path, JSON, object).await;
        assert_eq!(answer.code, 201, "POST {path}: {}", answer.body);
        answer.body
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, path: &str, patch: &Value) -> Value {
        let answer = self.ask("PATCH", path, MERGE, patch).await;
        assert_eq!(answer.code, 200, "PATCH {path}: {}", answer.body);
        answer.body
    }

    /// Deletes an object; it may be gone already.
    pub async fn delete(&self, path: &str) {
        let answer = self.ask("DELETE", path, JSON, &Value::Null).await;
        assert!(matches!(answer.code, 200 | 202 | 404), "DELETE {path}: {}", answer.body);
    }

    /// The events of a watch, each with its type and object.
    pub async fn watch(&self, path: &str) -> Pin<Box<dyn Stream<Item = Value> + Send>> {
        let request = Request::get(path).body(Vec::new()).expect("a request");
        let stream = self.client.request_stream(request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let lines = stream.lines().map_ok(|line| serde_json::from_str(&line).expect("an event"));
        // A connection that breaks ends the watch, as its time does.
        Box::pin(futures::StreamExt::filter_map(lines, |line| std::future::ready(line.ok())))
    }

    /// What the server warned of so far.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().expect("no test panics in between").clone()
    }
}
