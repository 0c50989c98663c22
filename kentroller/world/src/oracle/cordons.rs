//! S3: a slot of the pool's budget for every cordon. S4: a drain is forced where the plan says so. S10: on nodes and NodeClaims only our own marks change.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kentroller_planner::manifest::{NodeClaim, NodePool};
use serde_json::{Value, json};

use super::plans::{PLAN, Plan};
use super::{Found, State};
use crate::catalogue::{CAPACITY_TYPE, SPOT};
use crate::conditions;
use crate::karpenter::{DO_NOT_DISRUPT, NODE_POOL};
use crate::readings::shares;
use crate::seen::{Known, key_of};

const CORDONED_BY: &str = "rebalancing.cast.ai/cordoned-by";
const FORMER: &str = "rebalancing.cast.ai/former-do-not-disrupt";
const RESERVED_BY: &str = "rebalancing.cast.ai/reserved-by";
pub(super) const UNCORDON_AFTER: &str = "rebalancing.cast.ai/uncordon-after";
const ENDS_AT: &str = "karpenter.sh/nodeclaim-termination-timestamp";
const STATUS: &str = "rebalancing.cast.ai/status";
const PREDICTED: &str = "autoscaling.cast.ai/predicted-interruption";
const PREDICTED_AT: &str = "rebalancing.cast.ai/predicted-at";
const PREDICTED_BECAUSE: &str = "rebalancing.cast.ai/predicted-because";
const LATER: &str = "rebalancing.cast.ai/later";
const INCLUDE: &str = "kentroller.cast.ai/consolidation";
const PACE: &str = "kentroller.cast.ai/budget";

/// Whether the evictor of CAST AI has cordoned and emptied the node, to be removed.
fn is_handed_over(node: &Value) -> bool {
    let metadata = &node["metadata"];
    let is = |mark: &str, word: &str| metadata["labels"][mark] == word || metadata["annotations"][mark] == word;
    is("autoscaling.cast.ai/draining", "evictor") && is("evictor.cast.ai/eviction-status", "done")
}

impl State {
    pub(super) fn judge_node(&mut self, before: &Value, after: &Value, now: Timestamp) -> Found {
        let name = key_of(before).name;
        let (was, is) = (before["spec"]["unschedulable"] == true, after["spec"]["unschedulable"] == true);
        let touched = |node: &Value| node["metadata"]["labels"][PLAN].is_string();
        if !touched(before) && before["metadata"]["annotations"][DO_NOT_DISRUPT] == "true" {
            self.shielded.insert(name.clone());
        }
        let mut found = foreign_changes("node", before, after);
        let owned = |node: &Value| node["metadata"]["annotations"][CORDONED_BY].is_string();
        let is_taken_over = was && !owned(before) && owned(after);
        if is_taken_over && !is_handed_over(before) {
            found.push(("S10", format!("node {name} was taken over, which somebody else had cordoned")));
        }
        let ours = |mark: &str| before["metadata"]["annotations"][mark].is_string();
        let until = before["metadata"]["annotations"][UNCORDON_AFTER].as_str();
        let until = until.and_then(|until| until.parse::<Timestamp>().ok());
        if was && !is && until.is_some_and(|until| until > now) {
            found.push(("S10", format!("node {name} was uncordoned before its time")));
        }
        let is_ours = (ours(CORDONED_BY) || ours(RESERVED_BY)) && !is_handed_over(before);
        if was && !is && !is_ours && until.is_none() {
            found.push(("S10", format!("node {name} was uncordoned, which somebody else had cordoned")));
        }
        if !was && is && after["metadata"]["annotations"][RESERVED_BY].is_string() {
            if !self.is_made_by_its_plan(after, &name) {
                found.push(("S10", format!("node {name} was reserved, which its plan has not made")));
            }
        } else if is_taken_over || (!was && is) {
            let of_node = self.seen.claims.iter().filter(|(_, claim)| claim.object.status.node_name == *name);
            self.touched.extend(of_node.map(|(claim, _)| claim.to_string()));
            let plan = after["metadata"]["annotations"][CORDONED_BY].as_str().unwrap_or_default();
            self.cordons.insert(name.clone(), (plan.to_owned(), now));
            found.extend(self.judge_budget(&name));
        } else if !is {
            self.cordons.remove(&name);
        }
        found
    }

