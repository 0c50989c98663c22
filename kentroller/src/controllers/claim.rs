//! Claims: one rebalancing, from the wish through the plan to its end.

mod sequence;

use std::collections::BTreeMap;
use std::time::Duration;

use kentroller_planner::Options;
use kentroller_runtime::condition;
use kentroller_runtime::{
    Answer, Change, Cut, Failure, HasStatus, Kind, Mode, ObjectKey, Outcome, Reconcile, Reply, Switches, World,
    controller,
};

use super::rest::Rest;
use super::{EXECUTION_TIMEOUT, PLAN_MAX_AGE, RETRY_AFTER, after, duration, turn, window};
use crate::api::{
    AggressiveModeConfig, ClaimCondition, ClaimReason, ClaimState, ClaimStatus, DRAIN_TIMEOUT, FailureReason,
    PlanState, PlanTimeouts, RebalancePlan, RebalancePlanClaim, RebalancePlanClaimSpec, SkippedReason, Warning,
    failures, marks,
};
use crate::backend::{PlanAsk, Planned, Plans};

const GENERATION_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Nodes and warnings that a status lists: an object stays far below the size that the API server takes.
const MOST_LISTED: usize = 200;

/// Has a plan computed for each claim, and follows it to its end.
#[controller(
    of = RebalancePlanClaim,
    feature = "rebalancer",
    owns(RebalancePlan: create),
    watches(RebalancePlan => waiting_claims),
    asks(Plans),
    events(
        PlanReady = "A plan was computed for the claim.",
        ClaimCompleted = "The plan of the claim was executed.",
        ClaimSkipped = "There was nothing to do.",
        ClaimCanceled = "Somebody stopped the claim or its plan.",
        warning(ClaimFailed = "The claim missed a promise; its message says which."),
        warning(PlanCreationFailed = "The RebalancePlan could not be made; it is tried again."),
    ),
)]
pub struct Claims;

impl Reconcile for Claims {
    fn reconcile(claim: &RebalancePlanClaim, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut step =
            ClaimStep { claim, world, out: world.outcome(claim), status: claim.status().cloned().unwrap_or_default() };
        let state = step.status.state.clone().unwrap_or(ClaimState::Pending);
        if claim.deleting().is_some() || state.is_final() {
            return Ok(step.out);
        }
        if let ClaimState::Unknown(word) = &state {
            let message = format!("status.state {word:?} is not known to this version; it is left as it is");
            return Err(failures::STATE_UNKNOWN.because(message));
        }
        let plans = sequence::in_order(claim, world.owned::<RebalancePlan>(claim));
        match plans.last() {
            Some(plan) => step.follow(plan, &plans)?,
            None if state == ClaimState::Executing => step.plan_vanished(),
            None => match (step.over(), Rest::of(world)) {
                (Some(over), _) => step.cancel(&over),
                (None, Some(rest)) => step.rest(rest),
                (None, None) => step.generate()?,
            },
        }
        step.out.status(&step.status);
        Ok(step.out)
    }

    /// Nothing is started; what runs is brought to its end, and what is done is cleaned up.
    fn disabled(claim: &RebalancePlanClaim, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Self::reconcile(claim, world)
    }
}

/// A plan that ends may be what other claims wait for.
fn waiting_claims(change: &Change<'_, RebalancePlan>, cut: &Cut) -> Vec<ObjectKey> {
    if change.new.is_some_and(|plan| !turn::has_ended(plan)) {
        return Vec::new();
    }
    let all = cut.store::<RebalancePlanClaim>().into_iter().flat_map(|store| store.all());
    let open = all
        .filter(|claim| claim.status().and_then(|status| status.state.as_ref()).is_none_or(|state| !state.is_final()));
    open.map(Kind::key).collect()
}

/// One reconcile under way.
struct ClaimStep<'a> {
    claim: &'a RebalancePlanClaim,
    world: &'a World<Claims>,
    out: Outcome<Claims>,
    status: ClaimStatus,
}

