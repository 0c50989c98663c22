//! Held to robfig's own verdicts, and to a second opinion.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

const VECTORS: &str = include_str!("../../../tests/vectors/cron.jsonl");

/// What robfig makes of a pattern: no times if it refuses it or finds none, else those after each start.
struct Verdict {
    pattern: String,
    every: bool,
    times: Option<Vec<(Timestamp, Vec<Timestamp>)>>,
}

fn vectors() -> Vec<Verdict> {
    let mut lines = VECTORS.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let starts: BTreeMap<String, Vec<Timestamp>> =
        serde_json::from_value(lines.next().unwrap()["starts"].take()).unwrap();
    lines.map(|line| verdict(&line, &starts)).collect()
}

fn verdict(line: &Value, starts: &BTreeMap<String, Vec<Timestamp>>) -> Verdict {
    let times = line["from"].as_str().map(|from| {
        let runs = line["next"].as_array().unwrap().iter().zip(&starts[from]);
        let times = runs.map(|(run, start)| {
            let mut minute = start.as_second() / 60;
            let time = |wait: &Value| {
                minute += wait.as_i64().unwrap();
                Timestamp::from_second(minute * 60).unwrap()
            };
            (*start, run.as_array().unwrap().iter().map(time).collect())
        });
        times.collect::<Vec<(Timestamp, Vec<Timestamp>)>>()
    });
    Verdict {
        pattern: line["pattern"].as_str().unwrap().to_owned(),
        every: line["every"].is_string(),
        times: times.filter(|runs| runs.iter().any(|(_, times)| !times.is_empty())),
    }
}

fn following(cron: &Cron, start: Timestamp, count: usize) -> Vec<Timestamp> {
    let next = |at: &Timestamp| cron.next_after(*at);
    std::iter::successors(next(&start), next).take(count).collect()
}

