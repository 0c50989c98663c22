//! Whether anything starves in a storm: 5,000 nodes, 75,000 pods, and 2,000 events of foreign pods a second for a minute,
//! each of which wakes one of 100 objects. All of it, the lease too, on one thread: worse than `Operator::run`, where the
//! lease has its own.
//!
//! Then the leader is killed, a replica that stood by takes over and is stopped, and the next one takes over.
//!
//! Told are the longest that a timer was late (bar: 1 s), the longest between two renewals of the lease (bar: 10 s, the
//! renew deadline), and the longest that an object was not looked at although events named it all the time (bar: 2 s, its
//! interval and what a timer may be late). And how long it takes until the next leader has looked at every object (bars: 17 s
//! after a kill, 3 s after a stop), and how many lists it asks for then (bar: 0).
//!
//! Run with `cargo bench -p kentroller-runtime --features simulation --bench storm`.
#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use kentroller_runtime::operator::{Ended, Health, Operator};
use kentroller_runtime::{
    Change, Clock, Cut, Failure, Kind, Meta, ObjectKey, Outcome, Reconcile, Switches, World, controller, reconciler,
    resource,
};
use kube::client::Body;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const PODS: usize = 75_000;
const NODES: usize = 5_000;
const OBJECTS: usize = 100;
const A_SECOND: usize = 2_000;
const STORM: Duration = Duration::from_secs(60);
/// When each object wants to be looked at again.
const TIMER: Duration = Duration::from_secs(5);

#[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", index = Pod::node)]
struct Pod {
    metadata: Meta,
    #[serde(default)]
    spec: PodSpec,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    node_name: Option<Arc<str>>,
}

impl Pod {
    fn node(&self) -> Option<&str> {
        self.spec.node_name.as_deref()
    }
}

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
struct Node {
    metadata: Meta,
}

#[resource(foreign, group = "", version = "v1", kind = "Widget", plural = "widgets")]
struct Widget {
    metadata: Meta,
}

/// What happened when, and what was late.
#[derive(Debug, Default)]
struct Seen {
    looked: BTreeMap<ObjectKey, Instant>,
    due: BTreeMap<ObjectKey, Instant>,
    looks: usize,
    longest_between: Duration,
    latest_timer: Duration,
    renewed: Option<Instant>,
    longest_renewal: Duration,
    events: usize,
    lists: usize,
}

#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Seen>>);

impl Serialize for Notes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl Switches for Notes {}

/// Looks at each widget every five seconds, and when a pod names it.
#[controller(of = Widget, settings = Notes, reads(Node), watches(Pod => concerned))]
struct Widgets;

/// Every tenth object has nothing but its timer.
fn concerned(change: &Change<'_, Pod>, _: &Cut) -> Vec<ObjectKey> {
    let number = change.new.and_then(|pod| pod.name().rsplit_once('-')?.1.parse::<usize>().ok()).unwrap_or(0);
    let object = number % OBJECTS;
    if object.is_multiple_of(10) { Vec::new() } else { vec![widget(object)] }
}

fn widget(number: usize) -> ObjectKey {
    ObjectKey::cluster(format!("widget-{number}"))
}

impl Reconcile for Widgets {
    fn reconcile(object: &Widget, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut seen = world.settings().0.lock().expect("not poisoned");
        let (now, key) = (Instant::now(), Kind::key(object));
        let quiet = key.name.ends_with('0');
        seen.looks += 1;
        if seen.events > 0 {
            let last = seen.looked.get(&key).copied();
            if let Some(last) = last.filter(|_| !quiet) {
                seen.longest_between = seen.longest_between.max(now - last);
            }
            let due = seen.due.get(&key).copied();
            if let Some(due) = due.filter(|_| quiet) {
                seen.latest_timer = seen.latest_timer.max(now.saturating_duration_since(due));
            }
        }
        seen.looked.insert(key.clone(), now);
        seen.due.insert(key, now + TIMER);
        let mut out = world.outcome(object);
        out.look_in(TIMER);
        Ok(out)
    }
}

fn object(kind: &str, number: usize, version: usize) -> Value {
    let environment: Vec<Value> = (0..40)
        .map(|one| json!({"name": format!("SETTING_{one}"), "value": format!("value-{one}-{version}")}))
        .collect();
    json!({
        "metadata": {"name": format!("{kind}-{number}"), "uid": format!("{kind}-{number}"), "resourceVersion": version.to_string(),
            "labels": {"app": format!("app-{}", number % 1_500)}},
        "spec": {"nodeName": format!("node-{}", number % NODES), "containers": [{"name": "app", "env": environment}]},
    })
}

fn list(kind: &str, count: usize, query: &str) -> Vec<u8> {
    let word = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let number = |name: &str| word(name).and_then(|text| text.parse().ok()).unwrap_or(0_usize);
    let (from, to) = (number("continue"), (number("continue") + number("limit")).min(count));
    let more = if to < count { to.to_string() } else { String::new() };
    let items: Vec<Value> = (from..to).map(|number| object(kind, number, 1)).collect();
    json!({"metadata": {"resourceVersion": "1", "continue": more}, "items": items}).to_string().into_bytes()
}

type Frames = BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

