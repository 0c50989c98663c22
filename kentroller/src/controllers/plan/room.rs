//! Where an evicted pod's successor can go on the live cluster. kube-scheduler places it, not we: a pod that fits nowhere
//! is not evicted, and each eviction counts for the next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kentroller_planner::Quantity;
use kentroller_planner::manifest::Resources;
use kentroller_runtime::{Kind, World};

use super::RebalancePlans;
use super::neighbours::Neighbours;
use crate::api::foreign::{Node, Pod, requests_of};
use crate::api::marks::{APP_NAME, K8S_APP};

/// How many pods may be on their way, without a node or not Ready, while more are moved.
const MOST_MOVING: usize = 20;
/// A pod that takes longer to end, or to get a node, is not waited for: others move meanwhile.
const SETTLE_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// What is free where, in one cut; evictions decided in the same look are counted as they are made.
pub(super) struct Room<'a> {
    world: &'a World<RebalancePlans>,
    free: BTreeMap<&'a str, Resources>,
    neighbours: Neighbours<'a>,
    /// Pods that are on their way: they leave a node of the plan, or came since it began and are not Ready so far.
    moving: usize,
    /// Pods that will have a node soon, and do not have it.
    unsettled: usize,
    /// By uid of the owner: ending pods whose successor is not there yet.
    to_come: BTreeMap<&'a str, Vec<&'a Pod>>,
    /// By uid of the owner: evictions of this look.
    evicted: BTreeMap<&'a str, usize>,
}

impl<'a> Room<'a> {
    /// Looks at all nodes that may take pods: Ready, schedulable, and not among those that the plan empties. Pods without
    /// a node, and successors that are still to come, are expected on `receiver`. Pods that came before the plan `began`
    /// and are not Ready are not counted as moving: that is not our doing.
    pub(super) fn of(
        world: &'a World<RebalancePlans>,
        leaving: &BTreeSet<String>,
        receiver: Option<&str>,
        began: Timestamp,
    ) -> Self {
        let occupancy = world.view::<Pod>();
        let open = world.all::<Node>().filter(|node| is_open(node) && !leaving.contains(node.name()));
        let free = open.map(|node| {
            let mut free = node.status.allocatable.clone();
            take(&mut free, occupancy.taken(node.name()).into_iter().flatten());
            (node.name(), free)
        });
        let unwell: Vec<&Pod> = occupancy.moving().filter_map(|key| world.lookup::<Pod>(key).present()).collect();
        let leaves = |pod: &&Pod| pod.deleting().is_some() && leaving.contains(&*pod.spec.node_name);
        let to_come = to_come(world, unwell.iter().copied().filter(leaves));
        let moving = unwell.iter().filter(|pod| leaves(pod) || (pod.deleting().is_none() && pod.created() >= began));
        let mut waiting: Vec<&Pod> = unwell.iter().copied().filter(|pod| pod.spec.node_name.is_empty()).collect();
        let soon = |pod: &&&Pod| pod.created() >= began && world.now().duration_since(pod.created()) < SETTLE_TIMEOUT;
        let unsettled = waiting.iter().filter(soon).count() + to_come.values().map(Vec::len).sum::<usize>();
        waiting.extend(to_come.values().flatten());
        let mut room = Self {
            world,
            free: free.collect(),
            neighbours: Neighbours::of(world, &occupancy),
            moving: moving.count(),
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
        let siblings: Vec<&Pod> =
            self.world.owned_by::<Pod>(&owner.uid).into_iter().filter(|pod| !pod.has_ended()).collect();
        // A pod that does not serve is no loss to its owner: it may leave.
        let well = siblings.iter().filter(|one| one.uid() == pod.uid() || (one.is_ready() && one.deleting().is_none()));
        let unwell = siblings.len() - well.count() + self.evicted.get(owner.uid.as_str()).copied().unwrap_or(0);
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

    /// Whether the scheduler could put the pod on the node.
    pub(super) fn takes(&self, pod: &Pod, name: &str) -> bool {
        let node = self.world.named::<Node>(name);
        self.has_room(&requests_of(pod), name) && node.is_some_and(|node| self.neighbours.demands(pod).admit(pod, node))
    }

    /// The fullest node that could take the pod.
    pub(super) fn best(&self, pod: &Pod) -> Option<String> {
        let (wanted, demands) = (requests_of(pod), self.neighbours.demands(pod));
        let cpu = |free: &Resources| free.get("cpu").copied().unwrap_or_default();
        let fitting = self.free.iter().filter(|(name, _)| {
            let node = self.world.named::<Node>(name);
            self.has_room(&wanted, name) && node.is_some_and(|node| demands.admit(pod, node))
        });
        fitting.min_by_key(|(_, free)| cpu(free)).map(|(name, _)| (*name).to_owned())
    }

    fn has_room(&self, wanted: &Resources, name: &str) -> bool {
        let Some(free) = self.free.get(name) else { return false };
        wanted.iter().all(|(what, much)| free.get(what).is_some_and(|free| free >= much))
    }

    fn put(&mut self, pod: &'a Pod, name: &str) {
        if let Some(free) = self.free.get_mut(name) {
            take(free, &requests_of(pod));
        }
        self.neighbours.put(pod, name);
    }
}

/// How many pods of an owner of so many may be on their way at once: a quarter, and at least one. One of a StatefulSet, whose
/// members have an order and often a quorum, and of what everything else hangs on: DNS, Karpenter, and ourselves.
fn share(owner: &str, pod: &Pod, siblings: usize) -> usize {
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

fn take<'a>(free: &mut Resources, wanted: impl IntoIterator<Item = (&'a String, &'a Quantity)>) {
    for (what, much) in wanted {
        if let Some(left) = free.get_mut(what) {
            *left = Quantity::thousandths(left.milli() - much.milli());
        }
    }
}
