//! The window of a schedule: once it is over, nothing new is begun for a claim that was made in it.

use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::Kind;
use kentroller_runtime::settings::parse_duration;

use super::after;
use crate::api::{RebalancePlanClaim, RebalancePlanSchedule, marks};

/// How long the runs of a schedule may begin new steps; `None` if there is no limit.
///
/// # Errors
/// What is wrong with `spec.window`.
pub(super) fn of(schedule: &RebalancePlanSchedule) -> Result<Option<Duration>, String> {
    let Some(text) = &schedule.spec.window else { return Ok(None) };
    match parse_duration(text) {
        Some(window) if window.is_zero() => {
            Err(format!("spec.window {text:?} never opens: write how long a run may begin new steps, such as 4h"))
        }
        Some(window) => Ok(Some(window)),
        None => Err(format!("spec.window {text:?} is no duration: write one such as 4h")),
    }
}

/// What a claim bears that is made at this time.
pub(super) fn mark(at: Timestamp, window: Duration) -> (String, String) {
    (marks::WINDOW_END.to_owned(), after(at, window).to_string())
}

/// When the window of the claim ends, and why nothing is begun for it any more, if that is so. An end that cannot be read has passed.
pub(super) fn end(claim: &RebalancePlanClaim, now: Timestamp) -> Option<(Timestamp, Option<String>)> {
    let text = claim.annotation(marks::WINDOW_END)?;
    let Ok(end) = text.parse::<Timestamp>() else {
        return Some((now, Some(format!("annotation {} is {text:?}, which is no time", marks::WINDOW_END))));
    };
    Some((end, (now >= end).then(|| format!("the window of its schedule ended at {end}"))))
}
