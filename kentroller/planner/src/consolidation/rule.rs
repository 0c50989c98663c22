//! Karpenter's own consolidation, idealised: no clock, no budgets, no waiting.
//!
//! Source of the rule: `pkg/controllers/disruption`, v1.14.1.
//!
//! 1. Empty nodes go first.
//! 2. Candidates stand in an order, dearest per disruption first. The longest prefix of 2 to 100 goes whose pods fit on
//!    other nodes and at most one new node. The new node must cost less than all of them.
//! 3. Single nodes go by the same rule.
//!
//! Pods are placed first fit, the largest first, on nodes in order of name.

use crate::model::build::model;
use crate::model::{BinId, BinRef, Counts, Model, NodeId, OfferingId};
use crate::solution::{Bin, State};
use crate::value::{Catalog, InputError, Money, Options, Pace, Percent, Snapshot};

/// The most candidates of one command.
const PREFIX: usize = 100;

/// For every command until none is found: the moves made so far, and the cost after it.
///
/// # Errors
/// The same input errors as planning.
pub fn consolidate(snapshot: &Snapshot, catalog: &Catalog) -> Result<Vec<(usize, Money)>, InputError> {
    let model = model(snapshot, catalog, &Options::default())?;
    let mut state = State::of(&model, Percent::whole(0));
    state.shares = false;
    let rule = Rule::of(&model, State::may_close);
    let mut moves = 0;
    let mut curve = vec![(0, state.cost)];
    let mut endless = |_: u64| 0;
    let pace = &mut Pace::of(&mut endless);
    while let Some(command) = rule.command(&mut state, Terms::default(), pace) {
        moves += command.moves;
        curve.push((usize::try_from(moves).unwrap_or(0), state.cost));
    }
    Ok(curve)
}

/// What a command must keep to besides Karpenter's rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// At most so many running pods are on removed nodes.
    pub moves: i64,
    /// What a move must save.
    pub churn: Money,
    /// The share of the budget, in thousandths, at which no more is tried.
    pub until: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self { moves: i64::MAX, churn: Money::ZERO, until: 1000 }
    }
}

/// One decision: which bins went, with how many pods.
#[derive(Debug)]
pub(crate) struct Command {
    pub gone: Vec<BinId>,
    pub moves: i64,
    pub saves: Money,
}

/// The rule for a cluster.
pub(crate) struct Rule<'m> {
    /// The cheapest first.
    offerings: Vec<OfferingId>,
    by_name: Vec<NodeId>,
    may_go: fn(&State<'m>, BinId) -> bool,
}

