//! The check of a plan, whoever made it: before anybody may execute it, and again before it begins.

use std::sync::Arc;

use kentroller_planner::Options;
use kentroller_runtime::condition::seconds;
use kentroller_runtime::settings::parse_duration;
use kentroller_runtime::{Answer, Failure, Kind, World};
use sha2::{Digest, Sha256};

use super::{PlanStep, RebalancePlans, claim_of, forcing};
use crate::api::{
    FailureReason, PlanCondition, PlanReason, PlanState, RebalancePlan, RebalancePlanClaimSpec, RebalancePlanSpec,
    marks,
};
use crate::backend::{CheckAsk, Checked, Checks};
use crate::controllers::continuous::cycle_options;
use crate::controllers::{PLAN_MAX_AGE, RETRY_AFTER, after, claim_options, consolidation};
use crate::settings::CycleMode;

/// The planner's options of the claim or the cycle that the plan belongs to; those of an empty one without.
///
/// # Errors
/// A field of the claim that cannot be read.
pub(super) fn options_of(plan: &RebalancePlan, world: &World<RebalancePlans>) -> Result<Options, String> {
    if claim_of(plan, world).is_none() && plan.label(marks::CONSOLIDATES).is_some() {
        return Ok(consolidation::options(world.settings()));
    }
    if let Some(mode) = plan.label(marks::CYCLE_MODE) {
        let mode = CycleMode::named(mode).ok_or_else(|| format!("label {} is {mode:?}", marks::CYCLE_MODE))?;
        return Ok(cycle_options(world.settings(), mode));
    }
    let spec = claim_of(plan, world).map_or_else(RebalancePlanClaimSpec::default, |claim| claim.spec.clone());
    let mut options = claim_options(&spec, world.settings())?;
    if let Some(mode) = &plan.spec.aggressive_mode {
        options.aggressive.ignore_blocking_pdb |= mode.ignore_blocking_pdb && world.settings().force_eviction;
        options.aggressive.ignore_problem_removal_disabled_pods |= mode.ignore_problem_removal_disabled_pods;
    }
    Ok(options)
}

/// What the check found wrong, in one line; `None` if it found nothing.
pub(super) fn mistakes(found: &[String]) -> Option<String> {
    let some: Vec<&str> = found.iter().take(5).map(String::as_str).collect();
    (!some.is_empty()).then(|| format!("{} mistakes: {}", found.len(), some.join("; ")))
}

