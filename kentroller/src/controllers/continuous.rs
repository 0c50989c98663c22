//! Continuous rebalancing: cycle after cycle, without a claim, what is worth it becomes a plan like any other. A cycle that finds
//! nothing writes nothing.

pub(crate) mod calm;
mod told;
mod worth;

use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::{Mode as PlanMode, Moment, Money, Options, Percent};
use kentroller_runtime::condition::{in_status_since, seconds};
use kentroller_runtime::{
    Answer, Change, Cluster, Cut, Failure, HasStatus, Kind, Mode, ObjectKey, Outcome, Reconcile, Reply, Switches,
    World, controller,
};

use self::calm::{Came, resting};
use self::told::{Summary, a_move};
use self::worth::worth;
use super::ended::{self, is_done, state};
use super::rest::Rest;
use super::{PLAN_MAX_AGE, RETRY_AFTER, after, at_any_change, turn};
use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
use crate::api::{PlanCondition, PlanState, RebalancePlan, RebalancePlanClaim, marks};
use crate::backend::{PlanAsk, Planned, Plans, Tried, snapshot};
use crate::settings::{CycleMode, NodePoolFilter, Settings};

/// However often cycles fail, the next one comes after this long.
const LONGEST_BACKOFF: Duration = Duration::from_secs(6 * 60 * 60);

