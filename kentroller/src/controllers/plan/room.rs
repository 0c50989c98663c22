//! Where an evicted pod's successor can go on the live cluster. kube-scheduler places it, not we: a pod that fits nowhere
//! is not evicted, and each eviction counts for the next.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kentroller_planner::manifest::Resources;
use kentroller_planner::rules::{Volumes, fits};
use kentroller_planner::{Quantity, Snapshot};
use kentroller_runtime::{Kind, World};

use super::RebalancePlans;
use super::neighbours::{Neighbours, admits};
use super::protection::Protection;
use crate::api::foreign::{
    CsiNode, Node, NodeClaim, NodePool, PersistentVolume, PersistentVolumeClaim, Pod, requests_of,
};
use crate::api::marks::{APP_NAME, K8S_APP, NODE_POOL};
use crate::backend::snapshot;

/// How many pods may be on their way, without a node or not Ready, while more are moved.
const MOST_MOVING: usize = 20;
/// A pod that takes longer to end, or to get a node, is not waited for: others move meanwhile.
const SETTLE_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// What the plan has nodes for.
pub(super) struct Nodes<'a, 'o> {
    /// Those that it empties.
    pub(super) leaving: BTreeSet<String>,
    /// By name: those that it opens to pods now, as they will be.
    pub(super) opening: &'o BTreeMap<String, Node>,
    /// By name: pods that it is meant for and that are still elsewhere.
    pub(super) promised: BTreeMap<String, Vec<&'a Pod>>,
}

/// What is free where, in one cut; evictions decided in the same look are counted as they are made.
pub(super) struct Room<'a, 'o> {
    world: &'a World<RebalancePlans>,
    protection: Arc<Protection>,
    /// Of all nodes that the scheduler puts pods on.
    free: BTreeMap<&'a str, Resources>,
    /// Nodes that the plan empties: pods must not go there.
    leaving: BTreeSet<String>,
    opening: &'o BTreeMap<String, Node>,
    /// By name of the node: pods that it is meant for and that are still elsewhere.
    promised: BTreeMap<String, Vec<&'a Pod>>,
    /// By name of the node: pods that are expected there.
    expected: BTreeMap<&'a str, Vec<&'a Pod>>,
    storage: OnceCell<Snapshot>,
    neighbours: Neighbours<'a>,
    /// Pods that are on their way: they leave a node of the plan, or succeed such pods and are not Ready so far.
    moving: usize,
    /// Whether one of them has been on its way for less than the time that is waited for it.
    is_moving: bool,
    /// Pods that will have a node soon, and do not have it.
    unsettled: usize,
    /// By uid of the owner: ending pods whose successor is not there yet.
    to_come: BTreeMap<&'a str, Vec<&'a Pod>>,
    /// By uid of the owner: evictions of this look.
    evicted: BTreeMap<&'a str, usize>,
}

