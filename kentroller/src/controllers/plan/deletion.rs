//! The second phase of a wave: old nodes are cordoned, emptied and given back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kentroller_runtime::condition::seconds;
use kentroller_runtime::{Guard, Kind, ObjectKey};

use super::room::Room;
use super::slots::Count;
use super::steering::MovingPod;
use super::{PlanStep, Progress, RebalancePlans, marking};
use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
use crate::api::{DeletionEvent, DeletionPhase, DeletionStatus, NodeDeletion, marks};
use crate::controllers::{after, duration};

/// How long a drain may take before its node is kept.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20 * 60);
/// How long a node is held whose pods have nowhere to go.
const STUCK_TIMEOUT: Duration = Duration::from_secs(3 * 60);
/// How many of the things that are waited for are told.
const MOST_TOLD: usize = 4;
/// Deletion events that a node keeps.
const MOST_EVENTS: usize = 10;

/// How a node of the wave stands.
enum Look<'a> {
    /// These pods still have to leave it.
    Leaves(Vec<MovingPod<'a>>),
    /// For this is waited.
    Waits(String),
    /// It is empty, and Karpenter ends this node.
    Ends(String),
    /// It was kept: nothing more happens to it.
    Stays,
}

impl<'a> PlanStep<'a> {
    /// Drains the nodes of the wave as far as slots and room allow.
    pub(super) fn remove_nodes(&mut self, wave: u32) -> Progress {
        self.note_gone();
        let plan = self.plan;
        let of_wave = plan.spec.node_claims_to_delete.iter().filter(|one| one.wave == wave);
        let claims: Vec<&NodeClaim> =
            of_wave.filter_map(|one| self.world.named::<NodeClaim>(&one.node_claim_name)).collect();
        let mut room = Room::of(self.world, &self.leaving(), self.receiver().as_deref(), self.began());
        let mut counts = self.count_pools();
        let (mut waits, mut moving, mut ending) = (Vec::new(), Vec::new(), Vec::new());
        for claim in claims {
            match self.look_at(claim, &mut counts) {
                Look::Stays => {}
                Look::Leaves(pods) => moving.extend(pods),
                Look::Waits(what) => waits.push(what),
                Look::Ends(node) => ending.push(format!("Karpenter to end node {node}")),
            }
        }
        if !moving.is_empty() {
            waits.extend(self.steer(moving, &mut room));
        }
        self.report_budgets(&counts);
        // The next wave goes on while Karpenter ends the machines of this one; each holds its slot until it is gone.
        if wave == self.last_wave() {
            waits.append(&mut ending);
            waits.extend(self.ending_before(wave).map(|name| format!("Karpenter to end node {name}")));
        }
        if waits.is_empty() {
            return Progress::Done;
        }
        let more = waits.len().saturating_sub(MOST_TOLD);
        waits.truncate(MOST_TOLD);
        Progress::Waits(waits.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() })
    }

    /// Looks at one node of the wave, and takes its next step.
    fn look_at(&mut self, claim: &NodeClaim, counts: &mut BTreeMap<String, Count>) -> Look<'a> {
        let name = claim.status.node_name.clone();
        if self.phase(&name) == Some(DeletionPhase::Kept) {
            return Look::Stays;
        }
        let Some(node) = self.world.named::<Node>(&name) else {
            return Look::Waits(format!("the node of NodeClaim {}", claim.name()));
        };
        let pods: Vec<&'a Pod> = self.world.indexed::<Pod>(&name).into_iter().filter(|pod| pod.is_workload()).collect();
        if claim.deleting().is_some() {
            // Whoever deleted it: while pods leave it, they are on their way.
            return if pods.is_empty() {
                Look::Ends(name)
            } else {
                Look::Waits(format!("Karpenter to end node {name}"))
            };
        }
        let is_cordoned = marking::is_cordoned_by(node, self.plan.uid());
        let bears_our_mark = node.annotation(marks::CORDONED_BY) == Some(self.plan.uid());
        if bears_our_mark && !is_cordoned && self.phase(&name) == Some(DeletionPhase::Draining) {
            self.keep(node, DeletionStatus::NodeUncordoned, "somebody made it schedulable again");
            return Look::Waits(format!("node {name} to be left alone"));
        }
        if let Some(why) = self.what_holds(node, claim, &pods) {
            return Look::Waits(self.block(node, &why));
        }
        if is_cordoned {
            self.unblock(&name);
            return self.drain(claim, node, pods);
        }
        if self.take_slot(node, counts) {
            self.cordon(claim, node);
            return Look::Waits(format!("node {name} to be cordoned"));
        }
        Look::Waits(format!("a disruption slot for node {name}"))
    }

    fn cordon(&mut self, claim: &NodeClaim, node: &Node) {
        let (name, uid) = (node.name(), self.plan.uid());
        self.unblock(name);
        self.event_of(name, DeletionStatus::NodeCordoned, "cordoned");
        let now = seconds(self.world.now());
        let course = self.course_of(name);
        course.cordon_time.get_or_insert(now);
        course.phase = Some(DeletionPhase::Draining);
        // The label on the claim too: its deletion then carries the version that was read with our mark.
        self.out.merge(claim, marking::label(uid));
        let told = format!("node {name} is being drained");
        self.out.merge(node, marking::cordon(uid)).says(RebalancePlans::NodeDraining, told);
    }

    /// Looks at a cordoned node: its pods have to leave, or it is empty and is given back, or it took too long and is kept.
    fn drain(&mut self, claim: &NodeClaim, node: &Node, pods: Vec<&'a Pod>) -> Look<'a> {
        let name = node.name().to_owned();
        if pods.is_empty() {
            self.give_back(claim, &name);
            return Look::Waits(format!("Karpenter to end node {name}"));
        }
        if self.drain_is_over(&name) || self.is_stuck_for_long(&name) {
            self.keep(node, DeletionStatus::Failed, "not drained in time");
            return Look::Waits(format!("node {name} to be made schedulable again"));
        }
        let planned: BTreeMap<(&str, &str), &str> = self
            .plan
            .spec
            .pods_to_migrate
            .iter()
            .map(|pod| ((pod.namespace.as_str(), pod.name.as_str()), pod.dst_node_claim_name.as_str()))
            .collect();
        let planned_for = |pod: &Pod| {
            let claim = planned.get(&(pod.metadata.namespace.as_ref(), pod.name()))?;
            Some(self.node_of(claim))
        };
        Look::Leaves(pods.into_iter().map(|pod| MovingPod { planned: planned_for(pod), pod }).collect())
    }

    /// Why the node must not go now, if it must not.
    fn what_holds(&self, node: &Node, claim: &NodeClaim, pods: &[&Pod]) -> Option<String> {
        let pool = node.label(marks::NODE_POOL).and_then(|pool| self.world.named::<NodePool>(pool));
        let of_node = self.protection.holds_node(node, claim, pool, self.plan, pods.is_empty());
        of_node.or_else(|| self.held_pod(pods))
    }

    /// Something forbids that the node goes: it is looked at again for a while, and then kept. Says what is waited for.
    fn block(&mut self, node: &Node, why: &str) -> String {
        let (name, now) = (node.name().to_owned(), seconds(self.world.now()));
        self.event_of(&name, DeletionStatus::Blocked, why);
        let course = self.course_of(&name);
        course.phase.get_or_insert(DeletionPhase::Blocked);
        let since = *course.blocked_since.get_or_insert(now);
        let end = after(since, STUCK_TIMEOUT);
        self.out.look_at(end);
        if self.world.now() >= end {
            self.keep(node, DeletionStatus::Failed, why);
        }
        format!("node {name} ({why})")
    }

    fn unblock(&mut self, name: &str) {
        if let Some(course) = self.status.nodes_deletion.get_mut(name) {
            course.blocked_since = None;
        }
    }

    /// Deletes the NodeClaim of an empty node, if a last look finds that it still is, and that the new nodes are Ready.
    fn give_back(&mut self, claim: &NodeClaim, name: &str) {
        let uid = self.plan.uid();
        if claim.label(marks::PLAN) != Some(uid) {
            // Refused when the node was cordoned: the deletion has to carry a version that was read with our mark.
            self.out.merge(claim, marking::label(uid));
            return;
        }
        let (node_name, new_nodes, plan) = (name.to_owned(), self.new_nodes(), uid.to_owned());
        let mut guard = Guard::<RebalancePlans>::that(move |fresh| {
            let nodes = fresh.all::<Node>()?;
            still_empty(&fresh.all::<Pod>()?, &node_name)?;
            still_ours(&nodes, &node_name, &plan)?;
            ready(&nodes, &new_nodes)
        });
        guard = guard.list::<Pod>(format!("spec.nodeName={name}")).get::<Node>(ObjectKey::cluster(name));
        for node in self.new_nodes() {
            guard = guard.get::<Node>(ObjectKey::cluster(node));
        }
        let (told, refused) = (format!("node {name} was empty and is given back"), format!("node {name}"));
        self.event_of(name, DeletionStatus::InProgress, "empty; its NodeClaim is deleted");
        self.course_of(name).phase = Some(DeletionPhase::Ending);
        self.out
            .delete(claim)
            .only_if(guard)
            .says(RebalancePlans::NodeRemoved, told)
            .or_says(RebalancePlans::NodeRemovalRefused, refused);
    }

    /// The node stays and takes pods again, if it was we who cordoned it.
    fn keep(&mut self, node: &Node, status: DeletionStatus, why: &str) {
        let name = node.name().to_owned();
        let was_drained = status == DeletionStatus::Failed && marking::is_cordoned_by(node, self.plan.uid());
        self.event_of(&name, status, &format!("{why}; kept"));
        self.course_of(&name).phase = Some(DeletionPhase::Kept);
        if node.label(marks::PLAN) == Some(self.plan.uid()) {
            self.out.merge(node, marking::keep(node, self.plan.uid(), was_drained));
        }
        self.out.event(RebalancePlans::NodeKept, format!("node {name} is kept: {why}"));
        self.warn(format!("node {name} is kept: {why}"));
    }

    fn drain_is_over(&self, name: &str) -> bool {
        let config = self.plan.spec.aggressive_mode.as_ref().and_then(|config| config.drain_timeout.as_deref());
        let Some(course) = self.status.nodes_deletion.get(name) else { return false };
        // A status of an older version has the first event only.
        let began = course.cordon_time.or_else(|| course.events.first().map(|first| first.timestamp));
        began.is_some_and(|began| self.world.now() >= after(began, duration(config, DRAIN_TIMEOUT)))
    }

    /// Nodes of earlier waves whose machine is not gone so far.
    fn ending_before(&self, wave: u32) -> impl Iterator<Item = &'a str> {
        let (plan, world) = (self.plan, self.world);
        let earlier = plan.spec.node_claims_to_delete.iter().filter(move |one| one.wave < wave);
        let claims = earlier.filter_map(|one| world.named::<NodeClaim>(&one.node_claim_name));
        claims.filter(|claim| claim.deleting().is_some()).map(|claim| claim.status.node_name.as_str())
    }

    /// How many nodes could not be drained and stay.
    pub(super) fn kept(&self) -> usize {
        self.status.nodes_deletion.keys().filter(|name| self.phase(name) == Some(DeletionPhase::Kept)).count()
    }

    /// Notes that nothing more can leave the draining nodes of the wave as the cluster is now, or that it can again.
    pub(super) fn note_stuck(&mut self, is_stuck: bool) {
        let now = seconds(self.world.now());
        let mut draining: Vec<String> = self.status.nodes_deletion.keys().cloned().collect();
        draining.retain(|name| self.phase(name) == Some(DeletionPhase::Draining));
        for name in &draining {
            let since = &mut self.course_of(name).stuck_since;
            let was_stuck = since.is_some();
            *since = is_stuck.then(|| since.unwrap_or(now));
            if is_stuck {
                self.event_of(name, DeletionStatus::InProgress, "no room for its pods");
            } else if was_stuck {
                self.event_of(name, DeletionStatus::InProgress, "its pods move again");
            }
        }
    }

    fn is_stuck_for_long(&self, name: &str) -> bool {
        let since = self.status.nodes_deletion.get(name).and_then(|course| course.stuck_since);
        since.is_some_and(|since| self.world.now() >= after(since, STUCK_TIMEOUT))
    }

    /// Nodes whose course ended with their disappearance.
    fn note_gone(&mut self) {
        let open: Vec<String> = self.status.nodes_deletion.keys().cloned().collect();
        for name in open {
            let gone = self.world.named::<Node>(&name).is_none();
            let went = matches!(self.phase(&name), Some(DeletionPhase::Draining | DeletionPhase::Ending));
            if gone && went {
                self.event_of(&name, DeletionStatus::Success, "gone");
                self.course_of(&name).phase = Some(DeletionPhase::Gone);
            }
        }
    }

    /// All nodes that the plan empties, in this wave and later ones.
    fn leaving(&self) -> BTreeSet<String> {
        let claims = self.plan.spec.node_claims_to_delete.iter();
        let nodes = claims.filter_map(|one| self.world.named::<NodeClaim>(&one.node_claim_name));
        let kept = |name: &str| self.phase(name) == Some(DeletionPhase::Kept);
        nodes.map(|claim| claim.status.node_name.clone()).filter(|name| !name.is_empty() && !kept(name)).collect()
    }

    /// The nodes that this plan made: those of this wave, and of earlier ones what is left. One of this wave that is gone has
    /// the name of its NodeClaim.
    fn new_nodes(&self) -> Vec<String> {
        let wave = self.status.wave.unwrap_or(0);
        let adds = self.plan.spec.node_claims_to_add.iter().filter(|add| add.wave <= wave);
        let made = adds.filter_map(|add| {
            let last = self.status.nodes_creation.get(&add.metadata.name)?.attempts.last()?;
            match self.world.named::<NodeClaim>(&last.node_claim_name) {
                Some(claim) => Some(claim.status.node_name.clone()),
                None => (add.wave == wave).then(|| last.node_claim_name.clone()),
            }
        });
        made.filter(|name| !name.is_empty()).collect()
    }

    /// Whether a node that the wave takes away was cordoned, or has gone.
    pub(super) fn has_touched(&self, wave: u32) -> bool {
        let mut of_wave = self.plan.spec.node_claims_to_delete.iter().filter(|one| one.wave == wave);
        of_wave.any(|one| {
            let claim = self.world.named::<NodeClaim>(&one.node_claim_name);
            claim.is_none_or(|claim| {
                let course = self.status.nodes_deletion.get(&claim.status.node_name);
                course.is_some_and(|course| course.cordon_time.is_some())
            })
        })
    }

    /// The node of a destination of the plan, which is named by its NodeClaim, of whatever attempt.
    fn node_of(&self, claim: &str) -> String {
        let made = self.status.nodes_creation.get(claim).and_then(|creation| creation.attempts.last());
        let name = made.map_or(claim, |attempt| attempt.node_claim_name.as_str());
        self.world.named::<NodeClaim>(name).map_or_else(|| claim.to_owned(), |claim| claim.status.node_name.clone())
    }

    fn phase(&self, name: &str) -> Option<DeletionPhase> {
        self.status.nodes_deletion.get(name)?.phase()
    }

    fn course_of(&mut self, name: &str) -> &mut NodeDeletion {
        let course = NodeDeletion { name: name.to_owned(), ..NodeDeletion::default() };
        self.status.nodes_deletion.entry(name.to_owned()).or_insert(course)
    }

    fn event_of(&mut self, name: &str, status: DeletionStatus, what: &str) {
        let timestamp = seconds(self.world.now());
        let events = &mut self.course_of(name).events;
        if events.last().is_some_and(|last| last.status == status && last.description.as_deref() == Some(what)) {
            return;
        }
        events.push(DeletionEvent { description: Some(what.to_owned()), migration_plan_name: None, status, timestamp });
        if events.len() > MOST_EVENTS {
            events.remove(1);
        }
    }
}