/// Has a plan computed in each cycle, and makes it if it is worth it.
#[controller(
    of = Cluster,
    feature = "continuous_rebalancing",
    reads(Node, NodeClaim, NodePool, Pod),
    writes(RebalancePlan: create + delete),
    watches(RebalancePlan => at_the_end, RebalancePlanClaim => at_any_change),
    asks(Plans),
    gauges(
        cycle_candidates = "Nodes that nothing kept out of the search of the last cycle",
        cycle_excluded_nodes(reason) = "Nodes that the last cycle did not consider, by the word of why",
        cycle_cost_dollars_per_hour(of) = "What the cluster costs now, what no plan is below (bound), and what it would cost after the best plan that the last cycle found",
        cycle_decision(decision) = "1 for what became of the last cycle: plan, too-little, nothing",
        cycle_next_timestamp_seconds = "When the next cycle begins, in seconds since 1970; not told while a plan runs",
    ),
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
        cycle.measure();
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
            self.next_at(until);
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
                if now >= again { self.begin() } else { self.next_at(again) }
            }
            None => self.begin(),
        }
    }

    /// Begins a cycle with the mode that is set.
    fn begin(&mut self) {
        let (began, mode) = (seconds(self.world.now()), self.settings.continuous_mode);
        let options = self.options(mode);
        let candidates = self.candidates(&options);
        let least = usize::try_from(self.settings.min_nodes_to_consider).unwrap_or(usize::MAX);
        if candidates < least {
            let next = after(began, self.interval());
            self.out.log(format!(
                "crb_cycle_summary: cycle {began}, mode {}: {candidates} candidates, {least} are needed; next cycle at {next}",
                mode.word()
            ));
            self.next_at(next);
            return;
        }
        self.ask(mode, began, options, None);
    }

    fn ask(&mut self, mode: CycleMode, began: Timestamp, options: Options, tried: Option<Tried>) {
        let seed = format!("{}@{}", mode.word(), began.as_second());
        let time_limit = self.world.settings().plan_time_limit;
        self.out.ask::<Plans>(PlanAsk { seed, options, time_limit, tried });
    }

    /// The options of a cycle that begins now, with what rests.
    fn options(&self, mode: CycleMode) -> Options {
        let pods = self.world.all::<Pod>().filter_map(Came::of);
        let resting = resting(self.world.all::<RebalancePlan>(), pods, self.world.now());
        Options { resting, ..cycle_options(self.settings, mode) }
    }

    /// What an answer comes to: a plan; a question for what a simpler mode would do; or nothing before the next cycle.
    fn take(&mut self, at: Timestamp, planned: &Planned) {
        let now = self.world.now();
        let Some((mode, began)) = asked(&planned.seed) else { return self.begin() };
        let next = after(began, self.interval());
        let is_used = self.ours().iter().any(|plan| plan.created() >= seconds(at));
        // The cluster has moved on since an answer that waited for somebody else's plan.
        let is_old = !is_used && now >= after(at, PLAN_MAX_AGE);
        if now >= next || is_old || mode > self.settings.continuous_mode {
            return self.begin();
        }
        self.next_at(next);
        if is_used {
            return;
        }
        if self.settings.diagnostics_verbose {
            self.tell_nodes(mode.word(), planned);
        }
        let findings = planned.first_findings();
        let before = planned.tried.as_ref().map_or(String::new(), |tried| format!("{}; ", tried.why));
        let judged = worth(self.settings, mode, planned);
        let why = match judged {
            Ok(()) => return self.make(at, (mode, began), planned, &before),
            Err((_, why)) => format!("{before}{}: {why}", mode.word()),
        };
        match mode.less() {
            Some(less) => {
                self.ask(less, began, self.options(less), Some(Tried { findings: findings.clone(), why }));
            }
            None => {
                let decision = format!("no plan: {why}");
                let summary = Summary { began, mode: mode.word(), findings, decision, next: Some(next) };
                self.out.log(summary.line());
            }
        }
    }

    fn make(&mut self, at: Timestamp, (mode, began): (CycleMode, Timestamp), planned: &Planned, before: &str) {
        let name = format!("consolidation-{}", at.strftime("%Y%m%d%H%M%S"));
        let key = format!("create RebalancePlan {name}");
        if let Some(Reply::Refused { code: 400 | 403 | 409 | 413 | 422, message, .. }) = self.world.reply(&key) {
            self.out.event(ContinuousRebalancing::CycleRefused, format!("plan {name}: {message}"));
            return;
        }
        let mut plan = RebalancePlan::new(&name, planned.spec.clone());
        plan.metadata.labels = Some([(marks::CYCLE_MODE.to_owned(), mode.word().to_owned())].into());
        plan.spec.execute = self.settings.mode() == Mode::Act;
        let lifted = &self.settings.aggressive_mode;
        plan.spec.aggressive_mode = lifted.carried(lifted.forced_drain());
        let saved = planned.savings.projected_savings_cost_hourly.as_deref().and_then(Money::parse).unwrap_or_default();
        let moves = plan.spec.pods_to_migrate.len();
        let told = format!(
            "plan {name}: {} nodes go, {} come, {moves} pods move, saves {saved} USD/h, {}",
            plan.spec.node_claims_to_delete.len(),
            plan.spec.node_claims_to_add.len(),
            a_move(saved, moves)
        );
        let findings = planned.first_findings();
        let decision = format!("{before}{told}");
        self.out.log(Summary { began, mode: mode.word(), findings, decision, next: None }.line());
        self.out
            .create(&plan)
            .keyed(key)
            .says(ContinuousRebalancing::CyclePlanned, told)
            .or_says(ContinuousRebalancing::CycleRefused, format!("plan {name}"));
    }

    /// Nodes that nothing but their pods may hold.
    fn candidates(&self, options: &Options) -> usize {
        let now = Moment(self.world.now().as_second());
        self.world.all::<Node>().filter(|node| self.is_candidate(node, options, now)).count()
    }

    fn is_candidate(&self, node: &Node, options: &Options, now: Moment) -> bool {
        let claim = self.world.indexed::<NodeClaim>(node.name()).into_iter().next();
        let pool = node.label(marks::NODE_POOL).and_then(|pool| self.world.named::<NodePool>(pool));
        let is_empty = !self.world.indexed::<Pod>(node.name()).iter().any(|pod| pod.is_workload());
        snapshot::observed(node, claim, pool, |observed| observed.holds(now, options, is_empty, false)).is_none()
    }

    /// The plans of cycles, the oldest first.
    fn ours(&self) -> Vec<&'a RebalancePlan> {
        ended::marked(self.world.all(), marks::CYCLE_MODE)
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
        for old in ended::superfluous(&self.ours()) {
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

/// The planner's options of a cycle of continuous rebalancing.
pub(crate) fn cycle_options(settings: &Settings, mode: CycleMode) -> Options {
    let threshold = (mode == CycleMode::Full).then_some(settings.savings_threshold.millionths());
    Options {
        mode: match mode {
            CycleMode::Full => PlanMode::Full,
            CycleMode::DrainOnly => PlanMode::DrainOnly,
            CycleMode::DeleteEmpty => PlanMode::DeleteEmpty,
        },
        aggressive: settings.aggressive_mode.lifted(settings.force_eviction),
        pools_opt_in: settings.node_pool_filter == NodePoolFilter::OptIn,
        continuous: true,
        max_steps: Some(1 << settings.max_search_depth),
        // The executor breaks no disruption budget: what a plan counted on would be tried in every cycle anew.
        breaks_pdbs: false,
        eviction: settings.eviction_config.rules().to_vec(),
        max_nodes: usize::try_from(settings.max_nodes_per_iteration).ok(),
        min_age: settings.min_node_age,
        tolerance: settings.tolerance(),
        min_savings: threshold
            .filter(|millionths| *millionths > 0)
            .map(|millionths| Percent::from_parts(millionths / 100)),
        ..Options::default()
    }
}

/// The mode that a question was asked for, and when its cycle began.
fn asked(seed: &str) -> Option<(CycleMode, Timestamp)> {
    let (mode, began) = seed.split_once('@')?;
    Some((CycleMode::named(mode)?, Timestamp::from_second(began.parse().ok()?).ok()?))
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::Controller as _;
    use kentroller_runtime::generate::rbac::Rights;
    use kentroller_runtime::settings::Settings as _;
    use kentroller_runtime::testing::{Given, given, object};
    use serde_json::json;

    use super::*;
    use crate::api::{SkippedNode, SkippedReason};
    use crate::backend::Findings;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-22T{time}Z").parse().expect("a time")
    }

    fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::from_env(&|_| None).expect("the defaults are right");
        settings.continuous_rebalancing = true;
        change(&mut settings);
        settings
    }

    /// A plan of a cycle that failed at this time, or ended well.
    fn plan(name: &str, time: &str, state: &str) -> RebalancePlan {
        let failed =
            json!({"type": "Fail", "status": "True", "reason": "X", "message": "", "lastTransitionTime": at(time)});
        object(
            json!({"apiVersion": "", "kind": "", "metadata": {"name": name, "uid": name, "creationTimestamp": at(time),
                "labels": {"rebalancer.cast.ai/consolidation-mode": "full"}},
            "spec": {"execute": true, "nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []},
            "status": {"state": state, "conditions": [failed]}}),
        )
    }

    fn given_at(time: &str, settings: Settings, plans: Vec<RebalancePlan>) -> Given<ContinuousRebalancing> {
        given::<ContinuousRebalancing>().at(&at(time).to_string()).set(|known| *known = settings).with_all(plans)
    }

    /// What it says in the log, and what it asks.
    fn said(given: &Given<ContinuousRebalancing>) -> (String, usize) {
        let decided = given.decide(&Cluster::default()).expect("a decision");
        (decided.lines.join("\n"), decided.questions.len())
    }

    #[test]
    fn failures_in_a_row_double_the_pause_and_one_good_end_resets_it() {
        let failed = |name: &str, time: &str| plan(name, time, "Failed");
        let cases = [
            (vec![failed("a", "08:00:00")], "08:29:00", Some("consecutive failures 1")),
            (vec![failed("a", "08:00:00")], "08:31:00", None),
            (vec![failed("a", "07:00:00"), failed("b", "08:00:00")], "08:59:00", Some("consecutive failures 2")),
            (vec![failed("a", "07:00:00"), failed("b", "08:00:00")], "09:01:00", None),
            (vec![failed("a", "07:00:00"), plan("b", "08:00:00", "Done")], "08:01:00", None),
            (
                vec![failed("a", "08:00:00"), plan("b", "08:10:00", "Canceled")],
                "08:20:00",
                Some("consecutive failures 1"),
            ),
        ];
        for (plans, now, wanted) in cases {
            let names: Vec<String> = plans.iter().map(|plan| plan.name().to_owned()).collect();
            let (lines, _) = said(&given_at(now, settings(|_| ()), plans));
            match wanted {
                Some(wanted) => {
                    assert!(lines.starts_with("backoff until") && lines.contains(wanted), "{names:?}: {lines}")
                }
                None => assert!(!lines.contains("backoff"), "{names:?}: {lines}"),
            }
        }
    }

    #[test]
    fn a_cycle_needs_candidates_and_nobody_else_at_work() {
        let (lines, asked) = said(&given_at("08:00:00", settings(|_| ()), Vec::new()));
        assert!(lines.contains("0 candidates, 1 are needed; next cycle at 2026-11-22T08:00:10Z"), "{lines}");
        assert_eq!(asked, 0);
        let (lines, asked) = said(&given_at("08:00:00", settings(|_| ()), vec![plan("b", "07:59:00", "Running")]));
        assert_eq!((lines.as_str(), asked), ("no cycle begins before plan b has ended", 0));
    }

    #[test]
    fn the_interval_of_the_mode_goes_before_that_of_all_and_that_before_the_polling_period() {
        let next = |change: fn(&mut Settings)| said(&given_at("08:00:00", settings(change), Vec::new())).0;
        assert!(next(|_| ()).ends_with("08:00:10Z"));
        assert!(next(|settings| settings.cycle_interval = Some(Duration::from_secs(60))).ends_with("08:01:00Z"));
        assert!(next(|settings| settings.drain_only_interval = Some(Duration::from_secs(60))).ends_with("08:00:10Z"));
        let both: fn(&mut Settings) = |settings| {
            settings.cycle_interval = Some(Duration::from_secs(60));
            settings.full_interval = Some(Duration::from_secs(1800));
        };
        assert!(next(both).ends_with("08:30:00Z"));
    }

    #[test]
    fn an_answer_that_came_to_nothing_lasts_for_its_interval_and_never_longer_than_a_plan_may_be_old() {
        let lists = json!({"nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []});
        let seed = format!("delete-empty@{}", at("08:00:00").as_second());
        let planned: Planned = serde_json::from_value(json!({"spec": lists, "seed": seed, "id": "", "savings": {},
            "savings_percent": 0, "held_back": null, "proposed": null, "removed": [], "kept": [], "warnings": [],
            "nothing": ["NoSaving", "nothing is empty"]}))
        .expect("a computed plan");
        let cases =
            [(60, "08:00:59", false), (60, "08:01:00", true), (1800, "08:04:59", false), (1800, "08:05:00", true)];
        for (interval, now, begins) in cases {
            let settings = settings(|settings| settings.cycle_interval = Some(Duration::from_secs(interval)));
            let answer = Answer::Given { at: at("08:00:00"), answer: planned.clone().into() };
            let given = given_at(now, settings, Vec::new()).answered::<Plans>(&Cluster::default(), answer);
            let (lines, _) = said(&given);
            assert_eq!(lines.contains("are needed"), begins, "{interval} {now}: {lines}");
            assert_eq!(lines.contains("nothing is empty"), !begins, "{interval} {now}: {lines}");
        }
    }

    #[test]
    fn a_cycle_tells_its_figures_in_gauges_and_of_each_node_where_that_is_asked_for() {
        let money = |text: &str| Money::parse(text).expect("an amount");
        let findings = Findings {
            nodes: 3,
            candidates: 1,
            excluded: [("too-young".to_owned(), 1), ("static-pool".to_owned(), 1)].into(),
            cost: money("2"),
            bound: Some(money("0.5")),
            best: money("1.25"),
        };
        let kept = |name: &str, why: &str| SkippedNode { name: name.to_owned(), reasons: vec![why.to_owned()] };
        let planned = Planned {
            seed: format!("delete-empty@{}", at("08:00:00").as_second()),
            kept: vec![kept("a", "too-young: 5 s old"), kept("b", "no-cheaper-place: nothing cheaper")],
            nothing: Some((SkippedReason::NoSaving, "nothing is empty".to_owned())),
            tried: Some(Tried { findings, why: "full: too little".to_owned() }),
            findings: Findings { excluded: [("too-young".to_owned(), 1)].into(), ..Findings::default() },
            ..Planned::default()
        };
        for is_verbose in [false, true] {
            let settings = settings(|settings| {
                settings.cycle_interval = Some(Duration::from_secs(60));
                settings.diagnostics_verbose = is_verbose;
            });
            let answer = Answer::Given { at: at("08:00:00"), answer: planned.clone().into() };
            let given = given_at("08:00:10", settings, Vec::new()).answered::<Plans>(&Cluster::default(), answer);
            let decided = given.decide(&Cluster::default()).expect("a decision");
            let gauges: Vec<String> = decided.measured.iter().flatten().map(ToString::to_string).collect();
            let next = at("08:01:00").as_second();
            assert_eq!(
                gauges,
                [
                    "set    cycle_candidates 1".to_owned(),
                    "set    cycle_excluded_nodes{reason=\"static-pool\"} 1".to_owned(),
                    "set    cycle_excluded_nodes{reason=\"too-young\"} 1".to_owned(),
                    "set    cycle_cost_dollars_per_hour{of=\"now\"} 2".to_owned(),
                    "set    cycle_cost_dollars_per_hour{of=\"best\"} 1.25".to_owned(),
                    "set    cycle_cost_dollars_per_hour{of=\"bound\"} 0.5".to_owned(),
                    "set    cycle_decision{decision=\"nothing\"} 1".to_owned(),
                    format!("set    cycle_next_timestamp_seconds {next}"),
                ]
            );
            let lines = decided.lines.join("\n");
            assert!(
                lines.contains("no plan: full: too little; delete-empty: nothing is empty; next cycle at"),
                "{lines}"
            );
            assert_eq!(
                lines.contains("crb_node_blocker: mode delete-empty, node a stays: too-young"),
                is_verbose,
                "{lines}"
            );
            assert_eq!(lines.contains("crb_node_decision: mode delete-empty, node b stays"), is_verbose, "{lines}");
        }
    }

    #[test]
    fn of_the_plans_of_cycles_the_last_ten_of_each_kind_stay() {
        let name = |number: usize| format!("plan-{number:02}");
        let plans: Vec<RebalancePlan> = (0..24)
            .map(|number| {
                plan(&name(number), &format!("08:{number:02}:00"), if number % 2 == 0 { "Done" } else { "Failed" })
            })
            .collect();
        let decided = given_at("09:00:00", settings(|_| ()), plans).decide(&Cluster::default()).expect("a decision");
        let mut deleted: Vec<String> = decided.effects().map(|effect| effect.object.to_string()).collect();
        deleted.sort();
        assert_eq!(deleted, [name(0), name(1), name(2), name(3)]);
    }

    #[test]
    fn its_rights_are_to_read_all_that_planning_reads_and_to_make_and_delete_plans() {
        let lines = Rights::of_one(&ContinuousRebalancing::declaration(), &[]).lines();
        let writes: Vec<&String> = lines.iter().filter(|line| !line.contains(": get, list, watch ")).collect();
        assert_eq!(writes, ["everywhere: create, delete, get, list, watch rebalanceplans"]);
        let reads = lines.iter().flat_map(|line| line.rsplit(", watch ").next()).flat_map(|kinds| kinds.split(", "));
        let reads: Vec<&str> = reads.collect();
        for kind in ["nodes", "nodeclaims", "nodepools", "pods", "daemonsets", "poddisruptionbudgets", "ec2nodeclasses"]
        {
            assert!(reads.contains(&kind), "{kind}: {lines:?}");
        }
    }

    #[test]
    fn a_question_knows_its_mode_and_when_its_cycle_began() {
        assert_eq!(
            asked("drain-only@1763798400"),
            Some((CycleMode::DrainOnly, Timestamp::from_second(1_763_798_400).expect("a time")))
        );
        assert_eq!(asked("u/1"), None);
        assert_eq!(asked("everything@1"), None);
    }
}
