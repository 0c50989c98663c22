//! A small cluster with a plan that holds; tests change one thing each.
//!
//! Nodes `a` and `b` (m5.large, zone r1a), `c` (m5.xlarge, r1b), `d` (m5.2xlarge, r1a), each with one pod of a ReplicaSet and a
//! DaemonSet's. Wave 1 moves `a1` to `b` and removes `a`; wave 2 buys `new-1` (c5.xlarge, r1a), moves `d1` there and removes `d`.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::check::{Violation, check};
use crate::manifest::{
    Labels, Moment, Node, NodeClaim, NodePool, NodeSelectorTerm, ObjectName, Pod, PodShape, Quantity,
};
use crate::value::{CapacityType, Catalog, Money, Move, NewNode, Offering, Options, Plan, Snapshot, Wave};

pub(super) const NOW: &str = "2026-11-24T12:00:00Z";

const CATALOG: &str = "\
instance_type,region,vcpu,memory_mib,arch,max_pods,gpu_count,gpu_name,price_usd_hour,zone,capacity_type,available
m5.small,r1,1,4096,amd64,11,0,,0.048,,,
m5.large,r1,2,8192,amd64,29,0,,0.096,,,
m5.large,r1,2,8192,amd64,29,0,,0.035,r1a,spot,
m5.xlarge,r1,4,16384,amd64,58,0,,0.192,,,
m5.2xlarge,r1,8,32768,amd64,58,0,,0.384,,,
m5.4xlarge,r1,16,65536,amd64,234,0,,0.768,,,
c5.xlarge,r1,4,8192,amd64,58,0,,0.17,,,
c5.2xlarge,r1,8,16384,amd64,58,0,,0.34,,,false
m6g.xlarge,r1,4,16384,arm64,58,0,,0.154,,,
g4dn.xlarge,r1,4,16384,amd64,29,1,t4,0.526,,,
";

/// Everything that a plan is judged by, and the plan.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) snapshot: Snapshot,
    pub(super) catalog: Catalog,
    pub(super) options: Options,
    pub(super) plan: Plan,
}

