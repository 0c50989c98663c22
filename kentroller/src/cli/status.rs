//! `kentroller status`: what runs, what waits and for what, and what comes next; from the objects alone.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use jiff::{SignedDuration, SpanRound, Timestamp, Unit};
use kentroller_runtime::{Clock, Condition, HasStatus, Kind};

use super::remote::{Remote, runtime};
use crate::api::{
    AttemptStatus, ClaimState, DeletionPhase, PlanState, PlanStatus, RebalancePlan, RebalancePlanClaim,
    RebalancePlanSchedule,
};

/// Arguments of `kentroller status`.
#[derive(Args, Debug)]
pub(super) struct Status {}

impl Status {
    pub(super) fn execute() -> anyhow::Result<ExitCode> {
        runtime()?.block_on(async {
            let remote = Remote::connect().await?;
            let plans = remote.list::<RebalancePlan>().await?;
            let claims = remote.list::<RebalancePlanClaim>().await?;
            let schedules = remote.list::<RebalancePlanSchedule>().await?;
            let told = told(&plans, &claims, &schedules, Clock::system().now());
            super::print(&told)?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// One paragraph for each plan that has not ended, one line for each claim that waits and each schedule, and how the last plan ended.
fn told(
    plans: &[RebalancePlan],
    claims: &[RebalancePlanClaim],
    schedules: &[RebalancePlanSchedule],
    now: Timestamp,
) -> String {
    let mut out = String::new();
    let empty = PlanStatus::default();
    let state = |plan: &RebalancePlan| plan.status().and_then(|status| status.state.clone());
    let (ended, open): (Vec<_>, Vec<_>) =
        plans.iter().partition(|plan| state(plan).as_ref().is_some_and(PlanState::is_final));
    for plan in &open {
        let status = plan.status().unwrap_or(&empty);
        let word = status.state.clone().unwrap_or(PlanState::Pending);
        let _ = writeln!(out, "Plan {} is {}.", plan.name(), word.as_str());
        if word == PlanState::Running {
            let _ = writeln!(out, "  {}", progress(plan, status, now));
        }
        if let Some(message) = message(&status.conditions) {
            let _ = writeln!(out, "  {message}");
        }
    }
    for claim in claims {
        let Some(status) = claim.status() else { continue };
        let state = status.state.clone().unwrap_or(ClaimState::Pending);
        let has_plan = open.iter().any(|plan| Some(plan.name()) == status.rebalance_name.as_deref());
        if !state.is_final() && !has_plan {
            let message = message(&status.conditions).unwrap_or_default();
            let _ = writeln!(out, "Claim {} is {}. {message}", claim.name(), state.as_str());
        }
    }
    for schedule in schedules {
        let status = schedule.status();
        match status.and_then(|status| status.next_schedule_time) {
            Some(next) => {
                let _ = writeln!(
                    out,
                    "Schedule {} runs next at {next}, in {}.",
                    schedule.name(),
                    span(next.duration_since(now))
                );
            }
            None => {
                let message = status.and_then(|status| message(&status.conditions)).unwrap_or_default();
                let _ = writeln!(out, "Schedule {} has no next time. {message}", schedule.name());
            }
        }
    }
    if out.is_empty() {
        out.push_str("Nothing runs, and nothing waits.\n");
    }
    let last = ended.into_iter().filter_map(|plan| Some((plan.status()?.start_time?, plan)));
    if let Some((began, plan)) = last.max_by_key(|(began, _)| *began) {
        let status = plan.status().unwrap_or(&empty);
        let word = status.state.as_ref().map_or("", PlanState::as_str);
        let saved = status.achieved_outcome.as_ref().and_then(|outcome| outcome.diff.as_ref()?.price_hourly.as_deref());
        let saved = saved.map_or(String::new(), |saved| format!(" It saves {saved} USD an hour."));
        let ago = span(now.duration_since(began));
        let _ = writeln!(out, "The last plan was {}, {ago} ago: {word}.{saved}", plan.name());
    }
    out
}

/// How far a running plan has come.
fn progress(plan: &RebalancePlan, status: &PlanStatus, now: Timestamp) -> String {
    let spec = &plan.spec;
    let waves =
        spec.node_claims_to_delete.iter().map(|one| one.wave).chain(spec.node_claims_to_add.iter().map(|one| one.wave));
    let waves = waves.max().map_or(0, |last| last + 1);
    let came = status.nodes_creation.values().filter_map(|one| one.attempts.last());
    let came = came.filter(|attempt| attempt.status == AttemptStatus::Success).count();
    let in_phase = |phase: DeletionPhase| {
        status.nodes_deletion.values().filter(|one| one.phase().as_ref() == Some(&phase)).count()
    };
    let since = status.start_time.map_or(String::new(), |began| format!("for {}, ", span(now.duration_since(began))));
    format!(
        "It runs {since}wave {} of {waves}: {came} of {} nodes have come, {} of {} are gone, {} are kept.",
        status.wave.unwrap_or(0) + 1,
        spec.node_claims_to_add.len(),
        in_phase(DeletionPhase::Gone),
        spec.node_claims_to_delete.len(),
        in_phase(DeletionPhase::Kept),
    )
}

/// What the object says of itself.
fn message(conditions: &[Condition]) -> Option<&str> {
    conditions.iter().find(|condition| condition.type_ == "Ready").map(|ready| ready.message.as_str())
}

/// In two units at most, such as `2h 5m`.
pub(super) fn span(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    let smallest = if seconds < 120 {
        Unit::Second
    } else if seconds < 2 * 86_400 {
        Unit::Minute
    } else {
        Unit::Hour
    };
    let rounded = jiff::Span::new().seconds(seconds).round(SpanRound::new().largest(Unit::Hour).smallest(smallest));
    rounded.map_or_else(|_| format!("{seconds}s"), |span| format!("{span:#}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object<K: Kind>(name: &str, spec: Value, status: Value) -> K {
        let object = json!({"apiVersion": "autoscaling.cast.ai/v1alpha", "kind": K::INFO.kind, "metadata": {"name": name},
            "spec": spec, "status": status});
        serde_json::from_value(object).expect("an object")
    }

    fn ready(message: &str) -> Value {
        json!([{"type": "Ready", "status": "False", "reason": "X", "message": message, "lastTransitionTime": "2026-11-22T10:00:00Z"}])
    }

    #[test]
    fn what_runs_what_waits_and_what_comes_next_is_told() {
        let now: Timestamp = "2026-11-22T10:12:30Z".parse().expect("a time");
        let lists = |adds: Value, removes: Value| json!({"execute": true, "nodeClaimsToAdd": adds, "nodeClaimsToDelete": removes, "podsToMigrate": []});
        let attempt = json!({"attempts": [{"description": "", "instanceType": "m6a.large", "nodeClaimName": "a", "status": "Success",
            "timestamp": "2026-11-22T10:02:00Z"}], "name": "a"});
        let running: RebalancePlan = object(
            "now",
            lists(
                json!([{"metadata": {"name": "a"}, "spec": {"nodeClassRef": {"group": "g", "kind": "k", "name": "n"}, "requirements": []}}]),
                json!([{"nodeClaimName": "b"}, {"nodeClaimName": "c", "wave": 1}]),
            ),
            json!({"state": "Running", "startTime": "2026-11-22T10:00:00Z", "wave": 1, "conditions": ready("Wave 2: node c to be cordoned."),
                "nodesCreation": {"a": attempt}, "nodesDeletion": {"b": {"name": "b", "events": [], "phase": "Gone"}}}),
        );
        let done: RebalancePlan = object(
            "before",
            lists(json!([]), json!([])),
            json!({"state": "Done", "startTime": "2026-11-22T08:00:00Z", "conditions": [],
                "achievedOutcome": {"diff": {"priceHourly": "1.5000"}}}),
        );
        let claim = |name: &str, plan: Value, message: &str| -> RebalancePlanClaim {
            object(name, json!({}), json!({"state": "Ready", "rebalanceName": plan, "conditions": ready(message)}))
        };
        let claims = [
            claim("now", json!("now"), "executed"),
            claim("next", Value::Null, "Waits for plan now; one plan is executed at a time."),
        ];
        let schedule: RebalancePlanSchedule = object(
            "nightly",
            json!({"schedule": "0 2 * * *", "rebalancePlanClaimTemplate": {"spec": {}}}),
            json!({"nextScheduleTime": "2026-11-23T02:00:00Z", "active": [], "conditions": []}),
        );
        let said = told(&[running, done], &claims, &[schedule], now);
        assert_eq!(
            said,
            "Plan now is Running.\n  It runs for 13m, wave 2 of 2: 1 of 1 nodes have come, 1 of 2 are gone, 0 are kept.\n  \
             Wave 2: node c to be cordoned.\nClaim next is Ready. Waits for plan now; one plan is executed at a time.\n\
             Schedule nightly runs next at 2026-11-23T02:00:00Z, in 15h 48m.\nThe last plan was before, 2h 13m ago: Done. It saves 1.5000 USD an hour.\n"
        );
        assert_eq!(told(&[], &[], &[], now), "Nothing runs, and nothing waits.\n");
    }
}
