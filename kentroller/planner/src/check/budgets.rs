//! Disruption budgets of a NodePool that allow nothing at this moment.
use std::collections::BTreeMap;

use crate::{
    Moment, Snapshot,
    manifest::{DisruptionBudget, NodePool},
    parse_span,
};

/// Whether the pool was handed to us: Karpenter's switches then bind Karpenter only.
pub(super) fn is_handed_over(pool: &NodePool) -> bool {
    pool.metadata.annotations.get("kentroller.cast.ai/consolidation").is_some_and(|word| word == "include")
}

/// By pool and reason (`Empty` or `Underutilized`): why no node may go now; absent where some may.
pub(super) fn zeros(snapshot: &Snapshot) -> BTreeMap<(&str, &'static str), String> {
    let mut all = BTreeMap::new();
    for pool in &snapshot.node_pools {
        for reason in ["Empty", "Underutilized"] {
            if let Some(why) = zero(pool, reason, snapshot.now) {
                all.insert((pool.metadata.name.as_str(), reason), why);
            }
        }
    }
    all
}

fn zero(pool: &NodePool, reason: &str, now: Moment) -> Option<String> {
    if is_handed_over(pool)
        && let Some(own) = pool.metadata.annotations.get("kentroller.cast.ai/budget")
        && is_zero(own)
    {
        return Some(format!("kentroller.cast.ai/budget is {own:?}"));
    }
    let covers = |budget: &DisruptionBudget, reason: &str| {
        budget.reasons.as_ref().is_none_or(|reasons| reasons.iter().any(|one| one == reason))
    };
    for budget in pool.spec.disruption.budgets.iter().flatten() {
        let lifted = is_handed_over(pool) && covers(budget, "Underutilized");
        if lifted || !covers(budget, reason) {
            continue;
        }
        match is_active(budget, now) {
            None => return Some(format!("schedule {:?} of a budget cannot be read", budget.schedule)),
            Some(true) if is_zero(&budget.nodes) => return Some(format!("a budget allows {:?} nodes", budget.nodes)),
            Some(_) => {}
        }
    }
    None
}

/// A count or percentage of nothing, or one that cannot be read. A positive percentage allows at least one node.
fn is_zero(nodes: &str) -> bool {
    let digits = nodes.strip_suffix('%').unwrap_or(nodes);
    digits.parse::<u32>().map_or(true, |count| count == 0)
}

/// Whether a time of the schedule lies in `(now - duration, now]`, UTC.
fn is_active(budget: &DisruptionBudget, now: Moment) -> Option<bool> {
    let Some(schedule) = &budget.schedule else { return Some(true) };
    let fields = Fields::parse(schedule)?;
    let duration = parse_span(budget.duration.as_deref()?).filter(|span| *span > 0)?;
    // No budget of more than a year says anything that one of a year does not.
    let first = now.0.saturating_sub(duration.min(366 * 86_400));
    let mut minute = now.0.div_euclid(60);
    while minute * 60 > first {
        if fields.fire_at(minute)? {
            return Some(true);
        }
        minute -= 1;
    }
    Some(false)
}

/// A cron expression as sets of numbers.
struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

impl Fields {
    fn parse(text: &str) -> Option<Self> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else { return None };
        let month_names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        let day_names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        let (days, any_day) = field(days, 1, 31, &[])?;
        let (weekdays, any_weekday) = field(weekdays, 0, 6, &day_names)?;
        Some(Self {
            minutes: field(minutes, 0, 59, &[])?.0,
            hours: field(hours, 0, 23, &[])?.0,
            days,
            months: field(months, 1, 12, &month_names)?.0,
            weekdays,
            any_day,
            any_weekday,
        })
    }

    fn fire_at(&self, minute: i64) -> Option<bool> {
        let at = jiff::Timestamp::from_second(minute * 60).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
        let has = |set: u64, value: i8| set >> value & 1 == 1;
        let (day, weekday) = (has(self.days, at.day()), has(self.weekdays, at.weekday().to_sunday_zero_offset()));
        // Either, when both are restricted; else the one that is.
        let date = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        Some(date && has(self.months, at.month()) && has(self.hours, at.hour()) && has(self.minutes, at.minute()))
    }
}

/// One field as a set, and whether it is a star.
fn field(text: &str, low: u32, high: u32, names: &[&str]) -> Option<(u64, bool)> {
    let number = |text: &str| -> Option<u32> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = named.and_then(|at| u32::try_from(at).ok()).map(|at| at + low).or_else(|| text.parse().ok())?;
        (low..=high).contains(&value).then_some(value)
    };
    let (mut set, mut star) = (0u64, false);
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => {
                star |= step.unwrap_or(1) == 1;
                (low, high)
            }
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, if step.is_some() { high } else { number(range)? }),
        };
        if first > last {
            return None;
        }
        for value in (first..=last).step_by(step.unwrap_or(1) as usize) {
            set |= 1 << value;
        }
    }
    Some((set, star))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_binds_only_while_its_window_is_open() {
        let noon = Moment::parse("2026-11-24T12:00:00Z").unwrap();
        for (schedule, duration, active) in [
            ("0 12 * * *", "1h", Some(true)),
            ("0 11 * * *", "1h", Some(false)),
            ("0 11 * * *", "61m", Some(true)),
            ("0 9 * * mon-fri", "8h", Some(true)),
            ("0 9 * * sat,sun", "8h", Some(false)),
            ("0 9 1 * tue", "8h", Some(true)),
            ("0 9 1 * *", "8h", Some(false)),
            ("*/30 * * * *", "5m", Some(true)),
            ("@daily", "24h", Some(true)),
            ("0 25 * * *", "1h", None),
            ("noon", "1h", None),
            ("0 12 * * *", "soon", None),
        ] {
            let budget = DisruptionBudget {
                nodes: "0".to_owned(),
                reasons: None,
                schedule: Some(schedule.to_owned()),
                duration: Some(duration.to_owned()),
            };
            assert_eq!(is_active(&budget, noon), active, "{schedule} {duration}");
        }
    }
}
