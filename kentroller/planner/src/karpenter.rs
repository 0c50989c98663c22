//! Karpenter's own consolidation, idealised: no clock, no budgets, no waiting. The yardstick of the benchmarks.
//!
//! Rule: `pkg/controllers/disruption`, v1.14.1. Empty nodes go first; then the longest prefix (2 to 100) of the
//! candidates, dearest per disruption first, whose pods fit on other nodes and at most one new node that costs less than
//! all of them; then single nodes by the same rule. Pods are placed first fit, largest first, on nodes in order of name.
use crate::{
    Catalog, InputError, Money, Options, Percent, Snapshot,
    build::build,
    state::{Bin, Counts, State, What, room},
    waiting,
};

/// The most candidates of one command.
const PREFIX: usize = 100;

/// Moves made so far and the cost after, once for every command until no more is found.
///
/// # Errors
/// The same input errors as planning.
pub fn consolidate(snapshot: &Snapshot, catalog: &Catalog) -> Result<Vec<(usize, Money)>, InputError> {
    let options = Options { reserve: Percent::whole(0), ..Options::default() };
    let mut model = build(snapshot, catalog, &options)?;
    waiting::seat(&mut model);
    let mut state = State::of(&model, options.reserve);
    let mut kinds: Vec<usize> = (0..model.kinds.len()).collect();
    kinds.sort_by_key(|kind| (model.kinds[*kind].price, *kind));
    let mut by_name: Vec<usize> = (0..model.nodes.len()).collect();
    by_name.sort_by_key(|node| &model.nodes[*node].name);
    let mut karpenter = Karpenter { kinds, by_name, moves: 0 };
    let mut curve = vec![(0, Money::micros(state.cost))];
    while karpenter.command(&mut state) {
        curve.push((karpenter.moves, Money::micros(state.cost)));
    }
    Ok(curve)
}

struct Karpenter {
    /// The cheapest first.
    kinds: Vec<usize>,
    by_name: Vec<usize>,
    moves: usize,
}

impl Karpenter {
    /// Finds and carries out one command; `false` when there is none.
    fn command(&mut self, state: &mut State<'_>) -> bool {
        let mut candidates: Vec<(usize, i64)> =
            (0..state.bins.len()).filter(|bin| state.may_close(*bin)).map(|bin| (bin, pods(state, bin))).collect();
        if let Some((bin, _)) = candidates.iter().find(|(_, pods)| *pods == 0) {
            state.close(*bin, &mut Counts::new());
            return true;
        }
        candidates.sort_by_key(|(bin, pods)| (std::cmp::Reverse(state.bins[*bin].price / (1 + pods)), *bin));
        let (mut low, mut high) = (2, candidates.len().min(PREFIX));
        let mut best = 0;
        while low <= high {
            let middle = usize::midpoint(low, high);
            let prefix: Vec<usize> = candidates[..middle].iter().map(|(bin, _)| *bin).collect();
            if self.try_remove(state, &prefix, false) {
                best = middle;
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        if best >= 2 {
            let prefix: Vec<usize> = candidates[..best].iter().map(|(bin, _)| *bin).collect();
            return self.try_remove(state, &prefix, true);
        }
        candidates.iter().any(|(bin, _)| self.try_remove(state, &[*bin], true))
    }

    fn try_remove(&mut self, state: &mut State<'_>, bins: &[usize], keep: bool) -> bool {
        let cost = state.cost;
        let spreads = (state.spreads.clone(), state.landed.clone());
        let price: i64 = bins.iter().map(|bin| state.bins[*bin].price).sum();
        let moved: i64 = bins.iter().map(|bin| pods(state, *bin)).sum();
        let mut undo: Vec<(usize, Bin)> = Vec::new();
        let mut pool = Counts::new();
        for bin in bins {
            undo.push((*bin, state.bins[*bin].clone()));
            state.close(*bin, &mut pool);
        }
        self.first_fit(state, &mut pool, &mut undo);
        let bought = if pool.is_empty() { None } else { self.one_new(state, &mut pool, price) };
        let done = pool.is_empty() && state.cost < cost && state.spreads_hold();
        if done && keep {
            self.moves += usize::try_from(moved).unwrap_or(0);
            return true;
        }
        state.take_back(bought, undo, spreads);
        done
    }

    fn first_fit(&self, state: &mut State<'_>, pool: &mut Counts, undo: &mut Vec<(usize, Bin)>) {
        pool.sort_by_key(|(class, _)| {
            let request = &state.model.classes[*class].request;
            (std::cmp::Reverse((request[0], request[1])), *class)
        });
        let mut left = Counts::new();
        let new = state.model.nodes.len()..state.bins.len();
        for (class, mut count) in std::mem::take(pool) {
            for bin in self.by_name.iter().copied().chain(new.clone()) {
                if count == 0 {
                    break;
                }
                let taken = state.room(bin, class).min(count);
                if taken > 0 {
                    undo.push((bin, state.bins[bin].clone()));
                    state.put(bin, class, taken);
                    count -= taken;
                }
            }
            if count > 0 {
                left.push((class, count));
            }
        }
        *pool = left;
    }

    fn one_new(&self, state: &mut State<'_>, pool: &mut Counts, below: i64) -> Option<usize> {
        let holds = |state: &State<'_>, kind: usize| {
            let mut free = state.room_of_kind(kind);
            let mut ties = state.model.kinds[kind].ties.clone();
            pool.iter().all(|(class, count)| {
                let fits = state.kind_admits(kind, *class)
                    && room(state.model, *class, &free, &ties).min(state.spread_room(What::New(kind), *class))
                        >= *count;
                crate::state::put(state.model, *class, *count, &mut free, &mut ties);
                fits
            })
        };
        let cheaper = self.kinds.iter().copied().take_while(|kind| state.model.kinds[*kind].price.as_micros() < below);
        let kind = cheaper.into_iter().find(|kind| state.may_buy(*kind) && holds(state, *kind))?;
        let bin = state.buy(kind);
        for (class, count) in pool.drain(..) {
            state.put(bin, class, count);
        }
        Some(bin)
    }
}

fn pods(state: &State<'_>, bin: usize) -> i64 {
    let own = match state.bins[bin].what {
        What::Node(node) => state.own_moves(node),
        What::New(_) => 0,
    };
    own + state.bins[bin].given.iter().map(|(_, count)| count).sum::<i64>()
}
