//! Drifted clusters for tests, benchmarks and the demo: grown in bursts, spread by the scheduler, then shrunk.
//!
//! Shapes of the larger pods come from `shapes/serving.csv` (public trace, named there), scaled down to sixteenths; small
//! web pods are drawn. Everything follows from the seed.

pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::{
    Condition, DaemonSet, Labels, Meta, Moment, Node, NodeClaim, NodeClaimStatus, NodePool, NodeStatus, Owner, Pod,
    PodDisruptionBudget, PodShape, PodSpec, Quantity, Resources,
};
use crate::rules::pool;
use crate::value::{CapacityType, Catalog, Dice, Money, Snapshot};

const SHAPES: &str = include_str!("../../shapes/serving.csv");
const NOW: i64 = 1_790_000_000;

/// What kind of cluster to make.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// About this many nodes.
    pub nodes: usize,
    pub seed: u64,
    /// Whether pods carry constraints: spread, (anti-)affinity, volumes, host ports.
    pub constrained: bool,
    /// Whether some nodes are held: disruption budgets that allow none, do-not-disrupt, bare pods and jobs.
    pub held: bool,
}

/// A workload: pods of one template.
struct Group {
    name: String,
    owner_kind: &'static str,
    shape: Arc<PodShape>,
    labels: Arc<Labels>,
    pool: &'static str,
    arm: Option<bool>,
    cpu: i64,
    memory: i64,
    gpus: i64,
    replicas: usize,
    per_node: usize,
    zone_spread: bool,
    zonal_volume: bool,
    annotations: Arc<Labels>,
}

