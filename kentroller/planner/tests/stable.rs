//! After a plan Karpenter's own rule has nothing to do, or the plan says what it would do and which limit forbids that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kentroller_planner::consolidation::{Course, consolidate, settle_as_karpenter, stability};
use kentroller_planner::generate::{Recipe, generate};
use kentroller_planner::{Catalog, MoveLimit, Options, Percent, Plan, Quantity, Snapshot, Steps, plan};

/// The cluster once a plan is carried out.
fn after(snapshot: &Snapshot, catalog: &Catalog, plan: &Plan) -> Snapshot {
    let mut end = snapshot.clone();
    let (node, claim) = (snapshot.nodes[0].clone(), snapshot.node_claims[0].clone());
    let runs_everywhere = |owner: &kentroller_planner::manifest::Owner| owner.kind == "DaemonSet";
    let is_daemon =
        |pod: &&kentroller_planner::manifest::Pod| pod.metadata.owner_references.iter().any(runs_everywhere);
    let daemons: Vec<_> =
        snapshot.pods.iter().filter(is_daemon).filter(|pod| pod.spec.node_name == node.metadata.name).collect();
    for wave in &plan.waves {
        for new in &wave.add {
            let of = catalog.types(&plan.region).find(|of| of.instance_type.name == new.instance_type);
            let of = &of.expect("a type of the catalogue").instance_type;
            let mut labels = new.labels.clone();
            labels.insert("kubernetes.io/hostname".to_owned(), new.name.clone());
            let mut node = node.clone();
            node.metadata.name = new.name.as_str().into();
            node.metadata.labels = Arc::new(labels.clone());
            node.spec.taints.clone_from(&new.taints);
            Arc::make_mut(&mut node.status).allocatable = [
                ("cpu".to_owned(), Quantity::thousandths(of.allocatable_milli_cpu())),
                ("memory".to_owned(), Quantity::whole(of.allocatable_bytes())),
                ("pods".to_owned(), Quantity::whole(of.max_pods)),
                ("nvidia.com/gpu".to_owned(), Quantity::whole(of.gpu_count)),
            ]
            .into();
            let mut claim = claim.clone();
            claim.metadata.name = new.name.as_str().into();
            claim.metadata.labels = Arc::new(labels);
            Arc::make_mut(&mut claim.status).node_name.clone_from(&new.name);
            for daemon in &daemons {
                let mut pod = (*daemon).clone();
                pod.metadata.name = format!("{}-{}", pod.metadata.name, new.name).into();
                pod.spec.node_name = new.name.as_str().into();
                end.pods.push(pod);
            }
            end.nodes.push(node);
            end.node_claims.push(claim);
        }
    }
    let to: BTreeMap<_, _> =
        plan.waves.iter().flat_map(|wave| &wave.moves).map(|step| (&step.pod, step.to.clone())).collect();
    for pod in &mut end.pods {
        if let Some(to) = to.get(&pod.metadata.key()) {
            pod.spec.node_name = to.as_str().into();
        }
    }
    let gone: Vec<&str> = plan.removed().collect();
    end.nodes.retain(|node| !gone.contains(&&*node.metadata.name));
    end.node_claims.retain(|claim| !gone.contains(&claim.status.node_name.as_str()));
    end.pods.retain(|pod| !gone.contains(&&*pod.spec.node_name));
    end
}

/// The plan's word on what Karpenter would still do.
fn told(plan: &Plan) -> Option<&str> {
    let words = plan.warnings.iter().map(|warning| warning.message.as_str());
    words.into_iter().find(|message| message.contains("Karpenter's own consolidation"))
}

/// By name of the new node: hundredths of its share of the cost of its pool over its share of nodes and pods there, and whether
/// Karpenter would remove it.
fn stands(snapshot: &Snapshot, catalog: &Catalog, plan: &Plan) -> BTreeMap<String, (i64, bool)> {
    let found = stability(snapshot, catalog, &Options::default(), plan, &mut Steps(3000)).expect("sound");
    let nodes = found.into_iter().flat_map(|pool| pool.nodes);
    nodes.map(|node| (node.node, (node.score, node.would_go))).collect()
}

