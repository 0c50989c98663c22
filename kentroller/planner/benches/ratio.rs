//! Cost over the lower bound, on generated clusters and on lists such as `clusters.py` prints.
//!
//! `cargo bench -p kentroller-planner --features generate -- NODES SECONDS SEEDS [hard] [FILE.json] [cheapest] [fewest] [curve [karpenter]]`;
//! `cheapest`: nothing is tolerated. `fewest`: how many moves no plan within the tolerance is below. `curve`: what a plan that is stopped early has come to, beside the best plan of so many moves.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
use std::time::Instant;

use kentroller_planner::bound::move_limited::floor;
use kentroller_planner::generate::{Recipe, generate};
use kentroller_planner::{Catalog, Money, MoveLimit, Options, Percent, Plan, Snapshot, plan};

fn main() {
    let catalog =
        Catalog::from_csv(include_str!("../catalog/ec2.csv"), "ec2.csv", "2026-10-27").expect("the catalogue reads");
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |at: usize, default: f64| arguments.get(at).and_then(|word| word.parse().ok()).unwrap_or(default);
    let nodes = number(0, 100.0) as usize;
    let file = arguments.iter().find(|word| word.ends_with(".json"));
    let seconds = number(1, 1.0);
    let seeds = number(2, 3.0) as u64;
    let constrained = arguments.get(3).is_some_and(|word| word == "hard");
    let curve = if arguments.iter().any(|word| word == "curve") {
        [5, 10, 20, 30].map(Percent::whole).to_vec()
    } else {
        Vec::new()
    };
    let is_calm = !arguments.iter().any(|word| word == "cheapest");
    let tolerance = if is_calm { Options::default().tolerance } else { Percent::whole(0) };
    let options = Options { curve, tolerance, ..Options::default() };
    let zone = |labels: &kentroller_planner::manifest::Labels| labels.get("topology.kubernetes.io/zone").cloned();
    for seed in 0..seeds {
        let snapshot = match &file {
            Some(file) => read(file),
            None => generate(Recipe { nodes, seed, constrained, held: constrained }, &catalog),
        };
        let start = Instant::now();
        let mut clock = |_: u64| (start.elapsed().as_secs_f64() * 1000.0 / seconds) as u32;
        let found = plan(&snapshot, &catalog, &options, &mut clock).expect("the cluster is sound");
        let bound = found.lower_bound.as_ref().map_or(Money::ZERO, |bound| bound.hourly);
        let mut zones: std::collections::BTreeMap<&str, Option<String>> =
            snapshot.nodes.iter().map(|node| (&*node.metadata.name, zone(&node.metadata.labels))).collect();
        zones.extend(found.added().iter().map(|(name, node)| (*name, zone(&node.labels))));
        let moves = found.waves.iter().flat_map(|wave| &wave.moves);
        let far = moves.filter(|one| zones.get(one.from.as_str()) != zones.get(one.to.as_str())).count();
        println!(
            "seed {seed}: {} nodes {} pods; {} -> {} bound {} ratio {:.4} (before {:.3}); removed {} added {} moves {} ({far} to another zone) waves {} of at most {} nodes; steps {} in {:.2} s",
            snapshot.nodes.len(),
            found.workload_pods,
            found.cost_before,
            found.cost_after,
            bound,
            found.cost_after.as_micros() as f64 / bound.as_micros().max(1) as f64,
            found.cost_before.as_micros() as f64 / bound.as_micros().max(1) as f64,
            found.removed().count(),
            found.added().len(),
            found.moves(),
            found.waves.len(),
            found.waves.iter().map(|wave| wave.remove.len()).max().unwrap_or(0),
            found.steps,
            start.elapsed().as_secs_f64(),
        );
        if let Some(cheapest) = found.cheapest {
            println!("  {cheapest}");
        }
        if arguments.iter().any(|word| word == "fewest") {
            let least = found.cheapest.map_or(found.cost_after, |cheapest| cheapest.hourly);
            let (mut no, mut yes) = (0, found.workload_pods);
            while no + 1 < yes {
                let moves = usize::midpoint(no, yes);
                let floor = floor(&snapshot, &catalog, moves).expect("the cluster is sound");
                *(if floor > least + tolerance.of_money(least) { &mut no } else { &mut yes }) = moves;
            }
            println!("  no plan of at most {tolerance} % more moves fewer than {yes} pods");
        }
        let mut held: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        for kept in &found.kept {
            *held
                .entry(kept.blockers.first().map_or(kept.reason.to_string(), |blocker| blocker.rule.to_string()))
                .or_default() += 1;
        }
        println!("  stays: {held:?}");
        for point in &found.curve {
            let stopped = stopped(&found, point.moved.of_count(found.workload_pods));
            println!(
                "  stopped at {} %: {stopped}, which is {:.3} of the best plan of so many moves, {}",
                point.moved,
                stopped.as_micros() as f64 / point.hourly.as_micros().max(1) as f64,
                point.hourly,
            );
        }
        if arguments.iter().any(|word| word == "karpenter") {
            let curve =
                kentroller_planner::consolidation::consolidate(&snapshot, &catalog).expect("the cluster is sound");
            let floor = |moves: usize| floor(&snapshot, &catalog, moves).expect("the cluster is sound");
            for point in &found.curve {
                let most = point.moved.of_count(found.workload_pods);
                let of_karpenter = curve.iter().take_while(|(moves, _)| *moves <= most).last();
                let of_karpenter = of_karpenter.map_or(found.cost_before, |(_, cost)| *cost);
                let share = |of: Money| of.as_micros() as f64 / of_karpenter.as_micros() as f64;
                println!(
                    "  at {} %: {} of Karpenter's {of_karpenter} is {:.3}; no plan is below {:.3}",
                    point.moved,
                    point.hourly,
                    share(point.hourly),
                    share(floor(most)),
                );
            }
            let (moves, cost) = curve.last().copied().unwrap_or((0, found.cost_before));
            println!(
                "  Karpenter ends at {cost} (ratio {:.4}) after {moves} moves ({} %)",
                cost.as_micros() as f64 / bound.as_micros().max(1) as f64,
                moves * 100 / found.workload_pods.max(1),
            );
            let third = Options { max_moves: Some(MoveLimit::Pods(moves / 3)), ..Options::default() };
            let start = Instant::now();
            let mut clock = |_: u64| (start.elapsed().as_secs_f64() * 1000.0 / seconds) as u32;
            let few = plan(&snapshot, &catalog, &third, &mut clock).expect("the cluster is sound");
            println!(
                "  with a third of its moves, {} of {}: {} ({:.4} of its end; no plan is below {:.4})",
                few.moves(),
                moves / 3,
                few.cost_after,
                few.cost_after.as_micros() as f64 / cost.as_micros().max(1) as f64,
                floor(moves / 3).as_micros() as f64 / cost.as_micros().max(1) as f64,
            );
        }
        for warning in &found.warnings {
            println!("  warning: {} {}", warning.object, warning.message);
        }
        if let Err(violations) = kentroller_planner::check::check(&snapshot, &catalog, &options, &found) {
            println!("  {} violations, such as {}", violations.len(), violations[0]);
        }
    }
}

