//! Pods: what is the same for all pods of a template is held once.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Effect, LabelSelector, Labels, Meta, NodeSelectorTerm, Quantity, Taint, marks, or_default};

/// Amounts by resource name.
pub type Resources = BTreeMap<String, Quantity>;

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: PodSpec,
    #[serde(deserialize_with = "or_default")]
    pub status: PodStatus,
}

/// Where a pod runs, and its shape, which pods of one template share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// Empty while the pod waits for a node.
    pub node_name: Arc<str>,
    #[serde(flatten)]
    pub shape: Arc<PodShape>,
}

// Written out because serde's `flatten` would buffer every pod once more.
impl<'de> Deserialize<'de> for PodSpec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut shape = PodShape::deserialize(from)?;
        let node_name = std::mem::take(&mut shape.node_name);
        Ok(Self { node_name, shape: Arc::new(shape) })
    }
}

/// The part of a pod's spec that decides where it may run and what it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodShape {
    /// Empty here: decoding moves it into [`PodSpec`].
    #[serde(deserialize_with = "or_default", skip_serializing)]
    node_name: Arc<str>,
    #[serde(deserialize_with = "or_default")]
    pub containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    pub init_containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    pub overhead: Resources,
    /// Pod-level resources; what they name replaces the sum of the containers.
    #[serde(deserialize_with = "or_default")]
    pub resources: ResourceList,
    #[serde(deserialize_with = "or_default")]
    pub node_selector: Labels,
    #[serde(deserialize_with = "or_default")]
    pub affinity: Affinity,
    #[serde(deserialize_with = "or_default")]
    pub tolerations: Vec<Toleration>,
    #[serde(deserialize_with = "or_default")]
    pub topology_spread_constraints: Vec<SpreadConstraint>,
    #[serde(deserialize_with = "or_default")]
    pub volumes: Vec<Volume>,
    #[serde(deserialize_with = "or_default")]
    pub priority: i32,
    #[serde(deserialize_with = "or_default")]
    pub priority_class_name: String,
    #[serde(deserialize_with = "or_default")]
    pub scheduler_name: String,
    #[serde(deserialize_with = "count", rename = "schedulingGates", serialize_with = "count_out")]
    pub gates: usize,
    #[serde(deserialize_with = "count", serialize_with = "count_out")]
    pub resource_claims: usize,
    #[serde(deserialize_with = "or_default")]
    pub host_network: bool,
    #[serde(deserialize_with = "os_name", serialize_with = "os_out")]
    pub os: String,
}

fn count<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    or_default::<D, Vec<serde::de::IgnoredAny>>(from).map(|list| list.len())
}

fn count_out<S: serde::Serializer>(count: &usize, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(std::iter::repeat_n(BTreeMap::<String, String>::new(), *count))
}

#[derive(Deserialize, Serialize, Default)]
struct Os {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
}

fn os_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    or_default::<D, Os>(from).map(|os| os.name)
}

fn os_out<S: serde::Serializer>(name: &str, to: S) -> Result<S::Ok, S::Error> {
    Os { name: name.to_owned() }.serialize(to)
}

/// A container, an init container or (init with `restartPolicy: Always`) a sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub resources: ResourceList,
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<Port>,
    #[serde(deserialize_with = "or_default")]
    pub restart_policy: String,
}

/// Requests; a limit without a request counts as the request (the API server fills it in for pods, not for templates).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceList {
    #[serde(deserialize_with = "or_default")]
    pub requests: Resources,
    #[serde(deserialize_with = "or_default")]
    pub limits: Resources,
}

/// A port; only host ports bind a pod to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    #[serde(deserialize_with = "or_default")]
    pub container_port: i32,
    #[serde(deserialize_with = "or_default")]
    pub host_port: i32,
    #[serde(rename = "hostIP", deserialize_with = "or_default")]
    pub host_ip: String,
    #[serde(deserialize_with = "or_default")]
    pub protocol: String,
}

