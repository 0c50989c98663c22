//! Plans: checked, then executed wave by wave. Each step is a state in the object, so that a restart at any write goes on.

mod ahead;
mod checking;
mod cleaning;
mod creation;
mod deletion;
mod forcing;
mod gate;
mod measure;
mod neighbours;
mod outcome;
mod protection;
mod readiness;
mod rollouts;
mod room;
mod savings;
mod slots;
mod steering;
mod waves;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Options;
use kentroller_runtime::condition::{in_status_since, seconds};
use kentroller_runtime::{
    Change, Cut, Failure, HasStatus, Kind, Mode, ObjectKey, Outcome, Reconcile, Switches, World, controller,
};

use self::checking::{digest, mistakes, options_of};
use self::protection::Protection;
use self::slots::Slots;
use self::waves::told;
use super::rest::Rest;
use super::{EXECUTION_TIMEOUT, after, duration, turn, window};
use crate::api::foreign::{CsiNode, Node, NodeClaim, NodePool, PersistentVolume, PersistentVolumeClaim, Pod};
use crate::api::{
    FailurePhase, FailureReason, PlanCondition, PlanReason, PlanState, PlanStatus, RebalancePlan, RebalancePlanClaim,
    Savings, SkippedReason, UnavailableOffering, Warning, WavePhase, failures, marks,
};
use crate::backend::Checks;

/// A plan that nobody executes expires after this long.
const APPROVAL_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// How long a rollout of a workload that it moves holds a plan up, from its check: one that never ends would hold it for ever.
const ROLLOUT_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How often a running plan is looked at without a wake-up.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Executes plans, one at a time.
#[controller(
    of = RebalancePlan,
    feature = "rebalancer",
    // Each pod that comes or goes may let the next one go.
    least_interval = "250ms",
    finalizes,
    writes(NodeClaim: create + patch + delete, Node: patch, Pod: evict + force),
    watches(
        RebalancePlan => waiting_plans, NodeClaim => running_for_claim, Node => running_for_node, Pod => running_for_pod
    ),
    reads(CsiNode, NodePool, PersistentVolume, PersistentVolumeClaim, RebalancePlanClaim, UnavailableOffering),
    asks(Checks),
    gauges(
        plan_last_step_timestamp_seconds(plan) = "When a plan that runs last made a step, in seconds since 1970; not told while it is held",
        moved_pods_not_ready(plan) = "Pods that came for those that a plan moved, and have not been Ready for five minutes",
        moved_pods_pending(plan) = "Pods that came for those that a plan moved, and have no node yet",
        plan_savings_realised_percent(plan) = "Of what an ended plan promised, the percentage that was saved; not told before a day after its end",
    ),
    events(
        PlanChecked = "The plan was checked and found right.",
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
        warning(PodForced = "A pod was deleted whose eviction was refused for too long, as its claim asks."),
        warning(ForceEvictionNotAllowed = "A pod was not deleted whose eviction was refused for too long: nobody granted the right."),
        warning(NodeKept = "A node could not be drained in time and is kept."),
        warning(PlanRejected = "The check of the plan found mistakes; nothing of it was done."),
        warning(PlanFailed = "The plan missed a promise; its message says which."),
    ),
)]
pub struct RebalancePlans;