impl<'m> Rule<'m> {
    /// `may_go`: which bins are candidates.
    pub(crate) fn of(model: &Model, may_go: fn(&State<'m>, BinId) -> bool) -> Self {
        let mut offerings: Vec<OfferingId> = model.offerings.keys().collect();
        offerings.sort_by_key(|offering| (model.offerings[*offering].price, *offering));
        let mut by_name: Vec<NodeId> = model.nodes.keys().collect();
        by_name.sort_by_key(|node| &model.nodes[*node].name);
        Self { offerings, by_name, may_go }
    }

    /// Finds and carries out one command; `None` when there is none, or no time to find one.
    pub(crate) fn command(&self, state: &mut State<'m>, terms: Terms, pace: &mut Pace<'_>) -> Option<Command> {
        let mut candidates: Vec<(BinId, i64)> =
            state.bins.keys().filter(|bin| (self.may_go)(state, *bin)).map(|bin| (bin, pods(state, bin))).collect();
        if let Some((bin, _)) = candidates.iter().find(|(bin, _)| is_empty(state, *bin)) {
            let saves = state.bins[*bin].price;
            state.close(*bin, &mut Counts::new());
            return Some(Command { gone: vec![*bin], moves: 0, saves });
        }
        candidates.sort_by_key(|(bin, pods)| (std::cmp::Reverse(state.bins[*bin].price / (1 + pods)), *bin));
        let bins: Vec<BinId> = candidates.into_iter().map(|(bin, _)| bin).collect();
        let (mut low, mut high) = (2, bins.len().min(PREFIX));
        let mut best = 0;
        while low <= high && pace.used() < terms.until {
            let middle = usize::midpoint(low, high);
            if self.try_remove(state, &bins[..middle], terms, false).is_some() {
                best = middle;
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        if best >= 2 {
            return self.try_remove(state, &bins[..best], terms, true);
        }
        let in_time = bins.chunks(16).take_while(|_| pace.used() < terms.until);
        in_time.flatten().find_map(|bin| self.try_remove(state, &[*bin], terms, true))
    }

    fn try_remove(&self, state: &mut State<'m>, bins: &[BinId], terms: Terms, keep: bool) -> Option<Command> {
        let (cost, objective) = (state.cost, state.objective(terms.churn));
        let spreads = (state.spreads.clone(), state.landed.clone());
        let price: Money = bins.iter().map(|bin| state.bins[*bin].price).sum();
        let moves: i64 = bins.iter().map(|bin| pods(state, *bin)).sum();
        let mut undo: Vec<(BinId, Bin)> = Vec::new();
        let mut pool = Counts::new();
        for bin in bins {
            undo.push((*bin, state.bins[*bin].clone()));
            state.close(*bin, &mut pool);
        }
        self.first_fit(state, &mut pool, &mut undo);
        let bought = if pool.is_empty() { None } else { self.one_new(state, &mut pool, price) };
        let pays = state.cost < cost && (terms.churn == Money::ZERO || state.objective(terms.churn) < objective);
        let done = pool.is_empty() && pays && state.moved <= terms.moves && state.spreads_hold();
        let command = done.then(|| Command { gone: bins.to_vec(), moves, saves: cost - state.cost });
        if command.is_none() || !keep {
            state.take_back(bought, undo, spreads);
        }
        command
    }

    fn first_fit(&self, state: &mut State<'m>, pool: &mut Counts, undo: &mut Vec<(BinId, Bin)>) {
        pool.sort_by_key(|(class, _)| {
            let request = &state.model.classes[*class].request;
            (std::cmp::Reverse((request[0], request[1])), *class)
        });
        let mut left = Counts::new();
        let new: Vec<BinId> = state.bins.keys().skip(state.model.nodes.len()).collect();
        for (class, mut count) in std::mem::take(pool) {
            for bin in self.by_name.iter().map(|node| node.bin()).chain(new.iter().copied()) {
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

    fn one_new(&self, state: &mut State<'m>, pool: &mut Counts, below: Money) -> Option<BinId> {
        let holds = |state: &State<'_>, offering: OfferingId| {
            let mut free = state.room_of_offering(offering);
            let mut term_counts = state.model.offerings[offering].term_counts.clone();
            pool.iter().all(|(class, count)| {
                let fits = state.offering_admits(offering, *class)
                    && state.left(*class, &free, &term_counts).min(state.spread_room(BinRef::New(offering), *class))
                        >= *count;
                crate::model::put(state.model, *class, *count, &mut free, &mut term_counts);
                fits
            })
        };
        let cheaper =
            self.offerings.iter().copied().take_while(|offering| state.model.offerings[*offering].price < below);
        let offering = cheaper.into_iter().find(|offering| state.may_buy(*offering) && holds(state, *offering))?;
        let bin = state.buy(offering);
        for (class, count) in pool.drain(..) {
            state.put(bin, class, count);
        }
        Some(bin)
    }
}

fn is_empty(state: &State<'_>, bin: BinId) -> bool {
    let of = &state.bins[bin];
    of.given.is_empty() && !matches!(of.bin_ref, BinRef::Node(node) if !state.own[node].is_empty())
}

fn pods(state: &State<'_>, bin: BinId) -> i64 {
    let own = match state.bins[bin].bin_ref {
        BinRef::Node(node) => state.own_moves(node),
        BinRef::New(_) => 0,
    };
    own + state.bins[bin].given.iter().map(|(_, count)| count).sum::<i64>()
}
