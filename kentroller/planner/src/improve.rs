//! The search for a cheaper solution.
use crate::{
    Budget, Mode, Options,
    state::{Counts, State},
};

/// Improves a solution until the budget is used; also the number of steps taken.
pub(crate) fn search<'m>(mut state: State<'m>, options: &Options, budget: &mut dyn Budget) -> (State<'m>, u64) {
    let mut steps = 0;
    let mut order: Vec<usize> = (0..state.model.nodes.len()).filter(|bin| state.may_close(*bin)).collect();
    order.sort_by_key(|bin| {
        let pods = state.own_moves(*bin);
        (std::cmp::Reverse(state.bins[*bin].price / (1 + pods)), *bin)
    });
    for bin in order {
        steps += 1;
        if budget.used(steps) >= 1000 {
            break;
        }
        let mut trial = state.clone();
        let mut pool = Counts::new();
        trial.close(bin, &mut pool);
        let fits = place(&mut trial, &mut pool) || (options.mode == Mode::Full && replace(&mut trial, &mut pool));
        if fits && trial.cost < state.cost {
            state = trial;
        }
    }
    (state, steps)
}

/// Gives pods to open bins, the fullest that takes them first; whether all found a place.
fn place(state: &mut State<'_>, pool: &mut Counts) -> bool {
    pool.sort_by_key(|(class, _)| std::cmp::Reverse(state.model.classes[*class].request));
    let mut left = Counts::new();
    for (class, mut count) in std::mem::take(pool) {
        while count > 0 {
            let best = (0..state.bins.len())
                .filter_map(|bin| {
                    let room = state.room(bin, class);
                    (room > 0).then(|| (state.bins[bin].free[0], bin, room))
                })
                .min();
            let Some((_, bin, room)) = best else { break };
            let taken = room.min(count);
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

/// Buys the cheapest kind that takes all that is left.
fn replace(state: &mut State<'_>, pool: &mut Counts) -> bool {
    let mut kinds: Vec<usize> = (0..state.model.kinds.len()).filter(|kind| state.may_buy(*kind)).collect();
    kinds.sort_by_key(|kind| (state.model.kinds[*kind].price, *kind));
    'kinds: for kind in kinds {
        if pool.iter().any(|(class, _)| !state.kind_admits(kind, *class)) {
            continue;
        }
        let mut free = state.room_of_kind(kind);
        let mut ties = state.model.kinds[kind].ties.clone();
        for (class, count) in pool.iter() {
            if crate::state::room(state.model, *class, &free, &ties) < *count {
                continue 'kinds;
            }
            crate::state::put(state.model, *class, *count, &mut free, &mut ties);
        }
        let bin = state.buy(kind);
        for (class, count) in pool.drain(..) {
            state.put(bin, class, count);
        }
        return true;
    }
    false
}
