//! Durations as Go writes them, because the environment and the CRDs of this world do: `30m`, `1h30m`, `1.5h`, `300ms`.

use std::time::Duration;

/// Go's units in nanoseconds, the longer spelling first where one begins with the other.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration; `None` for what Go's `time.ParseDuration` refuses, and for negative ones.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(times(number, *unit)?)?;
        rest = after;
    }
    // Go counts in a signed 64-bit number of nanoseconds.
    i64::try_from(nanos).ok().map(|_| Duration::from_nanos(nanos))
}

/// A decimal number times a unit, rounded towards zero. Go multiplies in floating point, which may differ by 1 ns.
fn times(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (mut part, mut divisor) = (0, 1);
    // More digits than these are below a nanosecond of an hour.
    for digit in fraction.bytes().take(18) {
        part = part * 10 + u128::from(digit - b'0');
        divisor *= 10;
    }
    let part = u64::try_from(u128::from(unit) * part / divisor).ok()?;
    whole.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let check =
            |text: &str, want: Option<u64>| assert_eq!(parse(text).map(|read| read.as_nanos() as u64), want, "{text}");
        check("0", Some(0));
        check("0s", Some(0));
        check("30m", Some(1_800_000_000_000));
        check("1h30m", Some(5_400_000_000_000));
        check("1.5h", Some(5_400_000_000_000));
        check(".5s", Some(500_000_000));
        check("1.s", Some(1_000_000_000));
        check("300ms", Some(300_000_000));
        check("2µs", Some(2_000));
        check("+5s", Some(5_000_000_000));
        check("0.1000000000000000000h", Some(360_000_000_000));
        for wrong in ["", "5", "m", "1d", "1h 30m", "-5s", ".s", "1..5s", "1.2.3s", "9999999h", "1e3s"] {
            check(wrong, None);
        }
    }
}