impl ClaimStep<'_> {
    /// Why nothing is begun for the claim any more: its window is over. Before its end it is looked at then.
    fn over(&mut self) -> Option<String> {
        let (end, over) = window::end(self.claim, self.world.now())?;
        if over.is_none() {
            self.out.look_at(end);
        }
        over
    }

    /// Nothing is begun for the claim.
    fn rest(&mut self, rest: Rest) {
        let settings = self.world.settings();
        let reason = match rest {
            Rest::FeatureDisabled(_) => ClaimReason::FeatureDisabled,
            Rest::Paused => ClaimReason::Paused,
        };
        // The time does not count for planGenerationTimeout.
        self.status.generation_start_time = None;
        self.out.reconciling(reason, rest.told(settings));
        if let Some(end) = settings.paused.end() {
            self.out.look_at(end);
        }
    }

    /// Has a plan computed, and makes the RebalancePlan when it is this claim's turn.
    fn generate(&mut self) -> Result<(), Failure> {
        let options = match self.options(&[]) {
            Ok(options) => options,
            Err(wrong) => {
                self.fail(FailureReason::PlanGenerationFailed, &wrong);
                return Ok(());
            }
        };
        if let kentroller_planner::Scope::Nodes(names) = &options.scope
            && names.is_empty()
        {
            self.skip(SkippedReason::NothingInScope, "spec.scope names no node");
            return Ok(());
        }
        // A claim made anew under the same name must not meet the nodes of the one before.
        let seed = format!("{}/1", self.claim.uid());
        let now = self.world.now();
        match self.world.answer::<Plans>(self.claim).cloned() {
            Some(Answer::Given { at, answer }) => {
                let plans = self.world.all::<RebalancePlan>();
                let waits_for = turn::before_claim(self.claim, plans, self.world.all::<RebalancePlanClaim>());
                // What was planned beside another plan is not what that one leaves.
                let its_turn_came = waits_for.is_none() && self.status.waits_for.is_some();
                let stale = its_turn_came || now >= after(at, PLAN_MAX_AGE);
                self.status.waits_for.clone_from(&waits_for);
                self.take(&answer, waits_for.as_deref(), stale);
                if waits_for.is_none() && stale {
                    self.ask(self.question(seed, options));
                }
            }
            Some(Answer::Failed { at, failure }) => {
                self.generating(&failure.message);
                if now >= after(at, RETRY_AFTER) {
                    self.ask(self.question(seed, options));
                }
                self.out.look_in(RETRY_AFTER);
            }
            Some(Answer::Asked { .. }) => self.generating("The plan is being computed."),
            None => {
                self.generating("The plan is asked for.");
                if matches!(
                    self.claim.status().and_then(|status| status.state.as_ref()),
                    None | Some(ClaimState::Pending)
                ) {
                    self.status.state = Some(ClaimState::Submitted);
                }
                self.ask(self.question(seed, options));
                self.out.look_in(Duration::from_secs(1));
            }
        }
        Ok(())
    }

    fn question(&self, seed: String, options: Options) -> PlanAsk {
        PlanAsk { seed, options, time_limit: self.world.settings().plan_time_limit, tried: None }
    }

    fn ask(&mut self, ask: PlanAsk) {
        self.status.operation_id = Some(self.claim.uid().to_owned());
        self.out.ask::<Plans>(ask);
    }

    fn generating(&mut self, message: &str) {
        // A status of an older version has the condition only.
        let before = || condition::in_status_since(&self.status.conditions, ClaimCondition::PlanReady, false);
        let now = condition::seconds(self.world.now());
        let since = self.status.generation_start_time.or_else(before).unwrap_or(now);
        let limit = duration(
            self.claim.spec.timeouts.as_ref().and_then(|all| all.plan_generation_timeout.as_deref()),
            GENERATION_TIMEOUT,
        );
        let end = after(since, limit);
        if self.world.now() >= end {
            let text = format!("no plan within {} (planGenerationTimeout); waited for: {message}", seconds(limit));
            self.fail(FailureReason::Timeout, &text);
            return;
        }
        self.status.state = Some(ClaimState::Generating);
        self.status.generation_start_time = Some(since);
        self.out.condition(ClaimCondition::PlanReady, false, ClaimReason::Generating, message);
        self.out.reconciling(ClaimReason::Generating, message);
        self.out.look_at(end);
    }

    /// Whether a plan of the claim is executed without a person.
    fn executes(&self) -> bool {
        self.claim.spec.auto_execute && self.world.settings().mode() == Mode::Act
    }

    /// What a computed plan comes to.
    fn take(&mut self, planned: &Planned, waits_for: Option<&str>, stale: bool) {
        self.describe(planned);
        let executes = self.executes();
        let is_last_word = !stale && (waits_for.is_none() || !executes);
        match (planned.held_back, &planned.nothing) {
            (Some(saved), _) if is_last_word => {
                let wanted = self.claim.spec.min_savings_percentage.unwrap_or(0);
                let text = format!("the best plan saves {saved} % net and minSavingsPercentage is {wanted}");
                return self.fail(FailureReason::BelowMinSavings, &text);
            }
            (None, Some((reason, message))) if is_last_word => return self.skip(reason.clone(), message),
            (None, None) => {
                let promise = format!("A plan that saves {} %.", planned.savings_percent);
                self.out.event(Claims::PlanReady, promise.clone());
                self.out.condition(ClaimCondition::PlanReady, true, ClaimReason::PlanReady, promise);
            }
            // Nothing is worth while beside the plan that runs; what it leaves may be.
            (Some(_), _) | (None, Some(_)) => {}
        }
        self.status.state = Some(ClaimState::Ready);
        self.status.generation_start_time = None;
        match waits_for {
            Some(other) if executes => {
                let message = format!("Waits for {other}; one plan is executed at a time.");
                self.out.condition(ClaimCondition::Executing, false, ClaimReason::WaitsForTurn, message.clone());
                self.out.reconciling(ClaimReason::WaitsForTurn, message);
            }
            _ if stale => {
                let message =
                    "The plan is older than five minutes, or than the end of the one before; it is computed anew.";
                self.out.reconciling(ClaimReason::PlannedAgain, message);
            }
            _ => {
                self.out.reconciling(ClaimReason::PlanReady, "The plan is being written.");
                self.write(planned, 1, executes);
            }
        }
    }

    /// Writes the plan with this number; ends the claim if the API server will not have it.
    fn write(&mut self, planned: &Planned, number: usize, execute: bool) {
        let plan = self.plan(planned, &sequence::name(self.claim, number), execute);
        let key = format!("create RebalancePlan {}", plan.name());
        if let Some(Reply::Refused { code: 400 | 403 | 413 | 422, message, .. }) = self.world.reply(&key) {
            let text = format!("the API server does not take plan {}: {message}", plan.name());
            self.fail(FailureReason::PlanInvalid, &text);
            return;
        }
        let other = self.world.named::<RebalancePlan>(plan.name()).filter(|other| other.deleting().is_none());
        if other.is_some_and(|other| !turn::is_of(other, self.claim)) {
            let text = format!(
                "there is a RebalancePlan {} of somebody else: delete it, or name the claim otherwise",
                plan.name()
            );
            self.fail(FailureReason::PlanInvalid, &text);
            return;
        }
        self.status.rebalance_name = Some(plan.name().to_owned());
        let refused = format!("plan {}", plan.name());
        self.out.create_owned(&plan).keyed(key).or_says(Claims::PlanCreationFailed, refused);
    }

    fn describe(&mut self, planned: &Planned) {
        let proposed = planned.proposed.as_ref();
        let names = proposed.map_or_else(|| planned.removed.clone(), |(_, names)| names.clone());
        let percent = proposed.and_then(|(savings, _)| savings.projected_savings_percent.clone());
        self.status.selected_nodes_count = i64::try_from(names.len()).ok();
        self.status.selected_nodes = names;
        self.status.projected_savings_percent = percent.or_else(|| Some(planned.savings_percent.to_string()));
        self.status.proposed_savings = proposed.map(|(savings, _)| savings.clone());
        self.status.plan_id = Some(planned.id.clone());
        self.status.skipped_nodes = planned.kept.iter().take(MOST_LISTED).cloned().collect();
        let warnings = planned.warnings.iter().map(|text| Warning { description: text.clone() });
        self.status.warnings = warnings.take(MOST_LISTED).collect();
    }

    fn plan(&self, planned: &Planned, name: &str, execute: bool) -> RebalancePlan {
        let spec = &self.claim.spec;
        let mut plan = RebalancePlan::new(name, planned.spec.clone());
        let inherited = [marks::SCHEDULE, marks::CONSOLIDATES, marks::PREDICTS].into_iter();
        let labels: BTreeMap<String, String> =
            inherited.filter_map(|mark| Some((mark.to_owned(), self.claim.label(mark)?.to_owned()))).collect();
        plan.metadata.labels = (!labels.is_empty()).then_some(labels);
        plan.spec.execute = execute;
        plan.spec.execution_policy = spec.execution_policy.clone();
        let aggressive = spec.aggressive_mode_config.clone().unwrap_or_default();
        plan.spec.aggressive_mode = aggressive.carried(forced_drain(spec));
        let limit = duration(
            spec.timeouts.as_ref().and_then(|all| all.rebalance_execution_timeout.as_deref()),
            EXECUTION_TIMEOUT,
        );
        plan.spec.timeouts = Some(PlanTimeouts { rebalance_execution_timeout: Some(seconds(limit)) });
        plan
    }

    /// The claim's state as its plan's says it.
    fn follow(&mut self, plan: &RebalancePlan, plans: &[&RebalancePlan]) -> Result<(), Failure> {
        self.status.rebalance_name = Some(plan.name().to_owned());
        let status = plan.status().cloned().unwrap_or_default();
        let message = status.failure_message.clone().or(status.skipped_message.clone()).unwrap_or_default();
        match status.state.unwrap_or(PlanState::Pending) {
            PlanState::Pending => self.out.reconciling(ClaimReason::PlanReady, "The plan is being checked."),
            PlanState::Created => {
                // Of a later plan the claim is being executed all the while.
                if plans.len() == 1 {
                    self.status.state = Some(ClaimState::Ready);
                }
                let why = if plan.spec.execute { "Waits for its turn." } else { "Waits for spec.execute of its plan." };
                self.out.condition(ClaimCondition::Executing, false, ClaimReason::Waiting, why);
                self.out.reconciling(ClaimReason::PlanReady, why);
            }
            PlanState::Running => {
                self.status.state = Some(ClaimState::Executing);
                let wave = format!("Plan {} is executed, wave {}.", plan.name(), status.wave.unwrap_or(0) + 1);
                self.out.condition(ClaimCondition::Executing, true, ClaimReason::Executing, wave.clone());
                self.out.reconciling(ClaimReason::Executing, wave);
            }
            PlanState::Done | PlanState::DoneWithWarnings => {
                if self.goes_on_after(plans) && self.over().is_none() {
                    if let Some(rest) = Rest::of(self.world) {
                        self.rest(rest);
                        return Ok(());
                    }
                    if !self.next_plan(plans)? {
                        return Ok(());
                    }
                }
                self.complete(plans);
            }
            PlanState::Failed if self.is_tried_again(plans) && self.over().is_none() => {
                if let Some(rest) = Rest::of(self.world) {
                    self.rest(rest);
                } else if self.next_plan(plans)? {
                    self.end_after(plans, status.failure_reason.unwrap_or(FailureReason::ClusterChanged), &message);
                }
            }
            PlanState::Failed => self.fail(status.failure_reason.unwrap_or(FailureReason::ClusterChanged), &message),
            PlanState::Skipped => self.skip(status.skipped_reason.unwrap_or(SkippedReason::NoSaving), &message),
            PlanState::Expired if !plans.iter().any(|plan| sequence::was_begun(plan)) => {
                self.skip(SkippedReason::PlanExpired, "nobody executed the plan in time");
            }
            PlanState::Expired => {
                let text = format!("nobody executed plan {} in time: not all was done", plan.name());
                self.status.warnings.push(Warning { description: text });
                self.complete(plans);
            }
            PlanState::Canceled => self.cancel(&format!("the plan was canceled: {message}")),
            PlanState::Unknown(word) => {
                let text = format!("Plan {} is in state {word:?}, which this version does not know.", plan.name());
                self.out.stalled(ClaimReason::PlanStateUnknown, text);
            }
        }
        Ok(())
    }

    /// No plan comes in place of the last one, which came too late: because nothing is left to do, or because none was computed.
    fn end_after(&mut self, plans: &[&RebalancePlan], reason: FailureReason, message: &str) {
        let nothing = match self.world.answer::<Plans>(self.claim) {
            Some(Answer::Given { answer, .. }) => answer.nothing.clone(),
            _ => None,
        };
        match nothing {
            _ if plans.iter().any(|plan| sequence::was_begun(plan)) => self.complete(plans),
            Some((reason, message)) => self.skip(reason, &message),
            None => self.fail(reason, message),
        }
    }

    /// What its plans have done is what there is.
    fn complete(&mut self, plans: &[&RebalancePlan]) {
        let warnings = plans.iter().filter_map(|plan| plan.status()).flat_map(|status| status.warnings.clone());
        self.status.warnings.extend(warnings);
        self.status.warnings.truncate(MOST_LISTED);
        self.end(ClaimState::Completed);
        let text = sequence::saved(plans)
            .map_or("The plan was executed.".to_owned(), |saved| format!("Saves {} USD an hour.", saved.hourly()));
        self.out.ready(true, ClaimReason::Completed, text.clone());
        self.out.condition(ClaimCondition::Complete, true, ClaimReason::Completed, text.clone());
        self.out.event(Claims::ClaimCompleted, text);
    }

    fn plan_vanished(&mut self) {
        self.cancel("its plan was deleted while it was executed");
    }

    fn cancel(&mut self, message: &str) {
        self.end(ClaimState::Canceled);
        self.status.error_message = Some(message.to_owned());
        self.out.ready(false, ClaimReason::Canceled, message);
        self.out.event(Claims::ClaimCanceled, message);
    }

    fn skip(&mut self, reason: SkippedReason, message: &str) {
        self.end(ClaimState::Skipped);
        self.out.ready(false, reason.clone(), message);
        self.out.condition(ClaimCondition::Complete, true, reason.clone(), message);
        self.out.event(Claims::ClaimSkipped, message);
        self.status.skipped_reason = Some(reason);
        self.status.skipped_message = Some(message.to_owned());
    }

    fn fail(&mut self, reason: FailureReason, message: &str) {
        self.end(ClaimState::Failed);
        self.out.stalled(reason.clone(), message);
        self.out.condition(ClaimCondition::Failed, true, reason.clone(), message);
        self.out.event(Claims::ClaimFailed, message);
        self.status.failure_reason = Some(reason);
        self.status.error_message = Some(message.to_owned());
    }

    fn end(&mut self, state: ClaimState) {
        self.status.state = Some(state);
        self.status.completion_time = Some(condition::seconds(self.world.now()));
    }
}

