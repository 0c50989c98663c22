//! The cluster as the world's actors see it: kept up from committed writes, so that nobody ever lists.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use kentroller_planner::manifest::{Node, NodeClaim, NodePool, ObjectName, Pod};
use kentroller_runtime::simulation::apiserver::{ApiServer, Commit};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;

use crate::room::{Amounts, Class, Pins, Room, Rooms};

/// The kinds that the actors read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Pod,
    Node,
    NodeClaim,
    NodePool,
    NodeClass,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    DisruptionBudget,
    Volume,
    VolumeClaim,
}

impl Kind {
    pub(crate) const ALL: [(Self, &'static str); 12] = [
        (Self::Pod, "Pod"),
        (Self::Node, "Node"),
        (Self::NodeClaim, "NodeClaim"),
        (Self::NodePool, "NodePool"),
        (Self::NodeClass, "EC2NodeClass"),
        (Self::Deployment, "Deployment"),
        (Self::ReplicaSet, "ReplicaSet"),
        (Self::StatefulSet, "StatefulSet"),
        (Self::DaemonSet, "DaemonSet"),
        (Self::DisruptionBudget, "PodDisruptionBudget"),
        (Self::Volume, "PersistentVolume"),
        (Self::VolumeClaim, "PersistentVolumeClaim"),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// An object: the fields that are reckoned with, and all of it.
#[derive(Clone, Debug)]
pub(crate) struct Known<T> {
    pub(crate) object: T,
    pub(crate) raw: Arc<Value>,
    leaves: bool,
}

impl<T: DeserializeOwned> Known<T> {
    pub(crate) fn of(raw: Arc<Value>) -> Self {
        Self { object: decoded(&raw), leaves: is_leaving(&raw), raw }
    }
}

impl<T> Known<T> {
    pub(crate) const fn is_leaving(&self) -> bool {
        self.leaves
    }
}

/// A pod with what it takes.
#[derive(Clone, Debug)]
pub(crate) struct KnownPod {
    pub(crate) object: Pod,
    pub(crate) raw: Arc<Value>,
    pub(crate) amounts: Amounts,
}

impl KnownPod {
    pub(crate) fn is_leaving(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    /// Neither ended nor ending.
    pub(crate) fn is_active(&self) -> bool {
        !self.is_leaving() && !self.object.status.is_finished()
    }

    pub(crate) fn owner_kind(&self) -> &str {
        self.object.metadata.controller().map_or("", |owner| owner.kind.as_str())
    }

    pub(crate) fn owner_uid(&self) -> &str {
        self.object.metadata.controller().map_or("", |owner| owner.uid.as_str())
    }

    pub(crate) fn is_daemon(&self) -> bool {
        self.owner_kind() == "DaemonSet"
    }
}

/// What changed since the last round.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) touched: BTreeMap<Kind, BTreeSet<ObjectName>>,
    /// Uids of the owners of touched pods and ReplicaSets.
    pub(crate) owners: BTreeSet<String>,
}

impl News {
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &ObjectName> {
        self.touched.get(&kind).into_iter().flatten()
    }

    pub(crate) fn any(&self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.touched.contains_key(kind))
    }
}

/// Everything the actors know.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) pods: BTreeMap<ObjectName, KnownPod>,
    pub(crate) nodes: BTreeMap<Arc<str>, Known<Node>>,
    pub(crate) claims: BTreeMap<Arc<str>, Known<NodeClaim>>,
    pub(crate) pools: BTreeMap<Arc<str>, Known<NodePool>>,
    /// Kinds that are read as they are.
    pub(crate) plain: BTreeMap<Kind, BTreeMap<ObjectName, Arc<Value>>>,
    pub(crate) pods_of_owner: BTreeMap<String, BTreeSet<ObjectName>>,
    pub(crate) pods_on_node: BTreeMap<Arc<str>, BTreeSet<ObjectName>>,
    /// By claim on a volume: from where the volume can be reached, any of these.
    pub(crate) pins: Pins,
    /// Pods without a node.
    pub(crate) unbound: BTreeSet<ObjectName>,
}

/// Commits on their way from the server to the actors.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    commits: Arc<Mutex<Vec<Commit>>>,
    bell: Arc<Notify>,
}

