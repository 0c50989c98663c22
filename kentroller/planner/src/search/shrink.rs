//! The simplest way to less: nodes go one by one, as long as what is left holds their pods.

use super::Limits;
use crate::model::{BinId, BinRef, Counts, NodeId, OfferingId};
use crate::solution::{Bin, State};
use crate::value::{Mode, Options, Pace};

/// Removes nodes one by one whose pods fit on others or, in full mode, on one cheaper new node.
pub(crate) fn shrink<'m>(mut state: State<'m>, options: &Options, limits: Limits, pace: &mut Pace<'_>) -> State<'m> {
    let churn = options.churn_price;
    let mut order: Vec<NodeId> = state.model.nodes.keys().filter(|node| state.may_close(node.bin())).collect();
    order.sort_by_key(|node| {
        let pods = state.own_moves(*node);
        (std::cmp::Reverse(state.bins[node.bin()].price / (1 + pods)), *node)
    });
    for node in order {
        let bin = node.bin();
        if pace.is_past(limits.until, 16) {
            break;
        }
        if limits.moves.is_some_and(|most| state.moved + state.own_moves(node) > most) {
            continue;
        }
        let before = state.objective(churn);
        let spreads = (state.spreads.clone(), state.landed.clone());
        let mut undo = vec![(bin, state.bins[bin].clone())];
        let mut pool = Counts::new();
        state.close(bin, &mut pool);
        let mut bought = None;
        let mut fits = place(&mut state, &mut pool, &mut undo);
        if !fits && options.mode == Mode::Full {
            bought = replace(&mut state, &mut pool);
            fits = bought.is_some();
        }
        if !fits || (state.objective(churn) >= before && !options.roll) || !state.spreads_hold() {
            state.take_back(bought, undo, spreads);
        }
    }
    state
}

/// Gives pods to open bins, the fullest first of those that leave fewest preferences unmet; whether all found a place.
pub(crate) fn place(state: &mut State<'_>, pool: &mut Counts, undo: &mut Vec<(BinId, Bin)>) -> bool {
    pool.sort_by_key(|(class, _)| std::cmp::Reverse(state.model.classes[*class].request));
    let mut left = Counts::new();
    for (class, mut count) in std::mem::take(pool) {
        while count > 0 {
            let best = state
                .bins
                .keys()
                .filter_map(|bin| {
                    let room = state.room(bin, class);
                    let of = &state.bins[bin];
                    (room > 0).then(|| (state.unmet_by(of.bin_ref, class, 1), of.free[0], bin, room))
                })
                .min();
            let Some((_, _, bin, room)) = best else { break };
            let taken = room.min(count);
            undo.push((bin, state.bins[bin].clone()));
            state.put(bin, class, taken);
            count -= taken;
        }
        if count > 0 {
            left.push((class, count));
        }
    }
    *pool = left;
    pool.is_empty()
}

/// Buys the cheapest offering that takes all that is left.
fn replace(state: &mut State<'_>, pool: &mut Counts) -> Option<BinId> {
    let mut offerings: Vec<OfferingId> =
        state.model.offerings.keys().filter(|offering| state.may_buy(*offering)).collect();
    offerings.sort_by_key(|offering| (state.model.offerings[*offering].price, *offering));
    'offerings: for offering in offerings {
        if pool.iter().any(|(class, _)| !state.offering_admits(offering, *class)) {
            continue;
        }
        let mut free = state.room_of_offering(offering);
        let mut term_counts = state.model.offerings[offering].term_counts.clone();
        for (class, count) in pool.iter() {
            if crate::model::room(state.model, *class, &free, &term_counts)
                .min(state.spread_room(BinRef::New(offering), *class))
                < *count
            {
                continue 'offerings;
            }
            crate::model::put(state.model, *class, *count, &mut free, &mut term_counts);
        }
        let bin = state.buy(offering);
        for (class, count) in pool.drain(..) {
            state.put(bin, class, count);
        }
        return Some(bin);
    }
    None
}
