//! Spot nodes are left before the provider takes them away. What is predicted becomes a label on each node at risk, and one claim for
//! all of them, which is planned and carried out like any other: under budgets, with room bought before a pod moves.

#[cfg(test)]
mod tests;
pub(super) mod told;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kentroller_runtime::settings::Decimal;
use kentroller_runtime::{
    Answer, Cluster, Failure, HasStatus, Kind, Mode, Outcome, Reconcile, Switches, World, controller,
};
use serde_json::json;

use super::ended::{self, HISTORY};
use super::rest::Rest;
use super::{RETRY_AFTER, after, at_any_change, count, offerings, turn};
use crate::api::foreign::{Node, NodeClaim, zone_ids};
use crate::api::{
    AggressiveModeConfig, ClaimState, RebalancePlan, RebalancePlanClaim, RebalancePlanClaimSpec, Scope,
    UnavailableOffering, marks,
};
use crate::backend::{Predicted, Predictions, is_spot};
use crate::settings::Settings;

/// The model that predicts in this process.
const LOCAL: &str = "local";
/// In label [`marks::PREDICTS`].
const INTERRUPTION: &str = "interruption";

/// Labels spot nodes that are about to be taken away, and makes a claim that replaces them.
#[controller(
    of = Cluster,
    feature = "spot_interruption_prediction",
    reads(Node, NodeClaim, UnavailableOffering),
    writes(Node: patch, RebalancePlanClaim: create + delete, UnavailableOffering: create + patch),
    watches(RebalancePlan => at_any_change, RebalancePlanClaim => at_any_change),
    asks(Predictions),
    gauges(spot_nodes_at_risk = "Spot nodes that are labelled as predicted to be taken away"),
    events(
        SpotNodesReplaced = "Nodes are predicted to be taken away, and a claim was made that replaces them.",
        warning(SpotClaimRefused = "The API server did not take the claim that replaces nodes at risk."),
    ),
)]
pub struct SpotInterruption;

impl Reconcile for SpotInterruption {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut look = Look::new(cluster, world);
        look.keep_history();
        look.step();
        Ok(look.out)
    }

    /// What was labelled is taken back: nobody looks after it any more.
    fn disabled(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut look = Look::new(cluster, world);
        look.withdraw(|_| true);
        Ok(look.out)
    }
}

/// Why nothing is predicted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Idle {
    /// Somebody has asked for predictions, and not in a way that gives any.
    pub(super) is_mistake: bool,
    /// And what to set.
    pub(super) why: String,
}

/// The probability above which a node is at risk.
pub(super) fn threshold(settings: &Settings) -> Result<Decimal, Idle> {
    let idle = |is_mistake, why: String| Err(Idle { is_mistake, why: format!("no interruption is predicted: {why}") });
    match settings.prediction_model.as_deref() {
        None | Some("") => {
            let why = format!("SPOT_INTERRUPTION_PREDICTION_MODEL_NAME is not set; set it to {LOCAL}");
            return idle(settings.interruption_threshold.is_some(), why);
        }
        Some(LOCAL) => {}
        Some(other) => {
            let why = format!(
                "SPOT_INTERRUPTION_PREDICTION_MODEL_NAME is {other:?}, and there is no endpoint of a prediction API to ask for it; set it to {LOCAL}"
            );
            return idle(true, why);
        }
    }
    let unset = || {
        let why = "SPOT_INTERRUPTION_PREDICTION_INTERRUPTION_THRESHOLD is not set; set the probability above which a node is at risk, such as 0.4";
        idle(true, why.to_owned())
    };
    settings.interruption_threshold.map_or_else(unset, Ok)
}

/// One look.
struct Look<'a> {
    cluster: &'a Cluster,
    world: &'a World<SpotInterruption>,
    settings: &'a Settings,
    out: Outcome<SpotInterruption>,
    /// Our claims, the oldest first.
    claims: Vec<&'a RebalancePlanClaim>,
    /// NodeClaims that a plan which runs has its hands on.
    in_plans: BTreeSet<&'a str>,
}

