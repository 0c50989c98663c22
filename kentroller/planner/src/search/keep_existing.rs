//! The last touch to a solution: a node that could stay is not exchanged for a new one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::{BinId, BinRef, ClassId, Counts, NodeId};
use crate::solution::State;

/// Keeps a closed node instead of buying one that holds its pods, where it has room for all else that the new one was to get.
///
/// The bill does not rise, and fewer pods move.
pub(crate) fn keep_existing(state: &mut State<'_>) {
    // By one of its classes: a new node holds the pods of few of the nodes that went.
    let mut gone: BTreeMap<ClassId, Vec<NodeId>> = BTreeMap::new();
    for (node, _) in
        state.model.nodes.iter_enumerated().filter(|(id, node)| !state.bins[id.bin()].open && node.receives)
    {
        if let Some((class, _)) = state.own[node].first() {
            gone.entry(*class).or_default().push(node);
        }
    }
    for bin in state.bins.keys() {
        if !state.may_close(bin) || !matches!(state.bins[bin].bin_ref, BinRef::New(_)) {
            continue;
        }
        let (price, given) = (state.bins[bin].price, &state.bins[bin].given);
        let near = given.iter().filter_map(|(class, _)| gone.get(class)).flatten().copied();
        let mut could_stay: Vec<NodeId> = near
            .filter(|node| {
                state.model.nodes[*node].price.is_some_and(|own| own <= price) && state.may_reopen(*node, given)
            })
            .collect();
        could_stay.sort_by_key(|node| (state.model.nodes[*node].price, Reverse(state.own_moves(*node)), *node));
        for node in could_stay {
            if stays(state, node, bin) {
                break;
            }
        }
    }
}

/// Whether the node took the place of the new one; if not, nothing has changed.
fn stays(state: &mut State<'_>, node: NodeId, bin: BinId) -> bool {
    let was = state.bins[bin].clone();
    let spreads = (state.spreads.clone(), state.landed.clone());
    let mut pool = Counts::new();
    state.close(bin, &mut pool);
    state.reopen(node, &mut pool);
    let fits = pool.iter().all(|(class, count)| {
        let fits = state.room(node.bin(), *class) >= *count;
        if fits {
            state.put(node.bin(), *class, *count);
        }
        fits
    });
    if fits && state.spreads_hold() {
        return true;
    }
    state.take_back([node.bin()], vec![(bin, was)], spreads);
    false
}
