//! Schedules: at each time of its cron expression a schedule makes one claim.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kentroller_runtime::{Change, Cut, Failure, HasStatus, Kind, ObjectKey, Outcome, Reconcile, World, controller};

use super::rest::Rest;
use super::window;
use crate::api::{
    ActiveClaim, ClaimState, LastExecution, RebalancePlanClaim, RebalancePlanSchedule, ScheduleCondition,
    ScheduleReason, ScheduleStatus, marks,
};
use crate::cron::Cron;
use crate::settings::Settings;

/// Makes a claim at each time of a schedule.
#[controller(
    of = RebalancePlanSchedule,
    feature = "rebalancer",
    owns(RebalancePlanClaim: create + patch + delete),
    watches(RebalancePlanClaim => schedule_of),
    events(
        ScheduleCreated = "The schedule was seen for the first time.",
        ScheduleSuspended = "The schedule was suspended.",
        ScheduleResumed = "The schedule goes on; the times of the pause are not caught up.",
        ClaimCreated = "A claim was made for a scheduled time.",
        ScheduleSkipped = "A time was skipped because an earlier claim is still active.",
        HistoryCleanup = "A finished claim beyond the history limits was deleted.",
        warning(ClaimCreationFailed = "A claim could not be made; it is tried again."),
        warning(ScheduleMissed = "A time was missed by more than startingDeadlineSeconds, or than the window, and is not caught up."),
        warning(ScheduleInvalid = "The schedule, its time zone or its window cannot be read."),
        warning(HistoryCleanupFailed = "A finished claim beyond the history limits could not be deleted."),
    ),
)]
pub struct Schedules;

impl Reconcile for Schedules {
    fn reconcile(schedule: &RebalancePlanSchedule, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(schedule);
        let claims: Vec<&RebalancePlanClaim> = world
            .all::<RebalancePlanClaim>()
            .filter(|claim| claim.label(marks::SCHEDULE) == Some(schedule.uid()))
            .collect();
        if schedule.deleting().is_some() {
            return Ok(out);
        }
        keep_history(&mut out, schedule, &claims);
        follow_ownership(&mut out, schedule, &claims);
        let mut status = observe(schedule, &claims, world.now());
        let paused = announce(&mut out, schedule, Rest::of(world));

        match times(schedule) {
            Err(mistake) => {
                status.next_schedule_time = None;
                out.event(Schedules::ScheduleInvalid, mistake.clone());
                out.stalled(ScheduleReason::ScheduleInvalid, mistake.clone());
                out.condition(ScheduleCondition::Scheduled, false, ScheduleReason::ScheduleInvalid, mistake);
            }
            Ok(_) if paused == Some(Pause::Suspended) => {
                status.next_schedule_time = None;
                out.ready(true, ScheduleReason::Suspended, "Suspended by spec.suspend.");
                let message = "Set spec.suspend to false to go on.";
                out.condition(ScheduleCondition::Scheduled, false, ScheduleReason::Suspended, message);
            }
            Ok((cron, window)) => {
                let active = claims.iter().copied().find(|claim| is_active(claim));
                let deadline =
                    schedule.spec.starting_deadline_seconds.map(seconds).or(world.settings().starting_deadline);
                let deadline = deadline.into_iter().chain(window).min();
                let due = due(&cron, since(schedule, &status), deadline, active.map(Kind::name), world.now());
                let next = cron.next_after(world.now());
                status.next_schedule_time = next.filter(|_| paused.is_none());
                if paused.is_none() {
                    act_on(&mut out, schedule, &mut status, due, window);
                    tell_next(&mut out, next);
                } else if let Some(Pause::Resting(rest)) = paused {
                    pass_over(&mut out, &mut status, due, rest, world.settings());
                }
                if let Some(next) = next {
                    out.look_at(next);
                }
            }
        }
        out.status(&status);
        Ok(out)
    }

    /// Nothing is started; what runs is brought to its end, and what is done is cleaned up.
    fn disabled(schedule: &RebalancePlanSchedule, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Self::reconcile(schedule, world)
    }
}

/// When the schedule runs, and how long a run may begin new steps.
fn times(schedule: &RebalancePlanSchedule) -> Result<(Cron, Option<Duration>), String> {
    let cron = Cron::parse(&schedule.spec.schedule, schedule.spec.time_zone.as_deref());
    Ok((cron.map_err(|mistake| mistake.to_string())?, window::of(schedule)?))
}

/// Says when the schedule runs next.
fn tell_next(out: &mut Outcome<Schedules>, next: Option<Timestamp>) {
    let Some(next) = next else { return };
    out.ready(true, ScheduleReason::Scheduled, "Waits for its next time.");
    out.condition(ScheduleCondition::Scheduled, true, ScheduleReason::Scheduled, format!("Next at {next}."));
}