    /// What the operator changed on a NodeClaim; it may say by when Karpenter ends the pods, where the plan forces drains.
    pub(super) fn judge_claim_change(&self, before: &Value, after: &Value) -> Found {
        let mut found = foreign_changes("claim", before, after);
        let ends = |claim: &Value| claim["metadata"]["annotations"][ENDS_AT].clone();
        let name = key_of(after).name;
        let plan = after["metadata"]["labels"][PLAN].as_str().and_then(|uid| self.plans.get(uid));
        let may = plan.is_some_and(Plan::forces) && self.touched.contains(&name.to_string());
        if !ends(after).is_null() && ends(after) != ends(before) && !may {
            found.push(("S4", format!("claim {name}: its drain is forced, which no plan says")));
        }
        found
    }

    /// Notes who shields what: a shield that comes to an object that has none, and not from its NodeClaim, is a person's.
    pub(super) fn note_shield(&mut self, before: &Value, after: &Value) {
        let is_shielded = |object: &Value| object["metadata"]["annotations"][DO_NOT_DISRUPT].is_string();
        let name = key_of(after).name;
        if !is_shielded(after) {
            self.shielded_by_others.remove(&name);
        } else if !is_shielded(before) {
            let mut claims = self.seen.claims.values().filter(|claim| claim.object.status.node_name == *name);
            if !claims.any(|claim| is_shielded(&claim.raw)) {
                self.shielded_by_others.insert(name);
            }
        }
    }

    /// Names of nodes and NodeClaims that bear the shield which the plan gave to what it made.
    pub(super) fn shields_of(&self, plan: Plan<'_>) -> Vec<String> {
        let is_shielded = |object: &Value| object["metadata"]["annotations"][DO_NOT_DISRUPT].is_string();
        let made = self.seen.claims.values().filter(|claim| plan.made(&claim.raw) && !claim.is_leaving());
        let objects = made.flat_map(|claim| {
            let node = self.seen.node_of(&claim.object).map(|node| &node.raw);
            std::iter::once(&claim.raw).chain(node)
        });
        let ours =
            objects.filter(|object| is_shielded(object) && !self.shielded_by_others.contains(&key_of(object).name));
        ours.map(|object| key_of(object).name.to_string()).collect()
    }

    /// Whether the plan whose label the node bears has made it.
    fn is_made_by_its_plan(&self, node: &Value, name: &str) -> bool {
        let plan = node["metadata"]["labels"][PLAN].as_str().and_then(|uid| self.plans.get(uid));
        let mut claims = self.seen.claims.values().filter(|claim| claim.object.status.node_name == name);
        plan.is_some_and(|plan| claims.any(|claim| plan.made(&claim.raw)))
    }

    fn judge_budget(&self, node: &str) -> Option<(&'static str, String)> {
        let claim = self.seen.claims.values().find(|claim| claim.object.status.node_name == node)?;
        let pool = self.pool_of(&claim.object)?;
        let members: Vec<&Known<NodeClaim>> = self.members(&pool.object).collect();
        let busy = members.iter().filter(|claim| claim.object.status.node_name != node && self.is_busy(claim)).count();
        let most = pace(pool, members.len());
        (busy + 1 > most).then(|| {
            let pool = &pool.object.metadata.name;
            ("S3", format!("node {node} was cordoned as number {} of pool {pool}, which allows {most}", busy + 1))
        })
    }

    /// The initialized nodes of a pool whose instance is not ending.
    fn members<'a>(&'a self, pool: &'a NodePool) -> impl Iterator<Item = &'a Known<NodeClaim>> {
        self.seen.claims.values().filter(|claim| {
            claim.object.metadata.labels.get(NODE_POOL).is_some_and(|name| **name == *pool.metadata.name)
                && claim.object.status.is("Initialized")
                && !conditions::is_true(&claim.raw, "InstanceTerminating")
        })
    }

    /// Whether a node holds a slot: it leaves, is not ready, or the operator has cordoned it to remove it.
    fn is_busy(&self, claim: &Known<NodeClaim>) -> bool {
        let Some(node) = self.seen.node_of(&claim.object) else { return true };
        let cordoned = node.raw["metadata"]["annotations"][CORDONED_BY].is_string();
        claim.is_leaving() || !node.object.status.is_ready() || cordoned
    }
}

