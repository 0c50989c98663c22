//! Small clusters, built a line at a time.

use std::collections::BTreeSet;

use kentroller_planner::check::check;
use kentroller_planner::manifest::{CapacityBuffer, NodePool, Pod, PodTemplate};
use kentroller_planner::{Catalog, Moment, Options, Plan, Snapshot, Steps, plan};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const CATALOG: &str = "\
instance_type,region,vcpu,memory_mib,arch,max_pods,gpu_count,gpu_name,price_usd_hour,zone,capacity_type
m5.small,r1,1,4096,amd64,11,0,,0.048,,
m5.large,r1,2,8192,amd64,29,0,,0.096,,
m5.xlarge,r1,4,16384,amd64,58,0,,0.192,,
m5n.xlarge,r1,4,16384,amd64,58,0,,0.192,,
m5.2xlarge,r1,8,32768,amd64,58,0,,0.384,,
c5.xlarge,r1,4,8192,amd64,58,0,,0.17,,
m5.large,r1,2,8192,amd64,29,0,,0.035,r1a,spot
m5.xlarge,r1,4,16384,amd64,58,0,,0.07,r1a,spot
m5.large,r1,2,8192,amd64,29,0,,0.2,r1b,spot
";

/// A cluster, and what is asked of a plan for it.
pub struct Scene {
    pub snapshot: Snapshot,
    pub options: Options,
    catalog: String,
}

impl Scene {
    /// No node, and a NodePool `general` of on-demand nodes.
    pub fn new() -> Self {
        let snapshot = Snapshot {
            now: Moment::parse("2026-11-24T12:00:00Z").expect("a time"),
            namespaces: Some(Vec::new()),
            daemon_sets: Some(Vec::new()),
            ..Snapshot::default()
        };
        Self { snapshot, options: Options::default(), catalog: CATALOG.to_owned() }.pool("general", json!({}))
    }

    /// Node `a` may go: pod `p` (1 core) would fit beside `q` (600m) on `b`, which is protected. Nothing cheaper holds `p` alone.
    pub fn pair() -> Self {
        Self::new().node("a", "m5.large").node("b", "m5.large").pod("p", "a", "1").pod("q", "b", "600m").annotate(
            "Node",
            "b",
            "karpenter.sh/do-not-disrupt",
            "true",
        )
    }

    /// Node `a` with pod `p` (1 core); nothing cheaper is sold that holds it.
    pub fn alone() -> Self {
        Self::new().node("a", "m5.large").pod("p", "a", "1")
    }

