//! The grown cluster as objects on the server.

use jiff::Timestamp;
use kentroller_runtime::simulation::apiserver::{ApiServer, Refusal};
use serde_json::{Value, json};

use super::Drifted;
use super::grow::Machine;
use super::services::Service;
use crate::catalogue::{CAPACITY_TYPE, Catalogue, ON_DEMAND, Sold};
use crate::conditions;
use crate::entropy::Entropy;
use crate::karpenter::{
    FINALIZER, HASH, HASH_VERSION, claim_of_pool, hash_of, launched_status, node_of_claim, register,
};
use crate::kubelet;
use crate::workloads::{daemon_pod, pod_of, replica_set_of};

/// The NodePool, whose consolidation Karpenter leaves alone and we do not.
pub(super) fn pool(nodes: usize) -> Value {
    let requirement = |key: &str, values: &[&str]| json!({"key": key, "operator": "In", "values": values});
    let mut pool = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": {"name": "general", "annotations": {"kentroller.cast.ai/consolidation": "include"}},
        "spec": {
            "template": {"spec": {
                "requirements": [
                    requirement("kubernetes.io/arch", &["amd64"]),
                    requirement("kubernetes.io/os", &["linux"]),
                    requirement(CAPACITY_TYPE, &[ON_DEMAND]),
                    requirement("karpenter.k8s.aws/instance-category", &["c", "m", "r"]),
                ],
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                "expireAfter": "Never",
            }},
            "disruption": {
                "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "Never", "budgets": [{"nodes": "10%"}],
            },
            "limits": {"cpu": (nodes * 64).to_string(), "memory": format!("{}Gi", nodes * 512)},
        },
    });
    pool["metadata"]["annotations"][HASH] = json!(hash_of(&pool));
    pool["metadata"]["annotations"][HASH_VERSION] = json!("v3");
    pool
}

/// What runs on every node.
pub(super) fn daemons() -> Vec<Value> {
    let everywhere = json!([{"operator": "Exists"}]);
    [
        ("network-agent", "50m", "128Mi", Some("system-node-critical"), everywhere),
        ("log-shipper", "100m", "200Mi", None, json!([])),
        ("node-metrics", "20m", "64Mi", None, json!([])),
    ]
    .map(|(name, cpu, memory, class, tolerations)| {
        let container = json!({"name": name, "image": format!("registry.example/{name}:1"),
            "resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let mut spec = json!({"containers": [container], "tolerations": tolerations});
        if let Some(class) = class {
            spec["priorityClassName"] = json!(class);
            spec["priority"] = json!(2_000_001_000);
        }
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": "kube-system"},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
            },
        })
    })
    .into()
}

fn node_class(now: Timestamp) -> Value {
    let mut class = json!({
        "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "default"},
        "spec": {"amiSelectorTerms": [{"alias": "al2023@latest"}], "role": "node"}, "status": {},
    });
    conditions::set(&mut class["status"], "Ready", "True", "Ready", "", now);
    class
}

/// Writes everything; owners first, since the server gives the uids.
pub(super) fn write(
    server: &ApiServer,
    now: Timestamp,
    pool: &Value,
    services: &[Service],
    machines: &[Machine],
    catalogue: &Catalogue,
    entropy: &mut Entropy,
) -> Result<Drifted, Refusal> {
    let mut namespaces: Vec<&str> = services.iter().map(|service| service.namespace.as_str()).collect();
    namespaces.extend(["kube-system", "default"]);
    namespaces.sort_unstable();
    namespaces.dedup();
    for name in namespaces {
        let labels = json!({"kubernetes.io/metadata.name": name});
        server.seed(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))?;
    }
    server.seed(node_class(now))?;
    let pool = server.seed(pool.clone())?;
    for machine in machines {
        node(server, now, &pool, machine, catalogue, entropy)?;
    }
    for daemon in daemons() {
        let daemon = server.seed(daemon)?;
        for machine in machines {
            run(server, now, daemon_pod(&daemon, &machine.name, entropy), &machine.name, entropy)?;
        }
    }
    let mut pods = 0;
    let mut kept = 0;
    for (number, service) in services.iter().enumerate() {
        let places: Vec<&Machine> = machines
            .iter()
            .flat_map(|machine| machine.pods.iter().filter(|one| **one == number).map(move |_| machine))
            .collect();
        if places.is_empty() {
            continue;
        }
        let set = deployment(server, service, places.len())?;
        for machine in &places {
            run(server, now, pod_of(&set, entropy), &machine.name, entropy)?;
        }
        pods += places.len();
        kept += 1;
    }
    Ok(Drifted { nodes: machines.len(), pods, services: kept })
}

/// A claim that was launched and initialized, and its ready node.
fn node(
    server: &ApiServer,
    now: Timestamp,
    pool: &Value,
    machine: &Machine,
    catalogue: &Catalogue,
    entropy: &mut Entropy,
) -> Result<(), Refusal> {
    let sold = catalogue.get(&machine.instance_type).expect("it was bought from this catalogue");
    let place = (machine.zone.clone(), ON_DEMAND.to_owned());
    let mut claim = claim_of_pool(pool, vec![machine.instance_type.clone()], &[&place], machine.requests, entropy);
    for (key, value) in sold.offer(&place.0, &place.1).into_iter().flat_map(|offer| &offer.labels) {
        claim["metadata"]["labels"][key] = json!(value);
    }
    claim["metadata"]["finalizers"] = json!([FINALIZER]);
    claim["status"] = json!({});
    let provider = format!("aws:///{}/i-0{}", machine.zone, entropy.hex(16));
    launched_status(&mut claim["status"], sold, &provider, now);
    claim["status"]["nodeName"] = json!(machine.name);
    for kind in ["Registered", "Initialized", "Ready"] {
        conditions::set(&mut claim["status"], kind, "True", kind, "", now);
    }
    let claim = server.seed(claim)?;
    // What runs there fits into what was promised.
    let beyond = Sold::memory_beyond(&mut entropy.clone().fork("memory")).max(0);
    let mut node = node_of_claim(&claim, &machine.name, beyond, now);
    register(&mut node, &claim);
    node["metadata"]["labels"]["karpenter.sh/initialized"] = json!("true");
    node["spec"]["taints"] = json!([]);
    kubelet::set_ready(&mut node["status"], now);
    server.seed(node)?;
    Ok(())
}

/// A Deployment with its disruption budget and its ReplicaSet, which is answered.
fn deployment(server: &ApiServer, service: &Service, replicas: usize) -> Result<Value, Refusal> {
    let (name, namespace) = (&service.name, &service.namespace);
    let selector = json!({"matchLabels": {"app": name}});
    let deployment = server.seed(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"replicas": replicas, "selector": selector, "template": service.template},
    }))?;
    if let Some((bound, amount)) = &service.budget {
        server.seed(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": selector, *bound: amount},
        }))?;
    }
    let set = server.seed(replica_set_of(&deployment, i64::try_from(replicas).unwrap_or(i64::MAX)))?;
    Ok((*set).clone())
}

/// A pod that runs on a node.
fn run(server: &ApiServer, now: Timestamp, mut pod: Value, node: &str, entropy: &mut Entropy) -> Result<(), Refusal> {
    pod["spec"]["nodeName"] = json!(node);
    let containers = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let states: Vec<Value> = containers.iter().map(|container| kubelet::container_state(container, now)).collect();
    let mut status = json!({});
    kubelet::run(&mut status, &kubelet::address(entropy), &states, now);
    pod["status"] = status;
    server.seed(pod)?;
    Ok(())
}
