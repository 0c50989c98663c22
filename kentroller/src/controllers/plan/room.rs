//! Where an evicted pod's successor can go, on the live cluster: kube-scheduler places, not we, so nothing is evicted
//! that fits nowhere, and each eviction counts for the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kentroller_planner::Quantity;
use kentroller_planner::manifest::PodShape;
use kentroller_runtime::{Kind, World};

use super::RebalancePlans;
use super::neighbours::Neighbours;
use crate::api::foreign::{Node, Pod};

/// Pods of the whole cluster that may be without a node or not Ready while we move more.
const MOVING: usize = 20;

type Resources = BTreeMap<String, Quantity>;

/// What is free where, in one cut; evictions decided in the same look are counted as they are made.
pub(super) struct Room<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    free: BTreeMap<&'a str, Resources>,
    /// What pods take, by the place of their shape in memory: pods of one template share it.
    wanted: BTreeMap<*const PodShape, Resources>,
    neighbours: Neighbours<'a>,
    /// Pods that are on their way: ended, or not Ready so far.
    moving: usize,
    /// Pods without a node.
    unbound: usize,
    /// By uid of the controller: pods there are, and pods that are Ready.
    owners: BTreeMap<&'a str, (usize, usize)>,
}

impl<'a> Room<'a> {
    /// Looks at all nodes that may take pods: Ready, schedulable, and not among those that the plan empties. Pods that
    /// have no node so far are expected on `receiver`.
    pub(super) fn of(world: &'a World<RebalancePlans>, leaving: &BTreeSet<String>, receiver: Option<&str>) -> Self {
        let nodes: BTreeMap<&str, &Node> = world.all::<Node>().map(|node| (node.name(), node)).collect();
        let open = nodes.values().filter(|node| is_open(node) && !leaving.contains(node.name()));
        let free = open.map(|node| (node.name(), node.status.allocatable.clone())).collect();
        let pods: Vec<&Pod> = world.all::<Pod>().filter(|pod| !pod.has_ended()).collect();
        let neighbours = Neighbours::of(&nodes, &pods);
        let mut wanted = BTreeMap::new();
        for pod in &pods {
            wanted.entry(Arc::as_ptr(&pod.spec.shape)).or_insert_with(|| requests(&pod.spec.shape));
        }
        let mut room = Self { nodes, free, wanted, neighbours, moving: 0, unbound: 0, owners: BTreeMap::new() };
        let mut waiting: Vec<&Pod> = Vec::new();
        for pod in pods {
            let well = pod.is_ready() && pod.deleting().is_none();
            if let Some(owner) = pod.controller() {
                let (all, ready) = room.owners.entry(&owner.uid).or_default();
                *all += 1;
                *ready += usize::from(well);
            }
            room.moving += usize::from(!pod.is_daemon() && !well);
            if pod.spec.node_name.is_empty() {
                waiting.push(pod);
            } else if let Some(free) = room.free.get_mut(pod.spec.node_name.as_str()) {
                take(free, &room.wanted, pod);
            }
        }
        room.unbound = waiting.len();
        for pod in waiting {
            let expected = receiver.filter(|name| room.takes(pod, name)).map(str::to_owned).or_else(|| room.best(pod));
            if let Some(name) = expected {
                room.put(pod, &name);
            }
        }
        room
    }

    /// Whether pods wait for a node.
    pub(super) fn has_unbound(&self) -> bool {
        self.unbound > 0
    }

    /// Whether the pod may be ended now, wherever its successor goes.
    ///
    /// # Errors
    /// What it waits for.
    pub(super) fn may_end(&self, pod: &Pod) -> Result<(), String> {
        if self.moving >= MOVING {
            return Err(format!("{} pods to be Ready", self.moving));
        }
        let owner = pod.controller().and_then(|owner| self.owners.get(owner.uid.as_str()));
        match owner {
            // Never more than a quarter of one owner's pods at once, and at least one.
            Some((all, ready)) if all - ready >= (all / 4).max(1) => {
                Err(format!("{} pods beside {} to be Ready", all - ready, pod.key()))
            }
            _ => Ok(()),
        }
    }

    /// Counts the pod as moved to the node.
    pub(super) fn move_out(&mut self, pod: &'a Pod, to: &str) {
        self.put(pod, to);
        self.moving += 1;
        if let Some((_, ready)) = pod.controller().and_then(|owner| self.owners.get_mut(owner.uid.as_str())) {
            *ready = ready.saturating_sub(1);
        }
    }

    /// Whether the scheduler could put the pod on the node.
    pub(super) fn takes(&self, pod: &Pod, name: &str) -> bool {
        self.has_room(pod, name)
            && self.nodes.get(name).is_some_and(|node| self.neighbours.demands(pod).admit(pod, node))
    }

    /// The fullest node that could take the pod.
    pub(super) fn best(&self, pod: &Pod) -> Option<String> {
        let demands = self.neighbours.demands(pod);
        let cpu = |free: &Resources| free.get("cpu").copied().unwrap_or_default();
        let fitting = self.free.iter().filter(|(name, _)| {
            self.has_room(pod, name) && self.nodes.get(*name).is_some_and(|node| demands.admit(pod, node))
        });
        fitting.min_by_key(|(_, free)| cpu(free)).map(|(name, _)| (*name).to_owned())
    }

    fn has_room(&self, pod: &Pod, name: &str) -> bool {
        let Some(free) = self.free.get(name) else { return false };
        let wanted = self.wanted.get(&Arc::as_ptr(&pod.spec.shape));
        wanted.is_some_and(|wanted| wanted.iter().all(|(what, much)| free.get(what).is_some_and(|free| free >= much)))
    }

    fn put(&mut self, pod: &'a Pod, name: &str) {
        if let Some(free) = self.free.get_mut(name) {
            take(free, &self.wanted, pod);
        }
        if let Some((name, _)) = self.nodes.get_key_value(name) {
            self.neighbours.put(pod, name);
        }
    }
}

/// Whether the scheduler puts pods on the node.
pub(super) fn is_open(node: &Node) -> bool {
    node.is_ready() && !node.spec.unschedulable && node.deleting().is_none()
}

fn take(free: &mut Resources, wanted: &BTreeMap<*const PodShape, Resources>, pod: &Pod) {
    for (what, much) in wanted.get(&Arc::as_ptr(&pod.spec.shape)).into_iter().flatten() {
        if let Some(left) = free.get_mut(what) {
            *left = Quantity::thousandths(left.milli() - much.milli());
        }
    }
}

/// What a pod takes of a node, its place among the node's pods included.
fn requests(shape: &PodShape) -> Resources {
    let mut wanted = kentroller_planner::requests::of_shape(shape);
    wanted.insert("pods".to_owned(), Quantity::whole(1));
    wanted.retain(|_, much| *much > Quantity::default());
    wanted
}