/// 20 events each hundredth of a second, once the storm is on.
fn events(seen: Notes, storm: watch::Receiver<bool>) -> Frames {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let made = stream::unfold((ticks, 2_usize, storm), move |(mut ticks, version, mut storm)| {
        let seen = seen.clone();
        async move {
            let _ = storm.wait_for(|storm| *storm).await;
            ticks.tick().await;
            let many = A_SECOND / 100;
            // As an API server writes them: the type first.
            let lines: String = (version..version + many)
                .map(|version| {
                    let pod = object("pod", version * 7 % PODS, version);
                    format!("{{\"type\":\"MODIFIED\",\"object\":{pod}}}\n")
                })
                .collect();
            seen.0.lock().expect("not poisoned").events += many;
            Some((Ok(Frame::data(Bytes::from(lines))), (ticks, version + many, storm)))
        }
    });
    made.boxed()
}

type Lease = Arc<Mutex<Option<Value>>>;

/// An API server of three kinds and a lease.
fn client(seen: &Notes, storm: &watch::Receiver<bool>, lease: &Lease) -> kube::Client {
    let (seen, storm, lease) = (seen.clone(), storm.clone(), Arc::clone(lease));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (lease, seen, storm) = (Arc::clone(&lease), seen.clone(), storm.clone());
        async move {
            let (parts, body) = request.into_parts();
            let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
            let one = |bytes: Vec<u8>| -> Frames { stream::iter([Ok(Frame::data(Bytes::from(bytes)))]).boxed() };
            let mut status = 200;
            let frames = if path.contains("/leases") {
                if parts.method == Method::GET {
                    let stored = lease.lock().expect("not poisoned").clone();
                    status = if stored.is_some() { 200 } else { 404 };
                    let missing = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no lease"});
                    one(stored.unwrap_or(missing).to_string().into_bytes())
                } else {
                    let bytes = body.collect().await.expect("a body").to_bytes().to_vec();
                    *lease.lock().expect("not poisoned") = serde_json::from_slice(&bytes).ok();
                    let mut seen = seen.0.lock().expect("not poisoned");
                    let now = Instant::now();
                    if let Some(last) = seen.renewed.replace(now) {
                        seen.longest_renewal = seen.longest_renewal.max(now - last);
                    }
                    one(bytes)
                }
            } else if query.contains("watch=true") {
                if path.ends_with("/pods") { events(seen, storm) } else { stream::pending().boxed() }
            } else {
                seen.0.lock().expect("not poisoned").lists += 1;
                match path.rsplit('/').next() {
                    Some("pods") => one(list("pod", PODS, &query)),
                    Some("nodes") => one(list("node", NODES, &query)),
                    _ => one(list("widget", OBJECTS, &query)),
                }
            };
            Ok::<_, Infallible>(Response::builder().status(status).body(StreamBody::new(frames)).expect("an answer"))
        }
    });
    kube::Client::new(service, "default")
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measure())
}

/// One replica of the operator.
struct Replica {
    seen: Notes,
    health: Health,
    stop: watch::Sender<bool>,
    running: JoinHandle<Ended>,
}

impl Replica {
    fn start(name: &str, storms: &watch::Receiver<bool>, lease: &Lease) -> Self {
        let seen = Notes::default();
        let (stop, stopped) = watch::channel(false);
        let operator = Operator::of(vec![reconciler::<Widgets>()]).settings(seen.clone()).instance(name);
        let (health, client) = (operator.health(), client(&seen, storms, lease));
        let running = tokio::spawn(operator.run_until(client, Clock::system(), stopped));
        Self { seen, health, stop, running }
    }

    fn of<T>(&self, what: impl FnOnce(&mut Seen) -> T) -> T {
        what(&mut self.seen.0.lock().expect("not poisoned"))
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every object has been looked at.
    async fn leads(&self) {
        self.until(|replica| replica.of(|seen| seen.looked.len()) == OBJECTS).await;
    }
}

async fn measure() -> ExitCode {
    let (storm, storms) = watch::channel(false);
    let lease = Lease::default();
    let replica = |name: &str| Replica::start(name, &storms, &lease);
    let first = replica("first");
    first.leads().await;
    first.of(|seen| seen.longest_renewal = Duration::ZERO);
    storm.send_replace(true);
    tokio::time::sleep(STORM).await;
    storm.send_replace(false);
    let mut good = !first.running.is_finished();
    let mut tell = |what: &str, found: Duration, bar: u64| {
        good &= found <= Duration::from_secs(bar);
        println!("{what}: {} ms (bar {} ms)", found.as_millis(), 1_000 * bar);
    };
    let events = first.of(|seen| {
        println!("storm: {} events of {PODS} pods, {} looks at {OBJECTS} objects", seen.events, seen.looks);
        tell("the latest timer", seen.latest_timer, 1);
        tell("the longest between two renewals of the lease", seen.longest_renewal, 10);
        tell("the longest that an object was not looked at", seen.longest_between, 2);
        seen.events
    });
    let second = replica("second");
    second.until(|replica| replica.health.is_ready()).await;
    let (lists, killed) = (second.of(|seen| seen.lists), Instant::now());
    first.running.abort();
    second.leads().await;
    tell("until the next replica has taken over from a dead one", killed.elapsed(), 17);
    let third = replica("third");
    third.until(|replica| replica.health.is_ready()).await;
    let (more, stopped) = (third.of(|seen| seen.lists), Instant::now());
    second.stop.send_replace(true);
    third.leads().await;
    tell("until the next replica has taken over from a stopped one", stopped.elapsed(), 3);
    let lists = second.of(|seen| seen.lists) - lists + third.of(|seen| seen.lists) - more;
    println!("lists asked for when taking over: {lists} (bar 0)");
    if good && lists == 0 && events >= A_SECOND * 50 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
