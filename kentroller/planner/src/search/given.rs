//! What every search is given, and what bounds it.

use super::market::Market;
use crate::bound::Bound;
use crate::value::Options;

/// What every search of a plan is given.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub market: &'a Market,
    pub bound: &'a Bound,
    pub options: &'a Options,
}

/// What bounds a search besides its budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Running pods on removed nodes.
    pub moves: Option<i64>,
    /// The share of the budget, in thousandths, at which this search ends.
    pub until: u32,
}