/// After how long a drain is forced, if it is. Who asks for both ways gets the graceful one.
fn forced_drain(spec: &RebalancePlanClaimSpec) -> Option<String> {
    let forced = spec.aggressive_mode_config.as_ref().and_then(AggressiveModeConfig::forced_drain);
    match spec.evict_gracefully {
        Some(true) => None,
        Some(false) => Some(forced.unwrap_or_else(|| DRAIN_TIMEOUT.to_owned())),
        None => forced,
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::testing::{given, object};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_edit_of_the_claim_between_question_and_plan_asks_anew() {
        let claim = |generation: i64| -> RebalancePlanClaim {
            object(
                json!({"apiVersion": "", "kind": "", "metadata": {"name": "a", "uid": "u", "generation": generation},
                "spec": {}, "status": {"state": "Generating", "conditions": []}}),
            )
        };
        let now = "2026-11-22T10:00:00Z";
        let asked = Answer::Asked { since: now.parse().expect("a time") };
        let world = given::<Claims>().at(now).answered::<Plans>(&claim(1), asked);
        let questions = |generation| world.decide(&claim(generation)).expect("a decision").questions;
        assert_eq!(format!("{:?}", questions(1)), "[]");
        assert_eq!(format!("{:?}", questions(2)), "[plans RebalancePlanClaim/u/2]");
    }
}