/// The time in which everything rests counts as suspended: it is not caught up.
fn pass_over(out: &mut Outcome<Schedules>, status: &mut ScheduleStatus, due: Due, rest: Rest, settings: &Settings) {
    if let Due::Run(at) | Due::TooLate(at) | Due::StillActive(at, _) = due {
        status.last_schedule_time = Some(at);
    }
    let (reason, message) = (reason(rest), rest.told(settings));
    out.ready(true, reason.clone(), format!("{message} No claims are made."));
    out.condition(ScheduleCondition::Scheduled, false, reason, message);
    if let Some(end) = settings.paused.end() {
        out.look_at(end);
    }
}

fn reason(rest: Rest) -> ScheduleReason {
    match rest {
        Rest::FeatureDisabled(_) => ScheduleReason::FeatureDisabled,
        Rest::Paused => ScheduleReason::Paused,
    }
}

/// Which schedules a claim concerns: the one it was made by.
fn schedule_of(change: &Change<'_, RebalancePlanClaim>, cut: &Cut) -> Vec<ObjectKey> {
    let uid = change.new.or(change.old).and_then(|claim| claim.label(marks::SCHEDULE));
    let schedule = uid.and_then(|uid| cut.store::<RebalancePlanSchedule>()?.by_uid(uid));
    schedule.map(Kind::key).into_iter().collect()
}

/// What a schedule should do about its newest time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    /// Make a claim for this time.
    Run(Timestamp),
    /// The time was missed by more than the deadline.
    TooLate(Timestamp),
    /// The time is skipped because this claim is active.
    StillActive(Timestamp, String),
    NotYet,
}

/// Decides about the newest time after `since`; older ones are never caught up.
fn due(cron: &Cron, since: Timestamp, deadline: Option<Duration>, active: Option<&str>, now: Timestamp) -> Due {
    let Some(at) = cron.last_at_or_before(now, since).filter(|at| *at > since) else { return Due::NotYet };
    let late = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    if deadline.is_some_and(|deadline| late > deadline) {
        Due::TooLate(at)
    } else if let Some(claim) = active {
        Due::StillActive(at, claim.to_owned())
    } else {
        Due::Run(at)
    }
}

fn act_on(
    out: &mut Outcome<Schedules>,
    schedule: &RebalancePlanSchedule,
    status: &mut ScheduleStatus,
    due: Due,
    window: Option<Duration>,
) {
    match due {
        Due::NotYet => {}
        Due::Run(at) => {
            // Not noted in the status here: the claim's name holds the time, so that after a crash a second try collides.
            let claim = claim_for(schedule, at, window);
            let note = format!("created claim {} for {at}", claim.name());
            out.create(&claim)
                .says(Schedules::ClaimCreated, note)
                .or_says(Schedules::ClaimCreationFailed, format!("claim for {at}"));
        }
        Due::TooLate(at) => {
            status.last_schedule_time = Some(at);
            out.event(
                Schedules::ScheduleMissed,
                format!("{at} was missed by more than the starting deadline or the window, and is not caught up"),
            );
        }
        Due::StillActive(at, claim) => {
            status.last_schedule_time = Some(at);
            out.event(Schedules::ScheduleSkipped, format!("{at} was skipped: claim {claim} is still active"));
        }
    }
}

/// The time from which on times count: the last one dealt with, or the last edit of the spec.
fn since(schedule: &RebalancePlanSchedule, status: &ScheduleStatus) -> Timestamp {
    status.last_schedule_time.unwrap_or_else(|| schedule.created())
}

/// The claim for one scheduled time.
fn claim_for(schedule: &RebalancePlanSchedule, at: Timestamp, window: Option<Duration>) -> RebalancePlanClaim {
    let template = &schedule.spec.rebalance_plan_claim_template;
    let mut claim = RebalancePlanClaim::new(&format!("{}-{}", schedule.name(), at.as_second()), template.spec.clone());
    claim.metadata.annotations = template.metadata.annotations.clone();
    if let Some(window) = window {
        claim.metadata.annotations.get_or_insert_default().extend([window::mark(at, window)]);
    }
    let mut labels = template.metadata.labels.clone().unwrap_or_default();
    labels.insert(marks::SCHEDULE.to_owned(), schedule.uid().to_owned());
    labels.insert(marks::SCHEDULED_FOR.to_owned(), at.as_second().to_string());
    claim.metadata.labels = Some(labels);
    claim.metadata.owner_references = (!schedule.spec.preserve_history).then(|| vec![schedule.owner_reference()]);
    claim
}

/// Deletes finished claims beyond the history limits, oldest first.
fn keep_history(out: &mut Outcome<Schedules>, schedule: &RebalancePlanSchedule, claims: &[&RebalancePlanClaim]) {
    let limits =
        [(true, schedule.spec.successful_jobs_history_limit), (false, schedule.spec.failed_jobs_history_limit)];
    for (good, limit) in limits {
        let mut finished: Vec<&RebalancePlanClaim> = claims
            .iter()
            .copied()
            .filter(|claim| claim.deleting().is_none() && succeeded(claim) == Some(good))
            .collect();
        finished.sort_by_key(|claim| Reverse(scheduled_for(claim)));
        for old in finished.into_iter().skip(usize::try_from(limit).unwrap_or(0)).rev() {
            let note = format!("claim {} beyond the history limit of {limit}", old.name());
            out.delete(old)
                .says(Schedules::HistoryCleanup, format!("deleted {note}"))
                .or_says(Schedules::HistoryCleanupFailed, note);
        }
    }
}

