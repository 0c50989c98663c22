//! Continuous rebalancing: cycle after cycle, without a claim, what is worth it becomes a plan like any other. A cycle that finds
//! nothing writes nothing.

use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::rules::ObservedNode;
use kentroller_planner::{Moment, Money, Options, Percent};
use kentroller_runtime::condition::{in_status_since, seconds};
use kentroller_runtime::{
    Answer, Change, Cluster, Cut, Failure, HasStatus, Kind, Mode, ObjectKey, Outcome, Reconcile, Reply, Switches,
    World, controller,
};

use super::rest::Rest;
use super::{PLAN_MAX_AGE, RETRY_AFTER, after, turn};
use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
use crate::api::{PlanCondition, PlanState, RebalancePlan, RebalancePlanClaim, marks};
use crate::backend::{PlanAsk, Planned, Plans, cycle_options, snapshot};
use crate::settings::{CycleMode, Settings};

/// However often cycles fail, the next one comes after this long.
const LONGEST_BACKOFF: Duration = Duration::from_secs(6 * 60 * 60);
/// So many plans of cycles are kept that ended well, and as many that did not.
const HISTORY: usize = 10;

/// Has a plan computed in each cycle, and makes it if it is worth it.
#[controller(
    of = Cluster,
    feature = "continuous_rebalancing",
    reads(Node, NodeClaim, NodePool, Pod),
    writes(RebalancePlan: create + delete),
    watches(RebalancePlan => at_the_end, RebalancePlanClaim => at_any_change),
    asks(Plans),
    events(
        CyclePlanned = "A cycle of continuous rebalancing found something worth doing, and made a plan of it.",
        warning(CycleRefused = "The API server did not take the plan of a cycle."),
    ),
)]
pub struct ContinuousRebalancing;

impl Reconcile for ContinuousRebalancing {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut cycle = Cycle { cluster, world, settings: world.settings(), out: world.outcome(cluster) };
        cycle.keep_history();
        cycle.step();
        Ok(cycle.out)
    }

    /// The history stays as it is; a plan that runs is looked after by its own controller.
    fn disabled(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

/// A plan that ends, whosever it is, may be what the next cycle waits for.
fn at_the_end(change: &Change<'_, RebalancePlan>, _: &Cut) -> Vec<ObjectKey> {
    let goes_on = change.new.is_some_and(|plan| !turn::has_ended(plan) || turn::is_marked(plan));
    if goes_on { Vec::new() } else { vec![ObjectKey::cluster(Cluster::NAME)] }
}

fn at_any_change(_: &Change<'_, RebalancePlanClaim>, _: &Cut) -> Vec<ObjectKey> {
    vec![ObjectKey::cluster(Cluster::NAME)]
}

/// One look.
struct Cycle<'a> {
    cluster: &'a Cluster,
    world: &'a World<ContinuousRebalancing>,
    settings: &'a Settings,
    out: Outcome<ContinuousRebalancing>,
}

impl<'a> Cycle<'a> {
    fn step(&mut self) {
        if let Some(rest) = Rest::of(self.world) {
            self.out.log(rest.told(self.settings));
            if let Some(end) = self.settings.paused.end() {
                self.out.look_at(end);
            }
            return;
        }
        if let Some(other) = turn::is_taken(self.world.all::<RebalancePlan>(), self.world.all::<RebalancePlanClaim>()) {
            self.out.log(format!("no cycle begins before {other} has ended"));
            return;
        }
        let now = self.world.now();
        if let Some((until, consecutive)) = self.backoff().filter(|(until, _)| *until > now) {
            self.out.log(format!("backoff until {until}: consecutive failures {consecutive}"));
            self.out.look_at(until);
            return;
        }
        match self.world.answer::<Plans>(self.cluster).cloned() {
            Some(Answer::Given { at, answer }) => self.take(at, &answer),
            Some(Answer::Asked { .. }) => {}
            Some(Answer::Failed { at, failure }) => {
                let again = after(at, self.interval().max(RETRY_AFTER));
                self.out.log(format!(
                    "the cycle of {} failed: {}; tried again at {}",
                    seconds(at),
                    failure.message,
                    seconds(again)
                ));
                if now >= again { self.begin() } else { self.out.look_at(again) }
            }
            None => self.begin(),
        }
    }

