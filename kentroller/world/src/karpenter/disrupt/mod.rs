//! Karpenter's own disruption: nodes that are empty, nodes that have drifted, and what can be had for less.
//!
//! Source: `pkg/controllers/disruption` of core v1.14. One loop with one decision in each pass; a consolidation is checked
//! again after 15 s. Absent: the policy Balanced, the schedules of budgets (a budget with one always binds), static pools,
//! nominations, time limits.

mod budgets;
mod candidates;
mod decision;
mod marks;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::simulation::apiserver::DeleteOptions;
use serde_json::{Value, json};

use self::decision::{Decision, Reason};
use super::provision::is_stalling;
use super::{DISRUPTED, Karpenter};
use crate::conditions;
use crate::hands::{Hands, after, sooner, wide};
use crate::seen::{Kind, News, Seen};

/// How often the loop looks.
const PACE: Duration = Duration::from_secs(10);
/// How long a consolidation waits to be checked again.
const VALIDATION: Duration = Duration::from_secs(15);
/// How long a pass that found nothing counts while nothing changes.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// The loop's memory.
#[derive(Debug, Default)]
pub(super) struct Disruption {
    /// A consolidation, and when it is checked again.
    thought: Option<(Decision, Timestamp)>,
    under_way: Vec<Replacing>,
    next_pass: Option<Timestamp>,
}

/// NodeClaims that go when those that replace them are there.
#[derive(Debug)]
struct Replacing {
    reason: Reason,
    claims: BTreeSet<Arc<str>>,
    by: Vec<String>,
}

impl Karpenter {
    pub(super) fn disrupt(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        marks::note_pods(seen, news, hands);
        let next = marks::set_conditions(seen, news, hands);
        self.follow_replacements(seen, hands);
        if seen.claims.values().any(is_stalling) {
            return next;
        }
        if let Some((thought, at)) = self.disruption.thought.take() {
            if at > hands.now {
                self.disruption.thought = Some((thought, at));
                return sooner(next, Some(at));
            }
            match self.confirmed(thought, seen, hands.now) {
                Some(decision) => return sooner(next, Some(self.carry_out(&decision, seen, hands))),
                None => self.disruption.next_pass = Some(after(hands.now, PACE)),
            }
        }
        let is_news = news.any(&[Kind::Pod, Kind::Node, Kind::NodeClaim, Kind::NodePool, Kind::DisruptionBudget]);
        if is_news {
            let soon = after(hands.now, PACE);
            self.disruption.next_pass = Some(self.disruption.next_pass.map_or(hands.now, |at| at.min(soon)));
        }
        match self.disruption.next_pass {
            Some(at) if at > hands.now => return sooner(next, Some(at)),
            None => return next,
            Some(_) => {}
        }
        let candidates = self.candidates(seen, hands.now);
        if candidates.is_empty() {
            self.disruption.next_pass = None;
            return next;
        }
        let pass = match self.decided(&candidates, seen, hands.now) {
            Some(decision) if decision.reason == Reason::Drifted => self.carry_out(&decision, seen, hands),
            Some(decision) => {
                let at = after(hands.now, VALIDATION);
                self.disruption.thought = Some((decision, at));
                at
            }
            None => {
                let at = after(hands.now, AGAIN);
                self.disruption.next_pass = Some(at);
                at
            }
        };
        sooner(next, Some(pass))
    }

    /// Deletes the NodeClaims, at once or when those that replace them are there; answers when the next pass is.
    fn carry_out(&mut self, decision: &Decision, seen: &Seen, hands: &Hands) -> Timestamp {
        let reason = decision.reason;
        let mut by = Vec::new();
        let mut namer = self.namer.clone();
        for claim in &decision.replacements {
            let object = claim.object(seen, &mut namer);
            by.push(object["metadata"]["name"].as_str().unwrap_or_default().to_owned());
            hands.create(object);
        }
        self.namer = namer;
        for name in &decision.claims {
            let Some(claim) = seen.claims.get(name) else { continue };
            let note = format!("Disrupting NodeClaim: {reason:?}");
            hands.event(&claim.raw, "Normal", "DisruptionLaunching", &note);
            if let Some(node) = seen.node_of(&claim.object) {
                hands.edit("Node", &wide(&node.object.metadata.name), taint);
            }
            hands.edit_status("NodeClaim", &wide(name), |status| {
                conditions::set(status, "DisruptionReason", "True", &format!("{reason:?}"), "", hands.now);
            });
        }
        self.disruption.under_way.push(Replacing { reason, claims: decision.claims.clone(), by });
        self.disruption.next_pass = Some(after(hands.now, Duration::from_secs(1)));
        after(hands.now, Duration::from_secs(1))
    }

    fn follow_replacements(&mut self, seen: &Seen, hands: &Hands) {
        self.disruption.under_way.retain(|replacing| {
            let claims = || replacing.by.iter().map(|name| seen.claims.get(name.as_str()));
            let not_seen_yet = claims().all(|claim| claim.is_none()) && !replacing.by.is_empty();
            if not_seen_yet && replacing.claims.iter().any(|name| !has_reason(seen, name)) {
                // Our own writes of this moment are seen in the next one.
                return true;
            }
            if claims().any(|claim| claim.is_none_or(|claim| claim.is_leaving())) {
                for name in &replacing.claims {
                    give_back(name, seen, hands);
                }
                return false;
            }
            if !claims().flatten().all(|claim| claim.object.status.is("Initialized")) {
                return true;
            }
            for name in replacing.claims.iter().filter(|name| seen.claims.contains_key(*name)) {
                hands.delete("NodeClaim", &wide(name), &DeleteOptions::default());
            }
            tracing::debug!(reason = ?replacing.reason, claims = ?replacing.claims, "disrupted");
            false
        });
    }
}

fn has_reason(seen: &Seen, name: &str) -> bool {
    seen.claims.get(name).is_none_or(|claim| conditions::is_true(&claim.raw, "DisruptionReason"))
}

/// What was to replace the node did not come: it takes pods again.
fn give_back(name: &str, seen: &Seen, hands: &Hands) {
    let Some(claim) = seen.claims.get(name) else { return };
    if let Some(node) = seen.node_of(&claim.object) {
        hands.edit("Node", &wide(&node.object.metadata.name), |node| {
            if let Some(taints) = node["spec"]["taints"].as_array_mut() {
                taints.retain(|taint| taint["key"] != DISRUPTED);
            }
        });
    }
    hands.edit_status("NodeClaim", &wide(name), |status| conditions::clear(status, "DisruptionReason"));
}

/// Puts Karpenter's taint on a node, once.
pub(super) fn taint(node: &mut Value) {
    if !node["spec"]["taints"].is_array() {
        node["spec"]["taints"] = json!([]);
    }
    if let Some(taints) = node["spec"]["taints"].as_array_mut()
        && !taints.iter().any(|taint| taint["key"] == DISRUPTED)
    {
        taints.push(json!({"key": DISRUPTED, "effect": "NoSchedule"}));
    }
}
