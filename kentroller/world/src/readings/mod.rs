//! How Kubernetes counts and compares, read once more from its documentation.
//!
//! On purpose apart from the planner's: the world must not share the planner's mistakes. `tests` holds both readings side
//! by side, so that a difference is found there and not in a cluster.

pub(crate) mod requests;
pub(crate) mod selectors;
pub(crate) mod shares;
pub(crate) mod spans;

#[cfg(test)]
mod tests;