    pub fn pool(mut self, name: &str, spec: Value) -> Self {
        let mut pool: NodePool = read(json!({"metadata": {"name": name}, "spec": {"template": {"spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}]}}}}));
        merge_into(&mut pool.spec, spec);
        self.snapshot.node_pools.push(pool);
        self
    }

    /// The NodePool buys spot and on-demand nodes, and asks what else is given.
    pub fn require(self, more: Value) -> Self {
        let mut requirements =
            vec![json!({"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand", "spot"]})];
        requirements.extend(more.as_array().expect("a list").clone());
        self.with("NodePool", "general", json!({"spec": {"template": {"spec": {"requirements": requirements}}}}))
    }

    pub fn node(self, name: &str, of: &str) -> Self {
        self.node_in(name, of, "r1a")
    }

    pub fn node_in(mut self, name: &str, of: &str, zone: &str) -> Self {
        let (cpu, memory, pods) = match of.split('.').nth(1).unwrap_or_default() {
            "small" => ("940m", "3312Mi", "11"),
            "large" => ("1930m", "6903Mi", "29"),
            "2xlarge" => ("7910m", "29317Mi", "58"),
            _ if of.starts_with('c') => ("3920m", "6584Mi", "58"),
            _ => ("3920m", "14162Mi", "58"),
        };
        self.snapshot.nodes.push(read(json!({
            "metadata": {"name": name, "creationTimestamp": "2026-11-20T12:00:00Z", "labels": {
                "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand",
                "node.kubernetes.io/instance-type": of, "topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": "r1",
                "kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}},
            "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}, "conditions": [{"type": "Ready", "status": "True"}]},
        })));
        self.snapshot.node_claims.push(read(json!({
            "metadata": {"name": name, "creationTimestamp": "2026-11-20T12:00:00Z"},
            "spec": {"expireAfter": "720h"},
            "status": {"nodeName": name, "conditions": [
                {"type": "Initialized", "status": "True"}, {"type": "Consolidatable", "status": "True"}]},
        })));
        self
    }

    /// A pod of a ReplicaSet; without a node it waits.
    pub fn pod(self, name: &str, node: &str, cpu: &str) -> Self {
        self.pod_of("ReplicaSet", name, node, cpu)
    }

    pub fn pod_of(mut self, owner: &str, name: &str, node: &str, cpu: &str) -> Self {
        self.snapshot.pods.push(read(json!({
            "metadata": {"name": name, "namespace": "apps", "labels": {"app": name}, "ownerReferences": [
                {"kind": owner, "name": name, "uid": name, "controller": true}]},
            "spec": {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]},
            "status": {"phase": "Running", "startTime": "2026-11-24T11:00:00Z", "conditions": [{"type": "Ready", "status": "True"}]},
        })));
        self
    }

    /// A budget for the pods with a label `app`.
    pub fn pdb(mut self, name: &str, namespace: &str, app: &str, more: Value) -> Self {
        let mut pdb: kentroller_planner::manifest::PodDisruptionBudget = read(json!({
            "metadata": {"name": name, "namespace": namespace}, "spec": {"selector": {"matchLabels": {"app": app}}},
            "status": {"disruptionsAllowed": 0}}));
        merge_into(&mut pdb, more);
        self.snapshot.pdbs.push(pdb);
        self
    }

    /// Mounts a bound claim into a pod.
    pub fn volume(mut self, pod: &str, spec: Value) -> Self {
        self.snapshot.persistent_volume_claims.push(read(json!({
            "metadata": {"name": format!("claim-{pod}"), "namespace": "apps"}, "spec": {"volumeName": format!("volume-{pod}")}})));
        let mut volume = json!({"metadata": {"name": format!("volume-{pod}")}});
        volume["spec"] = spec;
        self.snapshot.persistent_volumes.push(read(volume));
        let claim = format!("claim-{pod}");
        self.with("Pod", pod, json!({"spec": {"volumes": [{"persistentVolumeClaim": {"claimName": claim}}]}}))
    }

    pub fn overlay(mut self, of: &str, spec: Value) -> Self {
        let mut overlay: kentroller_planner::manifest::NodeOverlay = read(json!({
            "metadata": {"name": format!("overlay-{of}")},
            "spec": {"requirements": [{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [of]}]}}));
        merge_into(&mut overlay.spec, spec);
        self.snapshot.node_overlays.push(overlay);
        self
    }

    /// A buffer of so many pods of one core.
    pub fn buffer(mut self, replicas: u32) -> Self {
        let buffer: CapacityBuffer =
            read(json!({"metadata": {"name": "spare", "namespace": "apps"}, "status": {"replicas": replicas}}));
        let template: PodTemplate =
            read(json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1", "memory": "64Mi"}}}]}}));
        self.snapshot.pods.extend(buffer.pods(&template));
        self
    }

    /// More lines of the catalogue.
    pub fn sells(mut self, lines: impl Iterator<Item = String>) -> Self {
        self.catalog.extend(lines.map(|line| format!("{line}\n")));
        self
    }

    /// More columns, which the lines so far leave empty, and lines that have them.
    pub fn selling_with(mut self, columns: &str, lines: impl Iterator<Item = String>) -> Self {
        let (head, rows) = self.catalog.split_once('\n').expect("a head");
        self.catalog = format!("{head},{columns}\n{rows}");
        self.sells(lines)
    }

    pub fn annotate(self, kind: &str, name: &str, key: &str, value: &str) -> Self {
        self.with(kind, name, json!({"metadata": {"annotations": {key: value}}}))
    }

    pub fn label(self, kind: &str, name: &str, key: &str, value: &str) -> Self {
        self.with(kind, name, json!({"metadata": {"labels": {key: value}}}))
    }

    pub fn unlabel(self, node: &str, key: &str) -> Self {
        self.with("Node", node, json!({"metadata": {"labels": {key: null}}}))
    }

    pub fn ask(mut self, change: fn(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    pub fn change(mut self, change: fn(&mut Snapshot)) -> Self {
        change(&mut self.snapshot);
        self
    }

    /// What a pod asks for instead.
    pub fn asking(self, pod: &str, requests: Value) -> Self {
        self.with("Pod", pod, json!({"spec": {"containers": [{"resources": {"requests": requests}}]}}))
    }

    /// Changes fields of an object by their wire names; nested objects are merged, null takes a field away.
    pub fn with(mut self, kind: &str, name: &str, changes: Value) -> Self {
        let all = &mut self.snapshot;
        match kind {
            "Pod" => merge_into(named(&mut all.pods, |one: &Pod| &one.metadata.name, name), changes),
            "Node" => merge_into(named(&mut all.nodes, |one| &one.metadata.name, name), changes),
            "NodeClaim" => merge_into(named(&mut all.node_claims, |one| &one.metadata.name, name), changes),
            "NodePool" => merge_into(named(&mut all.node_pools, |one| &one.metadata.name, name), changes),
            other => panic!("no {other} in a scene"),
        }
        self
    }

    pub fn catalog(&self) -> Catalog {
        Catalog::from_csv(&self.catalog, "scene", "2026-11-24").expect("a catalogue")
    }

    pub fn plan(&self) -> Result<Plan, String> {
        let catalog = self.catalog();
        let found = plan(&self.snapshot, &catalog, &self.options, &mut Steps(60)).map_err(|error| error.to_string())?;
        match check(&self.snapshot, &catalog, &self.options, &found) {
            Ok(()) => Ok(found),
            Err(violations) => {
                Err(violations.iter().map(|violation| format!("the judge: {violation}")).collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// What a plan must do.
#[derive(Clone, Copy, Debug)]
pub enum Must {
    /// Exactly these nodes go.
    Remove(&'static [&'static str]),
    /// These nodes go, in this order.
    InOrder(&'static [&'static str]),
    /// As many nodes go.
    RemoveSome(usize),
    /// Nodes of these types are bought, and no others.
    Buy(&'static [&'static str]),
    /// The node stays, for the reason with this word.
    Keep(&'static str, &'static str),
    /// The pod moves to this node, or to a new one of this type.
    Move(&'static str, &'static str),
    /// Every new node may also come as so many other types.
    Leave(usize),
    /// It warns about an object, with these words.
    Warn(&'static str, &'static str),
    /// The cluster costs this before, USD an hour.
    CostBefore(&'static str),
}

impl Must {
    /// What is wrong, if something is.
    pub fn broken_by(self, plan: &Plan) -> Option<String> {
        let removed: BTreeSet<&str> = plan.removed().collect();
        let added = plan.added();
        let (wanted, found) = match self {
            Self::Remove(nodes) => (format!("{nodes:?}"), format!("{:?}", removed.iter().collect::<Vec<_>>())),
            Self::InOrder(nodes) => (format!("{nodes:?}"), format!("{:?}", plan.removed().collect::<Vec<_>>())),
            Self::RemoveSome(count) => (count.to_string(), removed.len().to_string()),
            Self::Buy(types) => {
                let mut bought: Vec<&str> = added.values().map(|node| node.instance_type.as_str()).collect();
                bought.sort_unstable();
                (format!("{types:?}"), format!("{bought:?}"))
            }
            Self::Keep(node, reason) => {
                let kept = plan.kept.iter().find(|kept| kept.node == node);
                (reason.to_owned(), kept.map_or("gone", |kept| kept.reason.word()).to_owned())
            }
            Self::Move(pod, to) => {
                let mut steps = plan.waves.iter().flat_map(|wave| &wave.moves);
                let step = steps.find(|step| *step.pod.name == *pod).map_or("", |step| step.to.as_str());
                (to.to_owned(), added.get(step).map_or(step, |node| node.instance_type.as_str()).to_owned())
            }
            Self::Leave(types) => {
                let least = added.values().map(|node| node.alternatives.len()).min();
                (
                    format!("at least {types}"),
                    least.map_or("none".to_owned(), |least| {
                        if least >= types { format!("at least {types}") } else { least.to_string() }
                    }),
                )
            }
            Self::Warn(object, words) => {
                let told = plan.warnings.iter().any(|one| one.object == object && one.message.contains(words));
                (words.to_owned(), if told { words.to_owned() } else { format!("{:?}", plan.warnings) })
            }
            Self::CostBefore(amount) => (amount.to_owned(), plan.cost_before.to_string()),
        };
        (wanted != found).then(|| format!("{self:?}: found {found}"))
    }
}

/// Plans the scene of each row, and compares.
pub fn shown(rows: Vec<(&str, Scene, &[Must])>) {
    let mut wrong = Vec::new();
    for (claim, scene, musts) in rows {
        match scene.plan() {
            Err(error) => wrong.push(format!("{claim}: {error}")),
            Ok(plan) => {
                wrong
                    .extend(musts.iter().filter_map(|must| must.broken_by(&plan)).map(|why| format!("{claim}: {why}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rules do not hold:\n{}", wrong.len(), wrong.join("\n"));
}

fn named<'a, T>(all: &'a mut [T], name_of: fn(&T) -> &str, name: &str) -> &'a mut T {
    all.iter_mut().find(|one| name_of(one) == name).unwrap_or_else(|| panic!("{name} is not in the scene"))
}

pub fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object")
}

fn merge_into<T: Serialize + DeserializeOwned>(object: &mut T, changes: Value) {
    let mut value = serde_json::to_value(&*object).expect("an object");
    merge(&mut value, changes);
    *object = read(value);
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                if change.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), change);
                }
            }
        }
        (into, changes) => *into = changes,
    }
}
