//! The cron expressions of schedules, read as Kubernetes reads them.
//!
//! Kubernetes and Karpenter read theirs with robfig/cron v3, and `tests/vectors/cron.jsonl` holds its verdicts. `croner`
//! finds the times on the calendar. It reads a richer dialect, though (7 is a Sunday, `L`, `W` and `#` mean something,
//! `5/15` does not), so this file reads the expression and hands croner plain lists of numbers. It also moves a time that a
//! clock change skips, where robfig drops it; so croner searches wall-clock times, and this file walks from one change of
//! the clock to the next.
//!
//! Where a change skips midnight (Havana, Cairo, Beirut, the Azores) or is of half an hour (Lord Howe), robfig misses or
//! adds times around it against its own rule. That is not followed.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A schedule: wall-clock minutes in a time zone.
///
/// A time that a change of the clock skips does not come; one that it repeats comes twice.
#[derive(Debug, Clone)]
pub struct Cron {
    calendar: croner::Cron,
    zone: TimeZone,
}

impl Cron {
    /// Reads an expression of five fields (minute, hour, day of month, month, day of week) or a macro such as `@daily`.
    ///
    /// Times are UTC unless `time_zone`, an IANA name, or a prefix of the expression (`CRON_TZ=Europe/Berlin 0 2 * * *`,
    /// or `TZ=`) says otherwise. When both day fields are restricted, a day that fits either is enough.
    ///
    /// # Errors
    ///
    /// What robfig/cron v3 refuses; besides, `@every`, an expression that can never come true, and two time zones at once.
    pub fn parse(expression: &str, time_zone: Option<&str>) -> Result<Self, CronMistake> {
        let named = match time_zone {
            Some(name) => Some(zone(name).ok_or_else(|| CronMistake::TimeZone { name: name.to_owned() })?),
            None => None,
        };
        read(expression, named).map_err(|refusal| CronMistake::Expression {
            position: position(expression, refusal.part),
            expression: expression.to_owned(),
            problem: refusal.problem,
        })
    }

    /// The first time after `after`, or none before the end of the calendar.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.zone.to_offset(from);
            let wall = self.calendar.find_next_occurrence(&offset.to_datetime(from), inclusive).ok()?;
            let found = offset.to_timestamp(wall).ok()?;
            match self.zone.following(from).next() {
                Some(change) if found >= change.timestamp() => (from, inclusive) = (change.timestamp(), true),
                _ => return Some(found),
            }
        }
    }

    /// The last time that is neither after `at` nor before `not_before`.
    ///
    /// It searches backwards, so the number of times in between costs nothing.
    pub fn last_at_or_before(&self, at: Timestamp, not_before: Timestamp) -> Option<Timestamp> {
        let mut until = at;
        while until >= not_before {
            let offset = self.zone.to_offset(until);
            let wall = self.calendar.find_previous_occurrence(&offset.to_datetime(until), true).ok()?;
            let found = offset.to_timestamp(wall).ok()?;
            // `preceding` leaves a change at that very instant out.
            let just_after = until.checked_add(SignedDuration::from_nanos(1)).unwrap_or(until);
            match self.zone.preceding(just_after).next() {
                Some(change) if found < change.timestamp() => {
                    until = change.timestamp().checked_sub(SignedDuration::from_secs(1)).ok()?;
                }
                _ => return (found >= not_before).then_some(found),
            }
        }
        None
    }
}

/// Why an expression or a time zone cannot be used; its text says where and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronMistake {
    /// The expression cannot be read.
    Expression {
        /// As given.
        expression: String,
        /// The character the mistake begins at, counted from 1.
        position: usize,
        /// What is wrong there and what is expected.
        problem: String,
    },
    /// The separate time zone is none.
    TimeZone {
        /// As given.
        name: String,
    },
}

impl Display for CronMistake {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expression { expression, position, problem } => {
                write!(f, "schedule {expression:?}, character {position}: {problem}")
            }
            Self::TimeZone { name } => write!(f, "timeZone {name:?}: {NO_ZONE}"),
        }
    }
}

impl Error for CronMistake {}

const NO_ZONE: &str =
    "no such time zone; expected an IANA name in its own spelling, such as Europe/Berlin, or nothing for UTC";

/// A mistake at `part`, a slice of the expression.
struct Refusal<'a> {
    part: &'a str,
    problem: String,
}

fn refuse<T>(part: &str, problem: impl Into<String>) -> Result<T, Refusal<'_>> {
    Err(Refusal { part, problem: problem.into() })
}

/// Where `part`, a slice of `whole`, begins in it: in characters, from 1.
fn position(whole: &str, part: &str) -> usize {
    whole[..part.as_ptr().addr() - whole.as_ptr().addr()].chars().count() + 1
}

fn read(expression: &str, named: Option<TimeZone>) -> Result<Cron, Refusal<'_>> {
    let (prefix, times) = split_prefix(expression)?;
    let zone = match (prefix, named) {
        (None, named) => named.unwrap_or(TimeZone::UTC),
        (Some(prefix), Some(_)) => {
            return refuse(prefix, "a time zone stands here and in timeZone; remove one of the two");
        }
        (Some(""), None) => TimeZone::UTC,
        (Some(prefix), None) => match zone(prefix) {
            Some(zone) => zone,
            None => return refuse(prefix, NO_ZONE),
        },
    };
    let calendar = if times.starts_with('@') { calendar(expand(times)?, times)? } else { calendar(times, times)? };
    Ok(Cron { calendar, zone })
}