impl<'a, 'o> Room<'a, 'o> {
    /// Looks at all nodes that may take pods: Ready, schedulable or about to be, and not among those that the plan empties.
    /// Pods without a node, and successors that are still to come, are expected on `receiver`. Only pods of the owners whose
    /// pods the plan moves (`moved`) are counted as being on their way: what others miss is not our doing.
    pub(super) fn of(
        world: &'a World<RebalancePlans>,
        protection: Arc<Protection>,
        nodes: Nodes<'a, 'o>,
        receiver: Option<&str>,
        moved: &BTreeSet<String>,
        began: Timestamp,
    ) -> Self {
        let occupancy = world.view::<Pod>();
        let Nodes { leaving, opening, promised } = nodes;
        let open = world.all::<Node>().filter(|node| is_open(node) || opening.contains_key(node.name()));
        let free = open.map(|node| {
            let mut free = node.status.allocatable.clone();
            take(&mut free, occupancy.taken(node.name()).into_iter().flatten());
            (node.name(), free)
        });
        let unwell: Vec<&Pod> = occupancy.moving().filter_map(|key| world.lookup::<Pod>(key).present()).collect();
        let leaves = |pod: &&Pod| pod.deleting().is_some() && leaving.contains(&*pod.spec.node_name);
        let to_come = to_come(world, unwell.iter().copied().filter(leaves));
        let is_successor = |pod: &&Pod| {
            let of_ours = pod.controller().is_some_and(|owner| moved.contains(&owner.uid));
            of_ours && pod.deleting().is_none() && pod.created() >= began
        };
        let is_late = |since: Timestamp| world.now().duration_since(since) >= SETTLE_TIMEOUT;
        let ends = |pod: &&Pod| leaves(pod) && pod.deleting().is_some_and(|since| !is_late(since));
        let moving = unwell.iter().filter(|pod| ends(pod) || is_successor(pod)).count();
        let is_moving = unwell.iter().any(|pod| ends(pod) || (is_successor(pod) && !is_late(pod.created())));
        let mut waiting: Vec<&Pod> = unwell.iter().copied().filter(|pod| pod.spec.node_name.is_empty()).collect();
        let soon = |pod: &&&Pod| is_successor(pod) && !is_late(pod.created());
        let unsettled = waiting.iter().filter(soon).count() + to_come.values().map(Vec::len).sum::<usize>();
        waiting.extend(to_come.values().flatten());
        let mut room = Self {
            world,
            protection,
            free: free.collect(),
            leaving,
            opening,
            promised,
            expected: BTreeMap::new(),
            storage: OnceCell::new(),
            neighbours: Neighbours::of(world, &occupancy),
            moving,
            is_moving,
            unsettled,
            to_come,
            evicted: BTreeMap::new(),
        };
        for pod in waiting {
            let expected = receiver.filter(|name| room.takes(pod, name)).map(str::to_owned).or_else(|| room.best(pod));
            if let Some(name) = expected {
                room.put(pod, &name);
            }
        }
        room
    }

    /// Whether every pod that was moved has its new place.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    /// Whether a pod that was moved may end, or its successor be Ready, soon.
    pub(super) fn is_moving(&self) -> bool {
        self.is_moving
    }

    /// Whether the pod may be ended now, wherever its successor goes.
    ///
    /// # Errors
    /// What it waits for.
    pub(super) fn may_end(&self, pod: &Pod) -> Result<(), String> {
        if self.moving >= MOST_MOVING {
            return Err(format!("{} pods to be Ready", self.moving));
        }
        let Some(owner) = pod.controller() else { return Ok(()) };
        // Where it comes decides what a spread or an affinity of its siblings allows.
        if let Some(ending) = self.to_come.get(owner.uid.as_str()).and_then(|all| all.first()) {
            return Err(format!("the successor of {}", ending.key()));
        }
        // A pod that does not serve is no loss to its owner.
        if !pod.is_ready() {
            return Ok(());
        }
        let siblings = siblings(self.world, &owner.uid);
        let unwell = not_serving(&siblings, pod) + self.evicted.get(owner.uid.as_str()).copied().unwrap_or(0);
        if unwell >= share(&owner.kind, pod, siblings.len()) {
            return Err(format!("{unwell} pods beside {} to be Ready", pod.key()));
        }
        Ok(())
    }

    /// Counts the pod as moved to the node.
    pub(super) fn move_out(&mut self, pod: &'a Pod, to: &str) {
        self.put(pod, to);
        self.moving += 1;
        if let Some(owner) = pod.controller() {
            *self.evicted.entry(&owner.uid).or_default() += 1;
        }
    }

    /// Whether the pod may go to the node, and the scheduler could put it there.
    pub(super) fn takes(&self, pod: &Pod, name: &str) -> bool {
        let node = self.node(name).filter(|_| !self.leaving.contains(name));
        self.has_room(&requests_of(pod), name)
            && node.is_some_and(|node| self.neighbours.demands(pod).admit(pod, node) && self.has_place(pod, node))
    }