impl Reconcile for RebalancePlans {
    fn reconcile(plan: &RebalancePlan, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let status = plan.status().cloned().unwrap_or_default();
        // Where the options cannot be read, only what lifts no rule is left of them.
        let strict = || Options { eviction: world.settings().eviction_config.rules().to_vec(), ..Options::default() };
        let options = options_of(plan, world).unwrap_or_else(|_| strict());
        let protection = Arc::new(Protection::of(plan, options, world.now()));
        let yields_to = turn::yields_to(plan, world.all::<RebalancePlan>(), world.all::<RebalancePlanClaim>());
        let yields = yields_to.map(|claim| format!("it yields to claim {}, which goes before", claim.name()));
        let window = claim_of(plan, world).and_then(|claim| window::end(claim, world.now()));
        let over = window.as_ref().and_then(|(_, over)| over.clone());
        let closes = yields.or_else(|| over.clone());
        let out = world.outcome(plan);
        let mut step = PlanStep { plan, world, out, status, protection, closes, not_ready: None, slots: None };
        let state = step.status.state.clone().unwrap_or(PlanState::Pending);
        if let Some((end, None)) = window.filter(|_| !state.is_final()) {
            step.out.look_at(end);
        }
        match state {
            state if state.is_final() => {
                step.clean_up();
                if plan.deleting().is_none() && step.account() {
                    step.out.status(&step.status);
                }
                return Ok(step.out);
            }
            PlanState::Running if plan.deleting().is_some() => step.cancel("the plan was deleted"),
            // It may have its finalizer, and with it the turn, before it runs.
            _ if plan.deleting().is_some() => {
                step.clean_up();
                return Ok(step.out);
            }
            PlanState::Pending => step.check()?,
            PlanState::Created => step.wait(over)?,
            PlanState::Running if !plan.spec.execute => step.cancel("spec.execute was set to false"),
            PlanState::Running => {
                step.run();
                step.measure();
            }
            other => {
                let message = format!("status.state {:?} is not known to this version", other.as_str());
                return Err(failures::STATE_UNKNOWN.because(message));
            }
        }
        step.out.status(&step.status);
        Ok(step.out)
    }

    /// Nothing is started; what runs is held where it is, and what is done is cleaned up.
    fn disabled(plan: &RebalancePlan, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Self::reconcile(plan, world)
    }
}

/// A plan that ends may be what others wait for.
fn waiting_plans(change: &Change<'_, RebalancePlan>, cut: &Cut) -> Vec<ObjectKey> {
    if change.new.is_some_and(|plan| !turn::has_ended(plan)) {
        return Vec::new();
    }
    in_state(cut, &PlanState::Created)
}

/// The plan that made a NodeClaim, also when it has ended: it is measured how long the node lives.
fn running_for_claim(change: &Change<'_, NodeClaim>, cut: &Cut) -> Vec<ObjectKey> {
    let leaves = change.new.filter(|claim| claim.deleting().is_some());
    let maker = leaves.and_then(|claim| claim.annotation(marks::MADE_BY)).map(ObjectKey::cluster);
    in_state(cut, &PlanState::Running).into_iter().chain(maker).collect()
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
struct PlanStep<'a> {
    plan: &'a RebalancePlan,
    world: &'a World<RebalancePlans>,
    out: Outcome<RebalancePlans>,
    status: PlanStatus,
    protection: Arc<Protection>,
    /// Why no further wave is begun: a claim goes before, or the window is over.
    closes: Option<String>,
    /// Pods that were moved and are not Ready for too long: nothing else moves meanwhile.
    not_ready: Option<String>,
    /// The slots of the node pools, once they are counted in this look.
    slots: Option<Slots>,
}

/// The claim that the plan belongs to; a plan by hand has none.
fn claim_of<'a>(plan: &RebalancePlan, world: &'a World<RebalancePlans>) -> Option<&'a RebalancePlanClaim> {
    let owner = plan.metadata.owner_references.iter().flatten().next()?;
    world.named::<RebalancePlanClaim>(&owner.name).filter(|claim| claim.uid() == owner.uid)
}

/// How a phase of a wave stands.
enum Progress {
    Done,
    /// For this.
    Waits(String),
    /// For these things, while which others may move: Karpenter ends its nodes, or the API server refuses its evictions.
    Lingers(Vec<String>),
    /// A node cannot be had with any of its offerings.
    Exhausted(String),
    /// What the plan was made for is not so any more.
    Changed(String),
    /// The real new nodes save less than they must.
    Dear(String),
}

