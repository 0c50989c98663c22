//! Plans: judged, then executed wave by wave. Each step is a state in the object, so that a restart at any write goes on.

mod creation;
mod deletion;
mod marks;
mod neighbours;
mod outcome;
mod room;
mod slots;
mod steering;

use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::condition;
use kentroller_runtime::settings::parse_duration;
use kentroller_runtime::{
    Answer, Change, Cut, Failure, HasStatus, Kind, Mode, ObjectKey, Outcome, Reconcile, Switches, World, controller,
};
use serde_json::json;

use super::{AGAIN, claim};
use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
use crate::api::{
    FailurePhase, FailureReason, PlanCondition, PlanState, PlanStatus, RebalancePlan, RebalancePlanClaim,
    SkippedReason, Warning,
};
use crate::backend::{JudgeAsk, Judgements};

/// On every object that a plan touches: the plan's uid.
pub const PLAN_LABEL: &str = "rebalancing.cast.ai/plan";
const FINALIZER: &str = "rebalancing.cast.ai/plan";
const EXECUTION_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// A plan that nobody executes expires after this long, in seconds.
const APPROVAL: i64 = 60 * 60;
/// How often a running plan is looked at without a wake-up.
const PULSE: Duration = Duration::from_secs(30);

/// Executes plans, one at a time.
#[controller(
    of = RebalancePlan,
    feature = "rebalancer",
    finalizes,
    writes(NodeClaim: create + patch + delete, Node: patch, Pod: evict),
    watches(
        RebalancePlan => waiting_plans, NodeClaim => running_for_claim, Node => running_for_node, Pod => running_for_pod
    ),
    reads(NodePool, RebalancePlanClaim),
    asks(Judgements),
    events(
        PlanJudged = "The plan was checked and found right.",
        PlanStarted = "The plan is being executed.",
        NodeRequested = "A new node was asked for.",
        NodeReady = "A new node is there and initialized.",
        NodeDraining = "A node takes no new pods; its pods are being moved.",
        NodeRemoved = "An emptied node was given back.",
        WaveDone = "A wave of the plan is finished.",
        PlanDone = "The plan was executed.",
        PlanCanceled = "Somebody stopped the plan.",
        PlanExpired = "Nobody executed the plan in time.",
        warning(NodeRequestFailed = "A NodeClaim could not be made; it is tried again."),
        warning(NodeAttemptFailed = "A new node did not come; the next offering is tried."),
        warning(NodeRemovalRefused = "An emptied node was not given back, for the reason told; it is looked at again."),
        warning(NodeKept = "A node could not be drained in time and is kept."),
        warning(PlanRejected = "The check of the plan found mistakes; nothing of it was done."),
        warning(PlanFailed = "The plan missed a promise; its message says which."),
    ),
)]
pub struct RebalancePlans;

impl Reconcile for RebalancePlans {
    fn reconcile(plan: &RebalancePlan, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let status = plan.status().cloned().unwrap_or_default();
        let mut step = Step { plan, world, out: world.outcome(plan), status };
        match step.status.state.clone().unwrap_or(PlanState::Pending) {
            state if state.is_final() => {
                step.clean_up();
                return Ok(step.out);
            }
            PlanState::Running if plan.deleting().is_some() => step.cancel("the plan was deleted"),
            _ if plan.deleting().is_some() => return Ok(step.out),
            PlanState::Pending => step.judge()?,
            PlanState::Created => step.wait(),
            PlanState::Running if !plan.spec.execute => step.cancel("spec.execute was set to false"),
            PlanState::Running => step.run(),
            other => {
                let message = format!("status.state {:?} is not known to this version", other.as_str());
                return Err(Failure::terminal("StateUnknown", message));
            }
        }
        step.out.status(&step.status);
        Ok(step.out)
    }

    /// Nothing is started; what runs is brought to its end, and what is done is cleaned up.
    fn disabled(plan: &RebalancePlan, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Self::reconcile(plan, world)
    }
}

