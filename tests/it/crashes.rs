//! The operator is killed at a write, before it arrives or before its answer does, and another one goes on: the end is the
//! same as without the crash.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request};
use kentroller::simulation::{Oracle, USER};
use kentroller_runtime::simulation::apiserver::ApiServer;
use kentroller_tests::{Stage, text};
use kube::client::Body;
use serde_json::json;

const LONG: Duration = Duration::from_secs(2 * 3600);
#[test]
fn a_crash_at_any_write_changes_nothing_about_the_end() {
    let writes = Line::default();
    let wanted = run(&writes, None);
    assert_eq!((wanted.claim.as_str(), wanted.plan.as_str()), ("Completed", "Done"), "{wanted:#?}");
    assert_eq!((wanted.not_running.len(), wanted.marks.len(), wanted.violations.len()), (0, 0, 0), "{wanted:#?}");
    let count = writes.sent.load(Ordering::Relaxed);
    assert!(wanted.made > 0 && wanted.removed > 0 && count > 50, "a story worth telling: {count} writes, {wanted:#?}");

    let crashes: Vec<(usize, When)> =
        (0..count).flat_map(|write| [(write, When::Before), (write, When::After)]).collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some((write, when)) = crashes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let line = Line::default();
                    let end = run(&line, Some((*write, *when)));
                    if end != wanted {
                        let what = line.last.lock().expect("not poisoned").clone();
                        found.lock().expect("not poisoned").push(format!("{when:?} write {write}, {what}: {end:#?}"));
                    }
                }
            });
        }
    });
    let found = found.into_inner().expect("not poisoned");
    assert!(found.is_empty(), "without a crash: {wanted:#?}\n{}", found.join("\n"));
}

/// Where in a write the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// It does not arrive.
    Before,
    /// It is done, and nobody hears of it.
    After,
}

/// How things stand at the end.
#[derive(Debug, PartialEq, Eq)]
struct End {
    claim: String,
    plan: String,
    /// Nodes that came and nodes that went, as the plan tells.
    made: usize,
    removed: usize,
    node_claims: Vec<String>,
    price: String,
    not_running: Vec<String>,
    marks: Vec<String>,
    finalizers: Vec<String>,
    violations: Vec<String>,
}

/// What went over a client.
#[derive(Default)]
struct Line {
    /// Writes; leases and events left out.
    sent: AtomicUsize,
    last: Mutex<String>,
}

fn run(line: &Line, crash: Option<(usize, When)>) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(live(line, crash))
}

async fn live(line: &Line, crash: Option<(usize, When)>) -> End {
    let mut stage = Stage::drifted(3, 3);
    let (dead, client) = mortal(&stage.operated.server, crash);
    stage.operated.replace(client, false).await;
    let oracle = Oracle::watch(&stage.operated.server, &stage.operated.clock, USER);
    stage.claim("now", json!({"nodeConstraints": {"maxNodes": 1}}));
    let killed = || dead.lock().expect("one thread").is_dead;
    stage.until(LONG, |stage| stage.is_over("now") || killed()).await;
    if killed() {
        stage.operated.restart().await;
        stage.until(LONG, |stage| stage.is_over("now")).await;
    }
    stage.pass(120).await;
    {
        let told = dead.lock().expect("one thread");
        line.sent.store(told.writes, Ordering::Relaxed);
        line.last.lock().expect("one thread").clone_from(&told.last);
    }
    let plan = stage.get("RebalancePlan", "now").expect("the plan");
    let told = |field: &str| plan["status"][field].as_object().map_or(0, |nodes| nodes.len());
    let finalized = |kind: &str| {
        let all = stage.list(kind).into_iter().filter(|object| !object["metadata"]["finalizers"].is_null());
        all.map(|object| text(&object["metadata"]["name"])).collect::<Vec<_>>()
    };
    End {
        claim: stage.state("RebalancePlanClaim", "now"),
        plan: stage.state("RebalancePlan", "now"),
        made: told("nodesCreation"),
        removed: told("nodesDeletion"),
        node_claims: stage.names("NodeClaim"),
        price: stage.operated.world.price_per_hour().hourly(),
        not_running: stage.operated.world.pods_not_running(),
        marks: stage.marks(),
        finalizers: finalized("RebalancePlan"),
        violations: oracle.violations().iter().map(|found| format!("{}: {}", found.invariant, found.text)).collect(),
    }
}

/// The life of a process, as its writes show it.
#[derive(Default)]
struct Life {
    writes: usize,
    last: String,
    is_dead: bool,
}

/// A client whose process ends at a write: from then on nothing that it sends arrives, and no answer reaches it.
fn mortal(server: &ApiServer, crash: Option<(usize, When)>) -> (Arc<Mutex<Life>>, kube::Client) {
    let life = Arc::new(Mutex::new(Life::default()));
    let (shared, inner) = (Arc::clone(&life), server.client(USER));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (life, inner) = (Arc::clone(&shared), inner.clone());
        async move {
            let now = die(&life, &request, crash);
            if now == Some(When::Before) {
                std::future::pending::<Infallible>().await;
            }
            let answer = inner.send(request).await;
            if now == Some(When::After) || life.lock().expect("one thread").is_dead {
                std::future::pending::<Infallible>().await;
            }
            answer
        }
    });
    (life, kube::Client::new(service, "default"))
}

/// Counts the request if it writes; says whether the process ends with it.
fn die(life: &Mutex<Life>, request: &Request<Body>, crash: Option<(usize, When)>) -> Option<When> {
    let mut life = life.lock().expect("one thread");
    if life.is_dead {
        return Some(When::Before);
    }
    let path = request.uri().path();
    if request.method() == Method::GET || path.contains("/leases") || path.contains("/events") {
        return None;
    }
    let number = life.writes;
    life.writes += 1;
    let (_, when) = crash.filter(|(at, _)| *at == number)?;
    life.is_dead = true;
    life.last = format!("{} {path}", request.method());
    Some(when)
}
