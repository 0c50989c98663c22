//! The first phase of a wave: its new nodes come, each from the first of its offerings that can be had.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::marks::UNSCHEDULABLE;
use kentroller_runtime::condition::seconds;
use kentroller_runtime::{Kind, Lookup, ObjectKey, Reply};
use serde_json::{Value, json};

use super::room::is_open;
use super::waves::told;
use super::{PlanStep, Progress, RebalancePlans};
use crate::api::foreign::{Node, NodeClaim, NodePool, zone_ids};
use crate::api::marks::{
    CAPACITY_TYPE, DO_NOT_DISRUPT, INSTANCE_TYPE, MADE_BY, NODE_POOL, NODE_POOL_HASH, NODE_POOL_HASH_VERSION, PLAN,
    RESERVED_BY, ZONE,
};
use crate::api::{
    Alternative, AttemptStatus, CreationAttempt, NodeClaimToAdd, NodeCreation, NodeRequirement, UnavailableOffering,
};
use crate::controllers::{after, marking};

/// Claims without a machine at once: while there is one, Karpenter launches nothing for anybody else.
const MOST_UNLAUNCHED: usize = 5;
/// How long a new node may take from its NodeClaim to a machine. While one waits for its machine, Karpenter launches nothing for
/// anybody else.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(90);
/// From its NodeClaim to registered. Karpenter itself waits for 15 minutes.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// From its NodeClaim to initialized, which Karpenter waits for without an end.
const INITIALIZATION_TIMEOUT: Duration = Duration::from_secs(16 * 60);
/// At most so many attempts for one node: what cannot be had ten times over is not to be had for now.
const MOST_ATTEMPTS: usize = 10;
/// Karpenter's word for a machine that the provider does not have.
const NO_CAPACITY: &str = "InsufficientCapacityError";

impl<'a> PlanStep<'a> {
    /// Looks at each new node of the wave, and starts what is to be started. `reserved`: the nodes take no pods so far.
    pub(super) fn create_nodes(&mut self, wave: u32, reserved: bool) -> Progress {
        let mut launching = self.launching();
        let mut waits = Vec::new();
        for add in self.greens(wave) {
            if reserved {
                self.reserve(add);
            }
            match self.create_node(add, &mut launching) {
                Progress::Done => {}
                Progress::Waits(what) => waits.push(what),
                ended => return ended,
            }
        }
        if waits.is_empty() { Progress::Done } else { Progress::Waits(told(waits)) }
    }

    /// While nodes of the wave still have to go: what had come for them and is gone is asked for again, as long as there are
    /// offerings.
    pub(super) fn replace_lost(&mut self, wave: u32) {
        let mut launching = self.launching();
        for add in self.receivers(wave) {
            if !self.has_come(add) {
                self.create_node(add, &mut launching);
            }
        }
    }