impl Inbox {
    pub(crate) fn of(server: &ApiServer) -> Self {
        let inbox = Self::default();
        // Weak: the server keeps its observers for ever, the inbox ends with its world.
        let (commits, bell) = (Arc::downgrade(&inbox.commits), Arc::downgrade(&inbox.bell));
        server.on_commit(move |commit| {
            if let (Some(commits), Some(bell), Some(_)) =
                (commits.upgrade(), bell.upgrade(), Kind::named(&commit.write.kind))
            {
                commits.lock().unwrap_or_else(PoisonError::into_inner).push(commit.clone());
                bell.notify_one();
            }
        });
        inbox
    }

    pub(crate) fn take(&self) -> Vec<Commit> {
        std::mem::take(&mut *self.commits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a commit since the last wait; writes of kinds that nobody here reads wake nobody.
    pub(crate) async fn filled(&self) {
        self.bell.notified().await;
    }
}

impl Seen {
    /// Takes in everything that is on the server now; all of it is news.
    pub(crate) fn read(&mut self, server: &ApiServer) -> News {
        let mut news = News::default();
        for (kind, name) in Kind::ALL {
            for object in server.list(name) {
                let key = key_of(&object);
                self.put(kind, key, Some(object), &mut news);
            }
        }
        news
    }

    pub(crate) fn take(&mut self, commits: Vec<Commit>) -> News {
        let mut news = News::default();
        for commit in commits {
            if let Some(kind) = Kind::named(&commit.write.kind) {
                let key = ObjectName { namespace: commit.write.namespace.into(), name: commit.write.name.into() };
                self.put(kind, key, commit.after, &mut news);
            }
        }
        news
    }

    fn put(&mut self, kind: Kind, key: ObjectName, after: Option<Arc<Value>>, news: &mut News) {
        match kind {
            Kind::Pod => self.put_pod(&key, after, news),
            Kind::Node => replace(&mut self.nodes, key.name.clone(), after),
            Kind::NodeClaim => replace(&mut self.claims, key.name.clone(), after),
            Kind::NodePool => replace(&mut self.pools, key.name.clone(), after),
            _ => {
                let of_kind = self.plain.entry(kind).or_default();
                let before = match &after {
                    Some(object) => of_kind.insert(key.clone(), object.clone()),
                    None => of_kind.remove(&key),
                };
                if let (Kind::VolumeClaim, Some(claim)) = (kind, &after) {
                    self.pin(&key, claim);
                }
                let states = before.iter().chain(&after);
                news.owners.extend(states.filter_map(|object| controller(object).map(str::to_owned)));
            }
        }
        news.touched.entry(kind).or_default().insert(key);
    }

    /// Notes from where the volume of a claim can be reached; a volume is there before its claim names it.
    fn pin(&mut self, key: &ObjectName, claim: &Value) {
        let volume =
            ObjectName { namespace: "".into(), name: claim["spec"]["volumeName"].as_str().unwrap_or_default().into() };
        let volumes = self.plain.get(&Kind::Volume);
        let terms = volumes
            .and_then(|all| all.get(&volume))
            .map(|volume| &volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]);
        if let Some(terms) = terms.and_then(|terms| serde_json::from_value(terms.clone()).ok()) {
            Arc::make_mut(&mut self.pins).insert(key.clone(), terms);
        }
    }

    fn put_pod(&mut self, key: &ObjectName, after: Option<Arc<Value>>, news: &mut News) {
        if let Some(before) = self.pods.remove(key) {
            remove_from(&mut self.pods_of_owner, before.owner_uid(), key);
            remove_from(&mut self.pods_on_node, &before.object.spec.node_name, key);
            self.unbound.remove(key);
            news.owners.insert(before.owner_uid().to_owned());
        }
        let Some(raw) = after else { return };
        let object: Pod = decoded(&raw);
        let pod = KnownPod { amounts: Amounts::of_pod(&object.spec.shape), object, raw };
        news.owners.insert(pod.owner_uid().to_owned());
        self.pods_of_owner.entry(pod.owner_uid().to_owned()).or_default().insert(key.clone());
        if pod.object.spec.node_name.is_empty() {
            self.unbound.insert(key.clone());
        } else {
            self.pods_on_node.entry(pod.object.spec.node_name.clone()).or_default().insert(key.clone());
        }
        self.pods.insert(key.clone(), pod);
    }

    pub(crate) fn plain(&self, kind: Kind) -> impl Iterator<Item = (&ObjectName, &Arc<Value>)> {
        self.plain.get(&kind).into_iter().flatten()
    }

    pub(crate) fn on_node(&self, node: &str) -> impl Iterator<Item = (&ObjectName, &KnownPod)> {
        self.pods_on_node.get(node).into_iter().flatten().filter_map(|key| self.pods.get_key_value(key))
    }

    pub(crate) fn of_owner(&self, uid: &str) -> impl Iterator<Item = (&ObjectName, &KnownPod)> {
        self.pods_of_owner.get(uid).into_iter().flatten().filter_map(|key| self.pods.get_key_value(key))
    }

    /// The node of a claim.
    pub(crate) fn node_of(&self, claim: &NodeClaim) -> Option<&Known<Node>> {
        let provider_id = &claim.status.provider_id;
        if let Some(node) = self.nodes.get(claim.status.node_name.as_str()) {
            return Some(node);
        }
        let mut nodes = self.nodes.values();
        nodes.find(|node| !provider_id.is_empty() && node.object.spec.provider_id == *provider_id)
    }

    /// The room that nodes have for pods.
    pub(crate) fn rooms(&self) -> Rooms {
        let mut rooms = Rooms::of(self.nodes.values().map(|node| Room::of(&node.object)).collect());
        rooms.pins = Arc::clone(&self.pins);
        let by_name: BTreeMap<&str, usize> = self.nodes.keys().enumerate().map(|(at, name)| (&**name, at)).collect();
        for pod in self.pods.values().filter(|pod| !pod.object.status.is_finished()) {
            if let Some(at) = by_name.get(&*pod.object.spec.node_name) {
                let class = rooms.class(Class::of(&pod.object));
                rooms.seat(*at, class, pod.amounts, !pod.is_leaving());
            }
        }
        rooms
    }
}

fn remove_from<K: Borrow<str> + Ord>(index: &mut BTreeMap<K, BTreeSet<ObjectName>>, at: &str, key: &ObjectName) {
    if let Some(keys) = index.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(at);
        }
    }
}

fn replace<T: DeserializeOwned>(all: &mut BTreeMap<Arc<str>, Known<T>>, name: Arc<str>, after: Option<Arc<Value>>) {
    match after {
        Some(raw) => drop(all.insert(name, Known::of(raw))),
        None => drop(all.remove(&name)),
    }
}

/// # Panics
/// When the object does not decode: the simulated world is then wrong itself, or a test wrote nonsense.
fn decoded<T: DeserializeOwned>(raw: &Value) -> T {
    match T::deserialize(raw) {
        Ok(object) => object,
        Err(why) => panic!("{} {}: {why}", raw["kind"], raw["metadata"]["name"]),
    }
}

pub(crate) fn key_of(object: &Value) -> ObjectName {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().into();
    ObjectName { namespace: text("namespace"), name: text("name") }
}

/// The uid of the controlling owner.
pub(crate) fn controller(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}

pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

pub(crate) fn is_leaving(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// A time in the metadata, for example `creationTimestamp`.
pub(crate) fn time(object: &Value, field: &str) -> Option<Timestamp> {
    object["metadata"][field].as_str()?.parse().ok()
}
