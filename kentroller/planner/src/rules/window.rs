//! Windows that open by a cron expression, as Karpenter's disruption budgets have them: always UTC.
//!
//! The operator's own `cron.rs` reads schedules in any time zone and finds their next times. This crate knows neither that
//! file nor its library, and asks one thing only: whether a time lies in the window that ends now. Both are held to the
//! verdicts of robfig/cron in `tests/vectors/cron.jsonl`.

use crate::manifest::{Moment, parse_span};

/// Whether a time of the schedule lies in `(now - duration, now]`, UTC; without a schedule always.
///
/// `None`: schedule or duration cannot be read. A schedule that does not fire within a year counts as shut.
pub(crate) fn is_open(schedule: Option<&str>, duration: Option<&str>, now: Moment) -> Option<bool> {
    let Some(schedule) = schedule else { return Some(true) };
    let fields = Fields::parse(schedule)?;
    let duration = parse_span(duration?).filter(|span| *span > 0)?;
    // A window longer than a year says no more than one of a year.
    let first = now.0.saturating_sub(duration.min(366 * 86_400));
    let mut minute = now.0.div_euclid(60);
    while minute * 60 > first {
        match fields.fire_at(minute)? {
            Fires::Now => return Some(true),
            Fires::NotThisMinute => minute -= 1,
            Fires::NotThisDay => minute = minute.div_euclid(DAY) * DAY - 1,
        }
    }
    Some(false)
}

/// Unit: minutes.
const DAY: i64 = 24 * 60;

/// What a schedule says of a minute.
enum Fires {
    Now,
    NotThisMinute,
    NotThisDay,
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

    fn fire_at(&self, minute: i64) -> Option<Fires> {
        let at = jiff::Timestamp::from_second(minute * 60).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
        let has = |set: u64, value: i8| set >> value & 1 == 1;
        let (day, weekday) = (has(self.days, at.day()), has(self.weekdays, at.weekday().to_sunday_zero_offset()));
        // If both day fields are restricted, one of them is enough. Else the restricted one decides.
        let date = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        Some(
            match (date && has(self.months, at.month()), has(self.hours, at.hour()) && has(self.minutes, at.minute())) {
                (false, _) => Fires::NotThisDay,
                (true, false) => Fires::NotThisMinute,
                (true, true) => Fires::Now,
            },
        )
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
    // robfig leaves empty items of a list out, and what stands behind a star of a range.
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let bounds: Vec<&str> = range.split('-').collect();
        let (first, last) = match bounds.as_slice() {
            ["*" | "?", ..] => {
                star |= step.unwrap_or(1) == 1;
                (low, high)
            }
            [first, last] => (number(first)?, number(last)?),
            [only] => (number(only)?, if step.is_some() { high } else { number(only)? }),
            _ => return None,
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
    fn a_window_is_open_from_a_time_of_its_schedule_until_its_duration_is_over() {
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
            ("0 0 1 1 *", "7900h", Some(true)),
            ("0 0 30 2 *", "9000h", Some(false)),
            ("0 25 * * *", "1h", None),
            ("noon", "1h", None),
            ("0 12 * * *", "soon", None),
        ] {
            assert_eq!(is_open(Some(schedule), Some(duration), noon), active, "{schedule} {duration}");
        }
    }

    /// What robfig reads and this file refuses, and why that is right.
    const REFUSED: [(&str, &str); 3] = [
        (
            "TZ=",
            "Karpenter puts TZ=UTC before the expression of a budget, so that a second prefix is no minute to it either",
        ),
        ("CRON_TZ=", "the same"),
        ("@every", "the schema of a NodePool admits no such budget: it has no times of day"),
    ];

    #[test]
    fn every_schedule_is_read_as_robfig_reads_it() {
        let lines = include_str!("../../../../tests/vectors/cron.jsonl").lines();
        let mut lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let starts: Vec<Moment> = serde_json::from_value(lines.next().unwrap()["starts"]["calendar"].take()).unwrap();
        let mut read = 0;
        for line in lines {
            let pattern = line["pattern"].as_str().unwrap();
            let ours = is_open(Some(pattern), Some("1m"), starts[0]);
            let is_refused = REFUSED.iter().any(|(start, _)| pattern.contains(start));
            assert_eq!(ours.is_some(), line["error"].is_null() && !is_refused, "{pattern}: {ours:?}, robfig {line}");
            let Some(runs) = line["next"].as_array().filter(|_| ours.is_some()) else { continue };
            for (run, start) in runs.iter().zip(&starts) {
                let mut before = start.0.div_euclid(60);
                for wait in run.as_array().unwrap() {
                    let at = before + wait.as_i64().unwrap();
                    let open = |minutes: i64, until: i64| {
                        is_open(Some(pattern), Some(&format!("{minutes}m")), Moment(until * 60))
                    };
                    assert_eq!(open(1, at), Some(true), "{pattern} at {}", Moment(at * 60));
                    let between = at - 1 - before;
                    assert!(
                        between == 0 || open(between, at - 1) == Some(false),
                        "{pattern} before {}",
                        Moment(at * 60)
                    );
                    before = at;
                    read += 1;
                }
            }
        }
        assert!(read > 40_000, "{read} times");
    }
}
