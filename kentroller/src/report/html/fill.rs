//! How full nodes are, before a plan and after it.

use std::collections::BTreeMap;

use kentroller_planner::manifest::marks::{INSTANCE_TYPE, ZONE};
use kentroller_planner::manifest::{Pod, Resources};
use kentroller_planner::rules::requests;
use kentroller_planner::{Plan, Snapshot};

/// A node, and which percentages of it are requested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    pub node: String,
    pub instance_type: String,
    pub zone: String,
    /// Cpu and memory; absent of nodes that come.
    pub before: Option<[i64; 2]>,
    /// Absent of nodes that go.
    pub after: Option<[i64; 2]>,
}

const AMOUNTS: [&str; 2] = ["cpu", "memory"];

/// All nodes of a cluster, then those that come. Of the latter is known what their pods ask for, not what they have.
pub fn fills(plan: &Plan, snapshot: &Snapshot) -> Vec<Fill> {
    let mut taken: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
    let mut of_pod = BTreeMap::new();
    for pod in snapshot.pods.iter().filter(|pod| !pod.status.is_finished() && !pod.spec.node_name.is_empty()) {
        let asked = asked(pod);
        let on_node = taken.entry(&*pod.spec.node_name).or_default();
        (0..2).for_each(|at| on_node[at] += asked[at]);
        of_pod.insert(pod.metadata.key(), asked);
    }
    let before = taken.clone();
    for step in plan.waves.iter().flat_map(|wave| &wave.moves) {
        let asked = of_pod.get(&step.pod).copied().unwrap_or_default();
        for (node, sign) in [(step.from.as_str(), -1), (step.to.as_str(), 1)] {
            let on_node = taken.entry(node).or_default();
            (0..2).for_each(|at| on_node[at] += sign * asked[at]);
        }
    }
    let gone: std::collections::BTreeSet<&str> = plan.removed().collect();
    let nodes = snapshot.nodes.iter().map(|node| {
        let (name, label) =
            (&*node.metadata.name, |key: &str| node.metadata.labels.get(key).cloned().unwrap_or_default());
        let percent = |taken: &BTreeMap<&str, [i64; 2]>| {
            let used = taken.get(name).copied().unwrap_or_default();
            let whole = amounts(&node.status.allocatable);
            [0, 1].map(|at| if whole[at] > 0 { used[at] * 100 / whole[at] } else { 0 })
        };
        Fill {
            node: name.to_owned(),
            instance_type: label(INSTANCE_TYPE),
            zone: label(ZONE),
            before: Some(percent(&before)),
            after: (!gone.contains(name)).then(|| percent(&taken)),
        }
    });
    nodes.collect()
}

fn amounts(list: &Resources) -> [i64; 2] {
    AMOUNTS.map(|name| list.get(name).map_or(0, |amount| amount.milli() / if name == "memory" { 1 << 20 } else { 1 }))
}

fn asked(pod: &Pod) -> [i64; 2] {
    amounts(&requests::of_shape(&pod.spec.shape))
}
