//! The workloads of a cluster, drawn from the seed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Recipe, ZONES};
use crate::manifest::{Labels, PodShape, PodSpec, marks};
use crate::value::Rng;

const SHAPES: &str = include_str!("../../shapes/serving.csv");

/// A workload: pods of one template.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) owner_kind: &'static str,
    pub(super) shape: Arc<PodShape>,
    pub(super) labels: Arc<Labels>,
    pub(super) pool: &'static str,
    pub(super) arm: Option<bool>,
    pub(super) cpu: i64,
    pub(super) memory: i64,
    gpus: i64,
    pub(super) replicas: usize,
    /// The most pods of it on a node; 0: as many as fit.
    pub(super) per_node: usize,
    pub(super) zone_spread: bool,
    pub(super) zonal_volume: bool,
    pub(super) annotations: Arc<Labels>,
}

impl Group {
    /// Milli-cpu, bytes, pods, GPUs.
    pub(super) const fn request(&self) -> [i64; 4] {
        [self.cpu, self.memory, 1, self.gpus]
    }
}

/// What is drawn of a workload before its pods are written down.
struct Drawn {
    cpu: i64,
    memory: i64,
    gpus: i64,
    replicas: usize,
    per_node: usize,
    pool: &'static str,
    arm: Option<bool>,
    stateful: bool,
    constrained: bool,
    /// No two of its pods on a node.
    anti: bool,
    zone_spread: bool,
}

pub(super) fn groups(recipe: Recipe, rng: &mut Rng) -> Vec<Group> {
    let shapes = shapes();
    // Half of the pods go again, and most nodes stay.
    let wanted = recipe.nodes * 17;
    let mut groups: Vec<Group> = Vec::new();
    let mut pods = 0;
    while pods < wanted {
        let mut drawn = draw(recipe, wanted, &shapes, rng);
        let name = format!("app-{}", groups.len());
        let spec = spec(recipe, &mut drawn, groups.len(), rng);
        let mut annotations = Labels::new();
        let mut owner_kind = if drawn.stateful { "StatefulSet" } else { "ReplicaSet" };
        if recipe.held && rng.chance(2) {
            annotations.insert("karpenter.sh/do-not-disrupt".to_owned(), "true".to_owned());
        }
        if recipe.held && rng.chance(1) {
            owner_kind = "Job";
        }
        let replicas = if owner_kind == "Job" { drawn.replicas.min(4) } else { drawn.replicas };
        pods += replicas;
        let of: PodSpec = serde_json::from_value(spec).expect("the spec is one");
        groups.push(Group {
            labels: Arc::new(Labels::from([("app".to_owned(), name.clone())])),
            name,
            owner_kind,
            shape: of.shape,
            pool: drawn.pool,
            arm: drawn.arm,
            cpu: drawn.cpu,
            memory: drawn.memory,
            gpus: drawn.gpus,
            replicas,
            per_node: drawn.per_node,
            zone_spread: drawn.zone_spread,
            zonal_volume: drawn.stateful,
            annotations: Arc::new(annotations),
        });
    }
    groups
}

/// Shapes of larger pods: milli-cpu, MiB, GPUs, and how many a node may hold.
fn shapes() -> Vec<[i64; 4]> {
    let rows = SHAPES.lines().filter(|line| !line.starts_with('#') && !line.starts_with("milli"));
    rows.filter_map(|line| {
        let mut cells = line.split(',').map(|cell| cell.parse::<i64>().unwrap_or(0));
        Some([cells.next()?, cells.next()?, cells.next()?, cells.next()?])
    })
    .collect()
}