impl PodShape {
    /// The ports that a container binds on its node, with their numbers there. On the node's own network every port is one:
    /// the API server fills that in for pods, not for templates.
    pub fn host_ports<'s>(&self, container: &'s Container) -> impl Iterator<Item = (&'s Port, i32)> {
        let host_network = self.host_network;
        container.ports.iter().filter_map(move |port| {
            let number = if port.host_port == 0 && host_network { port.container_port } else { port.host_port };
            (number > 0).then_some((port, number))
        })
    }

    /// Whether something is asked for that is less than nothing, which no API server admits.
    pub fn asks_below_nothing(&self) -> bool {
        let containers = self.containers.iter().chain(&self.init_containers).map(|container| &container.resources);
        let lists = containers.chain([&self.resources]).flat_map(|list| [&list.requests, &list.limits]);
        lists.chain([&self.overhead]).flat_map(BTreeMap::values).any(|amount| *amount < Quantity::default())
    }
}

/// Required and preferred affinities.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    #[serde(deserialize_with = "or_default")]
    pub node_affinity: NodeAffinity,
    #[serde(deserialize_with = "or_default")]
    pub pod_affinity: PodAffinity,
    #[serde(deserialize_with = "or_default")]
    pub pod_anti_affinity: PodAffinity,
}

/// Which nodes a pod must and would like to run on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<RequiredNodeTerms>,
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution", deserialize_with = "or_default")]
    pub preferred: Vec<PreferredNodeTerm>,
}

/// Terms of which one must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequiredNodeTerms {
    #[serde(deserialize_with = "or_default")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// A wish with a weight of 1 to 100.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct PreferredNodeTerm {
    #[serde(deserialize_with = "or_default")]
    pub weight: i32,
    #[serde(deserialize_with = "or_default")]
    pub preference: NodeSelectorTerm,
}

/// Which pods a pod must and would like to share (or not share) a domain with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", deserialize_with = "or_default")]
    pub required: Vec<PodAffinityTerm>,
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution", deserialize_with = "or_default")]
    pub preferred: Vec<WeightedPodTerm>,
}

/// A term of pod affinity or anti-affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAffinityTerm {
    /// Absent: no pod matches.
    pub label_selector: Option<LabelSelector>,
    #[serde(deserialize_with = "or_default")]
    pub namespaces: Vec<String>,
    /// Absent: only `namespaces` (or the pod's own); empty: every namespace.
    pub namespace_selector: Option<LabelSelector>,
    #[serde(deserialize_with = "or_default")]
    pub topology_key: String,
    #[serde(deserialize_with = "or_default")]
    pub match_label_keys: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub mismatch_label_keys: Vec<String>,
}

/// A wish about other pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightedPodTerm {
    #[serde(deserialize_with = "or_default")]
    pub weight: i32,
    #[serde(deserialize_with = "or_default")]
    pub pod_affinity_term: PodAffinityTerm,
}

/// A toleration.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// Empty with `Exists`: every taint.
    #[serde(deserialize_with = "or_default")]
    pub key: String,
    /// `Equal` (also when empty), `Exists`, `Lt`, `Gt`.
    #[serde(deserialize_with = "or_default")]
    pub operator: String,
    #[serde(deserialize_with = "or_default")]
    pub value: String,
    /// Empty: every effect.
    #[serde(deserialize_with = "or_default")]
    pub effect: String,
    /// Of a `NoExecute` taint only: how long the pod may stay. Absent: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

impl Toleration {
    /// Whether it bears a taint for a while only, after which the pod is evicted.
    pub fn is_for_a_while(&self, taint: &Taint) -> bool {
        taint.effect == Effect::NoExecute && self.toleration_seconds.is_some()
    }

    /// Whether the toleration lets a pod past the taint.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        let effect = match &taint.effect {
            Effect::NoSchedule => "NoSchedule",
            Effect::PreferNoSchedule => "PreferNoSchedule",
            Effect::NoExecute => "NoExecute",
            Effect::Unknown(_) => return false,
        };
        if !self.effect.is_empty() && self.effect != effect {
            return false;
        }
        if !self.key.is_empty() && self.key != taint.key {
            return false;
        }
        match self.operator.as_str() {
            "" | "Equal" => !self.key.is_empty() && self.value == taint.value,
            "Exists" => true,
            // Numeric tolerations (alpha) are read, never relied on.
            _ => false,
        }
    }
}