#[test]
fn every_new_node_is_told_with_its_share_of_cost_and_disruption_and_whether_karpenter_would_remove_it() {
    let catalog = Catalog::embedded();
    let snapshot = generate(Recipe { nodes: 25, seed: 3, constrained: false, held: false }, &catalog);
    let options = Options { reserve: Percent::whole(0), ..Options::default() };
    let mut plan = plan(&snapshot, &catalog, &options, &mut Steps(3000)).expect("sound");
    let new: Vec<String> = plan.waves.iter().flat_map(|wave| &wave.add).map(|new| new.name.clone()).collect();
    assert!(new.len() > 1, "{new:?}");
    let found = stands(&snapshot, &catalog, &plan);
    assert_eq!(found.keys().collect::<BTreeSet<_>>(), new.iter().collect());
    assert!(found.values().all(|(_, goes)| !goes), "{found:?}");

    // The shares are those of the cluster as it is afterwards, counted one by one.
    let end = after(&snapshot, &catalog, &plan);
    let moves = |node: &str| {
        let of = end.pods.iter().filter(|pod| *pod.spec.node_name == *node);
        let daemon = |pod: &&kentroller_planner::manifest::Pod| {
            pod.metadata.owner_references.iter().any(|owner| owner.kind == "DaemonSet")
        };
        1 + of.filter(|pod| !daemon(pod)).count()
    };
    let price = |node: &kentroller_planner::manifest::Node| {
        let label = |key: &str| node.metadata.labels.get(key).map(String::as_str).unwrap_or_default();
        let kind = kentroller_planner::CapacityType::of(label("karpenter.sh/capacity-type"));
        let [region, of, zone] =
            ["topology.kubernetes.io/region", "node.kubernetes.io/instance-type", "topology.kubernetes.io/zone"];
        catalog.price(label(region), label(of), label(zone), &kind).map_or(0, kentroller_planner::Money::as_micros)
    };
    let pool = |node: &kentroller_planner::manifest::Node| node.metadata.labels["karpenter.sh/nodepool"].clone();
    for (name, (score, _)) in &found {
        let one = end.nodes.iter().find(|node| *node.metadata.name == **name).expect("it came");
        let beside = || end.nodes.iter().filter(|node| pool(node) == pool(one));
        let (cost, disruption): (i64, usize) =
            (beside().map(price).sum(), beside().map(|node| moves(&node.metadata.name)).sum());
        let disruption = i64::try_from(disruption).expect("few");
        let own = i64::try_from(moves(name)).expect("few");
        assert_eq!(*score, 100 * price(one) * disruption / (cost * own), "{name}");
    }

    // A node for which nothing comes is one that Karpenter takes away again.
    let mut idle = plan.waves.iter().flat_map(|wave| &wave.add).next().expect("one").clone();
    idle.name = "idle".to_owned();
    plan.waves[0].add.push(idle);
    let found = stands(&snapshot, &catalog, &plan);
    assert_eq!(
        found.iter().filter(|(_, (_, goes))| *goes).map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["idle"]
    );
}

#[test]
fn after_a_plan_that_nothing_limits_karpenter_has_nothing_to_do() {
    let catalog = Catalog::embedded();
    let options = Options { reserve: Percent::whole(0), ..Options::default() };
    for seed in 0..12 {
        // Without constraints: a spread that was broken and holds once the plan is carried out ties pods that were free.
        let mut snapshot = generate(Recipe { nodes: 25, seed, constrained: false, held: seed % 2 == 1 }, &catalog);
        // Nor services of several pods, which a plan does not leave to one node.
        for (number, pod) in snapshot.pods.iter_mut().enumerate() {
            for owner in Arc::make_mut(&mut pod.metadata.owner_references) {
                owner.uid = format!("{}-{number}", owner.uid);
            }
        }
        let found = plan(&snapshot, &catalog, &options, &mut Steps(3000)).expect("sound");
        let commands = consolidate(&after(&snapshot, &catalog, &found), &catalog).expect("sound");
        assert!(consolidate(&snapshot, &catalog).expect("sound").len() > 1, "seed {seed} was settled before");
        assert_eq!(commands.len(), 1, "seed {seed}: Karpenter goes on: {commands:?}; the plan says {:?}", told(&found));
        assert_eq!(told(&found), None, "seed {seed}");
    }
}