/// Parts the name of a time zone from what follows it.
fn split_prefix(expression: &str) -> Result<(Option<&str>, &str), Refusal<'_>> {
    let Some(rest) = expression.strip_prefix("CRON_TZ=").or_else(|| expression.strip_prefix("TZ=")) else {
        return Ok((None, expression));
    };
    match rest.split_once(' ') {
        Some((name, times)) => Ok((Some(name), times.trim())),
        None => refuse(rest, "a time zone alone; expected it to be followed by a blank and five fields"),
    }
}

/// The time zone of that name. The database ignores case, Kubernetes does not.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name) && !zone.is_unknown())
}

fn expand(name: &str) -> Result<&'static str, Refusal<'_>> {
    match name {
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        "@monthly" => Ok("0 0 1 * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@hourly" => Ok("0 * * * *"),
        _ if name == "@every" || name.starts_with("@every ") => refuse(
            name,
            "@every counts from an unknown start and is not supported; write times of day, such as */30 * * * *",
        ),
        _ => refuse(
            name,
            "unknown macro; expected @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly, in lower case",
        ),
    }
}

/// Reads the five fields; `written` is where the expression names them.
fn calendar<'a>(times: &'a str, written: &'a str) -> Result<croner::Cron, Refusal<'a>> {
    let fields: Vec<&str> = times.split_whitespace().collect();
    let Ok([minute, hour, day, month, weekday]) = <[&str; 5]>::try_from(fields.as_slice()) else {
        let part = fields.get(5).copied().unwrap_or(written);
        let count = fields.len();
        return refuse(part, format!("{count} fields; expected 5: minute, hour, day of month, month, day of week"));
    };
    let (minute, hour) = (MINUTE.read(minute)?, HOUR.read(hour)?);
    let (day, month, weekday) = (DAY.read(day)?, MONTH.read(month)?, WEEKDAY.read(weekday)?);
    if minute.bits == 0 || hour.bits == 0 || !a_day_comes(day, month, weekday) {
        return refuse(written, "such a time never comes; expected a day that one of the months has");
    }
    let plain = [minute, hour, day, month, weekday].map(Values::list).join(" ");
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(&plain).or_else(|mistake| refuse(written, mistake.to_string()))
}

/// Whether any day fits: croner would look for one through three thousand years.
fn a_day_comes(day: Values, month: Values, weekday: Values) -> bool {
    const LONGEST: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let a_date = (1..=12).zip(LONGEST).any(|(m, last)| month.has(m) && (1..=last).any(|d| day.has(d)));
    let a_weekday = month.bits != 0 && weekday.bits != 0;
    match (day.any, weekday.any) {
        (_, true) => a_date,
        (true, false) => a_weekday,
        (false, false) => a_date || a_weekday,
    }
}

/// What one of the five fields may hold.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// Names of the values from `min` on.
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", min: 0, max: 59, words: &[] };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, words: &[] };
const DAY: Field = Field { name: "day of month", min: 1, max: 31, words: &[] };
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field =
    Field { name: "day of week", min: 0, max: 6, words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The values that a field names, and whether it is a `*`, which leaves the choice of the day to the other day field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Values {
    bits: u64,
    any: bool,
}

impl Values {
    fn has(self, value: u8) -> bool {
        self.bits >> value & 1 == 1
    }

    /// The values for croner. A day field without a value leaves the choice to the other one, as a `*` does.
    fn list(self) -> String {
        if self.any || self.bits == 0 {
            return "*".to_owned();
        }
        (0..64).filter(|n| self.has(*n)).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
    }
}

impl Field {
    fn read<'a>(&self, text: &'a str) -> Result<Values, Refusal<'a>> {
        let mut values = Values { bits: 0, any: false };
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let one = self.read_item(item)?;
            values = Values { bits: values.bits | one.bits, any: values.any || one.any };
        }
        Ok(values)
    }

    /// Reads `5`, `5-10`, `5/15`, `5-10/2`, `*` or `*/15`. `?` is `*`.
    fn read_item<'a>(&self, item: &'a str) -> Result<Values, Refusal<'a>> {
        let (range, step_text) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (low, Some(high)),
            None => (range, None),
        };
        let any = low == "*" || low == "?";
        let from = if any { self.min } else { self.number(low)? };
        let to = match high {
            // Whatever follows the hyphen: robfig does not look at it.
            _ if any => self.max,
            Some(high) => self.number(high)?,
            None if step_text.is_some() => self.max,
            None => from,
        };
        if from > to {
            return refuse(item, format!("the range ends before it begins; expected {to}-{from}, or two items"));
        }
        let step = match step_text.map(|text| (text, text.parse::<i64>())) {
            None => 1,
            Some((_, Ok(step @ 1..))) => usize::try_from(step).unwrap_or(usize::MAX),
            Some((text, _)) => return refuse(text, "expected a step of 1 or more"),
        };
        let bits = (from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value);
        Ok(Values { bits, any: any && step == 1 })
    }

    fn number<'a>(&self, text: &'a str) -> Result<u8, Refusal<'a>> {
        if let Some(index) = self.words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
            return Ok(self.min + u8::try_from(index).expect("at most twelve words"));
        }
        match text.parse::<i64>().ok().and_then(|n| u8::try_from(n).ok()) {
            Some(n) if (self.min..=self.max).contains(&n) => Ok(n),
            _ => refuse(text, format!("{text:?} is no {}; expected {}", self.name, self.expected())),
        }
    }

    fn expected(&self) -> String {
        let words = match (self.words.first(), self.words.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        let sunday = if self.name == WEEKDAY.name { " (Sunday is 0)" } else { "" };
        format!("{} to {}{words}{sunday}, ranges a-b, steps /n, lists with commas, or *", self.min, self.max)
    }
}

#[cfg(test)]
mod tests;
