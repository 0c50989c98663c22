//! Which nodes may go when only some of them are asked for.

use typed_index_collections::TiVec;

use crate::bound::bound;
use crate::manifest::Quantity;
use crate::model::{CPU, Model, NodeBin, NodeId};
use crate::solution::State;
use crate::value::{KeptReason, Options, Pace, SortBy};

/// Only the first nodes of an order may go: as many as `max_nodes` says, and no more than `max_cpu` allows. The others stay.
///
/// Where no order was asked for, the smallest nodes come first if `max_cpu` is set, else those that cost most beyond what their
/// pods are worth.
pub(super) fn narrow(model: &mut Model, options: &Options, pace: &mut Pace<'_>) {
    if options.max_nodes.is_none() && options.max_cpu.is_none() {
        return;
    }
    let mut order: Vec<NodeId> = model.nodes.keys().filter(|node| model.nodes[*node].held.is_none()).collect();
    let most = options.max_nodes.unwrap_or(usize::MAX);
    if order.len() <= most && options.max_cpu.is_none() {
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
        None if options.max_cpu.is_some() => nodes.map(|node| node.milli_cpu).collect(),
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
    let within = within(&order, model, options.max_cpu);
    for (place, node) in order.into_iter().enumerate() {
        if place >= most {
            model.nodes[node].held = Some((KeptReason::MaxNodes, format!("only {most} nodes were asked for")));
        } else if place >= within {
            let detail = "the nodes before it have as much cpu as was asked for";
            model.nodes[node].held = Some((KeptReason::MaxCpu, detail.to_owned()));
        }
    }
}

/// How many nodes of the order have no more cpu together than this; the first one in any case.
fn within(order: &[NodeId], model: &Model, most: Option<Quantity>) -> usize {
    let Some(most) = most else { return order.len() };
    let mut sum: i64 = 0;
    let fits = |node: &&NodeId| {
        sum = sum.saturating_add(model.nodes[**node].milli_cpu);
        sum <= most.milli()
    };
    order.iter().take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use typed_index_collections::ti_vec;

    use super::*;

    #[test]
    fn nodes_are_taken_while_their_cpu_keeps_the_limit_and_the_first_one_in_any_case() {
        let bin = |milli_cpu| NodeBin { milli_cpu, ..NodeBin::default() };
        let model = Model { nodes: ti_vec![bin(2_000), bin(4_000), bin(8_000)], ..Model::default() };
        let order: Vec<NodeId> = model.nodes.keys().collect();
        let taken = |most: i64| within(&order, &model, Some(Quantity::thousandths(most)));
        assert_eq!([5_999, 6_000, 13_999, 14_000].map(taken), [1, 2, 2, 3]);
        assert_eq!(taken(1), 1);
        assert_eq!(within(&order, &model, None), 3);
    }
}
