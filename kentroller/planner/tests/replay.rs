//! Every plan is replayed wave by wave against the manifests, with a reading of the rules of its own.

use std::collections::BTreeMap;

use kentroller_planner::check::check;
use kentroller_planner::generate::{Recipe, generate};
use kentroller_planner::rules::requests;
use kentroller_planner::{Catalog, MoveLimit, Options, Percent, Plan, Snapshot, Steps, plan};

const CPU: &str = "cpu";

/// A node as the replay knows it: what is left, and the (app, anti-affinity, cap, zone spread) of its pods.
#[derive(Default)]
struct Place {
    free: BTreeMap<String, i64>,
    labels: BTreeMap<String, String>,
    apps: BTreeMap<String, i64>,
}

fn amount(name: &str, quantity: kentroller_planner::Quantity) -> i64 {
    if name == CPU { quantity.milli() } else { quantity.units() }
}

fn replay(snapshot: &Snapshot, plan: &Plan) {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for node in &snapshot.nodes {
        let free =
            node.status.allocatable.iter().map(|(name, quantity)| (name.clone(), amount(name, *quantity))).collect();
        let labels = node.metadata.labels.as_ref().clone();
        places.insert((*node.metadata.name).to_owned(), Place { free, labels, apps: BTreeMap::new() });
    }
    let mut at: BTreeMap<String, String> = BTreeMap::new();
    let pods: BTreeMap<String, &kentroller_planner::manifest::Pod> =
        snapshot.pods.iter().map(|pod| (pod.metadata.key().to_string(), pod)).collect();
    let weigh = |place: &mut Place, key: &str, sign: i64| {
        let pod = pods[key];
        for (name, quantity) in requests::of_pod(pod) {
            *place.free.entry(name.clone()).or_default() -= sign * amount(&name, quantity);
        }
        *place.free.entry("pods".to_owned()).or_default() -= sign;
        if let Some(app) = pod.metadata.labels.get("app") {
            *place.apps.entry(app.clone()).or_default() += sign;
        }
    };
    for (key, pod) in &pods {
        weigh(places.get_mut(&*pod.spec.node_name).expect("a node"), key, 1);
        at.insert(key.clone(), (*pod.spec.node_name).to_owned());
    }
    let mut before = plan.cost_before;
    for wave in &plan.waves {
        for new in &wave.add {
            let free = snapshot_free(new);
            places.insert(new.name.clone(), Place { free, labels: new.labels.clone(), apps: BTreeMap::new() });
        }
        for step in &wave.moves {
            let key = step.pod.to_string();
            assert_eq!(at[&key], step.from, "{key} is not where the plan says");
            weigh(places.get_mut(&step.from).expect("from"), &key, -1);
            let zone = |place: &Place| place.labels.get("topology.kubernetes.io/zone").cloned();
            let from_zone = zone(&places[&step.from]);
            let to = places.get_mut(&step.to).expect("a destination that exists");
            weigh(to, &key, 1);
            assert!(to.free.values().all(|free| *free >= 0), "{key} does not fit on {}: {:?}", step.to, to.free);
            let spec = &pods[&key].spec.shape;
            for (label, value) in &spec.node_selector {
                assert_eq!(to.labels.get(label), Some(value), "{key} on {}", step.to);
            }
            let app = pods[&key].metadata.labels.get("app").cloned().unwrap_or_default();
            if !spec.affinity.pod_anti_affinity.required.is_empty() {
                assert_eq!(to.apps[&app], 1, "{key} is beside its like on {}", step.to);
            }
            let mut spreads = Vec::new();
            for spread in
                spec.topology_spread_constraints.iter().filter(|one| one.when_unsatisfiable == "DoNotSchedule")
            {
                if spread.topology_key == "kubernetes.io/hostname" {
                    assert!(to.apps[&app] <= i64::from(spread.max_skew), "{key} crowds {}", step.to);
                } else {
                    spreads.push((zone(to), i64::from(spread.max_skew)));
                }
            }
            if !spec.volumes.is_empty() {
                assert_eq!(zone(to), from_zone, "{key} leaves its volume");
            }
            for (to_zone, max_skew) in spreads.into_iter().filter(|(to_zone, _)| *to_zone != from_zone) {
                // A spread that was broken: whoever moves lands where the scheduler allows it.
                let mut counts: BTreeMap<String, i64> = BTreeMap::new();
                for place in places.values() {
                    *counts.entry(zone(place).unwrap_or_default()).or_default() +=
                        place.apps.get(&app).copied().unwrap_or(0);
                }
                let least = counts.values().min().copied().unwrap_or(0);
                let here = counts[&to_zone.clone().unwrap_or_default()];
                assert!(here - least <= max_skew, "{key} lands in {to_zone:?}: {counts:?}, {max_skew}");
            }
            at.insert(key, step.to.clone());
        }
        for node in &wave.remove {
            let stays = at.iter().find(|(key, on)| *on == node && &*pods[*key].metadata.namespace != "kube-system");
            assert!(stays.is_none(), "{node} goes with {stays:?} on it");
        }
        assert!(wave.hourly_after <= before, "a wave that costs: {} after {before}", wave.hourly_after);
        before = wave.hourly_after;
    }
    assert_eq!(before, plan.cost_after);
}