/// No pod came to the node since its pods were listed.
fn still_empty(pods: &[Pod], node: &str) -> Result<(), String> {
    match pods.iter().find(|pod| *pod.spec.node_name == *node && pod.is_workload()) {
        Some(pod) => Err(format!("pod {} is on the node", pod.key())),
        None => Ok(()),
    }
}

/// It is cordoned, by us, and nobody has shielded it.
fn still_ours(nodes: &[Node], name: &str, plan: &str) -> Result<(), String> {
    let Some(node) = nodes.iter().find(|node| node.name() == name) else { return Ok(()) };
    if !marking::is_cordoned_by(node, plan) {
        return Err(format!("node {name} is not cordoned any more"));
    }
    match node.annotation(marks::DO_NOT_DISRUPT) {
        Some("true") => Err(format!("node {name} has annotation {}", marks::DO_NOT_DISRUPT)),
        _ => Ok(()),
    }
}

/// Every node that the plan made is there and Ready.
fn ready(nodes: &[Node], new_nodes: &[String]) -> Result<(), String> {
    let is_ready = |name: &String| nodes.iter().any(|node| node.name() == name && node.is_ready());
    match new_nodes.iter().find(|name| !is_ready(name)) {
        Some(name) => Err(format!("new node {name} is not Ready")),
        None => Ok(()),
    }
}
