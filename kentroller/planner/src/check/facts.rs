//! A fact about nodes that several rules of the judge ask for.

use super::board::{Host, Origin};
use crate::manifest::Meta;

/// Whether a live node or its NodeClaim is being deleted.
pub(super) fn is_deleting(host: &Host<'_>) -> bool {
    let Origin::Live { node, claim, .. } = host.origin else { return false };
    let doomed = |metadata: &Meta| metadata.deletion_timestamp.is_some();
    doomed(&node.metadata) || claim.is_some_and(|claim| doomed(&claim.metadata))
}
