//! The second phase of a wave: old nodes are cordoned, emptied and given back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::condition::seconds;
use kentroller_runtime::{Guard, Kind, ObjectKey, Reply};

use super::protection::Beside;
use super::room::{Nodes, Room, siblings};
use super::slots::Slots;
use super::steering::MovingPod;
use super::waves::{ending, told};
use super::{PlanStep, Progress, RebalancePlans};
use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
use crate::api::{DeletionEvent, DeletionPhase, DeletionStatus, NodeDeletion, PodToMigrate, marks};
use crate::backend::snapshot;
use crate::controllers::course::{self, Cordon, Facts, Want};
use crate::controllers::{after, duration, marking};

/// How long a drain may take before its node is kept.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20 * 60);
/// How long a node whose drain took too long takes no pods.
const UNCORDON_AFTER: Duration = Duration::from_secs(30 * 60);
/// What pods have to end when a drain is forced: the grace period that Kubernetes gives a pod which names none.
const FORCED_GRACE: Duration = Duration::from_secs(30);
/// Deletion events that a node keeps.
const MOST_EVENTS: usize = 10;

/// How a node of the wave stands.
enum Look<'a> {
    /// These pods still have to leave it.
    Leaves(Vec<&'a Pod>),
    /// It is cordoned in this look, and these pods will have to leave it.
    Begins(Vec<&'a Pod>),
    /// For this is waited.
    Waits(String),
    /// It is empty, and Karpenter is told to end it.
    Ends,
    /// Nothing of it moves any more.
    Over,
}

impl<'a> PlanStep<'a> {
    /// Drains the nodes of the wave as far as slots and room allow. Its pods move only if it `is_first`: one wave steers.
    pub(super) fn remove_nodes(&mut self, wave: u32, is_first: bool) -> Progress {
        let opening = self.open(wave);
        let mut slots = self.slots();
        let (mut waits, mut lingers, mut begins, mut moving) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for claim in self.blues(wave) {
            match self.look_at(claim, wave, &mut slots) {
                Look::Over => {}
                Look::Ends => lingers.push(ending(&claim.status.node_name)),
                Look::Leaves(pods) => moving.extend(pods),
                Look::Begins(pods) => {
                    waits.push(format!("node {} to be cordoned", claim.status.node_name));
                    begins.extend(pods);
                }
                Look::Waits(what) => waits.push(what),
            }
        }
        if let Some(why) = &self.not_ready {
            waits.insert(0, why.clone());
            self.open_all();
        } else if !is_first && !moving.is_empty() {
            waits.push("the waves before it".to_owned());
        } else if is_first && !(moving.is_empty() && begins.is_empty()) {
            // What is being cordoned only has its way prepared; so has all while the nodes that it goes to are closed.
            let evicts = !moving.is_empty() && opening.is_empty();
            let moving = if moving.is_empty() { begins } else { moving };
            let (moving, mut room) = (self.with_places(moving), self.room(&opening));
            let (what, refused) = self.steer(moving, evicts, &mut room);
            waits.extend(what);
            lingers.extend(refused);
        } else if waits.is_empty() && lingers.is_empty() && !self.room(&opening).is_settled() {
            // Until then no other node may look better to them.
            lingers.push("the pods that were moved to have their places".to_owned());
        }
        if self.not_ready.is_none() && !(waits.is_empty() && lingers.is_empty()) {
            self.replace_lost(wave);
        }
        self.status.node_pool_budgets = slots.report();
        self.slots = Some(slots);
        match (waits.is_empty(), lingers.is_empty()) {
            (true, true) => Progress::Done,
            (true, false) => Progress::Lingers(lingers),
            (false, _) => Progress::Waits(told(waits.into_iter().chain(lingers))),
        }
    }

    /// What is free where, with nodes that are being opened.
    fn room<'o>(&self, opening: &'o BTreeMap<String, Node>) -> Room<'a, 'o> {
        let (protection, receiver) = (Arc::clone(&self.protection), self.status.receiver.as_deref());
        let nodes = Nodes { leaving: self.leaving(), opening, promised: self.promised() };
        Room::of(self.world, protection, nodes, receiver, &self.moved(), self.began())
    }

    /// By node: pods that the plan has for it and that are still where they were.
    fn promised(&self) -> BTreeMap<String, Vec<&'a Pod>> {
        let mut promised: BTreeMap<String, Vec<&'a Pod>> = BTreeMap::new();
        let stays = |planned: &PodToMigrate, pod: &Pod| *pod.spec.node_name == *planned.src_node;
        for (planned, pod) in
            self.planned_pods().filter(|(planned, pod)| pod.deleting().is_none() && stays(planned, pod))
        {
            promised.entry(self.node_of(&planned.dst_node_claim_name)).or_default().push(pod);
        }
        promised
    }

    /// The pods that the plan moves, as far as they are there under the name that it has for them.
    pub(super) fn planned_pods(&self) -> impl Iterator<Item = (&'a PodToMigrate, &'a Pod)> + use<'a> {
        let (plan, world) = (self.plan, self.world);
        plan.spec.pods_to_migrate.iter().filter_map(move |planned| {
            let key = ObjectKey::namespaced(planned.namespace.as_str(), planned.name.as_str());
            Some((planned, world.lookup::<Pod>(&key).present()?))
        })
    }

    /// Before the first wave: shields the nodes that go, and those that are to take pods, from Karpenter. Says how many are not
    /// shielded so far; a shield that somebody takes away later stays away.
    pub(super) fn shield_nodes(&mut self) -> usize {
        if !self.status.waves.is_empty() {
            return 0;
        }
        let spec = &self.plan.spec;
        let blues = spec.node_claims_to_delete.iter().map(|one| one.node_claim_name.as_str());
        let receivers = spec.pods_to_migrate.iter().map(|pod| pod.dst_node_claim_name.as_str());
        let names: BTreeSet<String> = blues.chain(receivers).map(|claim| self.node_of(claim)).collect();
        let nodes = names.iter().filter_map(|name| self.world.named::<Node>(name));
        let open = nodes.filter(|node| node.annotation(marks::FORMER_SHIELD).is_none() && node.deleting().is_none());
        let open: Vec<&Node> = open.collect();
        for node in &open {
            self.out.merge(*node, marking::shield(node, self.plan.uid()));
        }
        open.len()
    }

    /// The pods with the nodes that the plan has for them.
    fn with_places(&self, pods: Vec<&'a Pod>) -> Vec<MovingPod<'a>> {
        let planned = self.plan.spec.pods_to_migrate.iter();
        let planned: BTreeMap<(&str, &str), &str> = planned
            .map(|pod| ((pod.namespace.as_str(), pod.name.as_str()), pod.dst_node_claim_name.as_str()))
            .collect();
        let place = |pod: &Pod| planned.get(&(&*pod.metadata.namespace, pod.name())).map(|claim| self.node_of(claim));
        pods.into_iter().map(|pod| MovingPod { planned: place(pod), pod }).collect()
    }

    /// Looks at one node of the wave, and takes its next step.
    fn look_at(&mut self, claim: &NodeClaim, wave: u32, slots: &mut Slots) -> Look<'a> {
        let name = claim.status.node_name.clone();
        let Some(node) = self.world.named::<Node>(&name) else {
            return match self.phase(&name) {
                Some(DeletionPhase::Kept) => Look::Over,
                _ => Look::Waits(format!("the node of NodeClaim {}", claim.name())),
            };
        };
        let pods: Vec<&'a Pod> = self.world.indexed::<Pod>(&name).into_iter().filter(|pod| pod.is_workload()).collect();
        let facts = self.facts(claim, node, &pods, slots);
        let course = self.course_of(&name);
        course.wave = Some(wave);
        let want = course::next(course, &facts);
        if !matches!(want, Want::Block(_) | Want::Keep(..) | Want::Late) {
            self.course_of(&name).blocked_since = None;
        }
        if facts.ending_since.is_some() && self.phase(&name) == Some(DeletionPhase::Draining) {
            self.course_of(&name).phase = Some(DeletionPhase::Ending);
        }
        match want {
            Want::Nothing | Want::End => Look::Over,
            Want::Leave => Look::Waits(ending(&name)),
            // What is wrong with the pods that were moved may be wrong with those that are left.
            Want::Force | Want::Late if self.not_ready.is_some() => {
                Look::Waits(format!("node {name}, whose drain takes longer than it may"))
            }
            Want::Block(why) => {
                if claim.annotation(marks::ENDS_AT).is_some() && facts.ending_since.is_none() {
                    self.out.merge(claim, marking::end_never());
                }
                self.block(&name, &why);
                Look::Waits(format!("node {name} ({why})"))
            }
            Want::Wait(what) => Look::Waits(what),
            Want::Cordon => {
                slots.take(node);
                self.cordon(claim, node, wave);
                Look::Begins(pods)
            }
            Want::Drain => Look::Leaves(pods),
            Want::Delete => self.end_drained(claim, node, wave),
            Want::Force => {
                self.force(claim, &name, wave, &pods);
                Look::Waits(format!("Karpenter to end node {name} by force"))
            }
            Want::Keep(status, why) => {
                self.keep(claim, node, status, &why, None);
                Look::Waits(format!("node {name} to be left alone"))
            }
            Want::Late => {
                let pause = self.claim().and_then(|claim| claim.spec.uncordon_after.as_deref());
                let until = after(seconds(self.world.now()), duration(pause, UNCORDON_AFTER));
                self.keep(claim, node, DeletionStatus::Failed, "not drained in time", Some(until));
                Look::Waits(format!("node {name} to be left alone"))
            }
        }
    }

    /// Gives a drained node back, unless what came instead of it is lost or not there yet, or its deletion is refused.
    fn end_drained(&mut self, claim: &NodeClaim, node: &Node, wave: u32) -> Look<'a> {
        let name = node.name();
        let refused = if self.greens(wave).any(|add| self.is_exhausted(add)) {
            Some("what had come instead of it is lost".to_owned())
        } else if let Some(green) = self.new_nodes(wave).into_iter().find(|green| !self.is_there(green)) {
            return Look::Waits(format!("new node {green} to be Ready before node {name} is given back"));
        } else {
            self.is_refused(claim)
        };
        if let Some(why) = refused {
            self.keep(claim, node, DeletionStatus::Failed, &why, None);
            return Look::Waits(format!("node {name} to be left alone"));
        }
        self.give_back(claim, name, wave);
        Look::Ends
    }

    fn facts(&self, claim: &NodeClaim, node: &Node, pods: &[&Pod], slots: &Slots) -> Facts {
        let uid = self.plan.uid();
        let cordon = match node.annotation(marks::CORDONED_BY) == Some(uid) {
            true if node.spec.unschedulable => Cordon::Ours,
            true => Cordon::Lifted,
            false => Cordon::None,
        };
        let forced = self.plan.spec.aggressive_mode.as_ref().and_then(|config| config.drain_timeout.as_deref());
        let of_claim = self.claim().and_then(|claim| claim.spec.aggressive_mode_config.as_ref());
        let of_cycle = || self.plan.label(marks::CYCLE_MODE).map(|_| &self.world.settings().aggressive_mode);
        let graceful = of_claim.or_else(of_cycle).and_then(|config| config.drain_timeout.as_deref());
        let has_free = slots.has_free(node, pods.is_empty());
        let slot = || (!has_free).then(|| format!("a disruption slot for node {}", node.name()));
        let is_begun = cordon == Cordon::Ours;
        let waits_for = if is_begun { None } else { self.before_cordoning(node.name()).or_else(slot) };
        Facts {
            now: self.world.now(),
            ending_since: claim.deleting(),
            cordon,
            held: self.what_holds(node, claim, pods),
            has_pods: !pods.is_empty(),
            waits_for,
            drain_timeout: duration(forced.or(graceful), DRAIN_TIMEOUT),
            forces: forced.is_some(),
        }
    }

    fn cordon(&mut self, claim: &NodeClaim, node: &Node, wave: u32) {
        let (name, uid) = (node.name(), self.plan.uid());
        self.event_of(name, DeletionStatus::NodeCordoned, "cordoned");
        let now = seconds(self.world.now());
        let course = self.course_of(name);
        course.cordon_time.get_or_insert(now);
        course.phase = Some(DeletionPhase::Draining);
        if let Some(wave) = self.wave_mut(wave) {
            wave.touched = true;
        }
        // The label on the claim too: its deletion then carries the version that was read with our mark.
        self.out.merge(claim, marking::label(uid));
        let told = format!("node {name} is being drained");
        self.out.merge(node, marking::cordon(uid)).says(RebalancePlans::NodeDraining, told);
    }

    /// Why the node must not go now, if it must not.
    fn what_holds(&self, node: &Node, claim: &NodeClaim, pods: &[&Pod]) -> Option<String> {
        let pool = node.label(marks::NODE_POOL).and_then(|pool| self.world.named::<NodePool>(pool));
        let of_node = self.protection.holds_node(node, claim, pool, self.plan, pods.is_empty());
        let of_node = of_node.or_else(|| self.is_too_few_without(node));
        let of_pods = || {
            pods.iter()
                .find_map(|pod| self.protection.holds_pod(pod, &self.beside(pod)).or_else(|| self.lacks_siblings(pod)))
        };
        // Karpenter drains them when the node goes, and waits for those that forbid it.
        let of_residents = || {
            let there = self.world.indexed::<Pod>(node.name()).into_iter();
            let residents = there.filter(|pod| !pod.is_workload() && !pod.has_ended());
            residents.into_iter().find_map(|pod| self.protection.holds_resident(pod))
        };
        of_node.or_else(of_pods).or_else(of_residents)
    }

    /// Whether the cluster would have fewer nodes than are asked for without this one and those that we drain. Others remove nodes too.
    fn is_too_few_without(&self, node: &Node) -> Option<String> {
        let least = self.protection.options.min_cluster_size;
        if least == 0 {
            return None;
        }
        let uid = self.plan.uid();
        let stays = |one: &&Node| {
            one.deleting().is_none() && one.name() != node.name() && one.annotation(marks::CORDONED_BY) != Some(uid)
        };
        let left = self.world.all::<Node>().filter(stays).count();
        (left < least).then(|| format!("{left} nodes would be left, minClusterSize is {least}"))
    }

    /// What the rules of the pod look at besides it.
    pub(super) fn beside(&self, pod: &Pod) -> Beside {
        let replicas = pod.controller().map_or(0, |owner| siblings(self.world, &owner.uid).len());
        let speaks_of_nodes = !self.protection.options.eviction.is_empty();
        let node = self.world.named::<Node>(&pod.spec.node_name).filter(|_| speaks_of_nodes).map(snapshot::node);
        Beside { replicas: u32::try_from(replicas).unwrap_or(u32::MAX), node }
    }

    /// Something forbids that the node goes: it is looked at again for a while, and then kept.
    fn block(&mut self, name: &str, why: &str) {
        let now = seconds(self.world.now());
        self.event_of(name, DeletionStatus::Blocked, why);
        let course = self.course_of(name);
        course.phase.get_or_insert(DeletionPhase::Blocked);
        let since = *course.blocked_since.get_or_insert(now);
        self.out.look_at(after(since, course::PATIENCE));
    }

    /// Why the deletion of the NodeClaim has been refused for as long as anything is waited for, and still is.
    fn is_refused(&self, claim: &NodeClaim) -> Option<String> {
        let now = self.world.now();
        match self.world.reply(&format!("delete {} {}", NodeClaim::INFO.kind, claim.key()))? {
            Reply::Refused { since, message, retry_at, .. } => {
                let is_tried = now < after(*retry_at, course::PATIENCE);
                (is_tried && now >= after(*since, course::PATIENCE)).then(|| message.clone())
            }
            Reply::Accepted { .. } => None,
        }
    }

    /// Deletes the NodeClaim of an empty node, if a last look finds that it still is, and that the new nodes are Ready.
    fn give_back(&mut self, claim: &NodeClaim, name: &str, wave: u32) {
        let uid = self.plan.uid();
        if claim.label(marks::PLAN) != Some(uid) {
            // Refused when the node was cordoned: the deletion has to carry a version that was read with our mark.
            self.out.merge(claim, marking::label(uid));
            return;
        }
        let told = format!("node {name} was empty and is given back");
        self.event_of(name, DeletionStatus::InProgress, "empty; its NodeClaim is deleted");
        self.delete(claim, name, wave, told, still_empty);
    }

    /// Deletes the NodeClaim of a node whose drain took too long: Karpenter ends the pods that are left, whatever their
    /// budgets say. A pod that a rule holds is none of them: its node is kept.
    fn force(&mut self, claim: &NodeClaim, name: &str, wave: u32, pods: &[&Pod]) {
        let now = seconds(self.world.now());
        let end = claim.annotation(marks::ENDS_AT).and_then(|end| end.parse::<Timestamp>().ok());
        if end.is_none_or(|end| end <= now) || claim.label(marks::PLAN) != Some(self.plan.uid()) {
            self.out.merge(claim, marking::end_at(self.plan.uid(), after(now, FORCED_GRACE)));
            return;
        }
        for pod in pods {
            self.note_moved(pod);
        }
        let left = told(pods.iter().map(|pod| pod.key().to_string()));
        let text = format!("node {name} was not drained in time, and its drain is forced: {left}");
        self.event_of(name, DeletionStatus::InProgress, "not drained in time; forced");
        self.warn(text.clone());
        let beside: BTreeMap<String, Beside> =
            pods.iter().map(|pod| (pod.uid().to_owned(), self.beside(pod))).collect();
        let protection = Arc::clone(&self.protection);
        self.delete(claim, name, wave, text, move |pods, node| {
            let left = pods.iter().filter(|pod| *pod.spec.node_name == *node && pod.is_workload());
            let none = Beside::default();
            let mut held = left.filter_map(|pod| protection.holds_pod(pod, beside.get(pod.uid()).unwrap_or(&none)));
            held.next().map_or(Ok(()), Err)
        });
    }

    /// Deletes a NodeClaim of the wave, if a last look finds that its pods are as they must be, that it is still ours, and that
    /// the new nodes are Ready.
    fn delete(
        &mut self,
        claim: &NodeClaim,
        name: &str,
        wave: u32,
        told: String,
        judge_pods: impl Fn(&[Pod], &str) -> Result<(), String> + Send + Sync + 'static,
    ) {
        let new_nodes = self.new_nodes(wave);
        let (node_name, wanted, plan) = (name.to_owned(), new_nodes.clone(), self.plan.uid().to_owned());
        let may_be_shielded = self.protection.options.aggressive.ignore_problem_removal_disabled_nodes;
        let mut guard = Guard::<RebalancePlans>::that(move |fresh| {
            let nodes = fresh.all::<Node>()?;
            judge_pods(&fresh.all::<Pod>()?, &node_name)?;
            still_ours(&nodes, &node_name, &plan, may_be_shielded)?;
            ready(&nodes, &wanted)
        });
        guard = guard.list::<Pod>(format!("spec.nodeName={name}")).get::<Node>(ObjectKey::cluster(name));
        for node in new_nodes {
            guard = guard.get::<Node>(ObjectKey::cluster(node));
        }
        self.out
            .delete(claim)
            .only_if(guard)
            .says(RebalancePlans::NodeRemoved, told)
            .or_says(RebalancePlans::NodeRemovalRefused, format!("node {name}"));
    }

    /// The node stays. If it was we who cordoned it, it takes pods again: at once, or at that time.
    fn keep(&mut self, claim: &NodeClaim, node: &Node, status: DeletionStatus, why: &str, until: Option<Timestamp>) {
        let name = node.name().to_owned();
        let was_drained = status == DeletionStatus::Failed && marking::is_cordoned_by(node, self.plan.uid());
        self.event_of(&name, status, &format!("{why}; kept"));
        self.course_of(&name).phase = Some(DeletionPhase::Kept);
        if node.label(marks::PLAN) == Some(self.plan.uid()) {
            self.out.merge(node, marking::keep(node, self.plan.uid(), was_drained, until));
        }
        if claim.label(marks::PLAN) == Some(self.plan.uid()) {
            self.out.merge(claim, marking::release_claim(claim));
        }
        self.out.event(RebalancePlans::NodeKept, format!("node {name} is kept: {why}"));
        self.warn(format!("node {name} is kept: {why}"));
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

    /// Moves the clocks of the nodes under way on by a time in which nobody worked on them.
    pub(super) fn stop_clocks(&mut self, lost: Duration) {
        if lost.is_zero() {
            return;
        }
        for course in self.status.nodes_deletion.values_mut() {
            for clock in [&mut course.cordon_time, &mut course.stuck_since, &mut course.blocked_since] {
                *clock = clock.map(|since| after(since, lost));
            }
        }
    }

    /// Nodes whose course ended with their disappearance.
    pub(super) fn note_gone(&mut self) {
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

    /// The new nodes of the wave; one that is not there has the name of its NodeClaim.
    fn new_nodes(&self, wave: u32) -> Vec<String> {
        let asked_for = self.greens(wave).filter_map(|add| Some((add, self.last_attempt(add)?)));
        let named = asked_for.map(|(add, last)| {
            let stays = self.made(add).filter(|claim| claim.deleting().is_none() && claim.is_initialized());
            stays.map_or_else(|| last.node_claim_name.clone(), |claim| claim.status.node_name.clone())
        });
        named.collect()
    }

    fn is_there(&self, node: &str) -> bool {
        self.world.named::<Node>(node).is_some_and(|node| node.is_ready() && node.deleting().is_none())
    }

    /// Owners of pods that this plan moves now or has moved, by uid. Others that miss pods are none of its business, nor are those
    /// that missed some before it.
    pub(super) fn moved(&self) -> BTreeSet<String> {
        let draining =
            self.status.nodes_deletion.keys().filter(|name| self.phase(name) == Some(DeletionPhase::Draining));
        let leaving = draining.flat_map(|name| self.world.indexed::<Pod>(name)).filter_map(Pod::controller);
        let uids = leaving.map(|owner| &owner.uid).chain(&self.status.owners_moved);
        uids.filter(|uid| !self.status.owners_not_ready.contains(uid)).cloned().collect()
    }

    /// The pod is about to be ended: whether its successor serves is asked from here on, after a restart too.
    pub(super) fn note_moved(&mut self, pod: &Pod) {
        if let Some(owner) = pod.controller().filter(|owner| !self.status.owners_moved.contains(&owner.uid)) {
            self.status.owners_moved.push(owner.uid.clone());
        }
    }

    /// The node of a destination of the plan, which is named by its NodeClaim, of whatever attempt.
    fn node_of(&self, claim: &str) -> String {
        let made = self.status.nodes_creation.get(claim).and_then(|creation| creation.attempts.last());
        let name = made.map_or(claim, |attempt| attempt.node_claim_name.as_str());
        self.world.named::<NodeClaim>(name).map_or_else(|| claim.to_owned(), |claim| claim.status.node_name.clone())
    }

    pub(super) fn phase(&self, name: &str) -> Option<DeletionPhase> {
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
pub(super) fn still_empty(pods: &[Pod], node: &str) -> Result<(), String> {
    match pods.iter().find(|pod| *pod.spec.node_name == *node && pod.is_workload()) {
        Some(pod) => Err(format!("pod {} is on the node", pod.key())),
        None => Ok(()),
    }
}

/// It is cordoned, by us, and nobody has shielded it.
fn still_ours(nodes: &[Node], name: &str, plan: &str, may_be_shielded: bool) -> Result<(), String> {
    let Some(node) = nodes.iter().find(|node| node.name() == name) else { return Ok(()) };
    if !marking::is_cordoned_by(node, plan) {
        return Err(format!("node {name} is not cordoned any more"));
    }
    match node.annotation(marks::DO_NOT_DISRUPT).filter(|_| !marking::is_shielded_by_us(node) && !may_be_shielded) {
        Some("true") => Err(format!("node {name} has annotation {}", marks::DO_NOT_DISRUPT)),
        _ => Ok(()),
    }
}

/// Every node that the plan made is there and Ready.
fn ready(nodes: &[Node], new_nodes: &[String]) -> Result<(), String> {
    let is_ready =
        |name: &String| nodes.iter().any(|node| node.name() == name && node.is_ready() && node.deleting().is_none());
    match new_nodes.iter().find(|name| !is_ready(name)) {
        Some(name) => Err(format!("new node {name} is not Ready")),
        None => Ok(()),
    }
}
