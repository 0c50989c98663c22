//! Which nodes go when few pods may move: those that save most for each pod that moves.

use super::market::Market;
use crate::model::BinId;
use crate::solution::State;
use crate::value::Money;

/// The shares of what their pods are worth that nodes are charged for, in percent: room that is there already may be had
/// for nothing, and what must be bought costs its worth. Which of the two counts is tried out.
pub(crate) const CHARGED: [i32; 5] = [100, 75, 50, 25, 0];

/// Removable nodes in order of what their removal saves for each pod that moves, as many as the moves allow.
pub(crate) fn removable(start: &State<'_>, market: &Market, charged: i32, moves: i64, churn: Money) -> Vec<BinId> {
    let nodes = start.model.nodes.keys();
    let mut all: Vec<(f64, BinId, i64)> = nodes
        .filter(|node| start.may_close(node.bin()))
        .map(|node| {
            let own = start.own_moves(node);
            let worth = market.value(&start.own[node]) * f64::from(charged) / 100.0;
            let saves = (start.bins[node.bin()].price - churn * own).as_f64() - worth;
            (saves / (own as f64).max(0.01), node.bin(), own)
        })
        .filter(|(saves, _, _)| *saves > 0.0)
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut left = moves.saturating_sub(start.moved);
    all.retain(|(_, _, own)| {
        let fits = *own <= left;
        left -= if fits { *own } else { 0 };
        fits
    });
    all.into_iter().map(|(_, bin, _)| bin).collect()
}
