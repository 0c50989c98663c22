//! What marks and times of an object say, for all who judge.

use super::board::{Host, Origin};
use crate::manifest::Meta;

/// Whether a node counts as one that stays unless somebody acts.
pub(super) fn is_deleting(host: &Host<'_>) -> bool {
    let Origin::Live { node, claim, .. } = host.origin else { return false };
    let doomed = |metadata: &Meta| metadata.deletion_timestamp.is_some();
    doomed(&node.metadata) || claim.is_some_and(|claim| doomed(&claim.metadata))
}
