//! A first solution from nothing: every node that may go is closed, and its pods are packed anew by price.

use std::collections::BinaryHeap;

use typed_index_collections::{TiSlice, TiVec};

use super::fill::{Candidate, fill};
use super::market::Market;
use crate::model::{BinId, BinRef, ClassId, Counts, OfferingId, times};
use crate::solution::State;
use crate::value::Pace;

/// A pattern: what an offering would hold, and what that is worth for its price.
struct Offer {
    score: f64,
    offering: OfferingId,
    family: usize,
    round: usize,
}

impl PartialEq for Offer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Offer {}
impl PartialOrd for Offer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Offer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then(other.offering.cmp(&self.offering))
    }
}

/// Packs the pods of some removable nodes anew; `None` when one finds no place, or the budget ends.
pub(crate) fn construct<'m>(
    start: &State<'m>,
    removed: &[BinId],
    market: &Market,
    pace: &mut Pace<'_>,
) -> Option<State<'m>> {
    let mut packing = Packing::of(start, removed, market);
    packing.fill_receivers();
    packing.buy(pace)?;
    packing.state.spreads_hold().then_some(packing.state)
}

/// Pods that look for a place, and the solution that they find one in.
struct Packing<'a, 'm> {
    state: State<'m>,
    market: &'a Market,
    /// By class.
    left: TiVec<ClassId, i64>,
    total: i64,
}

impl<'a, 'm> Packing<'a, 'm> {
    fn of(start: &State<'m>, removed: &[BinId], market: &'a Market) -> Self {
        let mut state = start.clone();
        let mut left: TiVec<ClassId, i64> = vec![0; state.model.classes.len()].into();
        let mut pool = Counts::new();
        for bin in removed {
            pool.clear();
            state.close(*bin, &mut pool);
            for (class, count) in &pool {
                left[*class] += count;
            }
        }
        let total = left.iter().sum();
        Self { state, market, left, total }
    }

    fn put(&mut self, bin: BinId, content: &Counts) {
        for (class, count) in content {
            self.state.put(bin, *class, *count);
            self.left[*class] -= count;
            self.total -= count;
        }
    }

    /// Room on nodes that stay costs nothing: the fullest first.
    fn fill_receivers(&mut self) {
        let bins = &self.state.bins;
        let mut receivers: Vec<BinId> = bins.keys().filter(|bin| bins[*bin].open && bins[*bin].free[0] > 0).collect();
        receivers.sort_by_key(|bin| (bins[*bin].free[0], *bin));
        for bin in receivers {
            let classes = self.left.keys();
            let candidates: Vec<ClassId> =
                classes.filter(|class| self.left[*class] > 0 && self.state.room(bin, *class) > 0).collect();
            let content = content_of(&self.state, bin, &candidates, &self.left, self.market);
            self.put(bin, &content);
        }
    }

    /// Buys what is worth most for its price, until all have a place; `None` when one finds none, or the budget ends.
    fn buy(&mut self, pace: &mut Pace<'_>) -> Option<()> {
        let mut heap: BinaryHeap<Offer> = BinaryHeap::new();
        for (index, family) in self.market.families.iter().enumerate() {
            for offering in &family.offerings {
                heap.push(Offer { score: f64::MAX, offering: *offering, family: index, round: usize::MAX });
            }
        }
        let mut round = 0;
        let mut idle: Vec<Offer> = Vec::new();
        let mut progress = true;
        while self.total > 0 {
            if pace.is_past(900, 64) {
                return None;
            }
            // What a spread forbade may be allowed by now.
            if heap.is_empty() && std::mem::take(&mut progress) {
                heap.extend(idle.drain(..).map(|offer| Offer { score: f64::MAX, round: usize::MAX, ..offer }));
            }
            let top = heap.pop()?;
            let Some((content, value)) = best_content(&self.state, self.market, &top, &self.left) else {
                idle.push(top);
                continue;
            };
            let price = self.state.model.offerings[top.offering].price.as_f64();
            let score = value / price;
            if top.round != round && heap.peek().is_some_and(|next| next.score > score) {
                heap.push(Offer { score, round, ..top });
                continue;
            }
            if !self.state.may_buy(top.offering) {
                continue;
            }
            self.repeat(top.offering, &content);
            round += 1;
            progress = true;
            heap.push(Offer { score, round: usize::MAX, ..top });
        }
        Some(())
    }

    /// Buys an offering with its content, again and again while the counts allow.
    fn repeat(&mut self, offering: OfferingId, content: &Counts) {
        let mut again = content.iter().map(|(class, count)| self.left[*class] / count).min().unwrap_or(0).max(1);
        if content.iter().any(|(class, _)| !self.state.model.classes[*class].spreads.is_empty()) {
            again = 1;
        }
        let offering = self.market.cheapest_holder(&self.state, offering, content).unwrap_or(offering);
        for _ in 0..again {
            if !self.state.may_buy(offering) {
                break;
            }
            let bin = self.state.buy(self.market.least_unmet_variant(&self.state, offering, content));
            self.put(bin, content);
        }
    }
}

fn content_of(
    state: &State<'_>,
    bin: BinId,
    classes: &[ClassId],
    left: &TiSlice<ClassId, i64>,
    market: &Market,
) -> Counts {
    let of = &state.bins[bin];
    let capacity = match of.bin_ref {
        BinRef::Node(node) => state.model.nodes[node].allocatable,
        BinRef::New(offering) => state.model.offerings[offering].allocatable,
    };
    let mut candidates: Vec<Candidate> = classes
        .iter()
        .map(|class| {
            let count = left[*class].min(state.spread_room(of.bin_ref, *class));
            let worth = market.worth_in(state, of.bin_ref, *class);
            Candidate::of(state.model, *class, count, worth, &capacity, 0.2)
        })
        .collect();
    fill(state.model, &mut of.free.clone(), &mut of.term_counts.clone(), &mut candidates)
}

/// The better of two ways to fill an offering.
fn best_content(
    state: &State<'_>,
    market: &Market,
    offer: &Offer,
    left: &TiSlice<ClassId, i64>,
) -> Option<(Counts, f64)> {
    let family = &market.families[offer.family];
    let room = state.room_of_offering(offer.offering);
    let mut classes: Vec<ClassId> = Vec::new();
    for class in &family.classes {
        let fits = left[*class] > 0
            && state.spread_room(BinRef::New(offer.offering), *class) > 0
            && state.offering_admits(offer.offering, *class)
            && times(&state.model.classes[*class].request, &room) > 0;
        if fits {
            classes.push(*class);
            if classes.len() == 96 {
                break;
            }
        }
    }
    let mut best: Option<(Counts, f64)> = None;
    for bias in [0.0, 0.35] {
        let mut candidates: Vec<Candidate> = classes
            .iter()
            .map(|class| {
                let count = left[*class].min(state.spread_room(BinRef::New(offer.offering), *class));
                let worth = market.worth_in(state, BinRef::New(offer.offering), *class);
                Candidate::of(state.model, *class, count, worth, &room, bias)
            })
            .collect();
        let content = fill(
            state.model,
            &mut room.clone(),
            &mut state.model.offerings[offer.offering].term_counts.clone(),
            &mut candidates,
        );
        let value = market.value(&content);
        if best.as_ref().is_none_or(|(_, most)| value > *most) {
            best = Some((content, value));
        }
    }
    best.filter(|(content, _)| !content.is_empty())
}