#[test]
fn of_pools_that_karpenter_leaves_alone_nothing_is_told() {
    let catalog = Catalog::embedded();
    let mut told_before = 0;
    for seed in 0..4 {
        let mut snapshot = generate(Recipe { nodes: 25, seed, constrained: false, held: false }, &catalog);
        let planned =
            |snapshot: &Snapshot| plan(snapshot, &catalog, &Options::default(), &mut Steps(300)).expect("sound");
        told_before += usize::from(told(&planned(&snapshot)).is_some());
        for pool in &mut snapshot.node_pools {
            // Handed over to us.
            Arc::make_mut(&mut pool.metadata.annotations)
                .insert("kentroller.cast.ai/consolidation".to_owned(), "include".to_owned());
            pool.spec.disruption.consolidation_policy = "WhenEmpty".to_owned();
        }
        let handed_over = planned(&snapshot);
        assert!(!handed_over.waves.is_empty(), "seed {seed}");
        assert_eq!(told(&handed_over), None, "seed {seed}");
    }
    assert!(told_before > 0, "there was nothing to tell");
}

#[test]
fn what_karpenter_would_still_do_is_told_with_the_limit_that_forbids_it() {
    let catalog = Catalog::embedded();
    for seed in 0..8 {
        let snapshot = generate(Recipe { nodes: 25, seed, constrained: seed % 2 == 1, held: false }, &catalog);
        for (limit, options) in [
            ("reserve", Options::default()),
            ("service", Options { reserve: Percent::whole(0), ..Options::default() }),
            ("limit of moves", Options { max_moves: Some(MoveLimit::Pods(10)), ..Options::default() }),
            ("scope", Options { max_nodes: Some(3), ..Options::default() }),
        ] {
            let found = plan(&snapshot, &catalog, &options, &mut Steps(300)).expect("sound");
            let goes_on = consolidate(&after(&snapshot, &catalog, &found), &catalog).expect("sound").len() > 1;
            let told = told(&found);
            assert_eq!(told.is_some(), goes_on, "seed {seed}, {limit}: {told:?}");
            let names_it = |told: &str| told.contains(limit) || told.contains("reserve");
            assert!(told.is_none_or(names_it), "seed {seed}, {limit}: {told:?}");
        }
    }
}

#[test]
fn karpenter_settles_by_the_policy_of_its_pools_and_by_what_it_knows() {
    let catalog = Catalog::embedded();
    let (mut balanced, mut underutilized) = (0, 0);
    for seed in 0..6 {
        let mut snapshot = generate(Recipe { nodes: 25, seed, constrained: false, held: false }, &catalog);
        let settled = |snapshot: &Snapshot, policy: Option<&str>| -> Course {
            settle_as_karpenter(snapshot, &catalog, policy, &mut |_: u64| 0).expect("sound")
        };
        let free = settled(&snapshot, Some("WhenEmptyOrUnderutilized"));
        assert!(free.is_settled && free.after() < free.before, "seed {seed}");
        let told = consolidate(&snapshot, &catalog).expect("sound");
        assert_eq!((free.moves(), free.after()), *told.last().expect("an end"), "seed {seed}: one rule");
        let empty = settled(&snapshot, Some("WhenEmpty"));
        assert!(empty.commands.iter().all(|command| command.moves == 0 && command.added.is_none()), "seed {seed}");
        let half = settled(&snapshot, Some("Balanced"));
        assert!(half.after() <= empty.after(), "seed {seed}");
        balanced += half.moves();
        underutilized += free.moves();
        for pool in &mut snapshot.node_pools {
            pool.spec.disruption.consolidation_policy = "Balanced".to_owned();
            // Which Karpenter does not know.
            Arc::make_mut(&mut pool.metadata.annotations)
                .insert("kentroller.cast.ai/consolidation".to_owned(), "exclude".to_owned());
        }
        for pod in &mut snapshot.pods {
            pod.metadata.owner_references = Arc::default();
            Arc::make_mut(&mut pod.metadata.annotations)
                .insert("autoscaling.cast.ai/removal-disabled".to_owned(), "true".to_owned());
        }
        let own = settled(&snapshot, None);
        assert!(own.after() < own.before, "seed {seed}: pods without a controller go");
        for pod in &mut snapshot.pods {
            Arc::make_mut(&mut pod.metadata.annotations)
                .insert("karpenter.sh/do-not-disrupt".to_owned(), "true".to_owned());
        }
        let shielded = settled(&snapshot, None);
        assert!(shielded.commands.iter().all(|command| command.moves == 0), "seed {seed}: what Karpenter knows holds");
        let late = settle_as_karpenter(&snapshot, &catalog, None, &mut |_: u64| 1000).expect("sound");
        assert!(!late.is_settled, "seed {seed}: no time was left");
    }
    assert!(balanced < underutilized, "{balanced} moves under Balanced, {underutilized} without its threshold");
}
