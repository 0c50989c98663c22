//! Plans of our own planner for generated clusters.
use crate::{
    Catalog, Headroom, Mode, MoveLimit, Options, Percent, Snapshot, Steps,
    check::check,
    generate::{Recipe, generate},
};

/// What is asked for, by turns.
fn options(turn: u64, snapshot: &Snapshot) -> Options {
    let base = Options { seed: turn, ..Options::default() };
    match turn % 12 {
        0 | 1 => base,
        2 => Options { max_moves: Some(MoveLimit::Share(Percent::whole(10))), ..base },
        3 => Options { min_savings: Some(Percent::whole(20)), ..base },
        4 => Options { max_nodes: Some(3), ..base },
        5 => Options { min_cluster_size: snapshot.nodes.len().saturating_sub(4), ..base },
        6 => Options { mode: Mode::DrainOnly, ..base },
        7 => Options { mode: Mode::DeleteEmpty, ..base },
        8 => Options { reserve: Percent::whole(5), ..base },
        9 => Options { continuous: true, ..base },
        10 => Options { headroom: [("general".to_owned(), Headroom { milli_cpu: 16_000, bytes: 32 << 30 })].into(), ..base },
        _ => Options { roll: true, ..base },
    }
}

#[test]
fn plans_for_generated_clusters_hold() {
    let catalog = Catalog::from_csv(include_str!("../../../catalog/ec2.csv"), "test", "2026-11").unwrap();
    let from: u64 = std::env::var("FROM").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let n: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    let scale: usize = std::env::var("SCALE").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let mut kinds = std::collections::BTreeMap::new();
    for seed in from..from + n {
        let recipe = Recipe {
            nodes: (2 + seed as usize % 9) * scale, seed, constrained: seed % 4 != 0, held: seed % 3 != 0 };
        let mut snapshot = generate(recipe, &catalog);
        // Some pods wait for a node.
        if seed % 5 == 0 {
            let mut taken = std::collections::BTreeSet::new();
            for at in (0..snapshot.pods.len()).step_by(40) {
                let pod = &mut snapshot.pods[at];
                if pod.metadata.controller().is_some_and(|o| o.kind == "ReplicaSet") { pod.spec.node_name.clear(); pod.status = Default::default(); taken.insert(at); }
            }
        }
        let options = options(seed / 3, &snapshot);
        let plan = match crate::plan(&snapshot, &catalog, &options, &mut Steps(60)) { Ok(p) => p, Err(e) => { println!("seed {seed}: {e}"); continue } };
        let start = std::time::Instant::now();
        let result = check(&snapshot, &catalog, &options, &plan);
        println!("seed {seed} turn {}: {} nodes {} pods, {} -> {}, {} waves {} moves, {} bought, {:?}", (seed / 3) % 12, snapshot.nodes.len(), snapshot.pods.len(), plan.cost_before, plan.cost_after, plan.waves.len(), plan.moves(), plan.added().len(), start.elapsed());
        if let Err(violations) = result {
            for v in &violations { *kinds.entry((v.fault.word(), (seed/3)%12)).or_insert(0) += 1; }
            for v in violations.iter().take(6) { println!("   {v}"); }
            println!("   ... {}", violations.len());
        }
    }
    println!("{kinds:?}");
}

#[test]
fn large_tmp() {
    let catalog = Catalog::from_csv(include_str!("../../../catalog/ec2.csv"), "test", "2026-11").unwrap();
    let nodes: usize = std::env::var("NODES").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    let t = std::time::Instant::now();
    let snapshot = generate(Recipe { nodes, seed: 3, constrained: true, held: true }, &catalog);
    println!("generated {:?}: {} nodes {} pods", t.elapsed(), snapshot.nodes.len(), snapshot.pods.len());
    let options = Options::default();
    let t = std::time::Instant::now();
    let limit = t + std::time::Duration::from_secs(5);
    let mut budget = |_: u64| if std::time::Instant::now() > limit { 1000 } else { 0 };
    let plan = crate::plan(&snapshot, &catalog, &options, &mut budget).unwrap();
    println!("planned {:?}: {} -> {} {} waves {} moves {} bought", t.elapsed(), plan.cost_before, plan.cost_after, plan.waves.len(), plan.moves(), plan.added().len());
    let t = std::time::Instant::now();
    let r = check(&snapshot, &catalog, &options, &plan); for _ in 0..2 { let _ = check(&snapshot, &catalog, &options, &plan); } println!("x3 {:?}", t.elapsed());
    println!("checked {:?}", t.elapsed());
    if let Err(v) = r { let mut k = std::collections::BTreeMap::new(); for x in &v { *k.entry(x.fault.word()).or_insert(0)+=1; } println!("{k:?}"); for x in v.iter().take(10) { println!("  {x}"); } }
}