/// A topology spread constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    #[serde(deserialize_with = "or_default")]
    pub max_skew: i32,
    #[serde(deserialize_with = "or_default")]
    pub topology_key: String,
    /// `DoNotSchedule` or `ScheduleAnyway`.
    #[serde(deserialize_with = "or_default")]
    pub when_unsatisfiable: String,
    pub label_selector: Option<LabelSelector>,
    pub min_domains: Option<i32>,
    /// `Honor` (when empty) or `Ignore`.
    #[serde(deserialize_with = "or_default")]
    pub node_affinity_policy: String,
    /// `Honor` or `Ignore` (when empty).
    #[serde(deserialize_with = "or_default")]
    pub node_taints_policy: String,
    #[serde(deserialize_with = "or_default")]
    pub match_label_keys: Vec<String>,
}

/// A volume, as far as it ties a pod to a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Volume {
    /// The claim it mounts; empty when it mounts none.
    pub claim: String,
    /// A generic ephemeral volume: its claim is named after the pod and the volume.
    pub ephemeral: String,
    /// A disk that the pod itself names, without a claim: nothing tells where it is.
    pub disk: Option<&'static str>,
}

/// Volumes that are disks of a cloud, as a pod can name one without a claim.
const DISKS: [&str; 4] = ["awsElasticBlockStore", "gcePersistentDisk", "azureDisk", "cinder"];

impl Serialize for Volume {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = to.serialize_map(None)?;
        if !self.claim.is_empty() {
            map.serialize_entry("persistentVolumeClaim", &BTreeMap::from([("claimName", &self.claim)]))?;
        }
        if !self.ephemeral.is_empty() {
            map.serialize_entry("name", &self.ephemeral)?;
            map.serialize_entry("ephemeral", &BTreeMap::<&str, &str>::new())?;
        }
        if let Some(disk) = self.disk {
            map.serialize_entry(disk, &BTreeMap::<&str, &str>::new())?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Volume {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Claim {
            claim_name: String,
        }
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Wire {
            name: String,
            persistent_volume_claim: Option<Claim>,
            ephemeral: Option<serde::de::IgnoredAny>,
            aws_elastic_block_store: Option<serde::de::IgnoredAny>,
            gce_persistent_disk: Option<serde::de::IgnoredAny>,
            azure_disk: Option<serde::de::IgnoredAny>,
            cinder: Option<serde::de::IgnoredAny>,
        }
        let wire = Wire::deserialize(from)?;
        let disks = [
            wire.aws_elastic_block_store.is_some(),
            wire.gce_persistent_disk.is_some(),
            wire.azure_disk.is_some(),
            wire.cinder.is_some(),
        ];
        Ok(Self {
            claim: wire.persistent_volume_claim.unwrap_or_default().claim_name,
            ephemeral: if wire.ephemeral.is_some() { wire.name } else { String::new() },
            disk: DISKS.into_iter().zip(disks).find(|(_, is_one)| *is_one).map(|(name, _)| name),
        })
    }
}

/// What is known of a running pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    pub phase: Arc<str>,
    pub start_time: Option<crate::manifest::Moment>,
    /// Without their times, so that all pods in the same condition share one list.
    pub conditions: Arc<Vec<super::Condition>>,
    /// Resources in force after an in-place resize, of containers and init containers; only those that report some.
    pub container_statuses: Vec<ContainerState>,
}

impl<'de> Deserialize<'de> for PodStatus {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Wire {
            #[serde(deserialize_with = "or_default")]
            phase: Arc<str>,
            start_time: Option<crate::manifest::Moment>,
            #[serde(deserialize_with = "only_ready")]
            conditions: Arc<Vec<super::Condition>>,
            #[serde(deserialize_with = "with_resources")]
            container_statuses: Vec<ContainerState>,
            #[serde(deserialize_with = "with_resources")]
            init_container_statuses: Vec<ContainerState>,
        }
        let mut wire = Wire::deserialize(from)?;
        wire.container_statuses.append(&mut wire.init_container_statuses);
        let Wire { phase, start_time, conditions, container_statuses, .. } = wire;
        Ok(Self { phase, start_time, conditions, container_statuses })
    }
}

