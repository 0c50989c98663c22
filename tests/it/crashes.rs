//! The operator is killed at a write, before it arrives or before its answer does, and another one goes on: the end and the
//! sum of what was made, removed and evicted are the same as without the crash.

mod mortal;
mod scenarios;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kentroller::simulation::USER;
use kentroller_tests::{Stage, text};
use mortal::{Life, When, mortal};
use scenarios::{SCENARIOS, Scenario};
use serde_json::Value;

/// Rounds of two seconds that a story may take.
const ROUNDS: usize = 3600;
/// Rounds that it is watched after its end.
const AFTER: usize = 90;
/// Points of each story at which the process ends, spread over all; this many more when it is set.
const POINTS: &str = "KENTROLLER_CRASH_POINTS";
const FEW: usize = 20;

#[test]
fn a_crash_at_any_write_changes_nothing_about_the_end() {
    let most: usize = std::env::var(POINTS).map_or(FEW, |text| text.parse().expect("a number of points"));
    let whole: Vec<(End, usize)> = SCENARIOS.iter().map(undisturbed).collect();
    let mut crashes = Vec::new();
    for (number, (scenario, (_, writes))) in SCENARIOS.iter().zip(&whole).enumerate() {
        let all: Vec<(usize, When)> =
            (0..*writes).flat_map(|write| [(write, When::Before), (write, When::After)]).collect();
        let step = all.len().div_ceil(most).max(1);
        let chosen: Vec<Crash> = all
            .iter()
            .skip(number % step)
            .step_by(step)
            .enumerate()
            .map(|(turn, (write, when))| Crash { write: *write, when: *when, takeover: turn % 3 == 2 })
            .collect();
        eprintln!("{}: {} of {} points", scenario.name, chosen.len(), all.len());
        crashes.extend(chosen.into_iter().map(|crash| (number, crash)));
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some((number, crash)) = crashes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (end, life) = run(&SCENARIOS[*number], Some(*crash));
                    let wanted = &whole[*number].0;
                    if end != *wanted || !life.is_dead {
                        let name = SCENARIOS[*number].name;
                        let difference = difference(wanted, &end);
                        let mut found = found.lock().expect("not poisoned");
                        found.push(format!("{name}, {crash:?}, {}, died {}: {difference}", life.last, life.is_dead));
                    }
                }
            });
        }
    });
    let found = found.into_inner().expect("not poisoned");
    assert!(found.is_empty(), "{} of {} points:\n{}", found.len(), crashes.len(), found.join("\n"));
}

/// A story without a crash: how it ends, and how many writes it takes.
fn undisturbed(scenario: &Scenario) -> (End, usize) {
    let (end, life) = run(scenario, None);
    let name = scenario.name;
    assert_eq!((end.claim.as_str(), end.plan.as_str()), scenario.end, "{name}: {end:#?}");
    assert_eq!((&end.not_running, &end.finalizers), (&Vec::new(), &Vec::new()), "{name}");
    assert!(end.marks.is_empty() || scenario.keeps, "{name}: {end:#?}");
    let counts = (end.made, end.removed);
    assert!(!scenario.changes || counts.0 + counts.1 > 0, "{name} is worth telling: {end:#?}");
    assert!(life.writes > 10 && !life.is_dead, "{name}: {life:?}");
    (end, life.writes)
}

/// An end of a process.
#[derive(Clone, Copy, Debug)]
struct Crash {
    write: usize,
    when: When,
    /// Another replica goes on, once the lease has run out; else the same one is started again.
    takeover: bool,
}

/// How things stand at the end.
#[derive(Debug, PartialEq, Eq)]
struct End {
    claim: String,
    plan: String,
    /// Nodes that came and nodes that went, as the plan tells.
    made: usize,
    removed: usize,
    /// How often each object was made or removed, and pods of each owner evicted, by the operator.
    deeds: BTreeMap<String, usize>,
    node_claims: Vec<String>,
    price: String,
    not_running: Vec<String>,
    marks: Vec<String>,
    finalizers: Vec<String>,
}