    /// Begins a cycle with the mode that is set.
    fn begin(&mut self) {
        let (began, mode) = (seconds(self.world.now()), self.settings.continuous_mode);
        let candidates = self.candidates(mode);
        let least = usize::try_from(self.settings.min_nodes_to_consider).unwrap_or(usize::MAX);
        if candidates < least {
            let next = after(began, self.interval());
            self.out.log(format!("cycle {began}: {candidates} candidates, {least} are needed; next cycle at {next}"));
            self.out.look_at(next);
            return;
        }
        self.ask(mode, began);
    }

    fn ask(&mut self, mode: CycleMode, began: Timestamp) {
        let seed = format!("{}@{}", mode.word(), began.as_second());
        self.out.ask::<Plans>(PlanAsk { seed, options: cycle_options(self.settings, mode) });
    }

    /// What an answer comes to: a plan; a question for what a simpler mode would do; or nothing before the next cycle.
    fn take(&mut self, at: Timestamp, planned: &Planned) {
        let now = self.world.now();
        let Some((mode, began)) = asked(&planned.seed) else { return self.begin() };
        let next = after(began, self.interval());
        let is_used = self.ours().iter().any(|plan| plan.created() >= seconds(at));
        if now >= next.max(after(at, if is_used { Duration::ZERO } else { PLAN_MAX_AGE }))
            || mode > self.settings.continuous_mode
        {
            return self.begin();
        }
        self.out.look_at(next);
        if is_used {
            return;
        }
        let head = format!("cycle {began}, mode {}, candidates {}", mode.word(), self.candidates(mode));
        match worth(self.settings, mode, planned) {
            Ok(()) => self.make(at, mode, planned, &head),
            Err(why) => match mode.less() {
                Some(less) => self.ask(less, began),
                None => self.out.log(format!("{head}: {why}; cost {}; next cycle at {next}", cost(planned))),
            },
        }
    }

    fn make(&mut self, at: Timestamp, mode: CycleMode, planned: &Planned, head: &str) {
        let name = format!("consolidation-{}", at.strftime("%Y%m%d%H%M%S"));
        let key = format!("create RebalancePlan {name}");
        if let Some(Reply::Refused { code: 400 | 403 | 409 | 413 | 422, message, .. }) = self.world.reply(&key) {
            self.out.event(ContinuousRebalancing::CycleRefused, format!("plan {name}: {message}"));
            return;
        }
        let mut plan = RebalancePlan::new(&name, planned.spec.clone());
        plan.metadata.labels = Some([(marks::CYCLE_MODE.to_owned(), mode.word().to_owned())].into());
        plan.spec.execute = self.settings.mode() == Mode::Act;
        let saved = planned.savings.projected_savings_cost_hourly.as_deref().unwrap_or("0");
        let told = format!(
            "{head}: plan {name}, {} nodes go, {} come, saves {saved} USD/h",
            plan.spec.node_claims_to_delete.len(),
            plan.spec.node_claims_to_add.len()
        );
        self.out.log(format!("{told}; cost {}", cost(planned)));
        self.out
            .create(&plan)
            .keyed(key)
            .says(ContinuousRebalancing::CyclePlanned, told)
            .or_says(ContinuousRebalancing::CycleRefused, format!("plan {name}"));
    }

    /// Nodes that nothing but their pods may hold.
    fn candidates(&self, mode: CycleMode) -> usize {
        let (options, now) = (cycle_options(self.settings, mode), Moment(self.world.now().as_second()));
        self.world.all::<Node>().filter(|node| self.is_candidate(node, &options, now)).count()
    }

    fn is_candidate(&self, node: &Node, options: &Options, now: Moment) -> bool {
        let claim = self.world.indexed::<NodeClaim>(node.name()).into_iter().next().map(snapshot::claim);
        let pool = node.label(marks::NODE_POOL).and_then(|pool| self.world.named::<NodePool>(pool)).map(snapshot::pool);
        let is_empty = !self.world.indexed::<Pod>(node.name()).iter().any(|pod| pod.is_workload());
        let read = snapshot::node(node);
        let observed = ObservedNode { node: &read, claim: claim.as_ref(), pool: pool.as_ref() };
        observed.holds(now, options, is_empty, false).is_none()
    }