impl PodStatus {
    /// Whether the pod has ended for good.
    pub fn is_finished(&self) -> bool {
        matches!(&*self.phase, "Succeeded" | "Failed")
    }

    /// Whether the pod serves.
    pub fn is_ready(&self) -> bool {
        super::node::has_condition(&self.conditions, "Ready", "True")
    }

    /// Whether a resize in place is asked for that the node can never grant.
    pub fn is_resize_infeasible(&self) -> bool {
        let resize = self.conditions.iter().find(|condition| condition.kind == "PodResizePending");
        resize.is_some_and(|condition| condition.reason == "Infeasible")
    }

    /// Drops resources in force that are no more than what is asked for: servers since 1.33 report those of every container.
    pub fn keep_resizes(&mut self, shape: &PodShape) {
        if self.is_resize_infeasible() {
            return;
        }
        self.container_statuses.retain(|state| is_resized(shape, state));
        self.container_statuses.shrink_to_fit();
    }
}

/// Whether more is in force for a container than it asks for.
fn is_resized(shape: &PodShape, state: &ContainerState) -> bool {
    let mut all = shape.containers.iter().chain(&shape.init_containers);
    let Some(container) = all.find(|container| container.name == state.name) else { return true };
    let asked = |name: &str| container.resources.requests.get(name).or_else(|| container.resources.limits.get(name));
    let mut in_force = state.allocated_resources.iter().chain(&state.resources.requests);
    in_force.any(|(name, much)| asked(name).is_none_or(|asked| asked < much))
}

/// A container's resources in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerState {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub allocated_resources: Resources,
    #[serde(deserialize_with = "or_default")]
    pub resources: ResourceList,
}

fn only_ready<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Vec<super::Condition>>, D::Error> {
    or_default::<D, Vec<super::Condition>>(from).map(|mut conditions| {
        conditions.retain(|c| c.kind == "Ready" || c.kind.starts_with("PodResize"));
        for condition in &mut conditions {
            condition.last_transition_time = None;
        }
        Arc::new(conditions)
    })
}

fn with_resources<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ContainerState>, D::Error> {
    or_default::<D, Vec<ContainerState>>(from).map(|mut states| {
        states.retain(|s| !s.allocated_resources.is_empty() || !s.resources.requests.is_empty());
        states.shrink_to_fit();
        states
    })
}

/// Lets pods of one template share their shape and labels.
///
/// A cluster of 75,000 pods has a few thousand shapes; whoever reads pods passes each through one interner.
#[derive(Debug, Default)]
pub struct Interner {
    shapes: Shared<PodShape>,
    labels: Shared<Labels>,
    conditions: Shared<Vec<super::Condition>>,
}

/// Values by their digest: most of them are told apart without comparing them.
type Shared<T> = BTreeSet<(u64, Arc<T>)>;

impl Interner {
    /// Replaces the pod's shape, labels, annotations and conditions by shared ones of the same value, and drops what its
    /// status only repeats.
    pub fn share(&mut self, pod: &mut Pod) {
        pod.status.keep_resizes(&pod.spec.shape);
        share(&mut self.shapes, &mut pod.spec.shape);
        share(&mut self.labels, &mut pod.metadata.labels);
        share(&mut self.labels, &mut pod.metadata.annotations);
        share(&mut self.conditions, &mut pod.status.conditions);
    }
}

fn share<T: Hash + Ord>(shared: &mut Shared<T>, value: &mut Arc<T>) {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    let key = (hasher.finish(), Arc::clone(value));
    match shared.get(&key) {
        Some((_, known)) => *value = Arc::clone(known),
        None => drop(shared.insert(key)),
    }
}

/// Whether a pod comes and goes with its node: it is of a DaemonSet, or mirrors a static pod of the kubelet. No eviction
/// moves it elsewhere. `controller` is the kind of its controlling owner.
pub fn belongs_to_node(controller: Option<&str>, annotations: &Labels) -> bool {
    controller == Some("DaemonSet") || is_static(controller, annotations)
}

/// Whether a pod mirrors a static pod of its kubelet.
pub(crate) fn is_static(controller: Option<&str>, annotations: &Labels) -> bool {
    controller == Some("Node") || annotations.contains_key(marks::MIRROR)
}
