//! Large-neighbourhood search: a few bins are emptied and their pods packed anew; what is not dearer stays.

use super::fill::{Candidate, fill};
use super::market::Market;
use super::shrink::place;
use super::swap::swap;
use super::{Given, Limits};
use crate::model::{BinId, BinRef, Counts, NodeId, OfferingId, give};
use crate::solution::{Bin, State};
use crate::value::{Money, Pace, Rng};

/// The share of the whole budget, in thousandths, in which something must be gained.
const PATIENCE: u32 = 200;
/// Unmet preferences count in the last eighth of a search. Counted earlier they make the search reject moves at equal cost
/// that lead to cheaper solutions.
const PREFERENCE_SHARE: u32 = 8;

/// Improves a solution until its share of the budget is used, or nothing more is gained.
pub(crate) fn improve<'m>(state: State<'m>, given: Given<'_>, limits: Limits, pace: &mut Pace<'_>) -> State<'m> {
    let mut search = Search {
        market: given.market,
        rng: Rng::new(given.options.seed ^ 0x5EED),
        churn: given.options.churn_price,
        moves: limits.moves.unwrap_or(i64::MAX),
        roll: given.options.roll,
        state,
    };
    let began = pace.used();
    let last = limits.until.saturating_sub(began) / PREFERENCE_SHARE;
    search.run(given.bound.hourly, limits.until - last, 0, pace);
    // What is left is for preferences: first for nothing, then at their price.
    swap(&mut search.state, given.market, pace.used() + last / 2, pace);
    let until = pace.used() + (pace.used() - began) / PREFERENCE_SHARE;
    search.state.counts_preferences = true;
    search.run(Money::ZERO, until.min(limits.until), 16, pace);
    search.state.counts_preferences = false;
    search.state
}

struct Search<'a, 'm> {
    market: &'a Market,
    rng: Rng,
    /// What a move must save.
    churn: Money,
    /// At most so many running pods move.
    moves: i64,
    /// A node that went never comes back.
    roll: bool,
    state: State<'m>,
}

impl Search<'_, '_> {
    fn run(&mut self, bound: Money, until: u32, least: u64, pace: &mut Pace<'_>) {
        let mut bins: Vec<BinId> = Vec::new();
        let began = pace.used();
        let mut last_gain = began;
        let mut round = 0u64;
        let mut best = self.objective();
        loop {
            if round >= least && round.is_multiple_of(16) {
                let used = pace.used();
                let now = self.objective();
                // What a twentieth of a percent brings is a gain.
                if now < best - best / 2000 {
                    best = now;
                    last_gain = used;
                }
                let close = (self.state.cost - bound) * 200 <= bound;
                if used >= until || close || used.saturating_sub(last_gain) > PATIENCE {
                    return;
                }
            }
            if round.is_multiple_of(512) {
                bins = self.state.bins.keys().filter(|bin| self.state.bins[*bin].open).collect();
            }
            round += 1;
            pace.steps += 1;
            self.step(&bins);
        }
    }

    fn objective(&self) -> Money {
        self.state.objective(self.churn)
    }

    /// What a bin costs beyond what its content is worth, or a part of that worth.
    fn waste(&self, bin: BinId, charged: f64) -> f64 {
        let of = &self.state.bins[bin];
        if !self.state.may_close(bin) {
            // A node that must stay wastes the cost of its empty room.
            return of.price.as_f64() * self.state.emptiness(bin);
        }
        let own = match of.bin_ref {
            BinRef::Node(node) => self.market.value(&self.state.own[node]),
            BinRef::New(_) => 0.0,
        };
        of.price.as_f64() - charged * (own + self.market.value(&of.given))
    }

    fn component(&self, bin: BinId) -> Option<usize> {
        let of = &self.state.bins[bin];
        match of.bin_ref {
            BinRef::Node(node) if self.state.may_close(bin) => {
                self.market.component_of(&self.state.own[node]).or_else(|| self.market.component_of(&of.given))
            }
            _ => self.market.component_of(&of.given),
        }
    }

