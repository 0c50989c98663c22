//! Which nodes may go when only some of them are asked for.

use crate::bound::bound;
use typed_index_collections::TiVec;

use crate::model::{CPU, Model, NodeBin, NodeId};
use crate::solution::State;
use crate::value::{KeptReason, Options, Pace, SortBy};

/// Only the first `max_nodes` nodes of an order may go. The others stay.
///
/// Where no order was asked for, the nodes that cost most beyond what their pods are worth come first.
pub(super) fn narrow(model: &mut Model, options: &Options, pace: &mut Pace<'_>) {
    let Some(most) = options.max_nodes else { return };
    let mut order: Vec<NodeId> = model.nodes.keys().filter(|node| model.nodes[*node].held.is_none()).collect();
    if order.len() <= most {
        return;
    }
    let price = |node: &NodeBin| node.price.unwrap_or_default().as_micros();
    let nodes = model.nodes.iter();
    let key: TiVec<NodeId, i64> = match options.sort_by {
        Some(SortBy::NormalizedCpuPrice) => {
            nodes.map(|node| -(price(node) * 1000 / node.allocatable[CPU].max(1))).collect()
        }
        Some(SortBy::RequestedCpuPrice) => nodes.map(|node| -(price(node) * 1000 / node.used[CPU].max(1))).collect(),
        Some(SortBy::LeastUtilized) => nodes.map(|node| node.utilization).collect(),
        Some(SortBy::Age) => nodes.map(|node| node.created.0).collect(),
        None => {
            let start = State::of(model, options.reserve);
            let worth = bound(&start, pace).worth;
            let nodes = nodes.zip(start.own.iter());
            nodes
                .map(|(node, own)| {
                    let own: f64 = own.iter().map(|(class, count)| worth[*class] * *count as f64).sum();
                    own as i64 - price(node)
                })
                .collect()
        }
    };
    order.sort_by_key(|node| (key[*node], *node));
    for node in order.split_off(most) {
        model.nodes[node].held = Some((KeptReason::MaxNodes, format!("only {most} nodes were asked for")));
    }
}