impl Scene {
    pub(super) fn new() -> Self {
        let mut scene = Self {
            snapshot: Snapshot {
                now: Moment::parse(NOW).unwrap(),
                namespaces: Some(Vec::new()),
                ..Snapshot::default()
            },
            catalog: Catalog::from_csv(CATALOG, "test", "2026-11-24").unwrap(),
            options: Options::default(),
            plan: Plan { region: "r1".to_owned(), ..Plan::default() },
        };
        scene.snapshot.node_pools.push(read(json!({
            "metadata": {"name": "general"},
            "spec": {"template": {
                "metadata": {"labels": {"team": "web"}},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                    "requirements": [
                        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand", "spot"]},
                        {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["4"]},
                        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                    ]}}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        })));
        scene.snapshot.daemon_sets = Some(vec![read(json!({
            "metadata": {"name": "agent", "namespace": "kube-system"},
            "spec": {"template": {"metadata": {"labels": {"app": "agent"}}, "spec": {
                "containers": [{"name": "agent", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}],
                "tolerations": [{"operator": "Exists"}]}}},
        }))]);
        for (name, of, zone, cpu, memory, pods) in [
            ("a", "m5.large", "r1a", "1930m", "6903Mi", "29"),
            ("b", "m5.large", "r1a", "1930m", "6903Mi", "29"),
            ("c", "m5.xlarge", "r1b", "3920m", "14162Mi", "58"),
            ("d", "m5.2xlarge", "r1a", "7910m", "29317Mi", "58"),
        ] {
            scene.add_node(name, of, zone, json!({"cpu": cpu, "memory": memory, "pods": pods}));
            scene.add_pod(
                &format!("agent-{name}"),
                name,
                "DaemonSet",
                json!({
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "agent", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}]}),
            );
        }
        for (name, node, cpu, memory) in [
            ("a1", "a", "500m", "512Mi"),
            ("b1", "b", "500m", "512Mi"),
            ("c1", "c", "500m", "512Mi"),
            ("d1", "d", "1500m", "2Gi"),
        ] {
            scene.add_pod(
                name,
                node,
                "ReplicaSet",
                json!({
                "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]}),
            );
        }
        scene.plan.cost_before = Money::micros(768_000);
        scene.plan.cost_after = Money::micros(458_000);
        scene.plan.waves = vec![
            Wave {
                remove: vec!["a".to_owned()],
                moves: vec![step("a1", "a", "b")],
                hourly_after: Money::micros(672_000),
                ..Wave::default()
            },
            Wave {
                add: vec![NewNode {
                    name: "new-1".to_owned(),
                    node_pool: "general".to_owned(),
                    instance_type: "c5.xlarge".to_owned(),
                    zone: "r1a".to_owned(),
                    capacity_type: CapacityType::OnDemand,
                    price: Money::micros(170_000),
                    alternatives: vec![Offering {
                        instance_type: "m5.xlarge".to_owned(),
                        zone: "r1a".to_owned(),
                        capacity_type: CapacityType::OnDemand,
                        price: Money::micros(192_000),
                    }],
                    requests: [
                        ("cpu".to_owned(), Quantity::thousandths(1_600)),
                        ("memory".to_owned(), Quantity::whole((2 << 30) + (128 << 20))),
                        ("pods".to_owned(), Quantity::whole(2)),
                    ]
                    .into(),
                    labels: labels(&[
                        ("team", "web"),
                        ("kubernetes.io/arch", "amd64"),
                        ("topology.kubernetes.io/zone", "r1a"),
                    ]),
                    taints: Vec::new(),
                }],
                remove: vec!["d".to_owned()],
                moves: vec![step("d1", "d", "new-1")],
                hourly_after: Money::micros(458_000),
                reason: String::new(),
            },
        ];
        scene
    }

    /// More of everything that a plan can trip over; the plan holds.
    ///
    /// On node `a` a pod for each rule, all of which move to `b` but for `a8`, which takes the room on `n` that `n1` leaves
    /// for `c`. Node `e` is tainted, `f` cordoned, `g` full and not Karpenter's, `h` protected, `i` of a static pool; `j` runs a
    /// bare pod and `k` one that a budget guards.
    pub(super) fn rich() -> Self {
        let mut scene = Self::new();
        let small = json!({"cpu": "1930m", "memory": "6903Mi", "pods": "29"});
        for (name, of, zone) in [
            ("e", "m5.xlarge", "r1b"),
            ("f", "m5.xlarge", "r1a"),
            ("g", "m5.large", "r1a"),
            ("h", "m5.large", "r1b"),
            ("i", "m5.large", "r1a"),
            ("j", "m5.large", "r1a"),
            ("k", "m5.large", "r1a"),
            ("n", "m5.large", "r1a"),
        ] {
            scene.add_node(name, of, zone, small.clone());
        }
        let taint = json!([{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]);
        scene.node("e").spec.taints = read(taint.clone());
        scene.node("f").spec.unschedulable = true;
        Arc::make_mut(&mut scene.node("g").metadata.labels).retain(|key, _| !key.starts_with("karpenter"));
        scene.snapshot.node_claims.retain(|claim| claim.status.node_name != "g");
        scene.node("h").metadata.annotations = labels(&[("karpenter.sh/do-not-disrupt", "true")]).into();
        let mut fixed = scene.pool().clone();
        fixed.metadata.name = "fixed".into();
        fixed.spec.replicas = Some(1);
        scene.snapshot.node_pools.push(fixed);
        scene.label_node("i", "karpenter.sh/nodepool", "fixed");
        for (name, node, cpu) in [
            ("a2", "a", "50m"),
            ("a3", "a", "50m"),
            ("a4", "a", "50m"),
            ("a5", "a", "50m"),
            ("a6", "a", "50m"),
            ("a7", "a", "50m"),
            ("a8", "a", "1000m"),
            ("g1", "g", "1700m"),
            ("h1", "h", "100m"),
            ("i1", "i", "100m"),
            ("j1", "j", "1420m"),
            ("k1", "k", "100m"),
            ("n1", "n", "1500m"),
            ("db1", "c", "50m"),
            ("cache1", "b", "50m"),
            ("s1", "c", "50m"),
            ("s2", "c", "50m"),
            ("done1", "a", "50m"),
            ("gated1", "", "50m"),
        ] {
            scene.add_pod(
                name,
                node,
                "ReplicaSet",
                json!({
                "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]}),
            );
        }
        scene.pod("done1").status.phase = "Succeeded".into();
        scene.shape("gated1").gates = 1;
        scene.pod("j1").metadata.owner_references = Arc::default();
        scene.label_pod("k1", "app", "guarded");
        scene.guard("guarded", "default", 0);
        scene.snapshot.pdbs[0].spec.selector = Some(read(json!({"matchLabels": {"app": "guarded"}})));
        let term = |app: &str, key: &str| {
            json!({"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}]})
        };
        patch(
            &mut scene.pod("a2").spec,
            json!({"affinity": {"podAntiAffinity": term("db", "kubernetes.io/hostname")}}),
        );
        patch(
            &mut scene.pod("a3").spec,
            json!({"affinity": {"podAffinity": term("cache", "topology.kubernetes.io/zone")}}),
        );
        for pod in ["a4", "s1", "s2"] {
            scene.label_pod(pod, "app", "spread");
            patch(
                &mut scene.pod(pod).spec,
                json!({"topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
                "topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "spread"}}}]}),
            );
        }
        scene.mount("a5", "a5", "r1a");
        patch(&mut scene.pod("a6").spec, json!({"nodeSelector": {"topology.kubernetes.io/zone": "r1a"}}));
        for pod in ["a7", "c1"] {
            scene.shape(pod).containers[0].ports.push(read(json!({"hostPort": 80})));
        }
        scene.pool().spec.template.spec.taints = read(taint.clone());
        scene.bought().taints = read(taint);
        patch(&mut scene.pod("d1").spec, json!({"tolerations": [{"key": "dedicated", "operator": "Exists"}]}));
        let moves = &mut scene.wave(1).moves;
        moves.extend(["a2", "a3", "a4", "a5", "a6", "a7"].map(|pod| step(pod, "a", "b")));
        moves.push(step("n1", "n", "c"));
        moves.push(step("a8", "a", "n"));
        let more = Money::micros(960_000);
        scene.plan.cost_before += more;
        scene.plan.cost_after += more;
        for wave in &mut scene.plan.waves {
            wave.hourly_after += more;
        }
        scene
    }

    pub(super) fn check(&self) -> Result<(), Vec<Violation>> {
        check(&self.snapshot, &self.catalog, &self.options, &self.plan)
    }

    pub(super) fn add_node(&mut self, name: &str, of: &str, zone: &str, allocatable: Value) {
        self.snapshot.nodes.push(read(json!({
            "metadata": {"name": name, "creationTimestamp": "2026-11-20T12:00:00Z", "labels": {
                "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand", "karpenter.sh/initialized": "true",
                "node.kubernetes.io/instance-type": of, "topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": "r1",
                "kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "team": "web"}},
            "spec": {"providerID": format!("aws:///{name}")},
            "status": {"allocatable": allocatable, "capacity": allocatable,
                "conditions": [{"type": "Ready", "status": "True"}]},
        })));
        self.snapshot.node_claims.push(read(json!({
            "metadata": {"name": format!("claim-{name}"), "creationTimestamp": "2026-11-20T12:00:00Z"},
            "spec": {"expireAfter": "720h"},
            "status": {"nodeName": name, "providerID": format!("aws:///{name}"), "conditions": [
                {"type": "Initialized", "status": "True"}, {"type": "Consolidatable", "status": "True"}]},
        })));
    }

    pub(super) fn add_pod(&mut self, name: &str, node: &str, owner: &str, spec: Value) {
        let app = name.trim_end_matches(|c: char| c.is_ascii_digit()).split('-').next().unwrap();
        let app = if app.len() == 1 { "web" } else { app };
        let mut pod: Pod = read(json!({
            "metadata": {"name": name, "namespace": "default", "labels": {"app": app}, "ownerReferences": [
                {"kind": owner, "name": format!("{app}-1"), "uid": format!("uid-{app}"), "controller": true}]},
            "spec": spec,
            "status": {"phase": "Running", "startTime": "2026-11-24T11:00:00Z", "conditions": [{"type": "Ready", "status": "True"}]},
        }));
        pod.spec.node_name = node.into();
        self.snapshot.pods.push(pod);
    }

    pub(super) fn node(&mut self, name: &str) -> &mut Node {
        self.snapshot.nodes.iter_mut().find(|node| *node.metadata.name == *name).unwrap()
    }

    pub(super) fn claim(&mut self, node: &str) -> &mut NodeClaim {
        self.snapshot.node_claims.iter_mut().find(|claim| claim.status.node_name == node).unwrap()
    }

    pub(super) fn pool(&mut self) -> &mut NodePool {
        &mut self.snapshot.node_pools[0]
    }

    pub(super) fn pod(&mut self, name: &str) -> &mut Pod {
        self.snapshot.pods.iter_mut().find(|pod| *pod.metadata.name == *name).unwrap()
    }

    pub(super) fn shape(&mut self, pod: &str) -> &mut PodShape {
        Arc::make_mut(&mut self.pod(pod).spec.shape)
    }

    pub(super) fn label_node(&mut self, node: &str, key: &str, value: &str) {
        Arc::make_mut(&mut self.node(node).metadata.labels).insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn label_pod(&mut self, pod: &str, key: &str, value: &str) {
        Arc::make_mut(&mut self.pod(pod).metadata.labels).insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn annotate_pod(&mut self, pod: &str, key: &str, value: &str) {
        Arc::make_mut(&mut self.pod(pod).metadata.annotations).insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn request(&mut self, pod: &str, resource: &str, amount: &str) {
        let requests = &mut self.shape(pod).containers[0].resources.requests;
        requests.insert(resource.to_owned(), Quantity::parse(amount).unwrap());
    }

    pub(super) fn wave(&mut self, number: usize) -> &mut Wave {
        &mut self.plan.waves[number - 1]
    }

    /// The node that wave 2 buys.
    pub(super) fn bought(&mut self) -> &mut NewNode {
        &mut self.plan.waves[1].add[0]
    }

    /// A claim bound to a volume of the EBS driver in a zone, mounted by a pod.
    pub(super) fn mount(&mut self, pod: &str, claim: &str, zone: &str) {
        self.snapshot.persistent_volume_claims.push(read(json!({
            "metadata": {"name": claim, "namespace": "default"}, "spec": {"volumeName": format!("pv-{claim}")}})));
        self.snapshot.persistent_volumes.push(read(json!({
            "metadata": {"name": format!("pv-{claim}")},
            "spec": {"csi": {"driver": "ebs.csi.aws.com"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]}]}}}})));
        self.shape(pod).volumes.push(read(json!({"persistentVolumeClaim": {"claimName": claim}})));
    }

    pub(super) fn guard(&mut self, name: &str, namespace: &str, allowed: i32) {
        self.snapshot.pdbs.push(read(json!({
            "metadata": {"name": name, "namespace": namespace}, "spec": {"selector": {"matchLabels": {"app": "web"}}},
            "status": {"disruptionsAllowed": allowed}})));
    }
}

pub(super) fn step(pod: &str, from: &str, to: &str) -> Move {
    Move { pod: ObjectName { namespace: "default".into(), name: pod.into() }, from: from.to_owned(), to: to.to_owned() }
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A term that asks for a zone.
pub(super) fn zone_term(zone: &str) -> NodeSelectorTerm {
    read(json!({"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]}))
}

/// Changes fields of an object by their wire names; nested objects are merged.
pub(super) fn patch<T: Serialize + DeserializeOwned>(object: &mut T, changes: Value) {
    let mut value = serde_json::to_value(&*object).unwrap();
    merge(&mut value, changes);
    *object = read(value);
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, changes) => *into = changes,
    }
}
