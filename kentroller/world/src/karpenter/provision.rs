//! Provisioning: room for pods that the scheduler could not place and for those on nodes that leave.
//!
//! In: pods that wait, gathered in batches. Out: new NodeClaims. What fits where is found in `fit`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::{NodeClaim, ObjectName, Pod, PodSpec};

use super::fit::{NewClaim, Provisioning, overhead};
use super::{Karpenter, class_is_ready, is_managed};
use crate::catalogue::HOSTNAME;
use crate::conditions;
use crate::hands::{Hands, after, sooner};
use crate::room::{Amounts, Class, Room, Rooms};
use crate::seen::{Kind, Known, KnownPod, News, Seen};
use crate::workloads::daemon_spec;

const IDLE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);
/// How often pods that still wait are looked at again.
const AGAIN: Duration = Duration::from_secs(10);

/// A batch of pods that is being gathered.
#[derive(Debug, Default)]
pub(super) struct Batch {
    open: Option<(Timestamp, Timestamp)>,
    last_run: Option<Timestamp>,
}

impl Karpenter {
    pub(super) fn provision(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        let is_waiting = seen.unbound.iter().filter_map(|key| seen.pods.get(key)).any(is_provisionable);
        let left =
            news.of(Kind::NodeClaim).any(|key| seen.claims.get(&key.name).is_some_and(|claim| claim.is_leaving()));
        let stirred = left || news.of(Kind::Pod).any(|key| seen.pods.get(key).is_some_and(is_provisionable));
        let patience = self.batch.last_run.map(|at| after(at, AGAIN)).filter(|_| is_waiting);
        if stirred || patience.is_some_and(|at| at <= hands.now) {
            let first = self.batch.open.map_or(hands.now, |(first, _)| first);
            self.batch.open = Some((first, hands.now));
        }
        let Some((first, last)) = self.batch.open else { return patience };
        let due = after(last, IDLE).min(after(first, LONGEST));
        if due > hands.now {
            return Some(due);
        }
        // One managed claim without an instance, and Karpenter does nothing at all.
        let stalls = |claim: &&Known<_>| is_stalling(claim);
        if seen.claims.values().any(|claim| stalls(&claim)) {
            return None;
        }
        self.batch = Batch { open: None, last_run: Some(hands.now) };
        let mut namer = self.namer.clone();
        for claim in self.wanted(seen, hands) {
            hands.create(claim.object(&mut namer));
        }
        self.namer = namer;
        sooner(None, is_waiting.then(|| after(hands.now, AGAIN)))
    }

    fn wanted<'a>(&'a self, seen: &'a Seen, hands: &Hands) -> Vec<NewClaim<'a>> {
        let homeless = Self::homeless(seen);
        if homeless.is_empty() {
            return Vec::new();
        }
        self.provisioning(seen, hands.now).place(homeless).claims
    }

    /// Pods that wait for a node, and those on nodes that leave.
    pub(super) fn homeless(seen: &Seen) -> Vec<(&ObjectName, &Pod)> {
        let waiting = seen.unbound.iter().filter_map(|key| seen.pods.get_key_value(key));
        let waiting = waiting.filter(|(_, pod)| is_provisionable(pod)).map(|(key, pod)| (key, &pod.object));
        let leaving = seen.nodes.values().filter(|node| node.is_leaving());
        let theirs = leaving.flat_map(|node| seen.on_node(&node.object.metadata.name));
        let theirs = theirs.filter(|(_, pod)| pod.is_active() && !pod.is_daemon() && pod.owner_kind() != "Node");
        waiting.chain(theirs.map(|(key, pod)| (key, &pod.object))).collect()
    }

