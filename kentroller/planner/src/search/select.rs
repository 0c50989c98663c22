//! Which nodes go when few pods may move: those that save most for each pod that moves.

use super::market::Market;
use crate::solution::State;

/// The shares of what their pods are worth that nodes are charged for, in percent: room that is there already may be had
/// for nothing, and what must be bought costs its worth. Which of the two counts is tried out.
pub(crate) const CHARGED: [i32; 5] = [100, 75, 50, 25, 0];

/// Removable nodes in order of what their removal saves for each pod that moves, as many as the moves allow.
pub(crate) fn removable(start: &State<'_>, market: &Market, charged: i32, moves: i64, churn: i64) -> Vec<usize> {
    let mut all: Vec<(f64, usize, i64)> = (0..start.model.nodes.len())
        .filter(|node| start.may_close(*node))
        .map(|node| {
            let own = start.own_moves(node);
            let worth = market.value(&start.own[node]) * f64::from(charged) / 100.0;
            let saves = (start.bins[node].price - churn * own) as f64 - worth;
            (saves / (own as f64).max(0.01), node, own)
        })
        .filter(|(saves, _, _)| *saves > 0.0)
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut left = moves;
    all.retain(|(_, _, own)| {
        let fits = *own <= left;
        left -= if fits { *own } else { 0 };
        fits
    });
    all.into_iter().map(|(_, node, _)| node).collect()
}