    /// Bins to empty: one that wastes much, and others of its component.
    fn choose(&mut self, bins: &[BinId]) -> Vec<BinId> {
        let few = self.moves < i64::MAX;
        // With a limit of moves it is not known whether room is free or must be bought: both are tried.
        let charged = if few { self.rng.unit() } else { 1.0 };
        let pick = |search: &mut Self, of: Option<usize>, tries: usize| {
            let mut best: Option<(f64, BinId, usize)> = None;
            for _ in 0..tries {
                let bin = bins[search.rng.below(bins.len())];
                let of_bin = &search.state.bins[bin];
                if !search.state.may_close(bin) && (!of_bin.open || of_bin.given.is_empty()) {
                    continue;
                }
                let Some(component) = search.component(bin) else {
                    // An empty node: nothing is easier.
                    return Some((bin, of.unwrap_or(usize::MAX)));
                };
                if of.is_some_and(|of| of != component) {
                    continue;
                }
                let mut waste = search.waste(bin, charged) * (0.5 + search.rng.unit());
                if few {
                    // Where moves are few, what counts is what each of them brings.
                    waste /= (1 + search.moves_of(bin)) as f64;
                }
                if best.is_none_or(|(most, _, _)| waste > most) {
                    best = Some((waste, bin, component));
                }
            }
            best.map(|(_, bin, component)| (bin, component))
        };
        let Some((first, component)) = pick(self, None, if few { 24 } else { 6 }) else { return Vec::new() };
        let mut chosen = vec![first];
        let wanted = if few && self.rng.chance(50) { 0 } else { 1 + self.rng.below(4) };
        let mut pods: i64 = self.pods_of(first);
        for _ in 0..wanted {
            if let Some((bin, _)) = pick(self, Some(component), 5) {
                let more = self.pods_of(bin);
                if !chosen.contains(&bin) && pods + more <= 260 {
                    pods += more;
                    chosen.push(bin);
                }
            }
        }
        chosen
    }

    fn moves_of(&self, bin: BinId) -> i64 {
        match self.state.bins[bin].bin_ref {
            BinRef::Node(node) if self.state.may_close(bin) => self.state.own_moves(node),
            _ => 0,
        }
    }

    fn pods_of(&self, bin: BinId) -> i64 {
        let of = &self.state.bins[bin];
        let own = match of.bin_ref {
            BinRef::Node(node) if self.state.may_close(bin) => {
                self.state.own[node].iter().map(|(_, count)| count).sum()
            }
            _ => 0,
        };
        own + of.given.iter().map(|(_, count)| count).sum::<i64>()
    }

    /// Empties some bins and packs their pods anew; undone when that is dearer.
    fn step(&mut self, bins: &[BinId]) {
        if bins.is_empty() {
            return;
        }
        let chosen = self.choose(bins);
        let Some(component) = chosen.iter().find_map(|bin| self.component(*bin)) else {
            // Only empty nodes: they go at once.
            for bin in chosen {
                let mut pool = Counts::new();
                self.state.close(bin, &mut pool);
            }
            return;
        };
        let before = self.objective();
        let moved = self.state.moved;
        let spreads = (self.state.spreads.clone(), self.state.landed.clone());
        let mut trial = Trial { chosen, ..Trial::default() };
        self.empty(&mut trial);
        if let Some(node) = self.comes_back() {
            self.withdraw(node, bins, &mut trial);
            if self.state.may_reopen(node, &trial.pool) {
                trial.undo.push((node.bin(), self.state.bins[node.bin()].clone()));
                self.state.reopen(node, &mut trial.pool);
            }
        }
        let limit = before + if self.rng.chance(2) { before / 100_000 } else { Money::ZERO };
        let done = self.rebuild(bins, component, limit, &mut trial);
        if !done || self.objective() > limit || self.state.moved > self.moves.max(moved) || !self.state.spreads_hold() {
            self.state.take_back(trial.bought, trial.undo, spreads);
        }
    }

    /// Takes all pods off the chosen bins, and closes those that may go.
    fn empty(&mut self, trial: &mut Trial) {
        for bin in &trial.chosen {
            trial.undo.push((*bin, self.state.bins[*bin].clone()));
            if !self.state.may_close(*bin) {
                for (class, count) in self.state.bins[*bin].given.clone() {
                    self.state.put(*bin, class, -count);
                    give(&mut trial.pool, class, count);
                }
                continue;
            }
            if let (BinRef::Node(node), false) = (self.state.bins[*bin].bin_ref, self.roll) {
                trial.reopenable.push(node);
            }
            self.state.close(*bin, &mut trial.pool);
        }
    }

