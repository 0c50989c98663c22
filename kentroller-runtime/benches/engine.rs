//! How many objects one core looks at again in a second when there is nothing to do.
//!
//! 10,000 objects with a status are brought to rest; then the settings change five times, which wakes every object.
//! Counted are reconciles a second of CPU of the engine's thread (not of the clock on the wall, so that a busy machine
//! tells the same), and writes. Bars: 20,000 a second, 0 writes.
//!
//! Run with `cargo bench -p kentroller-runtime --features simulation`.
#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kentroller_runtime::operator::Operator;
use kentroller_runtime::simulation::apiserver::{ApiServer, Served};
use kentroller_runtime::{
    AnyController, Clock, Condition, Failure, HasStatus, Outcome, Reconcile, Switches, World, controller, reconciler,
    resource,
};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;

const OBJECTS: usize = 10_000;
const ROUNDS: usize = 5;
const BAR: usize = 20_000;

static RECONCILED: AtomicUsize = AtomicUsize::new(0);

#[resource(group = "bench.example", version = "v1", kind = "Widget", status = WidgetStatus)]
/// Something with a size and names.
pub struct WidgetSpec {
    /// How large it is.
    pub size: i64,
    /// What it is called.
    pub names: Vec<String>,
}

#[resource(status)]
/// What was seen of it.
pub struct WidgetStatus {
    /// Its size.
    pub seen: i64,
    /// Its names.
    pub names: Vec<String>,
    /// What it is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
}

/// Settings of which a change concerns everybody.
#[derive(Debug, Serialize)]
struct Round(usize);

impl Switches for Round {}

/// Writes into the status what the spec says.
#[controller(of = Widget, settings = Round)]
struct Widgets;

impl Reconcile for Widgets {
    fn reconcile(widget: &Widget, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        RECONCILED.fetch_add(1, Ordering::Relaxed);
        let mut out = world.outcome(widget);
        let mut status = widget.status().cloned().unwrap_or_default();
        status.seen = widget.spec.size;
        status.names.clone_from(&widget.spec.names);
        out.ready(world.enabled(), "Seen", "It was seen.");
        out.status(&status);
        Ok(out)
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measure())
}

async fn measure() -> ExitCode {
    let clock = Clock::system();
    let now = clock.clone();
    let server = ApiServer::new(
        move || now.now(),
        vec![Served::built_in("bench.example", "v1", "Widget", "widgets", false, true)],
    );
    for number in 0..OBJECTS {
        let name = format!("widget-{number:05}");
        let names: Vec<String> = (0..8).map(|one| format!("{name}-{one}")).collect();
        let widget = json!({"apiVersion": "bench.example/v1", "kind": "Widget", "metadata": {"name": name},
            "spec": {"size": number, "names": names}});
        server.create(widget).expect("an object is made");
    }
    let (settings, current) = watch::channel(Arc::new(Round(0)));
    let (_stop, stopped) = watch::channel(false);
    let controllers: Vec<Box<dyn AnyController<Round>>> = vec![reconciler::<Widgets>()];
    let operator = Operator::of(controllers).settings(current).elect(false);
    tokio::spawn(operator.run_until(server.client("bench"), clock, stopped));
    let mut revision = 0;
    // At rest: every status is written, and nothing moves any more.
    while revision < 2 * OBJECTS as u64 || server.revision() != revision {
        revision = server.revision();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (before, cpu) = (RECONCILED.load(Ordering::Relaxed), cpu());
    for round in 1..=ROUNDS {
        settings.send_replace(Arc::new(Round(round)));
        while RECONCILED.load(Ordering::Relaxed) - before < round * OBJECTS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let (done, spent) = (RECONCILED.load(Ordering::Relaxed) - before, self::cpu() - cpu);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let writes = server.revision() - revision;
    let rate = done as u128 * 1_000_000_000 / spent.as_nanos().max(1);
    let good = rate >= BAR as u128 && writes == 0;
    println!(
        "engine: {done} reconciles with nothing to do, {rate} a second of one core (bar {BAR}), {writes} writes (bar 0)"
    );
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What this thread has had of a processor.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells what a thread used");
    Duration::from_nanos(text.split(' ').next().and_then(|used| used.parse().ok()).expect("nanoseconds"))
}
