//! A wave by indices.

/// A wave by indices: bins to open, nodes to close, and (pod, bin).
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub open: Vec<usize>,
    pub close: Vec<usize>,
    pub moves: Vec<(usize, usize)>,
    /// What it adds to the bill, in millionths an hour.
    pub delta: i64,
}

impl Draft {
    /// Both as one wave.
    pub(super) fn join(&mut self, later: Self) {
        self.open.extend(later.open);
        self.close.extend(later.close);
        self.moves.extend(later.moves);
        self.delta += later.delta;
    }
}
