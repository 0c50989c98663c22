//! A grown cluster as Kubernetes objects.

use std::sync::Arc;

use serde_json::json;

use super::grow::Grown;
use super::workloads::Group;
use super::{REGION, Recipe, ZONES};
use crate::manifest::{
    Condition, DaemonSet, Labels, Meta, Moment, Node, NodeClaim, NodeClaimStatus, NodePool, NodeStatus, Owner,
    PdbStatus, PersistentVolumeClaim, Pod, PodDisruptionBudget, PodSpec, Quantity, Resources, Volume, marks,
};
use crate::value::labels::of_type;
use crate::value::{InstanceType, Rng, Snapshot};

const NOW: i64 = 1_790_000_000;

/// The four pools of every generated cluster.
pub(super) fn pools() -> Vec<NodePool> {
    let pool = |name: &str, arch: serde_json::Value, categories: serde_json::Value, tainted: bool| -> NodePool {
        let taints =
            if tainted { json!([{"key": "dedicated", "value": name, "effect": "NoSchedule"}]) } else { json!([]) };
        serde_json::from_value(json!({
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
                        {"key": marks::ZONE, "operator": "In", "values": ZONES},
                    ]}},
                "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s"},
            },
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .expect("the pool above is one")
    };
    let general = json!(["c", "m", "r"]);
    vec![
        pool("batch", json!(["amd64"]), json!(["c", "m"]), true),
        pool("general", json!(["amd64", "arm64"]), general, false),
        pool("gpu", json!(["amd64"]), json!(["g"]), true),
    ]
}

/// A cluster as an API server would tell it.
pub(super) fn snapshot(
    recipe: Recipe,
    groups: &[Group],
    grown: &[Grown],
    node_pools: Vec<NodePool>,
    rng: &mut Rng,
) -> Snapshot {
    let mut snapshot = Snapshot { now: Moment(NOW), node_pools, namespaces: Some(Vec::new()), ..Snapshot::default() };
    let (small, large) = (agent("100m", "100Mi"), agent("155m", "144Mi"));
    let daemons = [("logs", &small), ("metrics", &small), ("network", &large)];
    snapshot.daemon_sets = Some(daemons.iter().map(|(name, spec)| daemon_set(name, spec)).collect());
    for (index, node) in grown.iter().enumerate() {
        for (name, spec) in daemons {
            let mut pod = pod_on(&node.name, format!("{name}-{index}"), "kube-system", "DaemonSet", name);
            pod.spec.shape = Arc::clone(&spec.shape);
            snapshot.pods.push(pod);
        }
        for (group, replica) in &node.pods {
            add_pod(&mut snapshot, node, &groups[*group], *replica);
        }
        let labels = Arc::new(labels(node));
        let (object, claim) = (object(node, index, &labels, &snapshot.node_pools), claim(node, index, labels));
        snapshot.nodes.push(object);
        snapshot.node_claims.push(claim);
    }
    for of in groups {
        if rng.chance(60) && of.replicas > 1 {
            let mut pdb: PodDisruptionBudget = serde_json::from_value(json!({
                "metadata": {"name": of.name, "namespace": "apps"},
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": of.name}}},
                "status": {"disruptionsAllowed": 1}}))
            .expect("the budget above is one");
            if recipe.held && rng.chance(4) {
                pdb.status = Some(PdbStatus::default());
            }
            snapshot.pdbs.push(pdb);
        }
    }
    snapshot
}

/// Pods of a DaemonSet.
fn agent(cpu: &str, memory: &str) -> PodSpec {
    serde_json::from_value(json!({
        "containers": [{"name": "agent", "resources": {"requests": {"cpu": cpu, "memory": memory}}}],
        "tolerations": [{"operator": "Exists"}]}))
    .expect("the spec above is one")
}

fn daemon_set(name: &str, spec: &PodSpec) -> DaemonSet {
    let mut set = DaemonSet::default();
    set.metadata.name = name.into();
    set.metadata.namespace = "kube-system".into();
    set.spec.template.spec = spec.clone();
    set
}