    /// The new nodes of the wave, and those of earlier ones that take pods of it.
    fn receivers(&self, wave: u32) -> Vec<&'a NodeClaimToAdd> {
        let spec = &self.plan.spec;
        let moves = spec.pods_to_migrate.iter().filter(|pod| pod.wave == wave);
        let names: BTreeSet<&str> = moves.map(|pod| pod.dst_node_claim_name.as_str()).collect();
        let is_asked_for = |add: &NodeClaimToAdd| self.last_attempt(add).is_some();
        let all = spec.node_claims_to_add.iter();
        let takes = all.filter(|add| {
            let is_earlier = add.wave < wave && names.contains(&*add.metadata.name) && is_asked_for(add);
            add.wave == wave || is_earlier
        });
        takes.collect()
    }

    /// Whether no offering is left for the node.
    pub(super) fn is_exhausted(&self, add: &NodeClaimToAdd) -> bool {
        let tried = self.status.nodes_creation.get(&add.metadata.name).map_or(0, |creation| creation.attempts.len());
        let is_failed = self.last_attempt(add).is_some_and(|last| last.status == AttemptStatus::Failed);
        is_failed && tried >= most_attempts(add)
    }

    /// Whether the node has come, and is not lost again.
    fn has_come(&self, add: &NodeClaimToAdd) -> bool {
        self.last_attempt(add).is_some_and(|last| last.status == AttemptStatus::Success) && !self.is_lost(add)
    }

    /// Keeps a new node free from the moment it is there until its wave is drained. A person who opens it meanwhile is right.
    fn reserve(&mut self, add: &NodeClaimToAdd) {
        let ours = self.made(add).filter(|claim| claim.label(PLAN) == Some(self.plan.uid()) && claim.is_registered());
        let Some(node) = ours.and_then(|claim| self.world.named::<Node>(&claim.status.node_name)) else { return };
        if node.annotation(RESERVED_BY).is_none() && !node.spec.unschedulable {
            self.out.merge(node, marking::reserve(self.plan.uid()));
        }
    }

    /// Lets the new nodes of the wave take pods; those that do not so far, as they will be.
    pub(super) fn open(&mut self, wave: u32) -> BTreeMap<String, Node> {
        let mut opening = BTreeMap::new();
        for add in self.greens(wave) {
            let node = self.made(add).and_then(|claim| self.world.named::<Node>(&claim.status.node_name));
            let Some(node) = node else { continue };
            let is_reserved = node.annotation(RESERVED_BY) == Some(self.plan.uid());
            if is_reserved {
                self.out.merge(node, marking::open());
            }
            let mut opened = node.clone();
            opened.spec.unschedulable &= !is_reserved;
            // Kubernetes takes it away some time after the field has changed.
            opened.spec.taints.retain(|taint| taint.key != UNSCHEDULABLE);
            if is_open(&opened) && (is_reserved || opened.spec.taints.len() < node.spec.taints.len()) {
                opening.insert(node.name().to_owned(), opened);
            }
        }
        opening
    }

    pub(super) fn last_attempt(&self, add: &NodeClaimToAdd) -> Option<&CreationAttempt> {
        self.status.nodes_creation.get(&add.metadata.name)?.attempts.last()
    }

    /// The NodeClaim of the last attempt, if it is there.
    pub(super) fn made(&self, add: &NodeClaimToAdd) -> Option<&'a NodeClaim> {
        self.world.named::<NodeClaim>(&self.last_attempt(add)?.node_claim_name)
    }

    /// Whether a machine was asked for, and is not there so far.
    pub(super) fn is_launching(&self, add: &NodeClaimToAdd) -> bool {
        let is_asked_for = self.last_attempt(add).is_some_and(|last| last.status == AttemptStatus::InProgress);
        is_asked_for && self.made(add).is_none_or(|claim| !claim.is_launched())
    }

    fn launching(&self) -> usize {
        self.plan.spec.node_claims_to_add.iter().filter(|add| self.is_launching(add)).count()
    }

    fn create_node(&mut self, add: &NodeClaimToAdd, launching: &mut usize) -> Progress {
        let name = &add.metadata.name;
        let tried = self.status.nodes_creation.get(name).map_or(0, |creation| creation.attempts.len());
        let Some(last) = self.last_attempt(add).cloned() else { return self.attempt(add, 0, launching) };
        match last.status {
            AttemptStatus::Success if !self.is_lost(add) => return Progress::Done,
            AttemptStatus::Success => {
                self.note(name, AttemptStatus::Failed, "it disappeared after it had come");
                return Progress::Waits(format!("node {name}"));
            }
            AttemptStatus::Failed => {
                return match self.give_up(add) {
                    Some(what) => Progress::Waits(what),
                    None => self.attempt(add, tried, launching),
                };
            }
            // A word of another version: left alone.
            AttemptStatus::Unknown(word) => return Progress::Waits(format!("{name} (status {word} is not known)")),
            AttemptStatus::InProgress => {}
        }
        match self.world.lookup::<NodeClaim>(&ObjectKey::cluster(last.node_claim_name.as_str())) {
            Lookup::Present(claim) if claim.label(PLAN) != Some(self.plan.uid()) => {
                self.note(name, AttemptStatus::Failed, "a NodeClaim of this name is there that the plan did not make");
            }
            Lookup::Present(claim) => return self.follow(name, claim, last.timestamp),
            Lookup::Gone(gone) => {
                let why =
                    if gone.last.is_launched() { "it disappeared before it was initialized" } else { NO_CAPACITY };
                self.note(name, AttemptStatus::Failed, why);
            }
            // Not made so far, or made before this process began and not listed yet.
            Lookup::NeverSeen => match self.refused_for_good(&last.node_claim_name) {
                Some(why) => self.note(name, AttemptStatus::Failed, &why),
                None => self.request(add, &last.node_claim_name, tried - 1),
            },
        }
        Progress::Waits(format!("node {name}"))
    }

    /// Looks at a NodeClaim that was made.
    fn follow(&mut self, name: &str, claim: &NodeClaim, since: Timestamp) -> Progress {
        let node = self.world.named::<Node>(&claim.status.node_name);
        if claim.deleting().is_some() {
            // Karpenter gives a claim up that nothing can be launched for.
            let why = if claim.is_launched() { "it is being deleted by somebody else" } else { NO_CAPACITY };
            self.note(name, AttemptStatus::Failed, why);
        } else if let Some(node) = node.filter(|node| claim.is_initialized() && node.is_ready()) {
            let (instance_type, zone) = (label(node, INSTANCE_TYPE), label(node, ZONE));
            self.out.event(RebalancePlans::NodeReady, format!("{} is there: {instance_type} in {zone}", claim.name()));
            self.note(name, AttemptStatus::Success, "initialized");
            self.describe(name, &instance_type, zone, label(node, CAPACITY_TYPE));
            return Progress::Done;
        } else if let Some(step) = self.is_late(claim, since) {
            self.note(name, AttemptStatus::Failed, step);
        } else {
            return Progress::Waits(format!("node {name} to be initialized"));
        }
        Progress::Waits(format!("node {name}"))
    }

    /// Whether a node that had come is gone, or on its way out.
    pub(super) fn is_lost(&self, add: &NodeClaimToAdd) -> bool {
        let Some(last) = self.last_attempt(add).filter(|last| last.status == AttemptStatus::Success) else {
            return false;
        };
        match self.world.lookup::<NodeClaim>(&ObjectKey::cluster(last.node_claim_name.as_str())) {
            Lookup::Present(claim) => claim.deleting().is_some(),
            Lookup::Gone(_) => true,
            Lookup::NeverSeen => false,
        }
    }

    /// Gives the NodeClaim of a failed attempt back, while it is there; one on whose node pods run is left to them. Says what is
    /// waited for.
    fn give_up(&mut self, add: &NodeClaimToAdd) -> Option<String> {
        let uid = self.plan.uid();
        let claim = self.made(add).filter(|claim| claim.label(PLAN) == Some(uid) && claim.deleting().is_none())?;
        if self.is_used(claim) {
            if let Some(node) = self.world.named::<Node>(&claim.status.node_name) {
                self.out.merge(node, marking::release(node, uid));
            }
            self.out.merge(claim, marking::release_claim(claim));
            self.warn(format!("NodeClaim {} came too late for its plan, and pods run there: it stays", claim.name()));
            return Some(format!("NodeClaim {} to be left to its pods", claim.name()));
        }
        self.take_back(claim);
        Some(format!("NodeClaim {} to be given back", claim.name()))
    }

    /// The step for which a new node takes too long, if it does.
    fn is_late(&mut self, claim: &NodeClaim, since: Timestamp) -> Option<&'static str> {
        let (limit, step) = if !claim.is_launched() {
            (LAUNCH_TIMEOUT, "no machine within 90 seconds")
        } else if !claim.is_registered() {
            (REGISTRATION_TIMEOUT, "not registered within 10 minutes")
        } else {
            (INITIALIZATION_TIMEOUT, "not initialized within 16 minutes")
        };
        let end = after(since, limit);
        self.out.look_at(end);
        (self.world.now() >= end).then_some(step)
    }

    /// Tries the offering with this place in the list, if there is one.
    fn attempt(&mut self, add: &NodeClaimToAdd, index: usize, launching: &mut usize) -> Progress {
        let name = &add.metadata.name;
        if let Some(pool) = self.pool_of(add).filter(|pool| pool.status.is_unready()) {
            // Karpenter launches nothing there.
            return Progress::Waits(format!("NodePool {} to be Ready", pool.name()));
        }
        if index >= most_attempts(add) {
            let last = self.last_attempt(add).map_or("", |last| &last.description);
            return Progress::Exhausted(format!(
                "node {name}: none of its {index} offerings can be had; the last: {last}"
            ));
        }
        if *launching >= MOST_UNLAUNCHED {
            return Progress::Waits(format!("node {name}, which is asked for when others are launched"));
        }
        if let Some(what) = self.changed_pool(add) {
            return Progress::Changed(format!("node {name}: NodePool {what} after the plan was made"));
        }
        *launching += 1;
        let claim = if index == 0 { name.clone() } else { format!("{name}-attempt-{index}") };
        let value = |key: &str| add.alternatives.get(index)?.value(key).map(str::to_owned);
        let attempt = CreationAttempt {
            capacity_type: value(CAPACITY_TYPE),
            description: "asked for".to_owned(),
            instance_type: value(INSTANCE_TYPE).unwrap_or_default(),
            node_claim_name: claim.clone(),
            status: AttemptStatus::InProgress,
            timestamp: seconds(self.world.now()),
            zone: value(ZONE),
            zone_id: None,
        };
        let creation = NodeCreation { name: name.clone(), attempts: Vec::new() };
        self.status.nodes_creation.entry(name.clone()).or_insert(creation).attempts.push(attempt);
        if let Some((what, until)) = add.alternatives.get(index).and_then(|one| self.unavailable(one)) {
            *launching -= 1;
            self.note(name, AttemptStatus::Failed, &format!("not tried: {what} is not to be had before {until}"));
            return Progress::Waits(format!("node {name}"));
        }
        self.request(add, &claim, index);
        Progress::Waits(format!("node {name} to be launched"))
    }

    /// The name of the UnavailableOffering that is about an offering, and until when it counts.
    fn unavailable(&self, offering: &Alternative) -> Option<(&'a str, Timestamp)> {
        let value = |key: &str| offering.value(key);
        let (of, zone, capacity) = (value(INSTANCE_TYPE)?, value(ZONE)?, value(CAPACITY_TYPE)?);
        let zone_id = zone_ids(self.world.all::<Node>()).get(zone).copied();
        let all = self.world.all::<UnavailableOffering>().filter(|one| one.spec.is_of(of, zone, zone_id, capacity));
        let open = all.filter(|one| self.world.now() < one.spec.expires_at);
        open.map(|one| (one.name(), one.spec.expires_at)).max_by_key(|(_, until)| *until)
    }

    /// The NodePool that a new node is to be of, if it is there.
    pub(super) fn pool_of(&self, add: &NodeClaimToAdd) -> Option<&'a NodePool> {
        self.world.named::<NodePool>(add.metadata.labels.get(NODE_POOL)?)
    }

    /// What became of the pool of the node, if it is gone, or its template is not what it was when the plan was made: Karpenter
    /// would take the node for one of the new template, and never see that it is not.
    fn changed_pool(&self, add: &NodeClaimToAdd) -> Option<String> {
        let name = add.metadata.labels.get(NODE_POOL)?;
        let Some(pool) = self.world.named::<NodePool>(name).filter(|pool| pool.deleting().is_none()) else {
            return Some(format!("{name} was deleted"));
        };
        let planned = add.metadata.annotations.get(NODE_POOL_HASH)?;
        (pool.annotation(NODE_POOL_HASH) != Some(planned)).then(|| format!("{name} was changed"))
    }

    /// In the API server's words, why a NodeClaim will not be accepted however often it is sent. Of anything else the engine
    /// waits longer each time.
    fn refused_for_good(&self, claim: &str) -> Option<String> {
        match self.world.reply(&creation(claim))? {
            Reply::Refused { code: 403 | 422, message, .. } => Some(message.clone()),
            Reply::Refused { .. } | Reply::Accepted { .. } => None,
        }
    }

    fn request(&mut self, add: &NodeClaimToAdd, name: &str, index: usize) {
        let Some(pool) = self.pool_of(add) else {
            // Plans that were checked have one; without it Karpenter would launch a node that belongs to nobody.
            self.out.event(RebalancePlans::NodeRequestFailed, format!("{name}: its NodePool is gone"));
            return;
        };
        let chosen = chosen(&add.alternatives, index, |one| self.unavailable(one).is_none());
        let manifest = manifest(add, name, chosen, pool, self.plan);
        let refused = format!("NodeClaim {name}");
        let key = ObjectKey::cluster(name);
        self.out
            .create_manifest::<NodeClaim>(key, manifest)
            .keyed(creation(name))
            .says(RebalancePlans::NodeRequested, format!("asked for {name}"))
            .or_says(RebalancePlans::NodeRequestFailed, refused);
    }

    fn note(&mut self, name: &str, status: AttemptStatus, why: &str) {
        if status == AttemptStatus::Failed {
            self.out.event(RebalancePlans::NodeAttemptFailed, format!("{name}: {why}"));
            self.out.look_in(Duration::from_secs(1));
        }
        if let Some(last) = self.status.nodes_creation.get_mut(name).and_then(|creation| creation.attempts.last_mut()) {
            last.status = status;
            why.clone_into(&mut last.description);
            last.timestamp = seconds(self.world.now());
        }
    }

    /// What really came, which may differ from what was asked for.
    fn describe(&mut self, name: &str, instance_type: &str, zone: String, capacity_type: String) {
        if let Some(last) = self.status.nodes_creation.get_mut(name).and_then(|creation| creation.attempts.last_mut()) {
            instance_type.clone_into(&mut last.instance_type);
            last.zone = Some(zone);
            last.capacity_type = Some(capacity_type);
        }
    }
}

