//! S1: a node goes only when its replacements are there. S7: only nodes that are ours to remove. S12: a plan takes its own
//! nodes back only where it failed to make them. S20: no shielded node. S24: what is touched bears the plan's label.

use jiff::Timestamp;
use serde_json::Value;

use super::plans::{PLAN, Plan};
use super::{Found, REMOVAL_DISABLED, State};
use crate::karpenter::is_kept;
use crate::seen::{Known, KnownPod, key_of};

impl State {
    pub(super) fn judge_removal(&mut self, raw: &Value, now: Timestamp) -> Found {
        let name = key_of(raw).name;
        let node = self.seen.claims.get(&name).and_then(|claim| self.seen.node_of(&claim.object));
        let label = |object: &Value| object["metadata"]["labels"][PLAN].as_str().map(str::to_owned);
        let told = label(raw).or_else(|| label(&node?.raw));
        let plan = told.as_deref().and_then(|uid| self.plans.get(uid));
        if let Some(plan) = plan.filter(|plan| plan.made(raw)) {
            return self.judge_return(plan, raw);
        }
        let mut found = self.judge_right_to_remove(&name, now);
        if label(raw).is_none() {
            found.push(("S24", format!("claim {name} was deleted without the label of a plan")));
        }
        let missing = match (plan, told) {
            (Some(plan), _) => self.missing_greens(plan, &name),
            (None, Some(_)) => vec![format!("claim {name} was deleted for a plan that is not there")],
            (None, None) => vec![format!("claim {name} was deleted, and neither it nor its node bears a plan's label")],
        };
        found.extend(missing.into_iter().map(|text| ("S1", text)));
        self.moving.get_or_insert(now);
        found
    }

    /// What forbids the removal of a node, whatever a plan says.
    fn judge_right_to_remove(&self, name: &str, now: Timestamp) -> Found {
        let Some(claim) = self.seen.claims.get(name) else { return Found::new() };
        let mut found = Found::new();
        match self.pool_of(&claim.object) {
            None => found.push(("S7", format!("claim {name} was deleted, whose pool is not known"))),
            Some(pool) if pool.object.spec.replicas.is_some() => {
                found.push(("S7", format!("claim {name} of a static pool was deleted")));
            }
            Some(_) => {}
        }
        let Some(node) = self.seen.node_of(&claim.object) else { return found };
        let node_name = &node.object.metadata.name;
        if node.object.metadata.mark(REMOVAL_DISABLED) == Some("true") {
            found.push(("S7", format!("claim {name} was deleted, whose node must not be removed")));
        }
        if self.shielded.contains(node_name) {
            found.push(("S20", format!("claim {name} was deleted, whose node somebody else has shielded")));
        }
        let kept = self.seen.on_node(node_name).filter(|(_, pod)| pod.is_active() && is_kept(pod, now));
        found.extend(
            kept.map(|(key, _)| ("S20", format!("claim {name} was deleted under pod {key}, which forbids it"))),
        );
        found
    }

    /// A plan gives back what it made itself: an attempt that came to nothing, or the nodes of the wave that failed.
    fn judge_return(&self, plan: Plan<'_>, raw: &Value) -> Found {
        let name = key_of(raw).name;
        let broken = |why: &str| vec![("S12", format!("claim {name} was taken back by plan {}, {why}", plan.name()))];
        let Some(claim) = self.seen.claims.get(&name) else { return Found::new() };
        if plan.is_running() {
            let came = claim.object.status.is("Initialized");
            return if came { broken("which is running and has it initialized") } else { Found::new() };
        }
        let is_there = |blue: &str| self.seen.claims.get(blue).is_some_and(|claim| !claim.is_leaving());
        if !plan.may_give_back(&name, is_there) {
            return broken("which has removed a node for it");
        }
        match self.others(claim).next() {
            Some(pod) => broken(&format!("though pod {} runs there", pod.object.metadata.key())),
            None => Found::new(),
        }
    }

    /// Pods on the node of a claim that are neither daemons nor about to end.
    pub(super) fn others<'a, T>(&'a self, claim: &'a Known<T>) -> impl Iterator<Item = &'a KnownPod> {
        let node = claim.raw["status"]["nodeName"].as_str().unwrap_or_default();
        self.seen
            .on_node(node)
            .map(|(_, pod)| pod)
            .filter(|pod| pod.is_active() && !pod.is_daemon() && pod.owner_kind() != "Node")
    }

    /// The replacements of a claim's wave that are not ready, as the plan lists them.
    fn missing_greens(&self, plan: Plan<'_>, name: &str) -> Vec<String> {
        let Some(wave) = plan.removes(name) else {
            return vec![format!("claim {name} was deleted, which plan {} does not list", plan.name())];
        };
        let ready = |green: &str| {
            self.seen.claims.iter().any(|(name, claim)| {
                let is_it = plan.green(name).is_some_and(|one| one.name == green);
                let node = || self.seen.node_of(&claim.object);
                is_it
                    && !claim.is_leaving()
                    && claim.object.status.is("Ready")
                    && node().is_some_and(|node| node.object.status.is_ready())
            })
        };
        plan.greens_of(wave)
            .filter(|green| !ready(green))
            .map(|green| format!("claim {name} was deleted before its replacement {green} was ready"))
            .collect()
    }
}