/// What is not the same, line by line.
fn difference(wanted: &End, end: &End) -> String {
    let (wanted, end) = (format!("{wanted:#?}"), format!("{end:#?}"));
    let only = |one: &str, other: &str, sign: &str| -> Vec<String> {
        let lines = one.lines().filter(|line| !other.lines().any(|same| same == *line));
        lines.map(|line| format!("{sign}{}", line.trim())).collect()
    };
    [only(&wanted, &end, "-"), only(&end, &wanted, "+")].concat().join(" ")
}

fn run(scenario: &Scenario, crash: Option<Crash>) -> (End, Life) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(live(scenario, crash))
}

async fn live(scenario: &Scenario, crash: Option<Crash>) -> (End, Life) {
    let mut stage = Stage::drifted(3, 3);
    let (process, client) = mortal(&stage.operated.server, crash.map(|crash| (crash.write, crash.when)));
    stage.operated.replace(client, false).await;
    (scenario.ask)(&stage);
    let (mut has_meddled, mut left, mut goes_on) = (false, AFTER, false);
    for _ in 0..ROUNDS {
        if process.life().is_dead && !goes_on {
            goes_on = true;
            if crash.is_some_and(|crash| crash.takeover) {
                stage.operated.instance = "kentroller-1".to_owned();
            }
            stage.operated.restart().await;
        }
        has_meddled = has_meddled || (scenario.meddle)(&stage);
        left = if stage.is_over(scenario.claim) { left - 1 } else { AFTER };
        if left == 0 {
            break;
        }
        stage.pass(2).await;
    }
    let life = process.life().clone();
    (end(&stage, scenario), life)
}

fn end(stage: &Stage, scenario: &Scenario) -> End {
    let plan = stage.get("RebalancePlan", scenario.claim).expect("the plan");
    let told = |field: &str| plan["status"][field].as_object().map_or(0, |nodes| nodes.len());
    let plans = stage.list("RebalancePlan").into_iter().filter(|plan| !plan["metadata"]["finalizers"].is_null());
    let mut node_claims: Vec<String> = stage.names("NodeClaim").iter().map(|name| place_in(&plan, name)).collect();
    node_claims.sort();
    let mut deeds = deeds(stage, &plan);
    if scenario.is_stopped {
        let given_back: Vec<String> = deeds
            .iter()
            .filter_map(|(deed, count)| {
                let claim = deed.strip_prefix("delete ")?;
                (deeds.get(&format!("create {claim}")) == Some(count)).then(|| claim.to_owned())
            })
            .collect();
        deeds.retain(|deed, _| !given_back.iter().any(|claim| deed.ends_with(claim)));
    }
    End {
        claim: stage.state("RebalancePlanClaim", scenario.claim),
        plan: stage.state("RebalancePlan", scenario.claim),
        made: told("nodesCreation"),
        removed: told("nodesDeletion"),
        deeds,
        node_claims,
        price: stage.operated.world.price_per_hour().hourly(),
        not_running: stage.operated.world.pods_not_running(),
        marks: stage.marks(),
        finalizers: plans.map(|plan| text(&plan["metadata"]["name"])).collect(),
    }
}

/// A NodeClaim by its place in the plan: its name follows from the claim's uid, which a crash may change.
fn place_in(plan: &Value, name: &str) -> String {
    let adds = plan["spec"]["nodeClaimsToAdd"].as_array().into_iter().flatten().enumerate();
    let mut places = adds.filter_map(|(place, add)| {
        let rest = name.strip_prefix(add["metadata"]["name"].as_str()?)?;
        Some(format!("new {place}{rest}"))
    });
    places.next().unwrap_or_else(|| name.to_owned())
}

fn deeds(stage: &Stage, plan: &Value) -> BTreeMap<String, usize> {
    let mut deeds = BTreeMap::new();
    for write in stage.operated.server.writes(0).into_iter().filter(|write| *write.user == *USER) {
        let what = match (&*write.kind, write.verb, write.subresource) {
            ("Lease" | "Event", ..) => continue,
            ("Pod", _, "eviction") => {
                let owner = write.name.rsplit_once('-').map_or("", |(owner, _)| owner);
                format!("evict a pod of {}/{owner}", write.namespace)
            }
            (kind, verb @ ("create" | "delete"), "") => format!("{verb} {kind} {}", place_in(plan, &write.name)),
            _ => continue,
        };
        *deeds.entry(what).or_default() += 1;
    }
    deeds
}