/// What the cluster costs when a plan is stopped after the last wave that keeps to so many moves.
fn stopped(plan: &Plan, most: usize) -> Money {
    let mut moves = 0;
    let made = plan.waves.iter().take_while(|wave| {
        moves += wave.moves.len();
        moves <= most
    });
    made.last().map_or(plan.cost_before, |wave| wave.hourly_after)
}

/// A cluster from a list such as `clusters.py` prints.
fn read(file: &str) -> Snapshot {
    fn objects<K: serde::de::DeserializeOwned>(list: &serde_json::Value, kind: &str) -> Vec<K> {
        let items = list["items"].as_array().into_iter().flatten().filter(|item| item["kind"] == kind);
        items.map(|item| K::deserialize(item).expect("an object of its kind")).collect()
    }
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let list: serde_json::Value = serde_json::from_str(&text).expect("a list as JSON");
    let mut snapshot = Snapshot {
        nodes: objects(&list, "Node"),
        pods: objects(&list, "Pod"),
        node_pools: objects(&list, "NodePool"),
        node_claims: objects(&list, "NodeClaim"),
        pdbs: objects(&list, "PodDisruptionBudget"),
        daemon_sets: Some(objects(&list, "DaemonSet")),
        ..Snapshot::default()
    };
    snapshot.now = snapshot.nodes.iter().filter_map(|node| node.metadata.creation_timestamp).max().unwrap_or_default();
    snapshot.now.0 += 86_400;
    snapshot
}
