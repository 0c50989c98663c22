//! Karpenter's own consolidation, idealised: no clock, no budgets, no waiting.
//!
//! Source of the rule: `pkg/controllers/disruption`, v1.14.1.
//!
//! 1. Empty nodes go first.
//! 2. Candidates stand in an order, dearest per disruption first. The longest prefix of 2 to 100 goes whose pods fit on
//!    other nodes and at most one new node. The new node must cost less than all of them.
//! 3. Single nodes go by the same rule.
//!
//! 4. Where the policy of a NodePool is `Balanced`, what goes of it must save a share of the pool's cost that is at least half
//!    of the share of its disruption. Each pod counts as one, and so does each node; a saving is split by what nodes cost.
//!
//! Pods are placed first fit, the largest first, on nodes in order of name.

use std::collections::BTreeMap;

use crate::model::{BinId, BinRef, Counts, Model, NodeId, OfferingId};
use crate::solution::{Bin, State};
use crate::value::{Money, Pace};

/// The most candidates of one command.
const PREFIX: usize = 100;

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
    /// The one node that is bought for them.
    pub bought: Option<BinId>,
    pub moves: i64,
    pub saves: Money,
}

/// The rule for a cluster.
pub(crate) struct Rule<'m> {
    /// The cheapest first.
    offerings: Vec<OfferingId>,
    by_name: Vec<NodeId>,
    may_go: fn(&State<'m>, BinId) -> bool,
    /// By pool: whether its policy is `Balanced`. Empty: none is.
    balanced: Vec<bool>,
}

impl<'m> Rule<'m> {
    /// `may_go`: which bins are candidates.
    pub(crate) fn of(model: &Model, may_go: fn(&State<'m>, BinId) -> bool) -> Self {
        let mut offerings: Vec<OfferingId> = model.offerings.keys().collect();
        offerings.sort_by_key(|offering| (model.offerings[*offering].price, *offering));
        let mut by_name: Vec<NodeId> = model.nodes.keys().collect();
        by_name.sort_by_key(|node| &model.nodes[*node].name);
        Self { offerings, by_name, may_go, balanced: Vec::new() }
    }

    /// The same with pools whose policy is `Balanced`.
    pub(crate) fn with_balanced(self, balanced: Vec<bool>) -> Self {
        Self { balanced, ..self }
    }

    /// Finds and carries out one command; `None` when there is none, or no time to find one.
    pub(crate) fn command(&self, state: &mut State<'m>, terms: Terms, pace: &mut Pace<'_>) -> Option<Command> {
        let mut candidates: Vec<(BinId, i64)> =
            state.bins.keys().filter(|bin| (self.may_go)(state, *bin)).map(|bin| (bin, pods(state, bin))).collect();
        if let Some((bin, _)) = candidates.iter().find(|(bin, _)| is_empty(state, *bin)) {
            let saves = state.bins[*bin].price;
            state.close(*bin, &mut Counts::new());
            return Some(Command { gone: vec![*bin], bought: None, moves: 0, saves });
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
        let parts = self.parts(state, bins);
        let mut undo: Vec<(BinId, Bin)> = Vec::new();
        let mut pool = Counts::new();
        for bin in bins {
            undo.push((*bin, state.bins[*bin].clone()));
            state.close(*bin, &mut pool);
        }
        self.first_fit(state, &mut pool, &mut undo);
        let bought = if pool.is_empty() { None } else { self.one_new(state, &mut pool, price) };
        let pays = state.cost < cost && (terms.churn == Money::ZERO || state.objective(terms.churn) < objective);
        let saves = cost - state.cost;
        let balances = parts.iter().all(|part| part.balances(saves, price));
        let done = pool.is_empty() && pays && balances && state.moved <= terms.moves && state.spreads_hold();
        let command = done.then(|| Command { gone: bins.to_vec(), bought, moves, saves });
        if command.is_none() || !keep {
            state.take_back(bought, undo, spreads);
        }
        command
    }

    /// What goes of each pool whose policy is `Balanced`.
    fn parts(&self, state: &State<'_>, bins: &[BinId]) -> Vec<Part> {
        let pool_of = |bin: BinId| match state.bins[bin].bin_ref {
            BinRef::Node(node) => state.model.nodes[node].pool,
            BinRef::New(offering) => Some(state.model.offerings[offering].pool),
        };
        let is_balanced = |pool: usize| self.balanced.get(pool).copied().unwrap_or(false);
        let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
        for bin in bins {
            let Some(pool) = pool_of(*bin).filter(|pool| is_balanced(*pool)) else { continue };
            let part = parts.entry(pool).or_default();
            part.price += state.bins[*bin].price;
            part.disruption += 1 + pods(state, *bin);
        }
        for (pool, part) in &mut parts {
            for bin in state.bins.keys().filter(|bin| state.bins[*bin].open && pool_of(*bin) == Some(*pool)) {
                part.pool_price += state.bins[bin].price;
                part.pool_disruption += 1 + pods(state, bin);
            }
        }
        parts.into_values().collect()
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

/// What goes of one pool, and all of it.
#[derive(Default)]
struct Part {
    price: Money,
    disruption: i64,
    pool_price: Money,
    pool_disruption: i64,
}

impl Part {
    /// Whether its share of a saving is at least half of its share of the disruption; `price`: of all that goes.
    fn balances(&self, saves: Money, price: Money) -> bool {
        let micros = |money: Money| i128::from(money.as_micros());
        // (saves * own / price) / pool_price >= disruption / pool_disruption / 2, without a division.
        let saved = 2 * micros(saves) * micros(self.price) * i128::from(self.pool_disruption);
        saved >= micros(price) * micros(self.pool_price) * i128::from(self.disruption)
    }
}

fn is_empty(state: &State<'_>, bin: BinId) -> bool {
    let of = &state.bins[bin];
    of.given.is_empty() && !matches!(of.bin_ref, BinRef::Node(node) if !state.own[node].is_empty())
}

/// Pods that move when a bin goes.
pub(super) fn pods(state: &State<'_>, bin: BinId) -> i64 {
    let own = match state.bins[bin].bin_ref {
        BinRef::Node(node) => state.own_moves(node),
        BinRef::New(_) => 0,
    };
    own + state.bins[bin].given.iter().map(|(_, count)| count).sum::<i64>()
}