    /// Sometimes: a removed node to bring back, preferably one that saves little for each pod that it moves.
    fn comes_back(&mut self) -> Option<NodeId> {
        if self.roll || !self.rng.chance(if self.moves < i64::MAX { 50 } else { 5 }) {
            return None;
        }
        let mut best: Option<(f64, NodeId)> = None;
        for _ in 0..24 {
            let node = NodeId::from(self.rng.below(self.state.model.nodes.len()));
            let is_gone = !self.state.bins[node.bin()].open && !self.state.is_settled(node.bin());
            if !is_gone || self.state.own[node].is_empty() {
                continue;
            }
            let saves =
                self.state.bins[node.bin()].price.as_f64() - self.market.value(&self.state.own[node]) * self.rng.unit();
            let saves = if self.moves < i64::MAX { saves / (1 + self.state.own_moves(node)) as f64 } else { saves };
            if best.is_none_or(|(least, _)| saves < least) {
                best = Some((saves, node));
            }
        }
        best.map(|(_, node)| node)
    }

    /// Takes pods of a closed node's classes from other bins, until `pool` holds all that the node had.
    fn withdraw(&mut self, node: NodeId, bins: &[BinId], trial: &mut Trial) {
        let Trial { pool, undo, .. } = trial;
        let own = std::sync::Arc::clone(&self.state.own);
        let mut missing: Counts = own[node].clone();
        for (class, count) in pool.iter() {
            if let Some(of) = missing.iter_mut().find(|(of, _)| of == class) {
                of.1 -= of.1.min(*count);
            }
        }
        missing.retain(|(_, count)| *count > 0);
        let start = self.rng.below(bins.len());
        for bin in bins[start..].iter().chain(&bins[..start]) {
            if missing.is_empty() {
                break;
            }
            if !self.state.bins[*bin].open || self.state.bins[*bin].given.is_empty() {
                continue;
            }
            let mut noted = false;
            for (class, count) in &mut missing {
                let taken = self.state.bins[*bin].holds(*class).min(*count);
                if taken > 0 {
                    if !std::mem::replace(&mut noted, true) {
                        undo.push((*bin, self.state.bins[*bin].clone()));
                    }
                    self.state.put(*bin, *class, -taken);
                    give(pool, *class, taken);
                    *count -= taken;
                }
            }
            missing.retain(|(_, count)| *count > 0);
            let of = &self.state.bins[*bin];
            if matches!(of.bin_ref, BinRef::New(_)) && of.given.is_empty() && self.state.may_close(*bin) {
                self.state.close(*bin, pool);
            }
        }
    }

    /// Packs all of `pool`; `false` when that fails or gets dearer than `limit`.
    fn rebuild(&mut self, bins: &[BinId], component: usize, limit: Money, trial: &mut Trial) -> bool {
        if self.moves < i64::MAX && self.rng.chance(60) {
            place(&mut self.state, &mut trial.pool, &mut trial.undo);
        }
        self.refill(bins, trial);
        while !trial.pool.is_empty() {
            if self.objective().as_f64() + self.market.value(&trial.pool) > limit.as_f64() {
                return false;
            }
            match self.best_pattern(component, trial) {
                None => return false,
                Some(Pattern::Reopen(node)) => self.state.reopen(node, &mut trial.pool),
                Some(Pattern::Buy(offering, content)) => {
                    let offering = self.market.cheapest_holder(&self.state, offering, &content).unwrap_or(offering);
                    let bin = self.state.buy(self.market.least_unmet_variant(&self.state, offering, &content));
                    trial.bought.push(bin);
                    self.put(bin, content, &mut trial.pool);
                }
            }
        }
        true
    }

    fn put(&mut self, bin: BinId, content: Counts, pool: &mut Counts) {
        for (class, count) in content {
            self.state.put(bin, class, count);
            give(pool, class, -count);
        }
    }

