//! A wave by ids.

use crate::model::{BinId, NodeId};
use crate::value::Money;

/// A wave by ids: bins to open, nodes to close, and moves as pod and bin.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub open: Vec<BinId>,
    pub close: Vec<NodeId>,
    pub moves: Vec<(usize, BinId)>,
    /// What it adds to the bill.
    pub delta: Money,
}

impl Draft {
    /// Makes one wave of two.
    pub(super) fn join(&mut self, later: Self) {
        self.open.extend(later.open);
        self.close.extend(later.close);
        self.moves.extend(later.moves);
        self.delta += later.delta;
    }
}