#[test]
fn every_verdict_is_the_one_of_robfig() {
    let vectors = vectors();
    assert!(vectors.len() > 3_000, "{} vectors", vectors.len());
    let mut differences = Vec::new();
    for Verdict { pattern, every, times } in &vectors {
        match (Cron::parse(pattern, None), times) {
            (Err(mistake), None) if *every => assert!(mistake.to_string().contains("write times of day"), "{mistake}"),
            (Err(_), None) => {}
            (Ok(cron), Some(runs)) => {
                for (start, expected) in runs {
                    let ours = following(&cron, *start, expected.len());
                    if ours != *expected {
                        differences.push(format!("{pattern:?} from {start}: {ours:?}, robfig {expected:?}"));
                    }
                }
            }
            (ours, _) => differences.push(format!("{pattern:?}: {ours:?}, robfig {times:?}")),
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn looking_back_finds_what_looking_ahead_found() {
    for Verdict { pattern, times, .. } in vectors() {
        let Some(runs) = times else { continue };
        let cron = Cron::parse(&pattern, None).unwrap();
        for (start, times) in &runs {
            let second = SignedDuration::from_secs(1);
            for pair in times.windows(2) {
                assert_eq!(cron.last_at_or_before(pair[0], *start), Some(pair[0]), "{pattern} at {}", pair[0]);
                assert_eq!(cron.last_at_or_before(pair[1] - second, *start), Some(pair[0]), "{pattern}");
            }
            let Some(first) = times.first() else { continue };
            let after_start = *start + SignedDuration::from_nanos(1);
            assert_eq!(cron.last_at_or_before(*first - second, after_start), None, "{pattern} from {start}");
        }
    }
}

#[test]
fn ten_thousand_missed_times_leave_the_last_one() {
    let cron = Cron::parse("* * * * *", Some("America/New_York")).unwrap();
    let start: Timestamp = "2027-10-31T00:00:00Z".parse().unwrap();
    let missed = following(&cron, start, 10_000);
    let now = *missed.last().unwrap() + SignedDuration::from_secs(59);
    assert_eq!(cron.last_at_or_before(now, start), missed.last().copied());
    assert_eq!(cron.last_at_or_before(start, now), None);
}

#[test]
fn a_skipped_time_does_not_come_and_a_repeated_one_comes_twice() {
    let cases = [
        ("30 2 * * *", "2027-03-13T12:00:00Z", ["2027-03-15T06:30:00Z", "2027-03-16T06:30:00Z"]),
        ("30 1 * * *", "2027-11-06T12:00:00Z", ["2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z"]),
    ];
    for (pattern, start, expected) in cases {
        let cron = Cron::parse(pattern, Some("America/New_York")).unwrap();
        let times: Vec<String> = following(&cron, start.parse().unwrap(), 2).iter().map(ToString::to_string).collect();
        assert_eq!(times, expected, "{pattern}");
    }
}

#[test]
fn a_mistake_says_where_it_is_and_what_is_expected() {
    let cases = [
        ("60 * * * *", None, 1, r#""60" is no minute; expected 0 to 59, ranges a-b"#),
        ("0 0 1,32 * *", None, 7, r#""32" is no day of month; expected 1 to 31"#),
        ("0 0 * * 7", None, 9, r#""7" is no day of week; expected 0 to 6 or sun to sat (Sunday is 0)"#),
        ("0 0 * * 5#2", None, 9, r#""5#2" is no day of week"#),
        ("0 0 L * *", None, 5, r#""L" is no day of month"#),
        ("0 0 15W * *", None, 5, r#""15W" is no day of month"#),
        ("0 22-2 * * *", None, 3, "the range ends before it begins"),
        ("*/0 * * * *", None, 3, "a step of 1 or more"),
        ("5- * * * *", None, 3, r#""" is no minute"#),
        ("\u{a0}\u{a0}x * * * *", None, 3, r#""x" is no minute"#),
        ("", None, 1, "0 fields; expected 5"),
        ("0 0 * * * 2027", None, 11, "6 fields; expected 5"),
        ("@every 1h", None, 1, "write times of day, such as */30 * * * *"),
        ("@Daily", None, 1, "in lower case"),
        ("0 0 31 2 *", None, 1, "such a time never comes"),
        ("TZ=UTC 0 0 30 2 *", None, 8, "such a time never comes"),
        ("CRON_TZ=Mars/Olympus 0 0 * * *", None, 9, "no such time zone"),
        ("TZ=europe/berlin 0 0 * * *", None, 4, "in its own spelling"),
        ("TZ=UTC", None, 4, "followed by a blank and five fields"),
        ("TZ=UTC 0 0 * * *", Some("UTC"), 4, "here and in timeZone; remove one"),
    ];
    for (expression, time_zone, position, text) in cases {
        let mistake = Cron::parse(expression, time_zone).unwrap_err().to_string();
        let start = format!("schedule {expression:?}, character {position}: ");
        assert!(mistake.starts_with(&start) && mistake.contains(text), "{mistake}");
    }
    for name in ["Mars/Olympus", "utc", "", "Local", "+01:00", "Etc/Unknown"] {
        let mistake = Cron::parse("0 0 * * *", Some(name)).unwrap_err().to_string();
        assert!(mistake.starts_with(&format!("timeZone {name:?}: no such time zone")), "{mistake}");
    }
}

#[test]
fn another_crate_agrees_where_its_rules_are_the_same() {
    let mut compared = 0;
    for Verdict { pattern, times, .. } in vectors() {
        let Some((theirs, runs)) = for_the_cron_crate(&pattern).zip(times) else { continue };
        let Ok(other) = theirs.parse::<cron::Schedule>() else { continue };
        let ours = Cron::parse(&pattern, None).unwrap();
        for (start, _) in runs {
            let start_there = chrono::DateTime::from_timestamp(start.as_second(), 0).unwrap();
            let their_times: Vec<i64> = other.after(&start_there).take(6).map(|t| t.timestamp()).collect();
            let our_times: Vec<i64> = following(&ours, start, 6).iter().map(|t| t.as_second()).collect();
            assert_eq!(our_times, their_times, "{pattern} is {theirs} there");
        }
        compared += 1;
    }
    assert!(compared > 1_000, "only {compared} patterns compared");
}

/// The pattern in that crate's dialect, seconds first and weekdays from 1; none where both day fields are restricted
/// (it wants both to fit) or where a field is one that only robfig reads.
fn for_the_cron_crate(pattern: &str) -> Option<String> {
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else { return None };
    if (day != "*" && weekday != "*") || fields.iter().any(|f| f.contains(['+', '?', '=']) || f.contains("*-")) {
        return None;
    }
    let later = |text: &str| text.parse::<u8>().map_or(text.to_owned(), |n| (n + 1).to_string());
    let item = |item: &str| {
        let (range, step) = item.split_once('/').map_or((item, String::new()), |(r, s)| (r, format!("/{s}")));
        range.split('-').map(later).collect::<Vec<_>>().join("-") + &step
    };
    let weekday = weekday.split(',').map(item).collect::<Vec<_>>().join(",");
    Some(format!("0 {minute} {hour} {day} {month} {weekday}"))
}
