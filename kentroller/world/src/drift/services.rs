//! Services with the shapes of a real cluster's applications, and rules of the kinds that clusters have.
//!
//! The trace's machines are large (its usual instance asks for 64 cores and 320 GiB), so sizes are divided; its proportions
//! and its few large and many small applications stay.

use kentroller_planner::manifest::Pod;
use serde_json::{Value, json};

use crate::catalogue::{HOSTNAME, ZONE};
use crate::entropy::Entropy;
use crate::karpenter::DO_NOT_DISRUPT;

/// Rows of application, cores, GiB and number of instances, with their source in the first lines.
const SHAPES: &str = include_str!("../shapes.csv");

/// By how much sizes are divided, drawn for each service.
const DIVISORS: [i64; 4] = [64, 96, 128, 192];

/// A Deployment to be.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) namespace: String,
    /// How many of all instances of the trace are of this application: how fast it grows.
    pub(super) weight: usize,
    pub(super) template: Value,
    /// `maxUnavailable` or `minAvailable` of its disruption budget.
    pub(super) budget: Option<(&'static str, Value)>,
    /// At most this many pods, where more could not be placed.
    pub(super) most: usize,
    /// A pod as the scheduler meets it.
    pub(super) pod: Pod,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    app: usize,
    cores: i64,
    /// Tenths of a GiB.
    memory: i64,
    instances: usize,
}

fn shapes() -> Vec<Shape> {
    let rows = SHAPES.lines().filter(|row| row.starts_with(|first: char| first.is_ascii_digit()));
    rows.filter_map(|row| {
        let mut fields = row.split(',');
        let (app, cores, memory, instances) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (whole, tenth) = memory.split_once('.').unwrap_or((memory, "0"));
        let memory = whole.parse::<i64>().ok()? * 10 + tenth.parse::<i64>().ok()?;
        Some(Shape { app: app.parse().ok()?, cores: cores.parse().ok()?, memory, instances: instances.parse().ok()? })
    })
    .collect()
}

/// The services of a cluster of so many nodes, in random order.
pub(super) fn drawn(nodes: usize, entropy: &mut Entropy) -> Vec<Service> {
    let mut shapes = shapes();
    entropy.shuffle(&mut shapes);
    shapes.truncate((nodes * 3 / 2).clamp(6, shapes.len()));
    shapes.into_iter().enumerate().map(|(number, shape)| service(number, shape, nodes, entropy)).collect()
}

fn service(number: usize, shape: Shape, nodes: usize, entropy: &mut Entropy) -> Service {
    let divisor = DIVISORS[entropy.below(DIVISORS.len())];
    let name = format!("app-{}-{number}", shape.app);
    let namespace = format!("team-{}", 1 + shape.app % 8);
    let labels = json!({"app": name});
    let container = json!({
        "name": "app", "image": format!("registry.example/{name}:1"),
        "resources": {"requests": {
            "cpu": format!("{}m", shape.cores * 1_000 / divisor),
            "memory": format!("{}Mi", shape.memory * 1_024 / 10 / divisor),
        }},
    });
    let mut spec = json!({"containers": [container], "terminationGracePeriodSeconds": 30});
    let mut metadata = json!({"labels": labels});
    let mut most = usize::MAX;
    // What holds a node stays rare: a large service of this kind would hold them all.
    let few = (nodes / 20).max(2);
    match entropy.below(100) {
        0..10 => {
            let term = json!({"labelSelector": {"matchLabels": labels}, "topologyKey": HOSTNAME});
            spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!([term]);
            most = (nodes / 3).max(2);
        }
        10..25 => spec["topologySpreadConstraints"] = json!([spread(&labels, ZONE, "DoNotSchedule")]),
        25..35 => spec["topologySpreadConstraints"] = json!([spread(&labels, HOSTNAME, "ScheduleAnyway")]),
        35..38 => {
            metadata["annotations"] = json!({DO_NOT_DISRUPT: "true"});
            most = few;
        }
        _ => {}
    }
    let budget = match entropy.below(100) {
        0..25 => Some(("maxUnavailable", json!(1))),
        25..45 => Some(("maxUnavailable", json!("25%"))),
        45..60 => Some(("minAvailable", json!("50%"))),
        60..63 => {
            most = most.min(few);
            Some(("maxUnavailable", json!(0)))
        }
        _ => None,
    };
    let template = json!({"metadata": metadata, "spec": spec});
    Service { pod: pod(&name, &namespace, &template), name, namespace, weight: shape.instances, template, budget, most }
}

fn spread(labels: &Value, key: &str, otherwise: &str) -> Value {
    json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": otherwise, "labelSelector": {"matchLabels": labels}})
}

fn pod(name: &str, namespace: &str, template: &Value) -> Pod {
    let owner = json!([{"kind": "ReplicaSet", "name": name, "uid": name, "controller": true}]);
    let labels = &template["metadata"]["labels"];
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owner});
    serde_json::from_value(json!({"metadata": metadata, "spec": template["spec"]}))
        .expect("the template is written above")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_shapes_are_those_of_the_trace() {
        let shapes = shapes();
        assert_eq!((shapes.len(), shapes.iter().map(|shape| shape.instances).sum::<usize>()), (170, 16_485));
    }
}
