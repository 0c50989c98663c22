//! One run of a cluster in virtual time: with the operator, or with Karpenter alone.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_runtime::Clock;
use kentroller_runtime::simulation::apiserver::ApiServer;
use kentroller_world::{Catalogue, Ledger, Oracle, Setup, Tally, World, pods_not_running};
use serde_json::Value;

use super::cluster::Cluster;
use super::story::Story;
use super::waves::Waves;
use crate::api::ClaimState;
use crate::report::rehearsal::{Line, Point, Run, Stays, Wait, Wave};
use crate::simulation::{Operated, USER, empty};

/// How often the run is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// What is still starting at the end may come up.
const REST: Duration = Duration::from_secs(60);
/// The most points of a course.
const POINTS: usize = 400;

/// What the operator is asked for.
#[derive(Clone, Debug)]
pub(in crate::cli) enum Ask {
    /// An object of its kinds; the run is over when every claim has come to its end.
    Object(Value),
    /// Cycles of its own, to the end of the time.
    Continuous,
}

impl Ask {
    fn of(&self, operated: &Operated) -> Result<(), String> {
        match self {
            Self::Object(object) => {
                let created = operated.server.create(object.clone());
                created.map(drop).map_err(|refusal| format!("the claim is refused: {}", refusal.message))
            }
            Self::Continuous => {
                operated.set(|settings| settings.continuous_rebalancing = true);
                Ok(())
            }
        }
    }
}

/// What came of a run with the operator.
pub(in crate::cli) struct Played {
    /// As it began.
    pub nodes: usize,
    pub pods: usize,
    pub run: Run,
    pub waves: Vec<Wave>,
    pub stays: Vec<Stays>,
    pub longest_wait: Option<Wait>,
    pub story: Vec<Line>,
    pub broken: Vec<String>,
    /// Every claim found nothing to do, or did it.
    pub is_well: bool,
}

/// Runs the operator on a cluster until it is done, or for so long; if `whole`, for all of that time.
///
/// # Errors
/// A cluster or object that the API server refuses, and lines that cannot be written.
pub(in crate::cli) async fn operated(
    cluster: &Cluster,
    ask: &Ask,
    setup: Setup,
    (longest, whole): (Duration, bool),
    out: Option<&mut dyn Write>,
    live: bool,
) -> Result<Played, String> {
    let (server, clock) = empty(cluster.starts);
    let catalogue = cluster.put(&server)?;
    let setup = Setup { catalogue: Arc::clone(&catalogue), ..setup };
    let ledger = Ledger::open(&server, &clock, Arc::clone(&catalogue));
    let waves = Waves::watch(&server, cluster.starts);
    let oracle = Oracle::watch_beside(&server, &clock, USER, (*catalogue).clone());
    let mut story = Story::from(server.revision(), out, live);
    let revision = server.revision();
    let (nodes, pods) = (server.list("Node").len(), server.list("Pod").len());
    let operated = Operated::on(server, clock, setup, cluster.prices.clone());
    tokio::time::sleep(cluster.rests).await;
    ask.of(&operated)?;
    let mut is_over = false;
    while !is_over && since(&operated.clock, cluster.starts) < seconds(longest) {
        tokio::time::sleep(LOOK).await;
        let now = operated.clock.now().strftime("%H:%M:%S").to_string();
        let passed = since(&operated.clock, cluster.starts);
        story.look(&operated.server, &ledger.tally(), &now, passed).map_err(|error| error.to_string())?;
        is_over = matches!(ask, Ask::Object(_)) && has_ended(&operated.server);
        if !operated.is_running() || !operated.world.is_turning() {
            break;
        }
    }
    if is_over {
        let left = seconds(longest) - since(&operated.clock, cluster.starts);
        let rest = if whole { Duration::from_secs(u64::try_from(left).unwrap_or_default()) } else { REST };
        tokio::time::sleep(rest).await;
    }
    let alive = [(operated.is_running(), "the operator"), (operated.world.is_turning(), "the simulated world")];
    let panics = alive.iter().filter(|(alive, _)| !alive);
    let panics = panics.map(|(_, who)| format!("{who} has ended by a panic; please report this"));
    let broken = oracle.violations().iter().map(ToString::to_string).chain(panics).collect();
    let states = states(&operated.server);
    let well = states.iter().all(|state| matches!(state, ClaimState::Completed | ClaimState::Skipped));
    let run = Run {
        outcome: outcome(&operated.server, ask, is_over),
        unplanned_nodes: operated.unplanned(revision).len(),
        ..measured(&operated.server, &ledger.tally(), &operated.clock, cluster.starts, USER)
    };
    Ok(Played {
        nodes,
        pods,
        run,
        waves: waves.told(),
        stays: stays(&operated.server),
        story: std::mem::take(&mut story.lines),
        longest_wait: story.longest_wait(),
        broken,
        is_well: well && (is_over || matches!(ask, Ask::Continuous)),
    })
}