/// A node that is being filled: pool, arm64 or not, zone, pods, what they ask for, and the cpu at which it is full.
type Opened = (&'static str, Option<bool>, usize, Vec<(usize, usize)>, [i64; 4], i64);

struct Grown {
    name: String,
    pool: &'static str,
    arm: bool,
    instance_type: String,
    zone: usize,
    capacity_type: CapacityType,
    free: [i64; 4],
    allocatable: [i64; 4],
    pods: Vec<(usize, usize)>,
}

const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
const REGION: &str = "us-east-1";

/// Makes a cluster. The catalogue needs region `us-east-1`.
#[expect(clippy::too_many_lines, reason = "one story told once, top to bottom")]
pub fn generate(recipe: Recipe, catalog: &Catalog) -> Snapshot {
    let mut dice = Dice::new(recipe.seed.wrapping_mul(0x1234_5678_9ABC_DEF1) ^ 7);
    let pools = pools();
    let groups = groups(recipe, &mut dice);
    let types: Vec<&crate::value::Priced> = catalog
        .types(REGION)
        .filter(|priced| priced.instance_type.vcpu <= 48 && !priced.instance_type.name.contains("metal"))
        .collect();
    let requirements: BTreeMap<&str, pool::Requirements> = pools
        .iter()
        .filter_map(|pool| pool::Requirements::of(pool, false).map(|requirements| (&*pool.metadata.name, requirements)))
        .collect();
    let offered: BTreeMap<(&str, bool), Vec<(&crate::value::Priced, Money)>> = pools
        .iter()
        .flat_map(|node_pool| [(node_pool, false), (node_pool, true)])
        .map(|(node_pool, arm)| {
            let name = &*node_pool.metadata.name;
            let fitting = types.iter().filter(|priced| {
                let mut labels = pool::pool_labels(node_pool);
                labels.extend(pool::type_labels(&priced.instance_type, REGION));
                requirements[name].admit_type(&|key| labels.get(key).map(String::as_str))
                    && (priced.instance_type.arch == "arm64") == arm
            });
            let mut list: Vec<(&crate::value::Priced, Money)> = fitting
                .filter_map(|priced| priced.price(ZONES[0], &CapacityType::OnDemand).map(|price| (*priced, price)))
                .collect();
            list.sort_by_key(|(priced, price)| (*price, &priced.instance_type.name));
            ((name, arm), list)
        })
        .collect();
    let overhead = [355i64, 344 << 20, 3, 0];
    let mut nodes: Vec<Grown> = Vec::new();
    let mut zone_counts: Vec<[usize; 3]> = vec![[0; 3]; groups.len()];
    let mut alive: Vec<Vec<(usize, usize)>> = vec![Vec::new(); groups.len()];
    let waves = 6;
    for wave in 0..waves {
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        for (group, of) in groups.iter().enumerate() {
            let from = of.replicas * wave / waves;
            let to = of.replicas * (wave + 1) / waves;
            for replica in from..to {
                waiting.push((group, replica));
            }
        }
        // Karpenter's order: cpu, then memory, descending.
        waiting.sort_by_key(|(group, replica)| {
            (std::cmp::Reverse((groups[*group].cpu, groups[*group].memory)), *group, *replica)
        });
        let mut unplaced: Vec<(usize, usize)> = Vec::new();
        for (group, replica) in waiting {
            let of = &groups[group];
            let request = [of.cpu, of.memory, 1, of.gpus];
            let least = zone_counts[group].iter().min().copied().unwrap_or(0);
            // A sample of the nodes, as the scheduler of a large cluster takes.
            let start = dice.below(nodes.len());
            let sample = nodes.len().min(400);
            let best = (0..sample)
                .map(|step| (start + step) % nodes.len())
                .filter(|at| {
                    let node: &Grown = &nodes[*at];
                    node.pool == of.pool
                        && of.arm.is_none_or(|arm| arm == node.arm)
                        && request.iter().zip(&node.free).all(|(request, free)| request <= free)
                        && (!of.zone_spread || zone_counts[group][node.zone] <= least)
                        && (of.per_node == 0 || node.pods.iter().filter(|(g, _)| *g == group).count() < of.per_node)
                })
                .min_by_key(|at| {
                    let node = &nodes[*at];
                    let same = node.pods.iter().filter(|(g, _)| *g == group).count();
                    let used = 100 - node.free[0] * 50 / node.allocatable[0] - node.free[1] * 50 / node.allocatable[1];
                    (same as i64 * 60 + used, *at)
                });
            match best {
                Some(at) => seat(&mut nodes[at], group, replica, &request, &mut zone_counts, &mut alive, at),
                None => unplaced.push((group, replica)),
            }
        }
        // What fits nowhere makes Karpenter launch: pods of a kind are packed until the largest offered type is full.
        let mut open: Vec<Opened> = Vec::new();
        for (group, replica) in unplaced {
            let of = &groups[group];
            let request = [of.cpu, of.memory, 1, of.gpus];
            let zone = if of.zone_spread || of.zonal_volume {
                (0..3).min_by_key(|zone| zone_counts[group][*zone]).unwrap_or(0)
            } else {
                dice.below(3)
            };
            zone_counts[group][zone] += 1;
            let largest = [30_000, 120 << 30, 110, 4];
            let found = open.iter_mut().find(|(pool, arm, of_zone, pods, used, limit)| {
                *pool == of.pool
                    && *arm == of.arm
                    && *of_zone == zone
                    && used[0] + request[0] <= (*limit).max(request[0])
                    && (0..4).all(|dim| used[dim] + request[dim] <= largest[dim].max(request[dim]))
                    && (of.per_node == 0 || pods.iter().filter(|(g, _)| *g == group).count() < of.per_node)
            });
            if let Some((_, _, _, pods, used, _)) = found {
                pods.push((group, replica));
                for dim in 0..4 {
                    used[dim] += request[dim];
                }
            } else {
                let limit = [7_500, 15_000, 30_000][dice.below(3)];
                open.push((of.pool, of.arm, zone, vec![(group, replica)], request, limit));
            }
        }
        for (pool, arm, zone, pods, used, _) in open {
            let arm = arm.unwrap_or(false);
            let chosen = offered.get(&(pool, arm)).into_iter().flatten().find(|(priced, _)| {
                let it = &priced.instance_type;
                used[0] + overhead[0] <= it.allocatable_milli_cpu()
                    && used[1] + overhead[1] <= it.allocatable_bytes()
                    && used[2] + overhead[2] <= it.max_pods
                    && used[3] <= it.gpu_count
            });
            let Some((priced, _)) = chosen else { continue };
            let it = &priced.instance_type;
            let allocatable = [it.allocatable_milli_cpu(), it.allocatable_bytes(), it.max_pods, it.gpu_count];
            let mut node = Grown {
                name: format!("ip-10-0-{}-{}", nodes.len() / 250, nodes.len() % 250),
                pool,
                arm,
                instance_type: it.name.clone(),
                zone,
                capacity_type: CapacityType::OnDemand,
                free: allocatable,
                allocatable,
                pods: Vec::new(),
            };
            for (free, overhead) in node.free.iter_mut().zip(overhead) {
                *free -= overhead;
            }
            let at = nodes.len();
            nodes.push(node);
            for (group, replica) in pods {
                let of = &groups[group];
                zone_counts[group][zone] -= 1;
                seat(
                    &mut nodes[at],
                    group,
                    replica,
                    &[of.cpu, of.memory, 1, of.gpus],
                    &mut zone_counts,
                    &mut alive,
                    at,
                );
            }
        }
    }
    // The load goes: a third to two thirds of most groups, at random places; then what is empty goes.
    for (group, of) in groups.iter().enumerate() {
        let keep = if dice.chance(25) { 100 } else { 30 + dice.below(40) };
        let mut gone = alive[group].len() - (alive[group].len() * keep / 100).max(1).min(alive[group].len());
        while gone > 0 && !alive[group].is_empty() {
            let victim = dice.below(alive[group].len());
            let (node, replica) = alive[group].swap_remove(victim);
            nodes[node].pods.retain(|pod| *pod != (group, replica));
            for (dim, amount) in [of.cpu, of.memory, 1, of.gpus].into_iter().enumerate() {
                nodes[node].free[dim] += amount;
            }
            gone -= 1;
        }
    }
    nodes.retain(|node| !node.pods.is_empty());
    snapshot(recipe, &groups, &nodes, pools, &mut dice)
}

fn seat(
    node: &mut Grown,
    group: usize,
    replica: usize,
    request: &[i64; 4],
    zone_counts: &mut [[usize; 3]],
    alive: &mut [Vec<(usize, usize)>],
    at: usize,
) {
    for (free, request) in node.free.iter_mut().zip(request) {
        *free -= request;
    }
    node.pods.push((group, replica));
    zone_counts[group][node.zone] += 1;
    alive[group].push((at, replica));
}

fn groups(recipe: Recipe, dice: &mut Dice) -> Vec<Group> {
    let shapes: Vec<[i64; 4]> = SHAPES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("milli"))
        .filter_map(|line| {
            let mut cells = line.split(',').map(|cell| cell.parse::<i64>().unwrap_or(0));
            Some([cells.next()?, cells.next()?, cells.next()?, cells.next()?])
        })
        .collect();
    // Half of the pods go again, and most nodes stay.
    let wanted = recipe.nodes * 17;
    let mut groups: Vec<Group> = Vec::new();
    let mut pods = 0;
    while pods < wanted {
        let number = groups.len();
        let name = format!("app-{number}");
        let replicas = match dice.below(10) {
            0..=2 => 1 + dice.below(3),
            3..=6 => 3 + dice.below(12),
            7 | 8 => 10 + dice.below(40),
            _ => 20 + dice.below(30 + wanted / 60),
        };
        let replicas = replicas.min(wanted.div_ceil(4));
        let large = dice.chance(25);
        let (mut cpu, mut memory, mut gpus, mut per_node) = if large {
            let [cpu, memory, gpus, cap] = shapes[dice.below(shapes.len())];
            (cpu / 16, (memory / 16).max(256) << 20, gpus, usize::try_from(cap).unwrap_or(0))
        } else {
            let cpu = [50, 100, 100, 200, 250, 250, 500, 500, 750, 1000, 1500, 2000][dice.below(12)];
            let per_core = [1024, 2048, 2048, 4096, 4096, 6144, 8192][dice.below(7)];
            (cpu, (cpu * per_core / 1000).max(64) << 20, 0, 0)
        };
        let mut pool = "general";
        let mut arm = Some(false);
        if gpus > 0 {
            if dice.chance(50) {
                pool = "gpu";
                cpu = cpu.clamp(500, 3000);
                memory = memory.min(12 << 30);
            } else {
                gpus = 0;
            }
        }
        if gpus == 0 {
            match dice.below(20) {
                0..=3 => arm = Some(true),
                4 | 5 => arm = None,
                6 | 7 => pool = "batch",
                _ => {}
            }
        }
        let stateful = recipe.constrained && pool == "general" && dice.chance(4);
        let constrained = recipe.constrained && dice.chance(35);
        if !constrained {
            per_node = 0;
        }
        let anti = constrained && dice.chance(40);
        if anti {
            per_node = 1;
        }
        let replicas = if per_node > 0 { replicas.min((recipe.nodes / 3).max(2) * per_node) } else { replicas };
        let zone_spread = constrained && !anti && dice.chance(60);
        let mut labels = Labels::new();
        labels.insert("app".to_owned(), name.clone());
        let mut spec = serde_json::json!({
            "containers": [{"name": "main", "resources": {"requests": {"cpu": format!("{cpu}m"), "memory": memory.to_string()}}}],
            "nodeSelector": {},
        });
        if gpus > 0 {
            spec["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] = gpus.to_string().into();
        }
        let selector = serde_json::json!({"matchLabels": {"app": name}});
        if pool != "general" {
            spec["nodeSelector"]["karpenter.sh/nodepool"] = pool.into();
            spec["tolerations"] =
                serde_json::json!([{"key": "dedicated", "operator": "Equal", "value": pool, "effect": "NoSchedule"}]);
        }
        if let Some(arm) = arm {
            spec["nodeSelector"]["kubernetes.io/arch"] = if arm { "arm64" } else { "amd64" }.into();
        }
        if anti {
            spec["affinity"] = serde_json::json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                [{"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}]}});
        } else if per_node > 0 {
            spec["topologySpreadConstraints"] = serde_json::json!([{"maxSkew": per_node, "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}]);
        }
        if zone_spread {
            let constraint = serde_json::json!({"maxSkew": 1 + dice.below(2), "topologyKey": pool::ZONE,
                "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector});
            match spec["topologySpreadConstraints"].as_array_mut() {
                Some(list) => list.push(constraint),
                None => spec["topologySpreadConstraints"] = serde_json::json!([constraint]),
            }
        }
        if recipe.constrained && !constrained {
            wish(&mut spec, &selector, number);
        }
        if constrained && dice.chance(3) {
            spec["containers"][0]["ports"] =
                serde_json::json!([{"hostPort": 9000 + dice.below(20), "protocol": "TCP"}]);
            per_node = 1;
        }
        let mut annotations = Labels::new();
        let mut owner_kind = if stateful { "StatefulSet" } else { "ReplicaSet" };
        if recipe.held && dice.chance(2) {
            annotations.insert("karpenter.sh/do-not-disrupt".to_owned(), "true".to_owned());
        }
        if recipe.held && dice.chance(1) {
            owner_kind = "Job";
        }
        let of: PodSpec = serde_json::from_value(spec).expect("the spec above is one");
        let replicas = if owner_kind == "Job" { replicas.min(4) } else { replicas };
        pods += replicas;
        groups.push(Group {
            name,
            owner_kind,
            shape: of.shape,
            labels: Arc::new(labels),
            pool,
            arm,
            cpu,
            memory,
            gpus,
            replicas,
            per_node,
            zone_spread,
            zonal_volume: stateful,
            annotations: Arc::new(annotations),
        });
    }
    groups
}

/// Gives five of twelve groups something that their pods wish for.
fn wish(spec: &mut serde_json::Value, selector: &serde_json::Value, number: usize) {
    let anyway = |key: &str| serde_json::json!([{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}]);
    let term = |selector: &serde_json::Value, key: &str| {
        serde_json::json!({"preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": 100, "podAffinityTerm": {"labelSelector": selector, "topologyKey": key}}]})
    };
    let hostname = "kubernetes.io/hostname";
    match number % 12 {
        0 => spec["topologySpreadConstraints"] = anyway(hostname),
        1 => spec["topologySpreadConstraints"] = anyway(pool::ZONE),
        2 => spec["affinity"] = serde_json::json!({"podAntiAffinity": term(selector, hostname)}),
        3 => {
            let other = serde_json::json!({"matchLabels": {"app": format!("app-{}", number - 1)}});
            spec["affinity"] = serde_json::json!({"podAffinity": term(&other, hostname)});
        }
        4 => {
            let zone = serde_json::json!({"key": pool::ZONE, "operator": "In", "values": [ZONES[0]]});
            spec["affinity"] = serde_json::json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
                [{"weight": 50, "preference": {"matchExpressions": [zone]}}]}});
        }
        _ => {}
    }
}

/// The four pools of every generated cluster.
fn pools() -> Vec<NodePool> {
    let pool = |name: &str, arch: serde_json::Value, categories: serde_json::Value, tainted: bool| -> NodePool {
        let taints = if tainted {
            serde_json::json!([{"key": "dedicated", "value": name, "effect": "NoSchedule"}])
        } else {
            serde_json::json!([])
        };
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": name, "uid": format!("pool-{name}")},
            "spec": {
                "template": {"spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                    "taints": taints,
                    "requirements": [
                        {"key": "kubernetes.io/arch", "operator": "In", "values": arch},
                        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                        {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": categories},
                        {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["3"]},
                        {"key": pool::ZONE, "operator": "In", "values": ZONES},
                    ]}},
                "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s"},
            },
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .expect("the pool above is one")
    };
    let general = serde_json::json!(["c", "m", "r"]);
    vec![
        pool("batch", serde_json::json!(["amd64"]), serde_json::json!(["c", "m"]), true),
        pool("general", serde_json::json!(["amd64", "arm64"]), general, false),
        pool("gpu", serde_json::json!(["amd64"]), serde_json::json!(["g"]), true),
    ]
}

fn snapshot(recipe: Recipe, groups: &[Group], grown: &[Grown], node_pools: Vec<NodePool>, dice: &mut Dice) -> Snapshot {
    let mut snapshot = Snapshot { now: Moment(NOW), node_pools, namespaces: Some(Vec::new()), ..Snapshot::default() };
    let daemon_shape: PodSpec = serde_json::from_value(serde_json::json!({
        "containers": [{"name": "agent", "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}}}],
        "tolerations": [{"operator": "Exists"}]}))
    .expect("the spec above is one");
    let big_shape: PodSpec = serde_json::from_value(serde_json::json!({
        "containers": [{"name": "agent", "resources": {"requests": {"cpu": "155m", "memory": "144Mi"}}}],
        "tolerations": [{"operator": "Exists"}]}))
    .expect("the spec above is one");
    let daemons = [("logs", &daemon_shape), ("metrics", &daemon_shape), ("network", &big_shape)];
    snapshot.daemon_sets = Some(
        daemons
            .iter()
            .map(|(name, spec)| {
                let mut set = DaemonSet::default();
                set.metadata.name = (*name).into();
                set.metadata.namespace = "kube-system".into();
                set.spec.template.spec = (*spec).clone();
                set
            })
            .collect(),
    );
    let created = Some(Moment(NOW - 86_400));
    for (index, node) in grown.iter().enumerate() {
        let mut labels = Labels::new();
        let it = crate::value::InstanceType {
            name: node.instance_type.clone(),
            vcpu: 0,
            memory_mib: 0,
            arch: if node.arm { "arm64" } else { "amd64" }.to_owned(),
            max_pods: 0,
            gpu_count: 0,
            gpu_name: String::new(),
        };
        labels.extend(pool::type_labels(&it, REGION).into_iter().filter(|(key, _)| !key.starts_with("karpenter.k")));
        for (key, value) in [
            ("kubernetes.io/hostname", node.name.as_str()),
            (pool::ZONE, ZONES[node.zone]),
            (pool::NODE_POOL, node.pool),
            (pool::CAPACITY_TYPE, node.capacity_type.as_str()),
            ("karpenter.sh/initialized", "true"),
        ] {
            labels.insert(key.to_owned(), value.to_owned());
        }
        let amounts = [
            ("cpu".to_owned(), Quantity::thousandths(node.allocatable[0])),
            ("memory".to_owned(), Quantity::whole(node.allocatable[1])),
            ("pods".to_owned(), Quantity::whole(node.allocatable[2])),
            ("nvidia.com/gpu".to_owned(), Quantity::whole(node.allocatable[3])),
        ];
        let mut object = Node {
            metadata: Meta {
                name: node.name.as_str().into(),
                uid: format!("node-{index}").into(),
                labels: Arc::new(labels.clone()),
                creation_timestamp: created,
                ..Meta::default()
            },
            ..Node::default()
        };
        object.spec.provider_id = format!("aws:///{}/i-{index:08x}", ZONES[node.zone]);
        if node.pool != "general" {
            object.spec.taints = snapshot
                .node_pools
                .iter()
                .find(|pool| *pool.metadata.name == *node.pool)
                .map(|pool| pool.spec.template.spec.taints.clone())
                .unwrap_or_default();
        }
        let allocatable: Resources = amounts.into();
        object.status =
            Arc::new(NodeStatus { capacity: allocatable.clone(), allocatable, conditions: vec![condition("Ready")] });
        let mut claim = NodeClaim {
            metadata: Meta {
                name: format!("{}-{index:05}", node.pool).into(),
                uid: format!("claim-{index}").into(),
                labels: Arc::new(labels),
                creation_timestamp: created,
                ..Meta::default()
            },
            ..NodeClaim::default()
        };
        claim.status = Arc::new(NodeClaimStatus {
            node_name: node.name.clone(),
            provider_id: object.spec.provider_id.clone(),
            conditions: ["Launched", "Registered", "Initialized", "Consolidatable"].map(condition).to_vec(),
        });
        for (name, spec) in daemons {
            let mut pod = pod_on(&node.name, format!("{name}-{index}"), "kube-system", "DaemonSet", name);
            pod.spec.shape = Arc::clone(&spec.shape);
            snapshot.pods.push(pod);
        }
        for (group, replica) in &node.pods {
            let of = &groups[*group];
            let mut pod = pod_on(&node.name, format!("{}-{replica}", of.name), "apps", of.owner_kind, &of.name);
            pod.metadata.labels = Arc::clone(&of.labels);
            pod.metadata.annotations = Arc::clone(&of.annotations);
            pod.spec.shape = Arc::clone(&of.shape);
            if of.zonal_volume {
                let mut shape = of.shape.as_ref().clone();
                let claim = format!("data-{}-{replica}", of.name);
                shape.volumes.push(crate::manifest::Volume { claim: claim.clone(), ephemeral: String::new() });
                pod.spec.shape = Arc::new(shape);
                volume(&mut snapshot, claim, ZONES[node.zone]);
            }
            snapshot.pods.push(pod);
        }
        snapshot.nodes.push(object);
        snapshot.node_claims.push(claim);
    }
    for of in groups {
        if dice.chance(60) && of.replicas > 1 {
            let mut pdb: PodDisruptionBudget = serde_json::from_value(serde_json::json!({
                "metadata": {"name": of.name, "namespace": "apps"},
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": of.name}}},
                "status": {"disruptionsAllowed": 1}}))
            .expect("the budget above is one");
            if recipe.held && dice.chance(4) {
                pdb.status = Some(crate::manifest::PdbStatus::default());
            }
            snapshot.pdbs.push(pdb);
        }
    }
    snapshot
}

fn condition(kind: &str) -> Condition {
    Condition { kind: kind.to_owned(), status: "True".to_owned(), ..Condition::default() }
}

fn pod_on(node: &str, name: String, namespace: &str, kind: &str, owner: &str) -> Pod {
    let mut pod = Pod {
        metadata: Meta {
            uid: format!("pod-{name}").into(),
            name: name.into(),
            namespace: namespace.into(),
            creation_timestamp: Some(Moment(NOW - 80_000)),
            owner_references: Arc::new(vec![Owner {
                kind: kind.to_owned(),
                name: owner.to_owned(),
                uid: format!("owner-{owner}"),
                controller: true,
            }]),
            ..Meta::default()
        },
        ..Pod::default()
    };
    pod.spec.node_name = node.into();
    pod.status.phase = "Running".into();
    pod.status.start_time = Some(Moment(NOW - 80_000));
    pod.status.conditions = Arc::new(vec![condition("Ready")]);
    pod
}

fn volume(snapshot: &mut Snapshot, claim: String, zone: &str) {
    let of = |value: serde_json::Value| serde_json::from_value(value).expect("the volume above is one");
    snapshot.persistent_volumes.push(of(serde_json::json!({"metadata": {"name": format!("pv-{claim}")}, "spec": {
        "csi": {"driver": "ebs.csi.aws.com"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": pool::ZONE, "operator": "In", "values": [zone]}]}]}}}})));
    let mut object = crate::manifest::PersistentVolumeClaim::default();
    object.spec.volume_name = format!("pv-{claim}");
    object.metadata.name = claim.into();
    object.metadata.namespace = "apps".into();
    snapshot.persistent_volume_claims.push(object);
}