fn labels(node: &Grown) -> Labels {
    let it = InstanceType {
        name: node.instance_type.clone(),
        arch: if node.arm { "arm64" } else { "amd64" }.to_owned(),
        ..InstanceType::default()
    };
    let labels_of_type = of_type(&it, REGION).into_iter().filter(|(key, _)| !key.starts_with("karpenter.k"));
    let own = [
        ("kubernetes.io/hostname", node.name.as_str()),
        (marks::ZONE, ZONES[node.zone]),
        (marks::NODE_POOL, node.pool),
        (marks::CAPACITY_TYPE, node.capacity_type.as_str()),
        ("karpenter.sh/initialized", "true"),
    ];
    labels_of_type.chain(own.map(|(key, value)| (key.to_owned(), value.to_owned()))).collect()
}

fn provider_id(node: &Grown, index: usize) -> String {
    format!("aws:///{}/i-{index:08x}", ZONES[node.zone])
}

fn object(node: &Grown, index: usize, labels: &Arc<Labels>, pools: &[NodePool]) -> Node {
    let mut object = Node {
        metadata: Meta {
            name: node.name.as_str().into(),
            uid: format!("node-{index}").into(),
            labels: Arc::clone(labels),
            creation_timestamp: Some(Moment(NOW - 86_400)),
            ..Meta::default()
        },
        ..Node::default()
    };
    object.spec.provider_id = provider_id(node, index);
    if node.pool != "general" {
        let pool = pools.iter().find(|pool| *pool.metadata.name == *node.pool);
        object.spec.taints = pool.map(|pool| pool.spec.template.spec.taints.clone()).unwrap_or_default();
    }
    let allocatable = Resources::from([
        ("cpu".to_owned(), Quantity::thousandths(node.allocatable[0])),
        ("memory".to_owned(), Quantity::whole(node.allocatable[1])),
        ("pods".to_owned(), Quantity::whole(node.allocatable[2])),
        ("nvidia.com/gpu".to_owned(), Quantity::whole(node.allocatable[3])),
    ]);
    object.status =
        Arc::new(NodeStatus { capacity: allocatable.clone(), allocatable, conditions: vec![condition("Ready")] });
    object
}

fn claim(node: &Grown, index: usize, labels: Arc<Labels>) -> NodeClaim {
    let mut claim = NodeClaim {
        metadata: Meta {
            name: format!("{}-{index:05}", node.pool).into(),
            uid: format!("claim-{index}").into(),
            labels,
            creation_timestamp: Some(Moment(NOW - 86_400)),
            ..Meta::default()
        },
        ..NodeClaim::default()
    };
    claim.status = Arc::new(NodeClaimStatus {
        node_name: node.name.clone(),
        provider_id: provider_id(node, index),
        conditions: ["Launched", "Registered", "Initialized", "Consolidatable"].map(condition).to_vec(),
    });
    claim
}

fn add_pod(snapshot: &mut Snapshot, node: &Grown, of: &Group, replica: usize) {
    let mut pod = pod_on(&node.name, format!("{}-{replica}", of.name), "apps", of.owner_kind, &of.name);
    pod.metadata.labels = Arc::clone(&of.labels);
    pod.metadata.annotations = Arc::clone(&of.annotations);
    pod.spec.shape = Arc::clone(&of.shape);
    if of.zonal_volume {
        let mut shape = of.shape.as_ref().clone();
        let claim = format!("data-{}-{replica}", of.name);
        shape.volumes.push(Volume { claim: claim.clone(), ..Volume::default() });
        pod.spec.shape = Arc::new(shape);
        volume(snapshot, claim, ZONES[node.zone]);
    }
    snapshot.pods.push(pod);
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
    snapshot.persistent_volumes.push(of(json!({"metadata": {"name": format!("pv-{claim}")}, "spec": {
        "csi": {"driver": "ebs.csi.aws.com"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": marks::ZONE, "operator": "In", "values": [zone]}]}]}}}})));
    let mut object = PersistentVolumeClaim::default();
    object.spec.volume_name = format!("pv-{claim}");
    object.metadata.name = claim.into();
    object.metadata.namespace = "apps".into();
    snapshot.persistent_volume_claims.push(object);
}