    /// Room that is there already comes first, on a few bins.
    fn refill(&mut self, bins: &[BinId], trial: &mut Trial) {
        let Trial { chosen, pool, undo, bought, .. } = trial;
        let looked = 2 + self.rng.below(14);
        for at in 0..chosen.len() + looked {
            let bin = chosen.get(at).copied().unwrap_or_else(|| bins[self.rng.below(bins.len())]);
            if pool.is_empty() {
                break;
            }
            if !self.state.bins[bin].open || bought.contains(&bin) {
                continue;
            }
            let free = self.state.bins[bin].free;
            if free[0] <= 0 || !pool.iter().any(|(class, _)| self.state.room(bin, *class) > 0) {
                continue;
            }
            let mut candidates: Vec<Candidate> = Vec::new();
            for (class, count) in pool.iter() {
                let room = self.state.room(bin, *class);
                if room > 0 {
                    let bin_ref = self.state.bins[bin].bin_ref;
                    let worth = self.market.worth_in(&self.state, bin_ref, *class) * (0.8 + 0.4 * self.rng.unit());
                    candidates.push(Candidate::of(self.state.model, *class, room.min(*count), worth, &free, 0.3));
                }
            }
            let of = &self.state.bins[bin];
            let content = fill(self.state.model, &mut of.free.clone(), &mut of.term_counts.clone(), &mut candidates);
            undo.push((bin, of.clone()));
            self.put(bin, content, pool);
        }
    }

    /// What brings most for its price: a node that comes back with its pods, or one of some patterns to buy.
    fn best_pattern(&mut self, component: usize, trial: &Trial) -> Option<Pattern> {
        let mut best: Option<(f64, Pattern)> = None;
        let mut offer = |score: f64, pattern: Pattern| {
            if best.as_ref().is_none_or(|(most, _)| score > *most) {
                best = Some((score, pattern));
            }
        };
        for node in &trial.reopenable {
            if self.state.may_reopen(*node, &trial.pool) {
                let price = self.state.bins[node.bin()].price - self.churn * self.state.own_moves(*node);
                let price = price.max(Money::micros(1)).as_f64();
                offer(self.market.value(&self.state.own[*node]) / price, Pattern::Reopen(*node));
            }
        }
        let tries = 4 + self.rng.below(10);
        for _ in 0..tries {
            if let Some((offering, content)) = self.draw_pattern(component, &trial.pool) {
                let price = self.state.model.offerings[offering].price.as_f64();
                let score = self.market.value_in(&self.state, offering, &content) / price;
                offer(score, Pattern::Buy(offering, content));
            }
        }
        best.map(|(_, pattern)| pattern)
    }

    /// Some offering of a component, filled by a weighting that is drawn; `None` where it may not be bought or holds nothing.
    fn draw_pattern(&mut self, component: usize, pool: &Counts) -> Option<(OfferingId, Counts)> {
        let families = &self.market.by_component[component];
        if families.is_empty() {
            return None;
        }
        // The promising ones more often.
        let at = self.rng.below(families.len()).min(self.rng.below(families.len()));
        let family = &self.market.families[families[at]];
        let offering = family.offerings[self.rng.below(family.offerings.len())];
        if !self.state.may_buy(offering) {
            return None;
        }
        let (model, bin_ref) = (self.state.model, BinRef::New(offering));
        let mut room = self.state.room_of_offering(offering);
        let bias = [0.0, 0.2, 0.5, 1.0][self.rng.below(4)];
        let noise = 0.3 * self.rng.unit();
        let mut candidates: Vec<Candidate> = Vec::new();
        for (class, count) in pool {
            let spread = self.state.spread_room(bin_ref, *class);
            if spread > 0 && self.state.offering_admits(offering, *class) {
                let drawn = 1.0 - noise * 0.5 + noise * self.rng.unit();
                let worth = self.market.worth_in(&self.state, bin_ref, *class) * drawn;
                candidates.push(Candidate::of(model, *class, spread.min(*count), worth, &room, bias));
            }
        }
        let content = fill(model, &mut room, &mut model.offerings[offering].term_counts.clone(), &mut candidates);
        (!content.is_empty()).then_some((offering, content))
    }
}

/// A step of the search under way, and how to take it back.
#[derive(Default)]
struct Trial {
    /// The bins that were emptied.
    chosen: Vec<BinId>,
    /// Pods that look for a place.
    pool: Counts,
    /// Bins as they were, in the order of the changes.
    undo: Vec<(BinId, Bin)>,
    bought: Vec<BinId>,
    /// Nodes that may stay after all.
    reopenable: Vec<NodeId>,
}

enum Pattern {
    Reopen(NodeId),
    Buy(OfferingId, Counts),
}