    /// The fullest node that the planner, too, would give the pod to; if there is one, without what others are to have.
    pub(super) fn best(&self, pod: &Pod) -> Option<String> {
        let (wanted, demands) = (requests_of(pod), self.neighbours.demands(pod));
        let cpu = |name: &&Node| self.free.get(name.name()).and_then(|free| free.get("cpu")).copied();
        let open = self.free.keys().filter(|name| !self.leaving.contains(**name));
        let fitting = open.filter(|name| self.has_room(&wanted, name)).filter_map(|name| self.node(name));
        let mut fitting: Vec<&Node> = fitting.filter(|node| demands.admit(pod, node)).collect();
        fitting.sort_by_key(cpu);
        let mut fitting =
            fitting.into_iter().filter(|node| self.has_place(pod, node) && self.receives(node)).peekable();
        let first = fitting.peek().copied();
        let best = fitting.find(|node| self.has_room_to_spare(&wanted, node.name())).or(first);
        best.map(|node| node.name().to_owned())
    }

    /// Nodes that the scheduler could choose for one of these pods instead of `receiver`, as far as requests, taints and labels
    /// say; also those that the plan empties. None where they are so many that the scheduler would not look at all of them.
    pub(super) fn rivals<'p>(&self, pods: impl Iterator<Item = &'p Pod>, receiver: &str) -> BTreeSet<&'a str> {
        let mut shapes: Vec<(Resources, &Pod)> = Vec::new();
        for pod in pods {
            let is_known = |(_, known): &(Resources, &Pod)| Arc::ptr_eq(&known.spec.shape, &pod.spec.shape);
            if !shapes.iter().any(is_known) {
                shapes.push((requests_of(pod), pod));
            }
        }
        let others = self.free.keys().copied().filter(|name| *name != receiver);
        let rivals = others.filter(|name| {
            let fits = |(wanted, pod): &(Resources, &Pod)| {
                self.has_room(wanted, name) && self.node(name).is_some_and(|node| admits(node, pod))
            };
            shapes.iter().any(fits)
        });
        let rivals: BTreeSet<&str> = rivals.collect();
        if rivals.len() < scored(self.world.all::<Node>().count()) { rivals } else { BTreeSet::new() }
    }

    /// The node, as the pods will find it.
    fn node(&self, name: &str) -> Option<&Node> {
        self.opening.get(name).or_else(|| self.world.named(name))
    }

    fn has_room(&self, wanted: &Resources, name: &str) -> bool {
        self.free.get(name).is_some_and(|free| is_within(wanted, free))
    }

    /// Whether there is room besides what is meant for pods that are still to come.
    fn has_room_to_spare(&self, wanted: &Resources, name: &str) -> bool {
        let Some(mut free) = self.free.get(name).cloned() else { return false };
        for pod in self.promised.get(name).into_iter().flatten() {
            take(&mut free, &requests_of(pod));
        }
        is_within(wanted, &free)
    }

    /// Whether the pod's volumes and host ports have a place on the node.
    fn has_place(&self, pod: &Pod, node: &Node) -> bool {
        let shape = &pod.spec.shape;
        let has_ports = shape.containers.iter().any(|one| one.ports.iter().any(|port| port.host_port > 0));
        if shape.volumes.is_empty() && !has_ports {
            return true;
        }
        let there = self.world.indexed::<Pod>(node.name()).into_iter().filter(|other| other.uid() != pod.uid());
        let expected = self.expected.get(node.name()).into_iter().flatten().copied();
        let others: Vec<_> = there.chain(expected).filter(|pod| !pod.has_ended()).map(snapshot::pod).collect();
        let world = self.world;
        let (volumes, claims) = (world.all::<PersistentVolume>(), world.all::<PersistentVolumeClaim>());
        let storage = self.storage.get_or_init(|| snapshot::storage(volumes, claims, world.all::<CsiNode>()));
        let (volumes, options) = (Volumes::of(storage), &self.protection.options);
        fits(&snapshot::pod(pod), &snapshot::node(node), &others, &volumes, options).is_ok()
    }

    fn receives(&self, node: &Node) -> bool {
        let claim = self.world.indexed::<NodeClaim>(node.name()).into_iter().next();
        let pool = node.label(NODE_POOL).and_then(|pool| self.world.named::<NodePool>(pool));
        self.protection.receives(node, claim, pool)
    }

    fn put(&mut self, pod: &'a Pod, name: &str) {
        if let Some(free) = self.free.get_mut(name) {
            take(free, &requests_of(pod));
        }
        if let Some(node) = self.world.named::<Node>(name) {
            self.expected.entry(node.name()).or_default().push(pod);
        }
        self.neighbours.put(pod, name);
    }
}