fn snapshot_free(new: &kentroller_planner::NewNode) -> BTreeMap<String, i64> {
    let catalog = catalog();
    let it = &catalog.instance_type("us-east-1", &new.instance_type).expect("a type of the catalogue").instance_type;
    // Three DaemonSets, 355m and 344 MiB in all.
    BTreeMap::from([
        (CPU.to_owned(), it.allocatable_milli_cpu() - 355),
        ("memory".to_owned(), it.allocatable_bytes() - (344 << 20)),
        ("pods".to_owned(), it.max_pods - 3),
        ("nvidia.com/gpu".to_owned(), it.gpu_count),
    ])
}

fn catalog() -> Catalog {
    Catalog::from_csv(include_str!("../catalog/ec2.csv"), "test", "2026-10-27").expect("the catalogue reads")
}

#[test]
fn every_wave_of_every_plan_keeps_every_constraint() {
    let catalog = catalog();
    for seed in 0..12 {
        let constrained = seed % 3 != 0;
        let snapshot =
            generate(Recipe { nodes: 10 + 9 * seed as usize, seed, constrained, held: constrained }, &catalog);
        let found = plan(&snapshot, &catalog, &Options::default(), &mut Steps(150)).expect("sound");
        assert!(found.cost_after < found.cost_before, "a drifted cluster has something to save");
        let bound = found.lower_bound.as_ref().expect("a bound").hourly;
        assert!(bound <= found.cost_after, "the bound {bound} is above {}", found.cost_after);
        replay(&snapshot, &found);
        check(&snapshot, &catalog, &Options::default(), &found).expect("the judge finds nothing");
    }
}

#[test]
fn no_wave_removes_more_than_a_seventh_of_the_nodes() {
    let catalog = catalog();
    for seed in 0..4 {
        let snapshot = generate(Recipe { nodes: 100, seed, constrained: seed % 2 == 1, held: false }, &catalog);
        let found = plan(&snapshot, &catalog, &Options::default(), &mut Steps(3000)).expect("sound");
        let most = found.waves.iter().map(|wave| wave.remove.len()).max().unwrap_or(0);
        assert!(
            found.removed().count() > 50 && most * 7 <= snapshot.nodes.len(),
            "seed {seed}: {most} of {} nodes go in one wave, {} in all",
            snapshot.nodes.len(),
            found.removed().count()
        );
    }
}

#[test]
fn the_same_seed_and_steps_give_the_same_plan() {
    let catalog = catalog();
    let snapshot = generate(Recipe { nodes: 40, seed: 5, constrained: true, held: true }, &catalog);
    let once = plan(&snapshot, &catalog, &Options::default(), &mut Steps(100)).expect("sound");
    let again = plan(&snapshot, &catalog, &Options::default(), &mut Steps(100)).expect("sound");
    assert_eq!(once, again);
}

#[test]
fn a_plan_keeps_the_limits_that_it_is_given() {
    let catalog = catalog();
    let snapshot = generate(Recipe { nodes: 50, seed: 9, constrained: true, held: true }, &catalog);
    let judged = |options: &Options| {
        let found = plan(&snapshot, &catalog, options, &mut Steps(200)).expect("sound");
        replay(&snapshot, &found);
        check(&snapshot, &catalog, options, &found).expect("the judge finds nothing");
        found
    };
    let few = judged(&Options { max_moves: Some(MoveLimit::Pods(25)), ..Options::default() });
    assert!(few.moves() <= 25 && few.cost_after < few.cost_before, "{} moves", few.moves());
    let three = judged(&Options { max_nodes: Some(3), ..Options::default() });
    assert!(three.removed().count() <= 3);
    let nodes = snapshot.nodes.len();
    let large = judged(&Options { min_cluster_size: nodes - 5, ..Options::default() });
    assert!(nodes - large.removed().count() + large.added().len() >= nodes - 5);
    let curve = judged(&Options { curve: vec![Percent::whole(5), Percent::whole(20)], ..Options::default() }).curve;
    assert!(curve[1].hourly <= curve[0].hourly && curve[0].hourly < few.cost_before);
}

#[test]
fn no_service_ends_on_one_node() {
    let catalog = Catalog::embedded();
    for seed in 0..10 {
        let snapshot = generate(Recipe { nodes: 30, seed, constrained: seed % 2 == 1, held: false }, &catalog);
        let found = plan(&snapshot, &catalog, &Options::default(), &mut Steps(500)).expect("sound");
        let to: BTreeMap<String, &str> = found
            .waves
            .iter()
            .flat_map(|wave| &wave.moves)
            .map(|step| (step.pod.to_string(), step.to.as_str()))
            .collect();
        assert!(to.len() > 50, "seed {seed}: {} pods move", to.len());
        // By service: its pods, and of each node how many it has of them after the plan.
        let mut services: BTreeMap<&str, (usize, BTreeMap<&str, usize>)> = BTreeMap::new();
        for pod in &snapshot.pods {
            let Some(owner) = pod.metadata.controller().filter(|owner| owner.kind != "DaemonSet") else { continue };
            let (count, hosts) = services.entry(&owner.uid).or_default();
            *count += 1;
            let host = to.get(&pod.metadata.key().to_string()).copied().unwrap_or(&pod.spec.node_name);
            *hosts.entry(host).or_default() += 1;
        }
        let given: Vec<&str> = to.values().copied().collect();
        for (service, (count, hosts)) in services.iter().filter(|(_, (count, _))| *count > 1) {
            for (host, here) in hosts.iter().filter(|(host, _)| given.contains(host)) {
                assert!(*here <= count.div_ceil(2), "seed {seed}: {here} of {count} pods of {service} on {host}");
            }
        }
    }
}
