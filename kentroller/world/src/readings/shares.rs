//! Numbers that may be shares: `3` or `10%` of a whole.

/// How many of a whole an `IntOrString` means, shares rounded up; `None` for a text that is neither.
pub(crate) fn of(text: &str, whole: usize) -> Option<usize> {
    match text.strip_suffix('%') {
        Some(percent) => Some(percent.parse::<usize>().ok()?.checked_mul(whole)?.div_ceil(100)),
        None => text.parse().ok(),
    }
}