/// Whether a plan came to its end.
pub(super) fn has_ended(plan: &RebalancePlan) -> bool {
    plan.status().and_then(|status| status.state.as_ref()).is_some_and(PlanState::is_final)
}

/// Whether other plans must wait for this one: it executes or is about to, or still has its marks on the cluster.
pub(super) fn holds_the_turn(plan: &RebalancePlan) -> bool {
    if has_ended(plan) { is_marked(plan) } else { plan.spec.execute || is_marked(plan) }
}

fn is_marked(plan: &RebalancePlan) -> bool {
    plan.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER)
}

/// A plan that ends may be what others wait for.
fn waiting_plans(change: &Change<'_, RebalancePlan>, cut: &Cut) -> Vec<ObjectKey> {
    if change.new.is_some_and(|plan| !has_ended(plan)) {
        return Vec::new();
    }
    in_state(cut, &PlanState::Created)
}

fn running_for_claim(_: &Change<'_, NodeClaim>, cut: &Cut) -> Vec<ObjectKey> {
    in_state(cut, &PlanState::Running)
}

fn running_for_node(_: &Change<'_, Node>, cut: &Cut) -> Vec<ObjectKey> {
    in_state(cut, &PlanState::Running)
}

fn running_for_pod(_: &Change<'_, Pod>, cut: &Cut) -> Vec<ObjectKey> {
    in_state(cut, &PlanState::Running)
}

fn in_state(cut: &Cut, state: &PlanState) -> Vec<ObjectKey> {
    let all = cut.store::<RebalancePlan>().into_iter().flat_map(|store| store.all());
    all.filter(|plan| plan.status().and_then(|status| status.state.as_ref()) == Some(state)).map(Kind::key).collect()
}

/// One reconcile of one plan under way.
struct Step<'a> {
    plan: &'a RebalancePlan,
    world: &'a World<RebalancePlans>,
    out: Outcome<RebalancePlans>,
    status: PlanStatus,
}

