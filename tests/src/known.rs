//! Invariants that the operator is known to break, each with its reason. A row goes when the operator is mended; none is
//! a matter of taste, and none widens what the oracle allows.

/// The invariant, words of what the oracle says, and why the operator does it.
const KNOWN: &[(&str, &str, &str)] =
    &[("S23", "more may be there", "maxSurgeNodes is not built: a wave makes all its nodes at once")];

pub(crate) fn is_known(violation: &str) -> bool {
    KNOWN
        .iter()
        .any(|(invariant, words, _)| violation.contains(&format!(" {invariant}: ")) && violation.contains(words))
}