impl<'a> Look<'a> {
    fn new(cluster: &'a Cluster, world: &'a World<SpotInterruption>) -> Self {
        let running = world.all::<RebalancePlan>().filter(|plan| turn::holds_the_turn(plan));
        let deleted = |plan: &'a RebalancePlan| plan.spec.node_claims_to_delete.iter().map(|one| &*one.node_claim_name);
        let mut out = world.outcome(cluster);
        let labelled = world.all::<Node>().filter(|node| is_labelled(node)).count();
        out.set(SpotInterruption::SPOT_NODES_AT_RISK, [], count(labelled));
        Self {
            cluster,
            world,
            settings: world.settings(),
            out,
            claims: ended::marked(world.all(), marks::PREDICTS),
            in_plans: running.flat_map(deleted).collect(),
        }
    }

    fn step(&mut self) {
        if let Some(rest) = Rest::of(self.world) {
            self.out.log(rest.told(self.settings));
            if let Some(end) = self.settings.paused.end() {
                self.out.look_at(end);
            }
            return;
        }
        let threshold = match threshold(self.settings) {
            Ok(threshold) => threshold,
            Err(idle) => {
                self.out.log(idle.why);
                return self.withdraw(|_| true);
            }
        };
        let now = self.world.now();
        match self.world.answer::<Predictions>(self.cluster).cloned() {
            Some(Answer::Asked { .. }) => {}
            Some(Answer::Given { at, answer }) if now < after(at, self.settings.prediction_interval) => {
                self.take(&answer, threshold);
                self.out.look_at(after(at, self.settings.prediction_interval));
            }
            Some(Answer::Failed { at, failure }) if now < after(at, RETRY_AFTER) => {
                self.out.log(format!("nothing was predicted: {}", failure.message));
                self.out.look_at(after(at, RETRY_AFTER));
            }
            Some(Answer::Given { .. } | Answer::Failed { .. }) | None => self.out.ask::<Predictions>(()),
        }
    }

    fn take(&mut self, predicted: &Predicted, threshold: Decimal) {
        let risk_of = |node: &Node| predicted.risks.get(node.name());
        let nodes = self.world.all::<Node>().filter(|node| self.is_ours_to_judge(node));
        let at_risk: Vec<&Node> =
            nodes.filter(|node| risk_of(node).is_some_and(|risk| risk.probability > threshold)).collect();
        // Of a node of which nothing is told the risk is not known to be gone.
        self.withdraw(|node| risk_of(node).is_some_and(|risk| risk.probability <= threshold));
        for node in at_risk.iter().copied().filter(|node| node.label(marks::PREDICTED_INTERRUPTION).is_none()) {
            if let Some(risk) = risk_of(node).filter(|_| self.settings.mode() != Mode::Observe) {
                let because = format!("probability {} {}", risk.probability, risk.why);
                self.out.merge(node, label(self.world.now(), because.trim_end()));
            }
        }
        let (rest, leave): (Vec<&Node>, Vec<&Node>) = at_risk.into_iter().partition(|node| self.rests(node));
        let names = |nodes: &[&Node]| nodes.iter().map(|node| node.name()).collect::<Vec<_>>().join(", ");
        if !rest.is_empty() {
            self.out.log(format!("at risk, and replaced not before its cooldown is over: {}", names(&rest)));
        }
        if leave.is_empty() {
            return;
        }
        match self.claims.iter().find(|claim| end(claim).is_none()) {
            Some(open) => {
                self.out.log(format!("at risk, and replaced when claim {} has ended: {}", open.name(), names(&leave)));
            }
            None => self.claim(&leave),
        }
    }

    /// One claim for all of them.
    fn claim(&mut self, nodes: &[&Node]) {
        let name = format!("spot-prediction-{}", self.world.now().strftime("%Y%m%d%H%M%S"));
        let node_names: Vec<String> = nodes.iter().map(|node| node.name().to_owned()).collect();
        let told = format!("{name} replaces nodes at risk: {}", node_names.join(", "));
        let spec = RebalancePlanClaimSpec {
            auto_execute: self.settings.mode() == Mode::Act,
            // Karpenter's mark tells whether a node is worth its price.
            aggressive_mode_config: Some(AggressiveModeConfig { ignore_consolidatable: true, ..Default::default() }),
            // Dearer or not.
            min_savings_percentage: Some(0),
            scope: Some(Scope { node_names, ..Scope::default() }),
            ..RebalancePlanClaimSpec::default()
        };
        let mut claim = RebalancePlanClaim::new(&name, spec);
        claim.metadata.labels = Some([(marks::PREDICTS.to_owned(), INTERRUPTION.to_owned())].into());
        self.avoid(nodes);
        self.out.log(told.clone());
        self.out
            .create(&claim)
            .says(SpotInterruption::SpotNodesReplaced, told)
            .or_says(SpotInterruption::SpotClaimRefused, name);
    }