impl Step<'_> {
    /// Has the plan checked, whoever made it.
    fn judge(&mut self) -> Result<(), Failure> {
        match self.world.answer::<Judgements>(self.plan).cloned() {
            Some(Answer::Given { answer, .. }) => {
                self.status.savings = Some(answer.savings.clone());
                if answer.violations.is_empty() {
                    self.status.state = Some(PlanState::Created);
                    self.out.condition(PlanCondition::Created, true, "Judged", "The plan was checked and found right.");
                    self.out.event(RebalancePlans::PlanJudged, self.promise());
                    self.out.reconciling("Created", "The plan waits for its turn.");
                } else {
                    let some: Vec<&str> = answer.violations.iter().take(5).map(String::as_str).collect();
                    let text = format!("{} mistakes: {}", answer.violations.len(), some.join("; "));
                    self.out.event(RebalancePlans::PlanRejected, text.clone());
                    self.fail(FailureReason::PlanInvalid, None, &text);
                }
            }
            Some(Answer::Failed { at, failure }) if self.world.now().duration_since(at).as_secs() < AGAIN => {
                return Err(failure);
            }
            Some(Answer::Asked { .. }) => self.out.reconciling("Checking", "The plan is being checked."),
            Some(Answer::Failed { .. }) | None => {
                let owner = self.plan.metadata.owner_references.iter().flatten().next();
                let claim = owner.and_then(|owner| self.world.named::<RebalancePlanClaim>(&owner.name));
                let options = claim.map(|claim| claim::options(&claim.spec)).transpose()?.unwrap_or_default();
                self.status.state = Some(PlanState::Pending);
                self.out.reconciling("Checking", "The plan is being checked.");
                self.out.ask::<Judgements>(JudgeAsk { spec: self.plan.spec.clone(), options });
            }
        }
        Ok(())
    }

    /// Waits for `spec.execute` and for its turn.
    fn wait(&mut self) {
        if !self.plan.spec.execute {
            let judged = condition::since(&self.status.conditions, "Created", "Judged").unwrap_or(self.world.now());
            let end = judged.as_second() + APPROVAL;
            if self.world.now().as_second() >= end {
                self.status.state = Some(PlanState::Expired);
                self.status.skipped_reason = Some(SkippedReason::PlanExpired);
                self.out.ready(false, "Expired", "Nobody set spec.execute within an hour.");
                self.out.event(RebalancePlans::PlanExpired, "nobody set spec.execute within an hour");
                return;
            }
            self.out.reconciling("WaitsForApproval", "Set spec.execute to true to execute the plan.");
            self.out.look_at(Timestamp::from_second(end).unwrap_or(Timestamp::MAX));
            return;
        }
        if !self.world.enabled() {
            self.out.reconciling("FeatureDisabled", "Feature rebalancer is off.");
            return;
        }
        if self.world.settings().mode() == Mode::Observe {
            self.out.reconciling("ModeObserve", "Mode observe executes no plan; modes approve and act do.");
            return;
        }
        if let Some(other) = self.ahead() {
            self.out.reconciling("WaitsForTurn", format!("Waits for plan {other}; one plan is executed at a time."));
            return;
        }
        if !is_marked(self.plan) {
            let mut finalizers = self.plan.metadata.finalizers.clone().unwrap_or_default();
            finalizers.push(FINALIZER.to_owned());
            self.out.merge(self.plan, json!({"metadata": {"finalizers": finalizers}}));
            self.out.reconciling("Starting", "The plan starts.");
            return;
        }
        self.status.state = Some(PlanState::Running);
        self.status.wave = Some(0);
        self.out.condition(PlanCondition::InProgress, true, "Running", self.promise());
        self.out.event(RebalancePlans::PlanStarted, self.promise());
        self.out.reconciling("Running", "The plan is being executed.");
        self.out.look_in(Duration::from_secs(1));
    }

    /// The plan that goes before this one: one that has its hands on the cluster, or an older one that waits too.
    fn ahead(&self) -> Option<String> {
        let place = |plan: &RebalancePlan| (!is_marked(plan), plan.created(), plan.name().to_owned());
        let mine = place(self.plan);
        let others =
            self.world.all::<RebalancePlan>().filter(|plan| plan.uid() != self.plan.uid() && holds_the_turn(plan));
        let judged = others.filter(|plan| {
            is_marked(plan) || plan.status().is_some_and(|status| status.state == Some(PlanState::Created))
        });
        judged.filter(|plan| place(plan) < mine).map(|plan| plan.name().to_owned()).next()
    }

    /// One look at the running wave.
    fn run(&mut self) {
        let limit = self.plan.spec.timeouts.as_ref().and_then(|all| all.rebalance_execution_timeout.as_deref());
        let limit = limit.and_then(parse_duration).unwrap_or(EXECUTION_TIMEOUT);
        let end = self.began().saturating_add(limit).unwrap_or(Timestamp::MAX);
        self.out.look_in(PULSE);
        self.out.look_at(end);
        let wave = self.status.wave.unwrap_or(0);
        if wave > self.last_wave() {
            self.finish();
            return;
        }
        let progress = match self.create_nodes(wave) {
            creation::Progress::Exhausted(why) => {
                self.fail(FailureReason::NodeCreateFailed, Some(FailurePhase::Creation), &why);
                return;
            }
            creation::Progress::Waits(what) => Err((FailurePhase::Creation, what)),
            creation::Progress::Done => self.remove_nodes(wave).map_err(|what| (FailurePhase::Deletion, what)),
        };
        match progress {
            Err((phase, what)) if self.world.now() >= end => {
                let text = format!("not finished within {} s; wave {wave} waited for: {what}", limit.as_secs());
                self.fail(FailureReason::Timeout, Some(phase), &text);
            }
            Err((_, what)) => self.out.reconciling("Running", format!("Wave {wave}: {what}.")),
            Ok(()) => {
                self.out.event(RebalancePlans::WaveDone, format!("wave {wave} is finished"));
                self.status.wave = Some(wave + 1);
                self.out.reconciling("Running", format!("Wave {wave} is finished."));
                self.out.look_in(Duration::from_secs(1));
            }
        }
    }

    /// When the execution began.
    fn began(&self) -> Timestamp {
        condition::since(&self.status.conditions, "InProgress", "Running").unwrap_or(self.world.now())
    }

    fn last_wave(&self) -> u32 {
        let spec = &self.plan.spec;
        let adds = spec.node_claims_to_add.iter().map(|one| one.wave);
        adds.chain(spec.node_claims_to_delete.iter().map(|one| one.wave)).max().unwrap_or(0)
    }

    fn promise(&self) -> String {
        let spec = &self.plan.spec;
        let (adds, removes) = (spec.node_claims_to_add.len(), spec.node_claims_to_delete.len());
        let saved = self.status.savings.as_ref().and_then(|savings| savings.projected_savings_cost_hourly.clone());
        format!("{removes} nodes go, {adds} come, {} USD an hour less", saved.unwrap_or_default())
    }

    fn finish(&mut self) {
        let kept = self.kept();
        let strangers = self.strangers();
        if !strangers.is_empty() {
            self.warn(format!(
                "{} nodes came while the plan ran that no plan asked for: {}; achievedOutcome does not count them",
                strangers.len(),
                strangers.join(", ")
            ));
        }
        self.status.state = Some(if kept > 0 { PlanState::DoneWithWarnings } else { PlanState::Done });
        self.status.achieved_outcome = outcome::achieved(self.plan, &self.status);
        let text = if kept > 0 { format!("Done; {kept} nodes were kept.") } else { "Done.".to_owned() };
        self.out.ready(true, "Done", text.clone());
        self.out.condition(PlanCondition::InProgress, false, "Done", text.clone());
        self.out.condition(PlanCondition::Done, true, "Done", text.clone());
        self.out.event(RebalancePlans::PlanDone, text);
    }

    /// NodeClaims that came since the start and that no plan made: pods had found no room, of whatever cause.
    fn strangers(&self) -> Vec<String> {
        let came = self.world.all::<NodeClaim>().filter(|claim| claim.created() >= self.began());
        came.filter(|claim| claim.annotation(creation::MADE_BY).is_none())
            .map(|claim| claim.name().to_owned())
            .collect()
    }

    fn fail(&mut self, reason: FailureReason, phase: Option<FailurePhase>, message: &str) {
        self.status.state = Some(PlanState::Failed);
        self.out.stalled(reason.as_str(), message);
        self.out.condition(PlanCondition::InProgress, false, reason.as_str(), message);
        self.out.condition(PlanCondition::Fail, true, reason.as_str(), message);
        self.out.event(RebalancePlans::PlanFailed, message);
        self.status.failure_reason = Some(reason);
        self.status.failure_phase = phase;
        self.status.failure_message = Some(message.to_owned());
    }

    /// Stops at this safe point; the clean-up treats it as a failure in the phase that was under way.
    fn cancel(&mut self, why: &str) {
        let wave = self.status.wave.unwrap_or(0);
        let phase = if self.is_creating(wave) { FailurePhase::Creation } else { FailurePhase::Deletion };
        self.status.state = Some(PlanState::Canceled);
        self.status.failure_phase = Some(phase);
        self.status.failure_message = Some(why.to_owned());
        self.out.ready(false, "Canceled", why);
        self.out.condition(PlanCondition::InProgress, false, "Canceled", why);
        self.out.event(RebalancePlans::PlanCanceled, why);
    }

    fn warn(&mut self, text: String) {
        self.status.warnings.push(Warning { description: text });
    }
}