/// How many offerings are tried for the node.
fn most_attempts(add: &NodeClaimToAdd) -> usize {
    add.alternatives.len().clamp(1, MOST_ATTEMPTS)
}

/// The key of the effect that creates a NodeClaim.
fn creation(claim: &str) -> String {
    format!("create NodeClaim {claim}")
}

fn label(node: &Node, key: &str) -> String {
    node.label(key).unwrap_or_default().to_owned()
}

/// What is asked of a node in the attempt with this number.
///
/// On demand the offering of that place in the list. Which spot capacity can be had, and for how long, the fleet knows best:
/// it is left the choice among all types of the list that were not tried so far and are not known to be missing.
fn chosen(alternatives: &[Alternative], index: usize, is_open: impl Fn(&Alternative) -> bool) -> Vec<NodeRequirement> {
    let Some(offering) = alternatives.get(index) else { return Vec::new() };
    let mut chosen = offering.requirements.clone();
    if offering.value(CAPACITY_TYPE) == Some("spot") {
        let alike =
            |other: &&Alternative| [CAPACITY_TYPE, ZONE].iter().all(|key| other.value(key) == offering.value(key));
        let others = alternatives[index + 1..].iter().filter(alike).filter(|other| is_open(other));
        let types = std::iter::once(offering).chain(others).filter_map(|other| other.value(INSTANCE_TYPE));
        for of_type in chosen.iter_mut().filter(|one| one.key == INSTANCE_TYPE) {
            of_type.values = types.clone().map(str::to_owned).collect();
        }
    }
    chosen
}