    /// The plans of cycles, the oldest first.
    fn ours(&self) -> Vec<&'a RebalancePlan> {
        let mut ours: Vec<&RebalancePlan> =
            self.world.all::<RebalancePlan>().filter(|plan| plan.label(marks::CYCLE_MODE).is_some()).collect();
        ours.sort_by_key(|plan| (plan.created(), plan.name()));
        ours
    }

    /// Until when no cycle begins because plans failed, and how many in a row; `None` after one that did not.
    fn backoff(&self) -> Option<(Timestamp, u32)> {
        // What was stopped or nobody approved says nothing about the next one.
        let ended: Vec<&RebalancePlan> = self
            .ours()
            .into_iter()
            .rev()
            .filter(|plan| matches!(state(plan), Some(PlanState::Failed)) || is_done(plan))
            .collect();
        let failed = ended.iter().take_while(|plan| !is_done(plan)).count();
        let last = ended.first().filter(|_| failed > 0)?;
        let consecutive = u32::try_from(failed).unwrap_or(u32::MAX);
        let pause =
            self.settings.failure_backoff.saturating_mul(2_u32.saturating_pow(consecutive - 1)).min(LONGEST_BACKOFF);
        let since =
            in_status_since(&last.status()?.conditions, PlanCondition::Fail, true).unwrap_or_else(|| last.created());
        Some((after(since, pause), consecutive))
    }

    fn keep_history(&mut self) {
        let ours = self.ours();
        let over = ours
            .iter()
            .rev()
            .filter(|plan| turn::has_ended(plan) && !turn::is_marked(plan) && plan.deleting().is_none());
        let (good, bad): (Vec<&RebalancePlan>, Vec<&RebalancePlan>) = over.partition(|plan| is_done(plan));
        for old in good.into_iter().skip(HISTORY).chain(bad.into_iter().skip(HISTORY)) {
            self.out.delete(old);
        }
    }

    fn interval(&self) -> Duration {
        let settings = self.settings;
        let of_mode = match settings.continuous_mode {
            CycleMode::Full => settings.full_interval,
            CycleMode::DrainOnly => settings.drain_only_interval,
            CycleMode::DeleteEmpty => settings.delete_empty_interval,
        };
        of_mode.or(settings.cycle_interval).unwrap_or(settings.polling_period)
    }
}

/// The mode that a question was asked for, and when its cycle began.
fn asked(seed: &str) -> Option<(CycleMode, Timestamp)> {
    let (mode, began) = seed.split_once('@')?;
    Some((CycleMode::named(mode)?, Timestamp::from_second(began.parse().ok()?).ok()?))
}

/// Whether the plan reaches what is asked of one in this mode.
///
/// # Errors
/// Why not, with the figures.
fn worth(settings: &Settings, mode: CycleMode, planned: &Planned) -> Result<(), String> {
    if let Some(saved) = planned.held_back {
        return Err(format!(
            "the best plan saves {saved} % net, savingsThresholdPercentage is {}",
            settings.savings_threshold
        ));
    }
    if let Some((_, why)) = &planned.nothing {
        return Err(why.clone());
    }
    let savings = &planned.savings;
    if let Some(least) = settings.cluster_savings_threshold.filter(|_| mode == CycleMode::Full) {
        let saved = savings.projected_cluster_savings_percent.as_deref().and_then(Percent::parse);
        if saved.is_none_or(|saved| saved.parts() < least.millionths() / 100) {
            let saved = savings.projected_cluster_savings_percent.as_deref().unwrap_or("an unknown share");
            return Err(format!(
                "the best plan saves {saved} % of the cluster's cost, savingsThresholdPercent is {least}"
            ));
        }
    }
    if mode > CycleMode::DeleteEmpty {
        let (saved, least) = (savings.projected_savings_cost_monthly.as_deref(), settings.monthly_savings_threshold);
        if saved.and_then(Money::parse).is_none_or(|saved| saved.as_micros() < least.millionths()) {
            let saved = saved.unwrap_or("an unknown amount of");
            return Err(format!("the best plan saves {saved} USD a month, the least is {least}"));
        }
    }
    Ok(())
}

/// What the cluster costs.
fn cost(planned: &Planned) -> String {
    planned.savings.current_cluster_hourly_cost.as_deref().map_or("unknown".to_owned(), |cost| format!("{cost} USD/h"))
}

fn state(plan: &RebalancePlan) -> Option<&PlanState> {
    plan.status()?.state.as_ref()
}

fn is_done(plan: &RebalancePlan) -> bool {
    matches!(state(plan), Some(PlanState::Done | PlanState::DoneWithWarnings))
}