impl PlanStep<'_> {
    fn claim(&self) -> Option<&RebalancePlanClaim> {
        claim_of(self.plan, self.world)
    }

    /// Waits for `spec.execute` and for its turn, until its window is over.
    fn wait(&mut self, over: Option<String>) -> Result<(), Failure> {
        let held = self.held();
        let may_start = self.plan.spec.execute && held.is_none();
        if !may_start {
            // Changed between the finalizer and the start: the turn goes to the next one.
            self.clean_up();
        }
        if let Some(over) = over {
            self.clean_up();
            self.cancel(&over);
            return Ok(());
        }
        if !self.plan.spec.execute {
            self.wait_for_approval();
            return Ok(());
        }
        if let Some((reason, message)) = held {
            self.out.reconciling(reason, message);
            return Ok(());
        }
        if let Some(other) = turn::before_plan(self.plan, self.world.all::<RebalancePlan>()) {
            let message = format!("Waits for plan {}; one plan is executed at a time.", other.name());
            self.out.reconciling(PlanReason::WaitsForTurn, message);
            return Ok(());
        }
        let checked = self.status.check_time.unwrap_or(self.world.now());
        if let Some(workload) = self.rolls_out().filter(|_| self.world.now() < after(checked, ROLLOUT_PATIENCE)) {
            let message = format!("Waits for the rollout of {workload}, at most ten minutes.");
            self.out.reconciling(PlanReason::WaitsForRollout, message);
            self.out.look_in(LOOK_EVERY);
            return Ok(());
        }
        // The cluster may have moved on, or somebody has edited the plan, since it was found right.
        let Some(answer) = self.checked()? else { return Ok(()) };
        let mut wrong = answer.violations.clone();
        if self.status.spec_digest != Some(digest(&self.plan.spec)) {
            // What came to be held since the check is looked at node by node; somebody's edit is right or wrong as a whole.
            wrong.extend(answer.held.iter().cloned());
        }
        if let Some(text) = mistakes(&wrong) {
            self.clean_up();
            self.fail(FailureReason::ClusterChanged, None, &format!("checked again before its start: {text}"));
            return Ok(());
        }
        if !turn::is_marked(self.plan) {
            self.out.add_finalizer(self.plan, marks::PLAN_FINALIZER);
            self.out.reconciling(PlanReason::Starting, "The plan starts.");
            return Ok(());
        }
        let savings = answer.savings.clone();
        self.begin(savings);
        Ok(())
    }

    fn begin(&mut self, savings: Savings) {
        self.status.state = Some(PlanState::Running);
        self.status.wave = Some(0);
        self.status.start_time = Some(seconds(self.world.now()));
        self.status.owners_not_ready = self.owners_not_ready();
        self.status.savings = Some(savings);
        self.status.spec_digest = Some(digest(&self.plan.spec));
        self.out.condition(PlanCondition::InProgress, true, PlanReason::Running, self.promise());
        self.out.event(RebalancePlans::PlanStarted, self.promise());
        self.out.reconciling(PlanReason::Running, "The plan is being executed.");
        self.out.look_in(Duration::from_secs(1));
    }

    /// Waits for a person, for an hour.
    fn wait_for_approval(&mut self) {
        // A status of an older version has the condition only.
        let before = || in_status_since(&self.status.conditions, PlanCondition::Created, true);
        let checked = self.status.check_time.or_else(before).unwrap_or(self.world.now());
        let end = after(checked, APPROVAL_TIMEOUT);
        if self.world.now() >= end {
            self.status.state = Some(PlanState::Expired);
            self.status.skipped_reason = Some(SkippedReason::PlanExpired);
            self.out.ready(false, PlanReason::Expired, "Nobody set spec.execute within an hour.");
            self.out.event(RebalancePlans::PlanExpired, "nobody set spec.execute within an hour");
            return;
        }
        self.out.reconciling(PlanReason::WaitsForApproval, "Set spec.execute to true to execute the plan.");
        self.out.look_at(end);
    }

    /// Why nothing of a plan is done now, whether it runs already or is about to.
    fn held(&mut self) -> Option<(PlanReason, String)> {
        let settings = self.world.settings();
        if let Some(rest) = Rest::of(self.world) {
            if let Some(end) = settings.paused.end() {
                self.out.look_at(end);
            }
            let reason = match rest {
                Rest::FeatureDisabled(_) => PlanReason::FeatureDisabled,
                Rest::Paused => PlanReason::Paused,
            };
            return Some((reason, rest.told(settings)));
        }
        let message = "Mode observe executes no plan; modes approve and act do.";
        (settings.mode() == Mode::Observe).then(|| (PlanReason::ModeObserve, message.to_owned()))
    }

    /// One look at the running wave.
    fn run(&mut self) {
        if let Some((reason, message)) = self.held() {
            self.count_active(false);
            self.note_gone();
            if reason != PlanReason::ModeObserve {
                self.open_all();
            }
            self.out.reconciling(reason, message);
            self.out.look_in(LOOK_EVERY);
            return;
        }
        let limit = self.plan.spec.timeouts.as_ref().and_then(|all| all.rebalance_execution_timeout.as_deref());
        let limit = duration(limit, EXECUTION_TIMEOUT);
        let left = limit.saturating_sub(self.count_active(true));
        self.out.look_in(LOOK_EVERY.min(left));
        self.note_gone();
        let may_be_edited = self.status.observed_generation != self.plan.metadata.generation;
        if may_be_edited && self.status.spec_digest.as_ref().is_some_and(|checked| *checked != digest(&self.plan.spec))
        {
            let text = "spec was changed while the plan ran; only spec.execute may be";
            self.fail(FailureReason::PlanInvalid, Some(self.failure_phase()), text);
            return;
        }
        let is_draining = self.status.waves.iter().any(|wave| wave.phase == WavePhase::Draining);
        if let Some(why) = self.closes.clone().filter(|_| !is_draining) {
            self.cancel(&why);
            return;
        }
        self.not_ready = self.not_ready();
        let progress = match self.shield_nodes() {
            0 => self.advance(),
            open => Progress::Waits(format!("{open} nodes to be shielded from Karpenter")),
        };
        let wave = self.status.wave.unwrap_or(0);
        match progress {
            Progress::Done => self.finish(),
            Progress::Changed(why) => self.fail(FailureReason::ClusterChanged, Some(self.failure_phase()), &why),
            Progress::Dear(why) => self.fail(FailureReason::InsufficientSavings, Some(self.failure_phase()), &why),
            Progress::Exhausted(why) => self.fail(FailureReason::NodeCreateFailed, Some(self.failure_phase()), &why),
            Progress::Lingers(what) => self.waits(wave, &told(what), left, limit),
            Progress::Waits(what) => self.waits(wave, &what, left, limit),
        }
    }

    /// Tells what the plan waits for, in this wave; it fails once no time is left of its limit. People count waves from 1.
    fn waits(&mut self, wave: u32, what: &str, left: Duration, limit: Duration) {
        let wave = wave + 1;
        if !left.is_zero() {
            self.out.reconciling(PlanReason::Running, format!("Wave {wave}: {what}."));
            return;
        }
        let text = format!("not finished within {} s; wave {wave} waited for: {what}", limit.as_secs());
        let reason = self.not_ready.as_ref().map_or(FailureReason::Timeout, |_| FailureReason::PodsNotReady);
        self.fail(reason, Some(self.failure_phase()), &text);
    }

    /// For how long the plan was worked on. A longer time without a look is one in which nobody led. The clocks of the nodes
    /// that are being drained stand still in the time that does not count.
    fn count_active(&mut self, works: bool) -> Duration {
        let now = seconds(self.world.now());
        let since = self.status.look_time.unwrap_or_else(|| self.began());
        let gap = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let counted = if works { gap.min(2 * LOOK_EVERY) } else { Duration::ZERO };
        let before =
            Duration::from_secs(self.status.active_seconds.and_then(|told| u64::try_from(told).ok()).unwrap_or(0));
        let active = before + counted;
        // Seldom enough not to be a write of its own at every event.
        if gap >= LOOK_EVERY {
            self.status.active_seconds = i64::try_from(active.as_secs()).ok();
            self.status.look_time = Some(now);
            self.stop_clocks(gap - counted);
        }
        active
    }

    /// When the execution began.
    fn began(&self) -> Timestamp {
        // A status of an older version has the condition only.
        let before = || in_status_since(&self.status.conditions, PlanCondition::InProgress, true);
        self.status.start_time.or_else(before).unwrap_or(self.world.now())
    }

    fn promise(&self) -> String {
        let spec = &self.plan.spec;
        let (adds, removes) = (spec.node_claims_to_add.len(), spec.node_claims_to_delete.len());
        let saved = self.status.savings.as_ref().and_then(|savings| savings.projected_savings_cost_hourly.clone());
        format!("{removes} nodes go, {adds} come, {} USD an hour less", saved.unwrap_or_default())
    }

    fn finish(&mut self) {
        let kept = self.kept();
        if kept > 0 && kept == self.plan.spec.node_claims_to_delete.len() {
            let text = format!("none of the {kept} nodes that should have gone could be drained");
            self.fail(FailureReason::DrainFailed, Some(FailurePhase::Deletion), &text);
            return;
        }
        let unplanned = self.unplanned_claims();
        if !unplanned.is_empty() {
            self.warn(format!(
                "{} nodes came while the plan ran that no plan asked for: {}; achievedOutcome does not count them",
                unplanned.len(),
                unplanned.join(", ")
            ));
        }
        self.status.state = Some(if kept > 0 { PlanState::DoneWithWarnings } else { PlanState::Done });
        self.status.achieved_outcome = outcome::achieved(self.plan, &self.status);
        let text = if kept > 0 { format!("Done; {kept} nodes were kept.") } else { "Done.".to_owned() };
        self.out.ready(true, PlanReason::Done, text.clone());
        self.out.condition(PlanCondition::InProgress, false, PlanReason::Done, text.clone());
        self.out.condition(PlanCondition::Done, true, PlanReason::Done, text.clone());
        self.out.event(RebalancePlans::PlanDone, text);
    }

    /// NodeClaims that came since the start and that no plan made: pods had found no room, of whatever cause.
    fn unplanned_claims(&self) -> Vec<String> {
        let came = self.world.all::<NodeClaim>().filter(|claim| claim.created() >= self.began());
        came.filter(|claim| claim.annotation(marks::MADE_BY).is_none()).map(|claim| claim.name().to_owned()).collect()
    }

    fn fail(&mut self, reason: FailureReason, phase: Option<FailurePhase>, message: &str) {
        self.status.state = Some(PlanState::Failed);
        self.out.stalled(reason.clone(), message);
        self.out.condition(PlanCondition::InProgress, false, reason.clone(), message);
        self.out.condition(PlanCondition::Fail, true, reason.clone(), message);
        self.out.event(RebalancePlans::PlanFailed, message);
        self.status.failure_reason = Some(reason);
        self.status.failure_phase = phase;
        self.status.achieved_outcome = outcome::achieved(self.plan, &self.status);
        self.status.failure_message = Some(message.to_owned());
    }

    /// Stops at this safe point; the clean-up treats it as a failure in the phase that was under way.
    fn cancel(&mut self, why: &str) {
        self.status.failure_phase = Some(self.failure_phase());
        self.status.state = Some(PlanState::Canceled);
        self.status.failure_message = Some(why.to_owned());
        self.status.achieved_outcome = outcome::achieved(self.plan, &self.status);
        self.out.ready(false, PlanReason::Canceled, why);
        self.out.condition(PlanCondition::InProgress, false, PlanReason::Canceled, why);
        self.out.event(RebalancePlans::PlanCanceled, why);
    }

    fn warn(&mut self, text: String) {
        self.status.warnings.push(Warning { description: text });
    }
}