/// The NodeClaim as Karpenter accepts and keeps it.
fn manifest(
    add: &NodeClaimToAdd,
    name: &str,
    chosen: Vec<NodeRequirement>,
    pool: &NodePool,
    plan: &crate::api::RebalancePlan,
) -> Value {
    let mut labels = add.metadata.labels.clone();
    labels.insert(PLAN.to_owned(), plan.uid().to_owned());
    let mut annotations = add.metadata.annotations.clone();
    let former = annotations.get(DO_NOT_DISRUPT).cloned();
    for (key, value) in marking::shield_after(former.as_deref()).as_object().into_iter().flatten() {
        annotations.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    annotations.insert(MADE_BY.to_owned(), plan.name().to_owned());
    for hash in [NODE_POOL_HASH, NODE_POOL_HASH_VERSION] {
        // A plan by hand may not say what its pool was like.
        let now = || pool.annotation(hash).map(str::to_owned);
        if let Some(value) = annotations.get(hash).cloned().or_else(now) {
            annotations.insert(hash.to_owned(), value);
        }
    }
    let mut spec = add.spec.clone();
    // While pods move, an empty node that nobody has marked so far is what kube-scheduler likes best.
    spec.taints.push(marking::later());
    spec.requirements.retain(|one| chosen.iter().all(|chosen| chosen.key != one.key));
    spec.requirements.extend(chosen);
    json!({
        "apiVersion": NodeClaim::INFO.api_version(),
        "kind": NodeClaim::INFO.kind,
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{"apiVersion": NodePool::INFO.api_version(), "kind": NodePool::INFO.kind, "name": pool.name(),
                "uid": pool.uid(), "blockOwnerDeletion": true}],
        },
        "spec": spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spot_is_asked_for_all_types_that_are_left_and_on_demand_for_one() {
        let offering = |(of_type, zone, capacity): (&str, &str, &str)| -> Alternative {
            let one = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
            serde_json::from_value(
                json!({"requirements": [one(INSTANCE_TYPE, of_type), one(CAPACITY_TYPE, capacity), one(ZONE, zone)]}),
            )
            .expect("an offering")
        };
        let listed = |capacity| {
            [
                ("a", "1", capacity),
                ("b", "1", capacity),
                ("c", "2", capacity),
                ("d", "1", capacity),
                ("e", "1", "on-demand"),
            ]
            .map(offering)
        };
        let types = |capacity: &'static str, index: usize, missing: &str| -> Vec<String> {
            let chosen = chosen(&listed(capacity), index, |other| other.value(INSTANCE_TYPE) != Some(missing));
            chosen.into_iter().find(|one| one.key == INSTANCE_TYPE).map(|one| one.values).unwrap_or_default()
        };
        let cases: [(&str, usize, &[&str]); 5] = [
            ("spot", 0, &["a", "b", "d"]),
            ("spot", 1, &["b", "d"]),
            ("spot", 4, &["e"]),
            ("on-demand", 0, &["a"]),
            ("on-demand", 5, &[]),
        ];
        for (capacity, index, wanted) in cases {
            assert_eq!(types(capacity, index, ""), wanted, "{capacity} {index}");
        }
        assert_eq!(types("spot", 0, "b"), ["a", "d"], "what is known to be missing is not asked for");
    }
}
