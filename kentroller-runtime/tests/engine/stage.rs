//! A server, replicas of an operator on it, and what was asked, logged and looked at.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use jiff::Timestamp;
use kentroller_runtime::engine::ports::Ports;
use kentroller_runtime::metrics::Metrics;
use kentroller_runtime::operator::{Ended, Health, Operator};
use kentroller_runtime::simulation::apiserver::{ApiServer, Fault, Matching, Served, Trouble, refusal_of_code};
use kentroller_runtime::{Clock, Kind, reconciler};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::BoxError;

use crate::kinds::{ConfigMap, Doubles, Script, Widgets};

/// A request that a replica sent.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Timestamp,
    pub verb: String,
    pub path: String,
    pub body: Value,
}

pub struct Stage {
    pub server: ApiServer,
    pub clock: Clock,
    log: Log,
    _logged: tracing::subscriber::DefaultGuard,
}

pub struct Replica {
    pub asked: Arc<Mutex<Vec<Asked>>>,
    /// The next watch of widgets is answered, and then nothing more is heard on its connection.
    pub dead: Arc<AtomicBool>,
    pub health: Health,
    pub metrics: Metrics,
    pub stop: watch::Sender<bool>,
    pub ended: tokio::task::JoinHandle<Ended>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(text)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The kinds that these tests ask for.
pub fn served() -> Vec<Served> {
    vec![
        Served::built_in("", "v1", "ConfigMap", "configmaps", true, false),
        Served::built_in("test.example", "v1", "Widget", "widgets", false, true),
        Served::built_in("events.k8s.io", "v1", "Event", "events", true, false),
        Served::built_in("coordination.k8s.io", "v1", "Lease", "leases", true, false),
    ]
}

impl Stage {
    pub fn new() -> Self {
        let clock = Clock::starting_at("2026-11-22T10:00:00Z".parse::<Timestamp>().expect("a time"));
        let now = clock.clone();
        let log = Log::default();
        let writer = log.clone();
        let logs = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let logged = tracing::subscriber::set_default(logs);
        Self { server: ApiServer::new(move || now.now(), served()), clock, log, _logged: logged }
    }

    /// A stage with one widget and one replica that leads.
    pub async fn with(script: Script) -> (Self, Replica) {
        let stage = Self::new();
        stage.widget("a");
        let replica = stage.start("one", script);
        pass(5).await;
        (stage, replica)
    }

    pub fn start(&self, instance: &str, script: Script) -> Replica {
        let (stop, stopped) = watch::channel(false);
        let operator = Operator::of(vec![reconciler::<Widgets>()])
            .settings(script)
            .ports(Ports::default().with(Doubles))
            .instance(instance)
            .own_namespace([ConfigMap::INFO]);
        let (health, metrics) = (operator.health(), operator.metrics());
        let (asked, dead) = (Arc::default(), Arc::default());
        let client = self.client(instance, Arc::clone(&asked), Arc::clone(&dead));
        let ended = tokio::spawn(operator.run_until(client, self.clock.clone(), stopped));
        Replica { asked, dead, health, metrics, stop, ended }
    }

    /// A client that notes what it is asked.
    fn client(&self, user: &str, asked: Arc<Mutex<Vec<Asked>>>, dead: Arc<AtomicBool>) -> kube::Client {
        let (inner, clock) = (self.server.client(user), self.clock.clone());
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (inner, asked, dead, at) = (inner.clone(), Arc::clone(&asked), Arc::clone(&dead), clock.now());
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.expect("a whole body").to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let (verb, path) = (parts.method.to_string(), parts.uri.to_string());
                if path.contains("/widgets?") && path.contains("watch=true") && dead.swap(false, Ordering::Relaxed) {
                    let silence = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, BoxError>>());
                    return Ok(http::Response::new(silence.boxed_unsync()));
                }
                asked.lock().expect("not poisoned").push(Asked { at, verb, path, body });
                let answer = inner.send(http::Request::from_parts(parts, Body::from(bytes.to_vec()))).await?;
                Ok::<_, BoxError>(answer.map(|body| body.map_err(BoxError::from).boxed_unsync()))
            }
        });
        kube::Client::new(service, "default")
    }

    pub fn widget(&self, name: &str) {
        let widget =
            json!({"apiVersion": "test.example/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1}});
        self.server.create(widget).expect("created");
    }

    /// Changes a widget's spec.
    pub fn edit(&self, name: &str, size: Value) {
        self.change("Widget", None, name, |widget| widget["spec"]["size"] = size);
    }

    pub fn change(&self, kind: &str, namespace: Option<&str>, name: &str, change: impl FnOnce(&mut Value)) {
        self.server.update(kind, namespace, name, change).expect("updated");
    }

    pub fn map(&self, name: &str, widget: &str) {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default", "labels": {"widget": widget}}});
        self.server.create(map).expect("created");
    }

    /// Changes a ConfigMap.
    pub fn touch(&self, name: &str, text: &str) {
        self.change("ConfigMap", Some("default"), name, |map| map["data"] = json!({ "text": text }));
    }

    pub fn maps(&self) -> Vec<String> {
        let listed = self.server.list("ConfigMap");
        listed.iter().map(|object| object["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub fn status(&self, widget: &str) -> Value {
        self.server.get("Widget", None, widget).expect("it is there")["status"].clone()
    }

    /// The next `times` requests of replica `one` with this verb on this resource end like this.
    pub fn trouble(&self, verb: &str, resource: &str, times: u32, trouble: Trouble) {
        let of_one = Matching { user: Some("one".into()), verb: Some(verb.into()), ..Matching::default() };
        let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
        let matching = Matching { resource: Some(resource.into()), subresource: Some(sub.into()), ..of_one };
        self.server.inject(Fault::Requests { matching, after: 0, times, trouble });
    }

    pub fn refuse(&self, verb: &str, resource: &str, times: u32, code: u16) {
        self.trouble(verb, resource, times, Trouble::Refuse(refusal_of_code(code)));
    }

    /// Lines of the log that hold all of these words.
    pub fn logged(&self, words: &[&str]) -> usize {
        let text = String::from_utf8_lossy(&self.log.0.lock().expect("not poisoned")).into_owned();
        text.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}

impl Replica {
    /// When it asked this of such a path, in whole seconds after the stage began.
    pub fn asked_at(&self, verb: &str, part: &str) -> Vec<i64> {
        self.asked(verb, part).iter().map(|one| one.at.as_second() - 1_795_341_600).collect()
    }

    pub fn asked(&self, verb: &str, part: &str) -> Vec<Asked> {
        let asked = self.asked.lock().expect("not poisoned");
        asked.iter().filter(|one| one.verb == verb && one.path.contains(part)).cloned().collect()
    }

    /// How many lists it asked for.
    pub fn lists(&self) -> usize {
        self.asked("GET", "limit=").len()
    }
}

pub async fn pass(seconds: u64) {
    pass_millis(1_000 * seconds).await;
}

pub async fn pass_millis(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// What a script notes.
#[derive(Clone, Debug)]
pub struct Notes<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Notes<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Notes<T> {
    pub fn add(&self, note: T) {
        self.0.lock().expect("not poisoned").push(note);
    }
    pub fn all(&self) -> Vec<T> {
        self.0.lock().expect("not poisoned").clone()
    }
    pub fn len(&self) -> usize {
        self.0.lock().expect("not poisoned").len()
    }
}