/// Runs the cluster for so long with nobody but Karpenter.
///
/// # Errors
/// What the API server refuses.
pub(in crate::cli) async fn alone(cluster: &Cluster, setup: Setup, time: Duration) -> Result<Run, String> {
    let (server, clock) = empty(cluster.starts);
    let catalogue: Arc<Catalogue> = cluster.put(&server)?;
    let ledger = Ledger::open(&server, &clock, Arc::clone(&catalogue));
    let world = World::start(&server, &clock, Setup { catalogue, ..setup });
    tokio::time::sleep(time).await;
    if !world.is_turning() {
        return Err("the simulated world has ended by a panic; please report this".to_owned());
    }
    Ok(Run {
        outcome: "the time is over".to_owned(),
        ..measured(&server, &ledger.tally(), &clock, cluster.starts, "world")
    })
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn since(clock: &Clock, starts: Timestamp) -> i64 {
    clock.now().duration_since(starts).as_secs()
}

fn states(server: &ApiServer) -> Vec<ClaimState> {
    let claims = server.list("RebalancePlanClaim");
    claims.iter().map(|claim| ClaimState::from(claim["status"]["state"].as_str().unwrap_or_default())).collect()
}

/// Whether there was a claim, and it and its plans left nothing to do.
fn has_ended(server: &ApiServer) -> bool {
    let states = states(server);
    let clean = server.list("RebalancePlan").iter().all(|plan| plan["metadata"]["finalizers"].is_null());
    !states.is_empty() && states.iter().all(ClaimState::is_final) && clean
}

/// How the claims ended, in their own words.
fn outcome(server: &ApiServer, ask: &Ask, is_over: bool) -> String {
    if matches!(ask, Ask::Continuous) {
        return format!("the time is over; {} plans were made", server.list("RebalancePlan").len());
    }
    let claims = server.list("RebalancePlanClaim");
    let told = claims.iter().map(|claim| {
        let status = &claim["status"];
        let word = |field: &str| status[field].as_str().map(|text| format!(": {text}")).unwrap_or_default();
        let state = status["state"].as_str().unwrap_or("Pending");
        format!("{state}{}{}", word("skippedMessage"), word("errorMessage"))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    if is_over { told } else { format!("the time is over while the claim is {told}") }
}

/// The nodes that claims say stay, with their reasons, and those that plans have kept.
fn stays(server: &ApiServer) -> Vec<Stays> {
    let mut all = std::collections::BTreeMap::new();
    for claim in server.list("RebalancePlanClaim") {
        for node in claim["status"]["skippedNodes"].as_array().into_iter().flatten() {
            let reasons = node["reasons"].as_array().into_iter().flatten();
            let reasons = reasons.filter_map(|reason| reason.as_str().map(str::to_owned)).collect();
            all.insert(node["name"].as_str().unwrap_or_default().to_owned(), reasons);
        }
    }
    for plan in server.list("RebalancePlan") {
        for (name, course) in plan["status"]["nodesDeletion"].as_object().into_iter().flatten() {
            if course["phase"] == "Kept" {
                let last =
                    course["events"].as_array().and_then(|events| events.last()).map(|event| &event["description"]);
                let why = last.and_then(Value::as_str).unwrap_or("kept").to_owned();
                all.insert(name.clone(), vec![why]);
            }
        }
    }
    let there = |name: &String| server.get("Node", None, name).is_some();
    all.into_iter().filter(|(name, _)| there(name)).map(|(node, reasons)| Stays { node, reasons }).collect()
}

fn measured(server: &ApiServer, tally: &Tally, clock: &Clock, starts: Timestamp, user: &str) -> Run {
    let (before, after) = (tally.price_before(), tally.price());
    let ours: Vec<i64> = tally
        .evictions
        .iter()
        .filter(|(_, by)| by == user)
        .map(|(at, _)| at.duration_since(starts).as_secs())
        .collect();
    Run {
        outcome: String::new(),
        hourly_before: before.hourly(),
        hourly_after: after.hourly(),
        savings_percent: (before - after).percent_of(before).to_string(),
        spent: tally.spent.hourly(),
        seconds: since(clock, starts),
        nodes_after: server.list("Node").len(),
        evictions: ours.len(),
        unplanned_nodes: 0,
        not_ready_pod_seconds: tally.not_ready_millis / 1000,
        most_not_ready: tally.most_not_ready,
        not_running: pods_not_running(server),
        course: course(tally, &ours, starts, since(clock, starts)),
    }
}

/// The course of price and evictions, thinned out evenly.
fn course(tally: &Tally, evictions: &[i64], starts: Timestamp, end: i64) -> Vec<Point> {
    let at = |at: &Timestamp| at.duration_since(starts).as_secs();
    let mut moments: Vec<i64> =
        tally.prices.iter().map(|(time, _)| at(time)).chain(evictions.iter().copied()).collect();
    moments.extend([0, end]);
    moments.sort_unstable();
    moments.dedup();
    let step = moments.len().div_ceil(POINTS);
    let last = moments.len() - 1;
    let kept = moments.iter().enumerate().filter(|(index, _)| index % step == 0 || *index == last);
    kept.map(|(_, moment)| {
        let prices = tally.prices.partition_point(|(time, _)| at(time) <= *moment);
        let price = tally.prices[..prices].last().map_or(Money::ZERO, |(_, price)| *price);
        let evicted = evictions.partition_point(|time| time <= moment);
        Point { seconds: *moment, hourly: price.hourly(), evictions: evicted }
    })
    .collect()
}
