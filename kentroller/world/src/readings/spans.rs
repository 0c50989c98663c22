//! Spans of time as Go writes them: `1h30m`, `0.5h`, `-10s`.

/// The units of Go's `time.ParseDuration`, in nanoseconds; the longer of two that begin alike comes first.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Whole seconds of a span, towards zero; `None` for what is no span, such as `Never`, or longer than 292 years.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: u128 = 0;
    loop {
        let (number, after) =
            rest.split_at(rest.bytes().take_while(|one| one.is_ascii_digit() || *one == b'.').count());
        let (name, unit) = UNITS.into_iter().find(|(name, _)| after.starts_with(name))?;
        total = total.checked_add(nanoseconds(number, unit)?)?;
        rest = &after[name.len()..];
        if rest.is_empty() {
            break;
        }
    }
    i64::try_from(total).ok()?;
    let seconds = i64::try_from(total / 1_000_000_000).ok()?;
    Some(if is_negative { -seconds } else { seconds })
}

/// A decimal number of units; digits beyond a nanosecond fall away.
fn nanoseconds(number: &str, unit: u128) -> Option<u128> {
    let (mut total, mut weight, mut digits, mut is_whole) = (0_u128, unit, 0, true);
    for one in number.chars() {
        match one.to_digit(10) {
            Some(digit) if is_whole => total = total.checked_mul(10)?.checked_add(u128::from(digit) * unit)?,
            Some(digit) => {
                weight /= 10;
                total += u128::from(digit) * weight;
            }
            None if is_whole => is_whole = false,
            None => return None,
        }
        digits += usize::from(one != '.');
    }
    (digits > 0).then_some(total)
}
