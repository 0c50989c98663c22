//! The checker's own reading of a budget's window: the last time of its schedule, searched day by day from now.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::manifest::Moment;

/// Whether a window of a budget is open now; `None` where its schedule or its duration cannot be read.
pub(super) fn is_open(schedule: Option<&str>, duration: Option<&str>, now: Moment) -> Option<bool> {
    let Some(schedule) = schedule else { return Some(true) };
    let calendar = Calendar::read(schedule)?;
    let lasts = duration.and_then(seconds).filter(|seconds| *seconds > 0)?;
    let until = Timestamp::from_second(now.0).ok()?.to_zoned(TimeZone::UTC).datetime();
    // A schedule that did not fire within the last year counts as shut.
    let last = calendar.last(until, 366)?;
    Some(last.is_some_and(|last| now.0 - last < lasts))
}

/// A Go duration in whole seconds.
fn seconds(text: &str) -> Option<i64> {
    let mut sum = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|one: char| !(one.is_ascii_digit() || one == '.'))?;
        let unit =
            rest[number..].find(|one: char| one.is_ascii_digit() || one == '.').map_or(rest.len(), |at| at + number);
        let scale = match &rest[number..unit] {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += rest[..number].parse::<f64>().ok()? * scale;
        rest = &rest[unit..];
    }
    Some(sum as i64)
}

/// The allowed values of each field of an expression.
struct Calendar {
    minutes: Vec<i8>,
    hours: Vec<i8>,
    days: Vec<i8>,
    months: Vec<i8>,
    weekdays: Vec<i8>,
    /// Whether a day must fit both day fields, as one of them is a star.
    both: bool,
}

impl Calendar {
    fn read(text: &str) -> Option<Self> {
        let named = [
            ("@hourly", "0 * * * *"),
            ("@daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            ("@weekly", "0 0 * * sun"),
            ("@monthly", "0 0 1 * *"),
            ("@yearly", "0 0 1 jan *"),
            ("@annually", "0 0 1 jan *"),
        ];
        let text = named.iter().find(|(name, _)| *name == text).map_or(text, |(_, meaning)| meaning);
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        let star = |field: &str| {
            let items = field.split(',').filter(|item| item.starts_with(['*', '?']));
            items.into_iter().any(|item| item.split_once('/').is_none_or(|(_, step)| step.parse() == Ok(1)))
        };
        Some(Self {
            minutes: values(minutes, 0..=59, "")?,
            hours: values(hours, 0..=23, "")?,
            days: values(days, 1..=31, "")?,
            months: values(months, 1..=12, "janfebmaraprmayjunjulaugsepoctnovdec")?,
            weekdays: values(weekdays, 0..=6, "sunmontuewedthufrisat")?,
            both: star(days) || star(weekdays),
        })
    }

    /// The last time up to a moment, in seconds, not more than so many days back.
    fn last(&self, until: DateTime, days: i64) -> Option<Option<i64>> {
        for back in 0..=days {
            let date = until.date().checked_sub(back.days()).ok()?;
            if !self.has(date) {
                continue;
            }
            let limit = if back == 0 { (until.hour(), until.minute()) } else { (23, 59) };
            let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(|minute| (*hour, *minute)));
            if let Some((hour, minute)) = times.filter(|time| *time <= limit).max() {
                let at = date.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).ok()?;
                return Some(Some(at.timestamp().as_second()));
            }
        }
        Some(None)
    }

    fn has(&self, date: Date) -> bool {
        let day = self.days.contains(&date.day());
        let weekday = self.weekdays.contains(&date.weekday().to_sunday_zero_offset());
        self.months.contains(&date.month()) && if self.both { day && weekday } else { day || weekday }
    }
}

/// The values of a field. `names`: three letters for each value from the lowest on.
fn values(field: &str, allowed: std::ops::RangeInclusive<i8>, names: &str) -> Option<Vec<i8>> {
    let value = |text: &str| -> Option<i8> {
        let lower = text.to_ascii_lowercase();
        let named = (0..names.len()).step_by(3).find(|at| names[*at..*at + 3] == lower);
        let number = match named {
            Some(at) => allowed.start() + i8::try_from(at / 3).ok()?,
            None => text.parse().ok()?,
        };
        allowed.contains(&number).then_some(number)
    };
    let mut all = Vec::new();
    for item in field.split(',').filter(|item| !item.is_empty()) {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let (low, high) = if range == "*" || range == "?" || range.starts_with("*-") || range.starts_with("?-") {
            (*allowed.start(), *allowed.end())
        } else if let Some((low, high)) = range.split_once('-') {
            (value(low)?, value(high)?)
        } else {
            (value(range)?, if step.is_some() { *allowed.end() } else { value(range)? })
        };
        let step = step.map_or(Some(1), |step| step.parse::<usize>().ok()).filter(|step| *step > 0)?;
        if low > high {
            return None;
        }
        all.extend((low..=high).step_by(step));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::window;

    #[test]
    fn both_readings_of_a_window_agree() {
        let lines = include_str!("../../../../tests/vectors/cron.jsonl").lines().skip(1);
        let mut compared = 0;
        for line in lines {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let pattern = line["pattern"].as_str();
            for (duration, now) in
                [("1m", 1_795_532_677), ("26h", 1_806_278_340), ("3000h", 1_956_527_999), ("1.5h", 1_806_278_341)]
            {
                let (ours, other) = (
                    is_open(pattern, Some(duration), Moment(now)),
                    window::is_open(pattern, Some(duration), Moment(now)),
                );
                assert_eq!(ours, other, "{pattern:?} for {duration} at {}", Moment(now));
                compared += 1;
            }
        }
        assert!(compared > 16_000, "{compared}");
        for duration in ["", "1", "h", "1d", "soon", "1h2", "-1h", "0", "1h30m", "500ms", ".5h", "1..5h"] {
            let now = Moment(1_795_532_677);
            let other = window::is_open(Some("@daily"), Some(duration), now);
            assert_eq!(is_open(Some("@daily"), Some(duration), now), other, "{duration}");
        }
    }
}
