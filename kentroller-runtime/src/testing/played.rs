//! A whole operator against an API server in the process, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::engine::{AnyController, kinds};
use crate::kind::{Kind, KindInfo};
use crate::metrics::Metrics;
use crate::operator::{Ended, Operator};
use crate::settings::Settings;
use crate::simulation::apiserver::{ApiServer, DeleteOptions, Served};
use crate::switches::Switches;
use crate::testing::Manifest;

/// When every play begins.
const BEGIN: &str = "2026-11-22T10:00:00Z";
/// Before the names of its metrics.
const PREFIX: &str = "played";
/// Where the operator lives, and its own objects are.
const NAMESPACE: &str = "default";

/// A running operator and the API server that it works on. Time passes in [`Played::pass`] alone.
#[derive(Debug)]
pub struct Played {
    /// The server: write as a user does, read what came of it, inject faults.
    pub server: ApiServer,
    /// The time of server and operator.
    pub clock: Clock,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<Ended>,
}

/// Runs controllers in namespace `default` with the defaults of their settings, on a server that serves all that they
/// declared. To be called in a test with `#[tokio::test(start_paused = true)]`: an hour takes no time.
///
/// # Panics
/// When a default of the settings is wrong, or a kind of the project makes no CRD.
#[allow(clippy::panic, reason = "a test that cannot begin says why")]
pub fn play<S: Switches + Settings + Serialize>(controllers: Vec<Box<dyn AnyController<S>>>) -> Played {
    let settings = S::from_env(&|_| None).unwrap_or_else(|mistakes| panic!("the defaults are wrong: {mistakes:?}"));
    let clock = Clock::starting_at(BEGIN.parse::<Timestamp>().unwrap_or_default());
    let declarations: Vec<_> = controllers.iter().map(|controller| controller.declaration()).collect();
    let written = declarations.iter().flat_map(|one| one.access.iter().map(|access| access.kind.info));
    let mut all: Vec<KindInfo> = kinds(&declarations).iter().map(|kind| kind.info).chain(written).collect();
    all.retain(|kind| !kind.is_cluster());
    all.sort();
    all.dedup();
    let mut served: Vec<Served> = all.iter().map(of_kind).collect();
    for (group, kind, plural) in [("events.k8s.io", "Event", "events"), ("coordination.k8s.io", "Lease", "leases")] {
        if all.iter().all(|known| (known.group, known.kind) != (group, kind)) {
            served.push(Served::built_in(group, "v1", kind, plural, true, false));
        }
    }
    let now = clock.clone();
    let server = ApiServer::new(move || now.now(), served);
    let (stop, stopped) = watch::channel(false);
    let operator = Operator::of(controllers).settings(settings).name("played").namespace(NAMESPACE).elect(false);
    let metrics = operator.metrics();
    let running = tokio::spawn(operator.run_until(server.client("played"), clock.clone(), stopped));
    Played { server, clock, metrics, stop, running }
}

fn of_kind(kind: &KindInfo) -> Served {
    match kind.crd {
        Some(crd) => Served::custom(serde_json::to_value(crd()).expect("a CRD is JSON")),
        None => Served::built_in(kind.group, kind.version, kind.kind, kind.plural, kind.namespaced, true),
    }
}

impl Played {
    /// Lets this time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Makes an object, as a user does.
    ///
    /// # Panics
    /// When the server refuses it; the message is the server's.
    #[allow(clippy::panic, reason = "a test that cannot go on says why")]
    pub fn create(&self, manifest: impl Manifest) {
        if let Err(refusal) = self.server.create(manifest.tree()) {
            panic!("refused: {refusal:?}");
        }
    }

    /// Makes an object with its status, as others leave it; `apiVersion` and `kind` may be left out.
    ///
    /// # Panics
    /// When the server refuses it; the message is the server's.
    #[allow(clippy::panic, reason = "a test that cannot go on says why")]
    pub fn seed<K: Kind>(&self, manifest: impl Manifest) {
        let mut tree = manifest.tree();
        tree["apiVersion"] = json!(K::INFO.api_version());
        tree["kind"] = json!(K::INFO.kind);
        if let Err(refusal) = self.server.seed(tree) {
            panic!("refused: {refusal:?}");
        }
    }

    /// Deletes an object, as a user does. The namespace of a cluster-scoped one is empty.
    ///
    /// # Panics
    /// When the server refuses it; the message is the server's.
    #[allow(clippy::panic, reason = "a test that cannot go on says why")]
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        if let Err(refusal) = self.server.delete(kind, namespace, name, &DeleteOptions::default()) {
            panic!("refused: {refusal:?}");
        }
    }

    /// One object; `null` if it is not there. The namespace of a cluster-scoped one is empty.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        self.server.get(kind, namespace, name).map(|object| Value::clone(&object)).unwrap_or_default()
    }

    /// The reasons of all events, in the order of their coming.
    pub fn events(&self) -> Vec<String> {
        let reason = |event: &Arc<Value>| event["reason"].as_str().unwrap_or_default().to_owned();
        self.server.list("Event").iter().map(reason).collect()
    }

    /// The conditions of an object, such as `Ready=True`.
    pub fn conditions(&self, kind: &str, namespace: &str, name: &str) -> Vec<String> {
        let object = self.get(kind, namespace, name);
        let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        all.iter().map(|one| format!("{}={}", text(&one["type"]), text(&one["status"]))).collect()
    }

    /// The lines of `/metrics` that begin so, without the operator's prefix: `reaped_total 1`.
    ///
    /// # Panics
    /// When a metric cannot be encoded.
    #[allow(clippy::expect_used, reason = "that is how a test fails")]
    pub fn metrics(&self, begin: &str) -> Vec<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.metrics.register(PREFIX)).expect("it is text");
        let own = text.lines().filter_map(|line| line.strip_prefix(PREFIX)?.strip_prefix('_'));
        own.filter(|line| line.starts_with(begin)).map(str::to_owned).collect()
    }

    /// Stops the operator and waits for it.
    ///
    /// # Panics
    /// When it panicked.
    #[allow(clippy::expect_used, reason = "that is how a test fails")]
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.running.await.expect("the operator did not panic");
    }
}