/// What changed that is not the operator's: labels, annotations, taints, the rest of the spec. A shield comes with a note of
/// what was there before, and goes as the note says.
fn foreign_changes(kind: &str, before: &Value, after: &Value) -> Found {
    let name = key_of(before).name;
    let mut found = Found::new();
    for (field, own) in [
        ("labels", &[PLAN, PREDICTED][..]),
        (
            "annotations",
            &[
                CORDONED_BY,
                RESERVED_BY,
                STATUS,
                UNCORDON_AFTER,
                ENDS_AT,
                DO_NOT_DISRUPT,
                FORMER,
                PREDICTED_AT,
                PREDICTED_BECAUSE,
            ][..],
        ),
    ] {
        let (was, is) = (&before["metadata"][field], &after["metadata"][field]);
        let keys: BTreeSet<&String> =
            [was, is].into_iter().filter_map(Value::as_object).flat_map(|all| all.keys()).collect();
        for key in keys.into_iter().filter(|key| was[key.as_str()] != is[key.as_str()]) {
            let breaks = match key.as_str() {
                DO_NOT_DISRUPT => !keeps_shield(was, is),
                PREDICTED => !predicts(before, after),
                key => !own.contains(&key),
            };
            if breaks {
                found.push(("S10", format!("{kind} {name}: the operator changed {field}[{key}]")));
            }
        }
    }
    let rest = |object: &Value| {
        let mut spec = object["spec"].clone();
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("unschedulable");
            let taints = spec.remove("taints").unwrap_or_default();
            let taints = taints.as_array().into_iter().flatten().filter(|taint| taint["key"] != LATER).cloned();
            spec.insert("taints".to_owned(), taints.collect());
        }
        spec
    };
    if rest(before) != rest(after) {
        found.push((
            "S10",
            format!("{kind} {name}: the operator changed more of the spec than cordon and its own taint"),
        ));
    }
    found
}

/// Whether the label of a spot node that is to be taken away came or went with the note that it is the operator's.
fn predicts(before: &Value, after: &Value) -> bool {
    let label = |node: &Value| node["metadata"]["labels"][PREDICTED].clone();
    let is_noted = |node: &Value| node["metadata"]["annotations"][PREDICTED_AT].is_string();
    let is_spot = after["metadata"]["labels"][CAPACITY_TYPE] == SPOT;
    let comes = label(before).is_null() && label(after) == "true" && is_noted(after) && is_spot;
    comes || (is_noted(before) && !is_noted(after) && label(after).is_null())
}

/// Whether a shield came or went with the former value kept.
fn keeps_shield(was: &Value, is: &Value) -> bool {
    let noted = |annotations: &Value| if annotations.is_null() { json!("absent") } else { annotations.clone() };
    match (&was[FORMER], &is[FORMER]) {
        (Value::Null, former) => is[DO_NOT_DISRUPT] == "true" && *former == noted(&was[DO_NOT_DISRUPT]),
        (former, _) => *former == noted(&is[DO_NOT_DISRUPT]),
    }
}

/// What is left on a node or NodeClaim of the marks of a plan.
pub(super) fn marks(object: &Value, plan: &str) -> Vec<&'static str> {
    let metadata = &object["metadata"];
    // The taints of a NodeClaim are those with which its node came, for good.
    let is_node = object["kind"] == "Node";
    let has_taint =
        object["spec"]["taints"].as_array().is_some_and(|all| all.iter().any(|taint| taint["key"] == LATER));
    let shunned = is_node && has_taint;
    let marks = [
        (PLAN, metadata["labels"][PLAN] == plan),
        (CORDONED_BY, metadata["annotations"][CORDONED_BY] == plan),
        (RESERVED_BY, metadata["annotations"][RESERVED_BY] == plan),
        // While a plan runs, these stand with its label.
        (FORMER, metadata["annotations"][FORMER].is_string() && !metadata["labels"][PLAN].is_string()),
        (LATER, shunned && !metadata["labels"][PLAN].is_string()),
    ];
    marks.into_iter().filter(|(_, is_there)| *is_there).map(|(mark, _)| mark).collect()
}

/// How many nodes of a pool may be disrupted at once: our own pace where the pool is handed over, else Karpenter's budgets.
fn pace(pool: &Known<NodePool>, nodes: usize) -> usize {
    let annotations = &pool.object.metadata.annotations;
    let share = |text: &str| shares::of(text, nodes).unwrap_or(0);
    if annotations.get(INCLUDE).map(String::as_str) == Some("include") {
        return share(annotations.get(PACE).map_or("10%", String::as_str)).max(1);
    }
    let budgets = pool.object.spec.disruption.budgets.clone();
    let binding =
        budgets.map(|all| all.into_iter().filter(|one| one.schedule.is_none()).map(|one| share(&one.nodes)).min());
    match binding {
        None => share("10%"),
        Some(least) => least.unwrap_or(usize::MAX),
    }
}