    /// Before anything is planned, what is at risk is not to be bought: their like would be taken away with them.
    fn avoid(&mut self, nodes: &[&Node]) {
        let (zones, now) = (zone_ids(self.world.all()), self.world.now());
        let at_risk = nodes.iter().filter_map(|node| offerings::at_risk(node, &zones, now));
        let by_name: BTreeMap<String, UnavailableOffering> = at_risk.map(|one| (one.name().to_owned(), one)).collect();
        for (name, one) in by_name {
            let stored = self.world.named::<UnavailableOffering>(&name);
            if let Some(stored) = stored.filter(|stored| now >= stored.spec.expires_at) {
                self.out.patch(stored, |stored| stored.spec = one.spec);
            } else if stored.is_none() {
                self.out.create(&one);
            }
        }
        self.out.then();
    }

    /// Whether it is a spot node that Karpenter made, and no plan has its hands on it.
    fn is_ours_to_judge(&self, node: &Node) -> bool {
        let claim = self.world.indexed::<NodeClaim>(node.name()).into_iter().find(|claim| is_spot(node, claim));
        claim.is_some_and(|claim| !self.is_in_plan(node) && !self.in_plans.contains(claim.name()))
    }

    fn is_in_plan(&self, node: &Node) -> bool {
        let claims = self.world.indexed::<NodeClaim>(node.name());
        node.label(marks::PLAN).is_some() || claims.iter().any(|claim| self.in_plans.contains(claim.name()))
    }

    /// Whether the node was replaced for a prediction, or was to be, a short time ago; and whether it is that young itself.
    fn rests(&self, node: &Node) -> bool {
        let (now, cooldown) = (self.world.now(), self.settings.spot_replacement_cooldown);
        // A younger node of the same name is another one.
        let is_about = |claim: &RebalancePlanClaim| {
            let scope = claim.spec.scope.as_ref();
            claim.created() >= node.created()
                && scope.is_some_and(|scope| scope.node_names.iter().any(|name| name == node.name()))
        };
        let mut ends = self.claims.iter().filter(|claim| is_about(claim)).filter_map(|claim| end(claim));
        now < after(node.created(), cooldown) || ends.any(|end| now < after(end, cooldown))
    }

    /// Takes our label back from these nodes, unless a plan has its hands on them.
    fn withdraw(&mut self, is_over: impl Fn(&Node) -> bool) {
        for node in self.world.all::<Node>().filter(|node| is_labelled(node) && is_over(node)) {
            if !self.is_in_plan(node) {
                self.out.merge(node, unlabel());
            }
        }
    }

    /// A claim is kept as long as its cooldown counts.
    fn keep_history(&mut self) {
        let (now, cooldown) = (self.world.now(), self.settings.spot_replacement_cooldown);
        let is_over = |claim: &&RebalancePlanClaim| {
            claim.deleting().is_none() && end(claim).is_some_and(|end| now >= after(end, cooldown))
        };
        for old in self.claims.iter().copied().rev().filter(is_over).skip(HISTORY) {
            self.out.delete(old);
        }
    }
}

/// Whether the label on the node is ours.
pub(crate) fn is_labelled(node: &Node) -> bool {
    node.annotation(marks::PREDICTED_AT).is_some()
}

/// When the claim came to its end, however it did.
fn end(claim: &RebalancePlanClaim) -> Option<Timestamp> {
    let status = claim.status().filter(|status| status.state.as_ref().is_some_and(ClaimState::is_final))?;
    status.completion_time.or_else(|| Some(claim.created()))
}

fn label(now: Timestamp, because: &str) -> serde_json::Value {
    json!({"metadata": {
        "labels": {marks::PREDICTED_INTERRUPTION: "true"},
        "annotations": {marks::PREDICTED_AT: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), marks::PREDICTED_BECAUSE: because},
    }})
}

/// Takes our label back.
pub(crate) fn unlabel() -> serde_json::Value {
    json!({"metadata": {
        "labels": {marks::PREDICTED_INTERRUPTION: null},
        "annotations": {marks::PREDICTED_AT: null, marks::PREDICTED_BECAUSE: null},
    }})
}