fn draw(recipe: Recipe, wanted: usize, shapes: &[[i64; 4]], rng: &mut Rng) -> Drawn {
    let replicas = match rng.below(10) {
        0..=2 => 1 + rng.below(3),
        3..=6 => 3 + rng.below(12),
        7 | 8 => 10 + rng.below(40),
        _ => 20 + rng.below(30 + wanted / 60),
    };
    let replicas = replicas.min(wanted.div_ceil(4));
    let large = rng.chance(25);
    let (mut cpu, mut memory, mut gpus, mut per_node) = if large {
        let [cpu, memory, gpus, cap] = shapes[rng.below(shapes.len())];
        (cpu / 16, (memory / 16).max(256) << 20, gpus, usize::try_from(cap).unwrap_or(0))
    } else {
        let cpu = [50, 100, 100, 200, 250, 250, 500, 500, 750, 1000, 1500, 2000][rng.below(12)];
        let per_core = [1024, 2048, 2048, 4096, 4096, 6144, 8192][rng.below(7)];
        (cpu, (cpu * per_core / 1000).max(64) << 20, 0, 0)
    };
    let (mut pool, mut arm) = ("general", Some(false));
    if gpus > 0 {
        if rng.chance(50) {
            pool = "gpu";
            cpu = cpu.clamp(500, 3000);
            memory = memory.min(12 << 30);
        } else {
            gpus = 0;
        }
    }
    if gpus == 0 {
        match rng.below(20) {
            0..=3 => arm = Some(true),
            4 | 5 => arm = None,
            6 | 7 => pool = "batch",
            _ => {}
        }
    }
    let stateful = recipe.constrained && pool == "general" && rng.chance(4);
    let constrained = recipe.constrained && rng.chance(35);
    let anti = constrained && rng.chance(40);
    per_node = if anti { 1 } else { per_node * usize::from(constrained) };
    let replicas = if per_node > 0 { replicas.min((recipe.nodes / 3).max(2) * per_node) } else { replicas };
    let zone_spread = constrained && !anti && rng.chance(60);
    Drawn { cpu, memory, gpus, replicas, per_node, pool, arm, stateful, constrained, anti, zone_spread }
}

/// The pods of a workload as they are written.
fn spec(recipe: Recipe, drawn: &mut Drawn, number: usize, rng: &mut Rng) -> Value {
    let mut spec = json!({
        "containers": [{"name": "main", "resources":
            {"requests": {"cpu": format!("{}m", drawn.cpu), "memory": drawn.memory.to_string()}}}],
        "nodeSelector": {},
    });
    if drawn.gpus > 0 {
        spec["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] = drawn.gpus.to_string().into();
    }
    let selector = json!({"matchLabels": {"app": format!("app-{number}")}});
    if drawn.pool != "general" {
        spec["nodeSelector"]["karpenter.sh/nodepool"] = drawn.pool.into();
        spec["tolerations"] =
            json!([{"key": "dedicated", "operator": "Equal", "value": drawn.pool, "effect": "NoSchedule"}]);
    }
    if let Some(arm) = drawn.arm {
        spec["nodeSelector"]["kubernetes.io/arch"] = if arm { "arm64" } else { "amd64" }.into();
    }
    if drawn.anti {
        spec["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [{"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}]}});
    } else if drawn.per_node > 0 {
        spec["topologySpreadConstraints"] = json!([{"maxSkew": drawn.per_node, "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}]);
    }
    if drawn.zone_spread {
        let constraint = json!({"maxSkew": 1 + rng.below(2), "topologyKey": marks::ZONE,
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector});
        match spec["topologySpreadConstraints"].as_array_mut() {
            Some(list) => list.push(constraint),
            None => spec["topologySpreadConstraints"] = json!([constraint]),
        }
    }
    if recipe.constrained && !drawn.constrained {
        prefer(&mut spec, &selector, number);
    }
    if drawn.constrained && rng.chance(3) {
        spec["containers"][0]["ports"] = json!([{"hostPort": 9000 + rng.below(20), "protocol": "TCP"}]);
        drawn.per_node = 1;
    }
    spec
}

/// Gives five of twelve groups something that their pods prefer.
fn prefer(spec: &mut Value, selector: &Value, number: usize) {
    let anyway = |key: &str| json!([{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}]);
    let term = |selector: &Value, key: &str| {
        json!({"preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": 100, "podAffinityTerm": {"labelSelector": selector, "topologyKey": key}}]})
    };
    let hostname = "kubernetes.io/hostname";
    match number % 12 {
        0 => spec["topologySpreadConstraints"] = anyway(hostname),
        1 => spec["topologySpreadConstraints"] = anyway(marks::ZONE),
        2 => spec["affinity"] = json!({"podAntiAffinity": term(selector, hostname)}),
        3 => {
            let other = json!({"matchLabels": {"app": format!("app-{}", number - 1)}});
            spec["affinity"] = json!({"podAffinity": term(&other, hostname)});
        }
        4 => {
            let zone = json!({"key": marks::ZONE, "operator": "In", "values": [ZONES[0]]});
            spec["affinity"] = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
                [{"weight": 50, "preference": {"matchExpressions": [zone]}}]}});
        }
        _ => {}
    }
}