    /// The cluster as pods may be placed on it now.
    pub(super) fn provisioning<'a>(&'a self, seen: &'a Seen, now: Timestamp) -> Provisioning<'a> {
        let pools = seen.pools.values().filter(|pool| !pool.is_leaving() && conditions::is_true(&pool.raw, "Ready"));
        let daemons = seen.plain(Kind::DaemonSet).map(|(_, daemon)| daemon_spec(daemon)).collect();
        let barred =
            self.short.iter().filter(|(_, until)| **until > now).map(|(offering, _)| offering.clone()).collect();
        let pools = pools.filter(|pool| class_is_ready(&pool.object.spec.template.spec.node_class_ref, seen)).collect();
        let mut provisioning = Provisioning::new(&self.catalogue, pools, daemons, barred);
        let (rooms, coming) = existing(seen, &provisioning.daemons);
        (provisioning.rooms, provisioning.coming) = (rooms, coming);
        provisioning
    }
}

pub(super) fn is_stalling(claim: &Known<NodeClaim>) -> bool {
    is_managed(&claim.object.spec.node_class_ref) && claim.object.status.provider_id.is_empty() && !claim.is_leaving()
}

/// Whether a pod asks Karpenter for room: the scheduler gave it up, and nobody has named a node for it.
fn is_provisionable(pod: &KnownPod) -> bool {
    let given_up = conditions::get(&pod.raw, "PodScheduled").is_some_and(|(_, why, _)| why == "Unschedulable");
    pod.is_active()
        && pod.object.spec.node_name.is_empty()
        && given_up
        && !pod.is_daemon()
        && pod.raw["status"]["nominatedNodeName"].as_str().unwrap_or_default().is_empty()
}

/// Nodes that stay, initialized ones first, then by name; of those on their way what they will be, and their names.
fn existing(seen: &Seen, daemons: &[PodSpec]) -> (Rooms, BTreeSet<Arc<str>>) {
    let mut ready: Vec<Room> = Vec::new();
    let mut coming: Vec<Room> = Vec::new();
    let claims: BTreeMap<&str, _> =
        seen.claims.values().map(|claim| (claim.object.status.provider_id.as_str(), claim)).collect();
    for node in seen.nodes.values().filter(|node| !node.is_leaving()) {
        let claim = claims.get(node.object.spec.provider_id.as_str());
        if claim.is_none_or(|claim| claim.object.status.is("Initialized") && !claim.is_leaving()) {
            ready.push(Room::of(&node.object));
        }
    }
    for claim in seen.claims.values().filter(|claim| !claim.is_leaving() && !claim.object.status.is("Initialized")) {
        let name = match seen.node_of(&claim.object) {
            Some(node) => node.object.metadata.name.clone(),
            None => claim.object.metadata.name.clone(),
        };
        let mut labels = (*claim.object.metadata.labels).clone();
        labels.insert(HOSTNAME.into(), (*name).to_owned());
        let allocatable = serde_json::from_value(claim.raw["status"]["allocatable"].clone()).unwrap_or_default();
        let cordoned = seen.nodes.get(&name).is_some_and(|node| node.object.spec.unschedulable);
        let mut room = Room {
            name,
            labels,
            taints: claim.object.spec.taints.clone(),
            unschedulable: cordoned,
            allocatable: Amounts::of_node(&allocatable),
            ..Room::default()
        };
        let bound = seen.on_node(&room.name).filter(|(_, pod)| pod.is_daemon()).count();
        if bound == 0 {
            room.used += overhead(daemons, &room.name, &room.labels, &room.taints);
        }
        coming.push(room);
    }
    let names = coming.iter().map(|room| room.name.clone()).collect();
    ready.append(&mut coming);
    let mut rooms = Rooms::of(ready);
    rooms.pins = Arc::clone(&seen.pins);
    for (at, name) in rooms.list.iter().map(|room| room.name.clone()).enumerate().collect::<Vec<_>>() {
        for (_, pod) in seen.on_node(&name).filter(|(_, pod)| !pod.object.status.is_finished()) {
            let class = rooms.class(Class::of(&pod.object));
            rooms.seat(at, class, pod.amounts, !pod.is_leaving());
        }
    }
    (rooms, names)
}