/// Owner references follow `preserveHistory` as it stands now.
fn follow_ownership(out: &mut Outcome<Schedules>, schedule: &RebalancePlanSchedule, claims: &[&RebalancePlanClaim]) {
    for claim in claims.iter().copied().filter(|claim| claim.deleting().is_none()) {
        let others: Vec<&OwnerReference> =
            claim.metadata.owner_references.iter().flatten().filter(|owner| owner.uid != schedule.uid()).collect();
        let owned = claim.metadata.owner_references.iter().flatten().count() > others.len();
        if owned == schedule.spec.preserve_history {
            let mut owners: Vec<OwnerReference> = others.into_iter().cloned().collect();
            owners.extend((!schedule.spec.preserve_history).then(|| schedule.owner_reference()));
            out.patch(claim, |claim| claim.metadata.owner_references = Some(owners));
        }
    }
}

/// The status as the claims say it.
fn observe(schedule: &RebalancePlanSchedule, claims: &[&RebalancePlanClaim], now: Timestamp) -> ScheduleStatus {
    let mut status = schedule.status().cloned().unwrap_or_default();
    let edited = status.observed_generation.is_some_and(|seen| Some(seen) != schedule.metadata.generation);
    if edited {
        // No time of the old spec, nor of a pause, is caught up.
        status.last_schedule_time = Some(kentroller_runtime::condition::seconds(now));
    }
    let newest = claims.iter().copied().max_by_key(|claim| scheduled_for(claim));
    if let Some(at) = newest.and_then(scheduled_for) {
        status.last_schedule_time = status.last_schedule_time.max(Some(at));
    }
    status.suspended = Some(schedule.spec.suspend);
    let active: Vec<ActiveClaim> =
        claims.iter().filter(|claim| is_active(claim)).map(|claim| reference(claim)).collect();
    status.active_count = Some(i64::try_from(active.len()).unwrap_or(i64::MAX));
    status.active = active;
    let completed = claims.iter().filter(|claim| succeeded(claim) == Some(true));
    let last_good = completed.filter_map(|claim| claim.status()?.completion_time).max();
    status.last_successful_time = status.last_successful_time.max(last_good);
    if let Some(newest) = newest {
        let claim_status = newest.status();
        status.last_execution = Some(LastExecution {
            name: newest.name().to_owned(),
            plan_id: claim_status.and_then(|status| status.plan_id.clone()),
            status: claim_status.and_then(|status| status.state.as_ref()).map(|state| state.as_str().to_owned()),
        });
    }
    status
}

/// Why a schedule makes no claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Suspended,
    Resting(Rest),
}

/// Says what is new about the schedule; returns whether it is paused.
fn announce(out: &mut Outcome<Schedules>, schedule: &RebalancePlanSchedule, rest: Option<Rest>) -> Option<Pause> {
    // A status of an older version does not say whether it was: then nothing is new.
    let was_suspended = schedule.status().map_or(Some(false), |status| status.suspended);
    if schedule.status().is_none() {
        out.event(Schedules::ScheduleCreated, format!("schedule {:?}", schedule.spec.schedule));
    }
    match (schedule.spec.suspend, was_suspended) {
        (true, Some(false)) => out.event(Schedules::ScheduleSuspended, "no claims are made while spec.suspend is true"),
        (false, Some(true)) => out.event(Schedules::ScheduleResumed, "the times of the pause are not caught up"),
        _ => {}
    }
    if schedule.spec.suspend { Some(Pause::Suspended) } else { rest.map(Pause::Resting) }
}

fn scheduled_for(claim: &RebalancePlanClaim) -> Option<Timestamp> {
    Timestamp::from_second(claim.label(marks::SCHEDULED_FOR)?.parse().ok()?).ok()
}

/// Whether the claim has not ended. A state that this version does not know counts as active: nothing is started beside
/// it.
fn is_active(claim: &RebalancePlanClaim) -> bool {
    succeeded(claim).is_none()
}

/// How the claim ended, if it has.
fn succeeded(claim: &RebalancePlanClaim) -> Option<bool> {
    match claim.status()?.state.as_ref()? {
        ClaimState::Completed => Some(true),
        ClaimState::Failed | ClaimState::Skipped | ClaimState::Canceled => Some(false),
        _ => None,
    }
}

fn reference(claim: &RebalancePlanClaim) -> ActiveClaim {
    ActiveClaim {
        api_version: Some(RebalancePlanClaim::INFO.api_version()),
        kind: Some(RebalancePlanClaim::INFO.kind.to_owned()),
        name: Some(claim.name().to_owned()),
        uid: Some(claim.uid().to_owned()),
        ..ActiveClaim::default()
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests;
