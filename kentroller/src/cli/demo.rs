//! `kentroller demo`: a schedule fires on a simulated cluster, and everything that follows is told as it happens.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_runtime::Kind as _;
use kentroller_world::{Drift, Oracle, Setup};
use serde_json::{Value, json};

use crate::api::{ClaimState, RebalancePlanSchedule};
use crate::simulation::{Operated, USER};

/// Arguments of `kentroller demo`.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// How many nodes the drifted cluster has.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(3..=2000))]
    nodes: u16,
    /// All chance comes from here: the same seed tells the same story to the letter.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const START: &str = "2026-11-22T01:58:00Z";
const SCHEDULE: &str = "nightly";
/// After this much virtual time the story is over, finished or not.
const LONGEST: Duration = Duration::from_secs(4 * 3600);
const LOOK: Duration = Duration::from_secs(5);
/// How long a line that is rewritten in place stands, in real time.
const FRAME: Duration = Duration::from_millis(25);
/// Terminal codes: to the start of an emptied line; cut longer lines off; fold them again.
const CLEAR: &str = "\r\x1b[2K";
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

impl Demo {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        let mut out = std::io::stdout();
        let live = out.is_terminal();
        if live {
            // A line that is rewritten must not be longer than the terminal is wide.
            write!(out, "{NO_WRAP}")?;
        }
        let told = runtime.block_on(self.tell(&mut out, live));
        if live {
            write!(out, "{WRAP}")?;
        }
        told
    }

    async fn tell(self, out: &mut impl Write, live: bool) -> anyhow::Result<ExitCode> {
        let start: Timestamp = START.parse().context("the start of the demo")?;
        let drift = Drift { nodes: usize::from(self.nodes), seed: self.seed };
        let operated = Operated::start(drift, Setup { seed: self.seed, ..Setup::default() }, start)
            .map_err(|refusal| anyhow::anyhow!("the simulated API server refused the cluster: {}", refusal.message))?;
        let oracle = Oracle::watch(&operated.server, &operated.clock, USER);
        let before = operated.world.price_per_hour();
        let drifted = operated.drifted;
        writeln!(
            out,
            "A drifted cluster: {} nodes, {} pods of {} services, {} USD an hour. A schedule says 0 2 * * *.",
            drifted.nodes,
            drifted.pods,
            drifted.services,
            before.hourly()
        )?;
        writeln!(out)?;
        let revision = operated.server.revision();
        operated.server.create(schedule()).map_err(|refusal| anyhow::anyhow!("{}", refusal.message))?;
        let mut story = Story { live, before, told: BTreeSet::new(), last: String::new(), revision, moved: 0 };
        let finished = story.unfold(&operated, start, out).await?;
        // What is still starting may come up.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let after = operated.world.price_per_hour();
        let waiting = operated.world.pods_not_running();
        let unplanned = operated.unplanned(revision);
        let broken = oracle.violations();
        writeln!(out, "{}", if live { "\n" } else { "" })?;
        writeln!(
            out,
            "Before {} USD an hour, after {}: saved {} ({} %), {} USD a month, measured on the cluster's own machines.",
            before.hourly(),
            after.hourly(),
            (before - after).hourly(),
            (before - after).percent_of(before),
            (before - after).monthly()
        )?;
        writeln!(
            out,
            "Pods that moved: {}; that do not run: {}. Nodes that nobody planned: {}. Broken invariants: {}.",
            story.moved,
            if waiting.is_empty() { "none".to_owned() } else { waiting.join(", ") },
            unplanned.len(),
            broken.len()
        )?;
        for violation in &broken {
            writeln!(out, "  {violation}")?;
        }
        let sound = waiting.is_empty()
            && unplanned.is_empty()
            && broken.is_empty()
            && operated.is_running()
            && operated.world.is_turning();
        let good = finished && after <= before && sound;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn schedule() -> Value {
    json!({
        "apiVersion": RebalancePlanSchedule::INFO.api_version(),
        "kind": RebalancePlanSchedule::INFO.kind,
        "metadata": {"name": SCHEDULE},
        "spec": {"schedule": "0 2 * * *", "rebalancePlanClaimTemplate": {"metadata": {}, "spec": {"autoExecute": true}}},
    })
}

/// Whether there was a claim, and it and its plan left nothing to do.
fn is_over(operated: &Operated) -> bool {
    let claims = operated.server.list("RebalancePlanClaim");
    let ended =
        |claim: &Value| claim["status"]["state"].as_str().is_some_and(|state| ClaimState::from(state).is_final());
    let clean = operated.server.list("RebalancePlan").iter().all(|plan| plan["metadata"]["finalizers"].is_null());
    !claims.is_empty() && claims.iter().all(|claim| ended(claim)) && clean
}

/// Whether every claim found nothing to do, or did it.
fn is_well(operated: &Operated) -> bool {
    let state = |claim: &Value| claim["status"]["state"].as_str().map(ClaimState::from);
    let well = |claim: &Value| matches!(state(claim), Some(ClaimState::Completed | ClaimState::Skipped));
    operated.server.list("RebalancePlanClaim").iter().all(|claim| well(claim))
}

/// What was told so far.
struct Story {
    /// Whether the last line says how the cluster stands and is rewritten in place; else that is told when it changes.
    live: bool,
    before: Money,
    told: BTreeSet<String>,
    last: String,
    /// Writes up to here were counted.
    revision: u64,
    /// Pods that the operator evicted.
    moved: usize,
}

impl Story {
    /// Tells what happens until it is over, or has taken too long; says whether it is over.
    async fn unfold(&mut self, operated: &Operated, start: Timestamp, out: &mut impl Write) -> anyhow::Result<bool> {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look(operated, out)?;
            let passed = Duration::try_from(operated.clock.now().duration_since(start)).unwrap_or_default();
            if is_over(operated) || passed > LONGEST {
                return Ok(is_over(operated) && is_well(operated));
            }
        }
    }

    /// Tells the events that are new, and how the cluster stands if that changed.
    fn look(&mut self, operated: &Operated, out: &mut impl Write) -> anyhow::Result<()> {
        let lines = self.news(operated);
        let writes = operated.server.writes(self.revision);
        self.revision = writes.last().map_or(self.revision, |write| write.revision);
        self.moved += writes.iter().filter(|write| &*write.user == USER && write.subresource == "eviction").count();
        let stands = self.stands(operated);
        let news = stands != self.last;
        let now = operated.clock.now().strftime("%H:%M:%S");
        if self.live {
            write!(out, "{CLEAR}")?;
            for line in lines {
                writeln!(out, "{line}")?;
            }
            write!(out, "{now}  {}  {stands}", bar(operated.world.price_per_hour(), self.before))?;
            out.flush()?;
            if news {
                // Virtual time costs nothing: slow enough to be read.
                std::thread::sleep(FRAME);
            }
        } else {
            for line in lines {
                writeln!(out, "{line}")?;
            }
            if news {
                writeln!(out, "{now}  {stands}")?;
            }
        }
        self.last = stands;
        Ok(())
    }

    /// A line for each event of the operator that was not told so far.
    fn news(&mut self, operated: &Operated) -> Vec<String> {
        let mut lines = Vec::new();
        let mut events = operated.server.list("Event");
        events.sort_by_key(|event| event["eventTime"].as_str().map(str::to_owned));
        for event in events {
            let ours = event["reportingController"].as_str().is_some_and(|name| name.starts_with("kentroller/"));
            let name = event["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if !ours || !self.told.insert(name) {
                continue;
            }
            let time = event["eventTime"].as_str().and_then(|time| time.get(11..19)).unwrap_or_default();
            let word = |field: &Value| field.as_str().unwrap_or_default().to_owned();
            lines.push(format!("{time}  {:<17} {}", word(&event["reason"]), word(&event["note"])));
        }
        lines
    }

    fn stands(&self, operated: &Operated) -> String {
        let (nodes, price) = (operated.server.list("Node").len(), operated.world.price_per_hour());
        let mut text = format!("{nodes} nodes, {} USD/h, {} pods moved", price.hourly(), self.moved);
        let starting = operated.world.pods_not_running().len();
        if starting > 0 {
            text.push_str(&format!(", {starting} starting"));
        }
        let waits = operated.server.list("RebalancePlan").iter().find_map(|plan| {
            let conditions = plan["status"]["conditions"].as_array()?;
            let reconciling = conditions.iter().find(|one| one["type"] == "Reconciling")?;
            Some(reconciling["message"].as_str()?.chars().take(140).collect::<String>())
        });
        if let Some(waits) = waits {
            text.push_str(&format!(". {waits}"));
        }
        text
    }
}

/// The price of the cluster as a share of what it was.
fn bar(price: Money, before: Money) -> String {
    let tenths = price.as_micros().saturating_mul(10) / before.as_micros().max(1);
    let full = usize::try_from(tenths).unwrap_or(0).min(10);
    format!("{}{}", "█".repeat(full), "░".repeat(10 - full))
}
