//! Whether an evicted pod's successor will find a place: kube-scheduler places, not we, so nothing is evicted that fits
//! nowhere.

use std::collections::{BTreeMap, BTreeSet};

use kentroller_planner::{Quantity, manifest};
use kentroller_runtime::{Kind, World};

use super::RebalancePlans;
use crate::api::foreign::{Node, Pod};

/// Moved pods in the whole cluster that may be without a node or not Ready at once.
const MOVING: usize = 20;

type Resources = BTreeMap<String, Quantity>;

/// What is free where, in one cut; evictions decided in the same look are counted as they are made.
pub(super) struct Room<'a> {
    world: &'a World<RebalancePlans>,
    free: BTreeMap<String, Resources>,
    /// Pods that are on their way: ended, or not Ready so far.
    moving: usize,
    /// By uid of the controller: pods wanted and pods that are Ready.
    owners: BTreeMap<String, (usize, usize)>,
}

impl<'a> Room<'a> {
    /// Looks at all nodes that may take pods: Ready, schedulable, and not among those that the plan empties.
    pub(super) fn of(world: &'a World<RebalancePlans>, leaving: &BTreeSet<String>) -> Self {
        let mut room = Self { world, free: BTreeMap::new(), moving: 0, owners: BTreeMap::new() };
        for node in world.all::<Node>() {
            let open = node.is_ready() && !node.spec.unschedulable && node.deleting().is_none();
            if open && !leaving.contains(node.name()) {
                room.free.insert(node.name().to_owned(), node.status.allocatable.clone());
            }
        }
        let mut waiting: Vec<&Pod> = Vec::new();
        for pod in world.all::<Pod>().filter(|pod| !pod.has_ended()) {
            if let Some(owner) = pod.controller() {
                let (all, ready) = room.owners.entry(owner.uid.clone()).or_default();
                *all += 1;
                *ready += usize::from(pod.is_ready() && pod.deleting().is_none());
            }
            if !pod.is_daemon() && !(pod.is_ready() && pod.deleting().is_none()) {
                room.moving += 1;
            }
            if pod.spec.node_name.is_empty() {
                waiting.push(pod);
            } else if let Some(free) = room.free.get_mut(&pod.spec.node_name) {
                take(free, &requests(pod));
            }
        }
        for pod in waiting {
            room.place(pod, None);
        }
        room
    }

    /// Whether the pod may be evicted now; if so, its place is taken.
    ///
    /// # Errors
    /// What it waits for.
    pub(super) fn move_out(&mut self, pod: &Pod, planned: Option<&str>) -> Result<(), String> {
        if self.moving >= MOVING {
            return Err(format!("{} pods to be Ready", self.moving));
        }
        let owner = pod.controller().map(|owner| owner.uid.clone()).unwrap_or_default();
        if let Some((all, ready)) = self.owners.get(&owner) {
            // Never more than a quarter of one owner's pods, and never a second one beside the last that was moved.
            let missing = all - ready;
            if missing >= (all / 4).max(1) {
                return Err(format!("{missing} pods beside {} to be Ready", pod.key()));
            }
        }
        if !self.place(pod, planned) {
            return Err(format!("room for {}", pod.key()));
        }
        self.moving += 1;
        if let Some((_, ready)) = self.owners.get_mut(&owner) {
            *ready = ready.saturating_sub(1);
        }
        Ok(())
    }

    /// Takes room for the pod on the planned node or else on the one with the most to spare; says whether there is one.
    fn place(&mut self, pod: &Pod, planned: Option<&str>) -> bool {
        let wanted = requests(pod);
        let fits = |name: &str, free: &Resources| {
            let node = self.world.named::<Node>(name);
            node.is_some_and(|node| admits(node, pod)) && wanted.iter().all(|(what, much)| free.get(what).is_some_and(|free| free >= much))
        };
        let named = planned.filter(|name| self.free.get(*name).is_some_and(|free| fits(name, free))).map(str::to_owned);
        let chosen = named.or_else(|| {
            let cpu = |free: &Resources| free.get("cpu").copied().unwrap_or_default();
            let all = self.free.iter().filter(|(name, free)| fits(name, free));
            all.max_by_key(|(_, free)| cpu(free)).map(|(name, _)| name.clone())
        });
        let Some(free) = chosen.and_then(|name| self.free.get_mut(&name)) else { return false };
        take(free, &wanted);
        true
    }
}

fn take(free: &mut Resources, wanted: &Resources) {
    for (what, much) in wanted {
        if let Some(left) = free.get_mut(what) {
            *left = Quantity::thousandths(left.milli() - much.milli());
        }
    }
}

/// What the pod takes of a node, its place among the node's pods included.
fn requests(pod: &Pod) -> Resources {
    let mut wanted = kentroller_planner::requests::of_shape(&pod.spec.shape);
    wanted.insert("pods".to_owned(), Quantity::whole(1));
    wanted.retain(|_, much| *much > Quantity::default());
    wanted
}

/// Whether the node's taints and labels admit the pod, by what can be told from the two alone.
fn admits(node: &Node, pod: &Pod) -> bool {
    let shape = &pod.spec.shape;
    let blocked = |taint: &manifest::Taint| {
        taint.effect != manifest::Effect::PreferNoSchedule && !shape.tolerations.iter().any(|one| one.tolerates(taint))
    };
    if node.spec.taints.iter().any(blocked) {
        return false;
    }
    let labels = &node.metadata.labels;
    if shape.node_selector.iter().any(|(key, value)| labels.get(key) != Some(value)) {
        return false;
    }
    let required = shape.affinity.node_affinity.required.as_ref();
    required.is_none_or(|terms| terms.node_selector_terms.iter().any(|term| term.matches(node.name(), labels) == Some(true)))
}