/// Tells one spec from another, whether it is executed or not.
pub(super) fn digest(spec: &RebalancePlanSpec) -> String {
    let text = serde_json::to_string(&RebalancePlanSpec { execute: false, ..spec.clone() }).unwrap_or_default();
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl PlanStep<'_> {
    /// Has the plan checked, whoever made it.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        if self.plan.spec.compressed_data.is_some() {
            let text = "spec.compressedData is not read by this version: write the lists themselves, in several plans if they are long";
            self.fail(FailureReason::PlanInvalid, None, text);
            return Ok(());
        }
        if let Some(wrong) = self.unreadable() {
            self.fail(FailureReason::PlanInvalid, None, &wrong);
            return Ok(());
        }
        let Some(answer) = self.checked()? else { return Ok(()) };
        self.status.savings = Some(answer.savings.clone());
        self.status.consolidation_stability.clone_from(&answer.stability);
        // What came to be held while the plan was computed is looked at node by node. What a person wrote is right or wrong as a whole.
        let held = if self.is_by_hand() { &answer.held[..] } else { &[] };
        if let Some(text) = mistakes(&[&answer.violations[..], held].concat()) {
            self.out.event(RebalancePlans::PlanRejected, text.clone());
            self.fail(FailureReason::PlanInvalid, None, &text);
            return Ok(());
        }
        self.status.state = Some(PlanState::Created);
        self.status.check_time = Some(seconds(self.world.now()));
        self.status.spec_digest = Some(digest(&self.plan.spec));
        if let Some(mode) = &self.plan.spec.aggressive_mode
            && let Some(text) = forcing::not_allowed(mode, self.world.settings())
        {
            self.warn(text);
        }
        let message = "The plan was checked and found right.";
        self.out.condition(PlanCondition::Created, true, PlanReason::Checked, message);
        self.out.event(RebalancePlans::PlanChecked, self.promise());
        self.out.reconciling(PlanReason::Created, "The plan waits for its turn.");
        Ok(())
    }

    /// Whether neither a claim nor we ourselves made the plan.
    fn is_by_hand(&self) -> bool {
        let is_ours = [marks::CYCLE_MODE, marks::CONSOLIDATES].iter().any(|mark| self.plan.label(mark).is_some());
        self.claim().is_none() && !is_ours
    }

    /// A duration of the spec that is none.
    fn unreadable(&self) -> Option<String> {
        let spec = &self.plan.spec;
        let mode = spec.aggressive_mode.clone().unwrap_or_default();
        let execution = spec.timeouts.as_ref().and_then(|all| all.rebalance_execution_timeout.clone());
        let all = [
            ("aggressiveMode.drainTimeout", mode.drain_timeout),
            ("aggressiveMode.ignoreBlockingPDBTimeout", mode.ignore_blocking_pdb_timeout),
            (
                "aggressiveMode.ignoreProblemRemovalDisabledPodsTimeout",
                mode.ignore_problem_removal_disabled_pods_timeout,
            ),
            ("timeouts.rebalanceExecutionTimeout", execution),
        ];
        let (field, value) = all
            .into_iter()
            .filter_map(|(field, value)| Some((field, value?)))
            .find(|(_, value)| parse_duration(value).is_none())?;
        Some(format!("spec.{field} {value:?} is no duration: write one such as 20m"))
    }

    /// What the check found of the spec as it is now, not long ago; `None` while it is asked, or cannot be.
    pub(super) fn checked(&mut self) -> Result<Option<Arc<Checked>>, Failure> {
        match self.world.answer::<Checks>(self.plan).cloned() {
            Some(Answer::Given { at, answer }) if self.world.now() < after(at, PLAN_MAX_AGE) => {
                return Ok(Some(answer));
            }
            Some(Answer::Failed { at, failure }) if self.world.now() < after(at, RETRY_AFTER) => {
                return Err(failure);
            }
            Some(Answer::Asked { .. }) => {}
            Some(Answer::Given { .. } | Answer::Failed { .. }) | None => {
                let options = match options_of(self.plan, self.world) {
                    Ok(options) => options,
                    Err(wrong) => {
                        self.fail(FailureReason::PlanInvalid, None, &wrong);
                        return Ok(None);
                    }
                };
                self.status.state.get_or_insert(PlanState::Pending);
                self.out.ask::<Checks>(CheckAsk { spec: self.plan.spec.clone(), options });
            }
        }
        self.out.reconciling(PlanReason::Checking, "The plan is being checked.");
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::testing::{given, object};
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{PlanStatus, RebalancePlanClaim};

    fn plan(of: Value, spec: Value) -> RebalancePlan {
        let mut whole = json!({"nodeClaimsToAdd": [], "nodeClaimsToDelete": [{"nodeClaimName": "c", "wave": 0}], "podsToMigrate": []});
        for (field, value) in spec.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        let mut metadata = json!({"name": "now", "uid": "u", "generation": 1});
        for (field, value) in of.as_object().into_iter().flatten() {
            metadata[field] = value.clone();
        }
        object(json!({"apiVersion": "", "kind": "", "metadata": metadata, "spec": whole,
            "status": {"state": "Pending", "conditions": []}}))
    }

    /// The state that the plan comes to after a check that found these things.
    fn comes_to(plan: &RebalancePlan, violations: &[&str], held: &[&str]) -> String {
        let now = "2026-11-22T10:00:00Z";
        let claim: RebalancePlanClaim =
            object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "k"}, "spec": {}}));
        let checked: Checked =
            serde_json::from_value(json!({"savings": {}, "violations": violations, "held": held})).expect("an answer");
        let answer = Answer::Given { at: now.parse().expect("a time"), answer: checked.into() };
        let given = given::<RebalancePlans>().at(now).with(claim).answered::<Checks>(plan, answer);
        let decided = given.decide(plan).expect("a decision");
        let status: PlanStatus = serde_json::from_value(decided.status.expect("a status")).expect("a status");
        status.state.expect("a state").as_str().to_owned()
    }

    #[test]
    fn what_came_to_be_held_while_a_plan_was_computed_is_looked_at_node_by_node_but_a_person_is_told() {
        let of_claim =
            json!({"ownerReferences": [{"apiVersion": "", "kind": "RebalancePlanClaim", "name": "now", "uid": "k"}]});
        let of_cycle = json!({"labels": {(marks::CYCLE_MODE): "full"}});
        let cases = [(of_claim, "Created"), (of_cycle, "Created"), (json!({}), "Failed")];
        for (of, wanted) in cases {
            let plan = plan(of.clone(), json!({}));
            assert_eq!(comes_to(&plan, &[], &["pod shop/web came"]), wanted, "{of}");
            assert_eq!(comes_to(&plan, &[], &[]), "Created", "{of}");
            assert_eq!(comes_to(&plan, &["node n is not there"], &[]), "Failed", "{of}");
        }
    }

    #[test]
    fn a_duration_that_is_none_is_told_before_anything_is_done_by_it() {
        let check = |spec: Value, wanted: &str| {
            assert_eq!(comes_to(&plan(json!({}), spec.clone()), &[], &[]), wanted, "{spec}");
        };
        check(json!({"aggressiveMode": {"drainTimeout": "20m"}}), "Created");
        check(json!({"aggressiveMode": {"drainTimeout": "20 minutes"}}), "Failed");
        check(json!({"timeouts": {"rebalanceExecutionTimeout": "soon"}}), "Failed");
    }
}
