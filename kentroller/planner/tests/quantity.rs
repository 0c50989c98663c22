//! Quantities are held to the verdicts of apimachinery itself, as `tests/vectors` has them.

use kentroller_planner::Quantity;
use serde_json::Value;

struct Verdict {
    text: String,
    /// Whole units and thousandths, both rounded away from zero; `None`: refused.
    amounts: Option<(i64, i64)>,
}

fn verdicts() -> Vec<Verdict> {
    let lines = include_str!("../../../tests/vectors/quantity.jsonl").lines();
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a vector");
            assert_ne!(line["error"].is_string(), line["value"].is_i64(), "{line}");
            Verdict {
                text: line["text"].as_str().expect("a text").to_owned(),
                amounts: line["value"].as_i64().map(|value| (value, line["milli"].as_i64().expect("thousandths"))),
            }
        })
        .collect()
}

/// The size of an accepted text, read another way: exact enough to tell whether it can be counted in 64 bits.
fn size(text: &str) -> f64 {
    let text = text.trim_start_matches(['+', '-']);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().unwrap_or(0.0);
    let suffix = &text[end..];
    let index = |powers: &[&str]| powers.iter().position(|power| *power == suffix);
    if let Some(power) =
        index(&["", "k", "M", "G", "T", "P", "E"]).or_else(|| index(&["", "m", "u", "n"]).map(|p| 10 + p))
    {
        return number * if power < 10 { 1e3f64.powi(power as i32) } else { 1e3f64.powi(10 - power as i32) };
    }
    if let Some(power) = index(&["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) {
        return number * 1024f64.powi(power as i32);
    }
    number * 10f64.powf(suffix[1..].parse().expect("an exponent"))
}

#[test]
fn what_apimachinery_accepts_is_accepted_and_what_it_refuses_is_refused() {
    let verdicts = verdicts();
    assert!(verdicts.len() > 4_900, "{} vectors", verdicts.len());
    let differences: Vec<&str> = verdicts
        .iter()
        .filter(|verdict| Quantity::parse(&verdict.text).is_ok() != verdict.amounts.is_some())
        .map(|verdict| verdict.text.as_str())
        .collect();
    assert_eq!(differences, Vec::<&str>::new());
}

#[test]
fn amounts_are_those_of_apimachinery_to_the_last_unit() {
    let mut compared = 0;
    let mut differences = Vec::new();
    for Verdict { text, amounts } in verdicts() {
        let Some((units, milli)) = amounts.filter(|_| !text.starts_with('-')) else { continue };
        let own = Quantity::parse(&text).expect("accepted");
        for (own, theirs, exact) in [(own.units(), units, size(&text)), (own.milli(), milli, size(&text) * 1e3)] {
            // Where 64 bits do not do, theirs wraps around or is zero; ours stays the largest that there is.
            let is_capped = own == i64::MAX && exact >= 2f64.powi(63);
            compared += 1;
            if own != theirs && !is_capped {
                differences.push(format!("{text}: {own}, not {theirs}"));
            }
        }
    }
    assert!(compared > 5_000, "{compared} amounts");
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn less_than_nothing_mirrors_its_opposite() {
    // Theirs is not to be had for comparison: it divides what is below zero towards the wrong side.
    let mut compared = 0;
    for text in verdicts().into_iter().filter(|verdict| verdict.amounts.is_some()).map(|verdict| verdict.text) {
        let Some(opposite) = text.strip_prefix('-') else { continue };
        let Ok(opposite) = Quantity::parse(opposite) else { continue };
        let own = Quantity::parse(&text).expect("accepted");
        assert_eq!(own.units(), -opposite.units(), "{text}");
        compared += 1;
    }
    assert!(compared > 100, "{compared} quantities");
}

#[test]
fn what_is_written_reads_back_as_the_same() {
    for text in verdicts().into_iter().filter(|verdict| verdict.amounts.is_some()).map(|verdict| verdict.text) {
        let own = Quantity::parse(&text).expect("accepted");
        assert_eq!(Quantity::parse(&own.to_string()).as_ref(), Ok(&own), "{text} is written as {own}");
    }
}
