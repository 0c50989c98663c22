//! Plans of our own planner for generated clusters: the judge must find nothing.
use crate::{
    Catalog, Headroom, Mode, MoveLimit, Options, Percent, Snapshot, Steps,
    check::check,
    generate::{Recipe, generate},
    manifest::PodStatus,
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
        10 => Options {
            headroom: [("general".to_owned(), Headroom { milli_cpu: 16_000, bytes: 32 << 30 })].into(),
            ..base
        },
        _ => Options { roll: true, ..base },
    }
}

/// One region and a dozen families: a plan for one of 240 clusters has to be quick.
fn catalog() -> Catalog {
    let families = ["c5", "c6a", "c7g", "g4dn", "g5", "m5", "m5a", "m6g", "m7i-flex", "r5", "r5a", "r6g"];
    let wanted = |line: &&str| {
        let mut cells = line.split(',');
        let family = cells.next().and_then(|name| name.split('.').next());
        family == Some("instance_type")
            || (families.iter().any(|wanted| family == Some(wanted)) && cells.next() == Some("us-east-1"))
    };
    let lines: Vec<&str> = include_str!("../../../catalog/ec2.csv").lines().filter(wanted).collect();
    Catalog::from_csv(&lines.join("\n"), "test", "2026-11").unwrap()
}

/// A cluster in which, now and then, pods wait for a node.
fn cluster(seed: u64, catalog: &Catalog) -> Snapshot {
    let nodes = 2 + usize::try_from(seed % 5).unwrap();
    let recipe = Recipe { nodes, seed, constrained: !seed.is_multiple_of(4), held: !seed.is_multiple_of(3) };
    let mut snapshot = generate(recipe, catalog);
    if seed.is_multiple_of(5) {
        let of_deployments =
            |pod: &&mut crate::manifest::Pod| pod.metadata.controller().is_some_and(|owner| owner.kind == "ReplicaSet");
        for pod in snapshot.pods.iter_mut().filter(of_deployments).step_by(40) {
            pod.spec.node_name.clear();
            pod.status = PodStatus::default();
        }
    }
    snapshot
}

#[test]
fn plans_for_generated_clusters_hold() {
    let catalog = catalog();
    let mut moves = 0;
    let mut wrong = Vec::new();
    // More of them on demand: `KENTROLLER_CLUSTERS=4000`.
    let clusters = std::env::var("KENTROLLER_CLUSTERS").ok().and_then(|count| count.parse().ok()).unwrap_or(240);
    for seed in 0..clusters {
        let snapshot = cluster(seed, &catalog);
        let options = options(seed, &snapshot);
        let plan = crate::plan(&snapshot, &catalog, &options, &mut Steps(20)).unwrap();
        moves += plan.moves();
        for violation in check(&snapshot, &catalog, &options, &plan).err().into_iter().flatten() {
            wrong.push(format!("seed {seed}: {violation}"));
        }
    }
    assert!(moves > 1_000, "only {moves} pods move in all: the plans show nothing");
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
}