/// How many of the nodes that can take a pod kube-scheduler looks at, in a cluster of so many nodes: all up to a hundred, then
/// half of the nodes less a percent for each 125, at least a twentieth. Source: `numFeasibleNodesToFind` of kube-scheduler with
/// its default `percentageOfNodesToScore`.
fn scored(nodes: usize) -> usize {
    let percent = 50_usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(100)
}

/// The pods of an owner that have not ended.
pub(super) fn siblings<'a>(world: &'a World<RebalancePlans>, owner: &str) -> Vec<&'a Pod> {
    world.owned_by::<Pod>(owner).into_iter().filter(|pod| !pod.has_ended()).collect()
}

/// How many of these pods beside this one do not serve, or will not soon.
pub(super) fn not_serving(siblings: &[&Pod], beside: &Pod) -> usize {
    siblings.iter().filter(|one| one.uid() != beside.uid() && !(one.is_ready() && one.deleting().is_none())).count()
}

/// How many pods of an owner of so many may be on their way at once: a quarter, and at least one. One of a StatefulSet, whose
/// members have an order and often a quorum, and of what everything else hangs on: DNS, Karpenter, and ourselves.
pub(super) fn share(owner: &str, pod: &Pod, siblings: usize) -> usize {
    let app = [K8S_APP, APP_NAME].into_iter().find_map(|key| pod.label(key)).unwrap_or_default();
    let is_vital = ["kube-dns", "coredns", "karpenter", "kentroller"].contains(&app);
    if owner == "StatefulSet" || is_vital { 1 } else { (siblings / 4).max(1) }
}

/// The ending pods whose successor is not there yet, by uid of their owner. A successor comes after its predecessor was told
/// to end, and takes the place of one; an owner that wants fewer pods by now is waited for until they have ended.
fn to_come<'a>(
    world: &'a World<RebalancePlans>,
    ending: impl Iterator<Item = &'a Pod>,
) -> BTreeMap<&'a str, Vec<&'a Pod>> {
    let mut by_owner: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in ending {
        let soon = pod.deleting().is_some_and(|asked| world.now().duration_since(asked) < SETTLE_TIMEOUT);
        if let Some(owner) = pod.controller().filter(|_| soon) {
            by_owner.entry(&owner.uid).or_default().push(pod);
        }
    }
    by_owner.retain(|owner, ending| {
        let siblings = world.owned_by::<Pod>(owner);
        let mut came: Vec<Timestamp> =
            siblings.iter().filter(|pod| pod.deleting().is_none()).map(|pod| pod.created()).collect();
        came.sort();
        ending.sort_by_key(|pod| std::cmp::Reverse(pod.deleting()));
        ending.retain(|pod| came.pop_if(|came| Some(*came) >= pod.deleting()).is_none());
        !ending.is_empty()
    });
    by_owner
}

/// Whether the scheduler puts pods on the node.
pub(super) fn is_open(node: &Node) -> bool {
    node.is_ready() && !node.spec.unschedulable && node.deleting().is_none()
}

fn is_within(wanted: &Resources, free: &Resources) -> bool {
    wanted.iter().all(|(what, much)| free.get(what).is_some_and(|free| free >= much))
}

fn take<'a>(free: &mut Resources, wanted: impl IntoIterator<Item = (&'a String, &'a Quantity)>) {
    for (what, much) in wanted {
        if let Some(left) = free.get_mut(what) {
            *left = Quantity::thousandths(left.milli() - much.milli());
        }
    }
}
