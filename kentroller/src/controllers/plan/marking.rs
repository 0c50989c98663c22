//! What a plan writes on nodes, and how it is taken back. Only marks that bear the plan's uid are taken back; what
//! somebody else put there stays.

use std::collections::BTreeSet;
use std::time::Duration;

use kentroller_planner::manifest;
use kentroller_runtime::Kind;
use serde_json::{Value, json};

use super::PlanStep;
use crate::api::foreign::{Node, NodeClaim, Pod};
use crate::api::marks::{CORDONED_BY, DO_NOT_DISRUPT, LATER, PLAN, PLAN_FINALIZER, RESERVED_BY, STATUS};
use crate::api::{PlanState, WavePhase, WaveStatus};
use crate::controllers::turn;

/// While marks are left, they are looked at again after this long.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(5);

pub(super) fn is_cordoned_by(node: &Node, plan: &str) -> bool {
    node.spec.unschedulable && node.annotation(CORDONED_BY) == Some(plan)
}

pub(super) fn is_tainted(node: &Node) -> bool {
    node.spec.taints.iter().any(|taint| taint.key == LATER)
}

pub(super) fn cordon(plan: &str) -> Value {
    json!({
        "metadata": {"labels": {PLAN: plan}, "annotations": {CORDONED_BY: plan}},
        "spec": {"unschedulable": true},
    })
}

pub(super) fn label(plan: &str) -> Value {
    json!({"metadata": {"labels": {PLAN: plan}}})
}

/// A new node takes no pods until its wave is drained.
pub(super) fn reserve(plan: &str) -> Value {
    json!({"metadata": {"labels": {PLAN: plan}, "annotations": {RESERVED_BY: plan}}, "spec": {"unschedulable": true}})
}

/// It takes pods from here.
pub(super) fn open() -> Value {
    json!({"metadata": {"annotations": {RESERVED_BY: null}}, "spec": {"unschedulable": null}})
}

/// `taints` is one list without merging: it is written whole, on the version that was read.
pub(super) fn taint(node: &Node, plan: &str) -> Value {
    let effect = manifest::Effect::PreferNoSchedule;
    let later = manifest::Taint { key: LATER.to_owned(), effect, ..manifest::Taint::default() };
    let taints: Vec<Value> = node.spec.taints.iter().chain([&later]).map(written).collect();
    json!({"metadata": {"labels": {PLAN: plan}}, "spec": {"taints": taints}})
}

/// Takes the soft taint off a node that is to take pods.
pub(super) fn untaint(node: &Node) -> Value {
    let taints: Vec<Value> = node.spec.taints.iter().filter(|taint| taint.key != LATER).map(written).collect();
    json!({"spec": {"taints": taints}})
}

/// Takes back what the plan put on the node; `shielded`: its shield too.
fn release(node: &Node, plan: &str, shielded: bool) -> Value {
    let mut patch = json!({"metadata": {"labels": {PLAN: null}, "annotations": {}}, "spec": {}});
    for cordon in [CORDONED_BY, RESERVED_BY].into_iter().filter(|cordon| node.annotation(cordon) == Some(plan)) {
        patch["metadata"]["annotations"][cordon] = Value::Null;
        // A node on its way out takes no pods again.
        if node.deleting().is_none() {
            patch["spec"]["unschedulable"] = Value::Null;
        }
    }
    if shielded {
        patch["metadata"]["annotations"][DO_NOT_DISRUPT] = Value::Null;
    }
    if is_tainted(node) {
        patch["spec"]["taints"] = untaint(node)["spec"]["taints"].take();
    }
    patch
}

/// Takes back what the plan put on the node, and says if it was being drained.
pub(super) fn keep(node: &Node, plan: &str, was_drained: bool) -> Value {
    let mut patch = release(node, plan, false);
    if was_drained {
        patch["metadata"]["annotations"][STATUS] = json!("drain-failed");
    }
    patch
}

fn written(taint: &manifest::Taint) -> Value {
    let mut written = json!({"key": taint.key, "effect": taint.effect});
    if !taint.value.is_empty() {
        written["value"] = json!(taint.value);
    }
    if let Some(time) = taint.time_added.text() {
        written["timeAdded"] = json!(time);
    }
    written
}

impl PlanStep<'_> {
    /// After the end: takes back every mark, then the finalizer. A plan that failed or was stopped gives the new nodes of the
    /// waves back that touched nothing, unless pods run there.
    pub(super) fn clean_up(&mut self) {
        if !turn::is_marked(self.plan) {
            return;
        }
        let uid = self.plan.uid();
        let shields = self.shields();
        let claims = || self.world.all::<NodeClaim>();
        let shielded =
            claims().filter(|claim| shields.contains(claim.name())).map(|claim| claim.status.node_name.as_str());
        let shielded: BTreeSet<&str> = shielded.collect();
        let useless = self.useless();
        let mut clean = true;
        for node in self.world.all::<Node>().filter(|node| node.label(PLAN) == Some(uid)) {
            clean = false;
            self.out.merge(node, release(node, uid, shielded.contains(node.name())));
        }
        for claim in claims().filter(|claim| claim.label(PLAN) == Some(uid)) {
            clean = false;
            let pods = self.world.indexed::<Pod>(&claim.status.node_name);
            let used = !claim.status.node_name.is_empty() && pods.iter().any(|pod| pod.is_workload());
            if useless.contains(claim.name()) && !used && claim.deleting().is_none() {
                self.out.delete(claim);
            } else {
                let mut patch = json!({"metadata": {"labels": {PLAN: null}}});
                if shields.contains(claim.name()) {
                    patch["metadata"]["annotations"] = json!({DO_NOT_DISRUPT: null});
                }
                self.out.merge(claim, patch);
            }
        }
        if clean {
            self.out.remove_finalizer(self.plan, PLAN_FINALIZER);
        } else {
            self.out.look_in(CLEAN_UP_EVERY);
        }
    }

    /// NodeClaims that are shielded because this plan made them. Where the pool's own template shields its nodes, the shield
    /// is not ours to lift.
    fn shields(&self) -> BTreeSet<String> {
        let adds = self.plan.spec.node_claims_to_add.iter();
        let unshielded = adds.filter(|add| !add.metadata.annotations.contains_key(DO_NOT_DISRUPT));
        let made = unshielded.filter_map(|add| self.status.nodes_creation.get(&add.metadata.name));
        made.flat_map(|creation| creation.attempts.iter().map(|attempt| attempt.node_claim_name.clone())).collect()
    }

    /// NodeClaims of waves that came to nothing: the plan failed or was stopped before they touched a node that goes.
    fn useless(&self) -> BTreeSet<String> {
        if !matches!(self.status.state, Some(PlanState::Failed | PlanState::Canceled)) {
            return BTreeSet::new();
        }
        let stands = |wave: &WaveStatus| wave.touched || matches!(wave.phase, WavePhase::Ending | WavePhase::Done);
        let adds = self.plan.spec.node_claims_to_add.iter().filter(|add| !self.wave(add.wave).is_some_and(stands));
        adds.filter_map(|add| self.status.nodes_creation.get(&add.metadata.name))
            .flat_map(|creation| creation.attempts.iter().map(|attempt| attempt.node_claim_name.clone()))
            .collect()
    }
}
