//! A first solution from nothing: every node that may go is closed, and its pods are packed anew by price.

use std::collections::BinaryHeap;

use super::fill::{Candidate, fill};
use super::market::Market;
use crate::model::{Counts, What, times};
use crate::solution::State;
use crate::value::Pace;

/// A pattern: what a kind would hold, and what that is worth for its price.
struct Offer {
    score: f64,
    kind: usize,
    base: usize,
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
        self.score.total_cmp(&other.score).then(other.kind.cmp(&self.kind))
    }
}

/// Packs the pods of some removable nodes anew; `None` when one finds no place, or the budget ends.
pub(crate) fn construct<'m>(
    start: &State<'m>,
    removed: &[usize],
    market: &Market,
    pace: &mut Pace<'_>,
) -> Option<State<'m>> {
    let mut state = start.clone();
    let mut pool = Counts::new();
    let mut left = vec![0i64; state.model.classes.len()];
    for bin in removed {
        pool.clear();
        state.close(*bin, &mut pool);
        for (class, count) in &pool {
            left[*class] += count;
        }
    }
    let mut total: i64 = left.iter().sum();
    // Room on nodes that stay costs nothing: the fullest first.
    let mut receivers: Vec<usize> =
        (0..state.bins.len()).filter(|bin| state.bins[*bin].open && state.bins[*bin].free[0] > 0).collect();
    receivers.sort_by_key(|bin| (state.bins[*bin].free[0], *bin));
    for bin in receivers {
        let candidates: Vec<usize> =
            (0..left.len()).filter(|class| left[*class] > 0 && state.room(bin, *class) > 0).collect();
        let content = content_of(&state, bin, &candidates, &left, market);
        for (class, count) in content {
            state.put(bin, class, count);
            left[class] -= count;
            total -= count;
        }
    }
    let mut heap: BinaryHeap<Offer> = BinaryHeap::new();
    for (index, base) in market.bases.iter().enumerate() {
        for kind in &base.kinds {
            heap.push(Offer { score: f64::MAX, kind: *kind, base: index, round: usize::MAX });
        }
    }
    let mut round = 0;
    let mut idle: Vec<Offer> = Vec::new();
    let mut progress = true;
    while total > 0 {
        if pace.is_past(900, 64) {
            return None;
        }
        // What a spread forbade may be allowed by now.
        if heap.is_empty() && std::mem::take(&mut progress) {
            heap.extend(idle.drain(..).map(|offer| Offer { score: f64::MAX, round: usize::MAX, ..offer }));
        }
        let top = heap.pop()?;
        let Some((content, value)) = best_content(&state, market, &top, &left) else {
            idle.push(top);
            continue;
        };
        let price = state.model.kinds[top.kind].price.as_micros() as f64;
        let score = value / price;
        if top.round != round && heap.peek().is_some_and(|next| next.score > score) {
            heap.push(Offer { score, round, ..top });
            continue;
        }
        if !state.may_buy(top.kind) {
            continue;
        }
        // The same again while the counts allow.
        let mut again = content.iter().map(|(class, count)| left[*class] / count).min().unwrap_or(0).max(1);
        if content.iter().any(|(class, _)| !state.model.classes[*class].spreads.is_empty()) {
            again = 1;
        }
        let kind = market.cheapest_holder(&state, top.kind, &content).unwrap_or(top.kind);
        for _ in 0..again {
            if !state.may_buy(kind) {
                break;
            }
            let bin = state.buy(market.kindest(&state, kind, &content));
            for (class, count) in &content {
                state.put(bin, *class, *count);
                left[*class] -= count;
                total -= count;
            }
        }
        round += 1;
        progress = true;
        heap.push(Offer { score, round: usize::MAX, ..top });
    }
    state.spreads_hold().then_some(state)
}

fn content_of(state: &State<'_>, bin: usize, classes: &[usize], left: &[i64], market: &Market) -> Counts {
    let of = &state.bins[bin];
    let capacity = match of.what {
        What::Node(node) => state.model.nodes[node].allocatable,
        What::New(kind) => state.model.kinds[kind].allocatable,
    };
    let mut candidates: Vec<Candidate> = classes
        .iter()
        .map(|class| {
            let count = left[*class].min(state.spread_room(of.what, *class));
            let worth = market.worth_in(state, of.what, *class);
            Candidate::of(state.model, *class, count, worth, &capacity, 0.2)
        })
        .collect();
    fill(state.model, &mut of.free.clone(), &mut of.ties.clone(), &mut candidates)
}

/// The better of two ways to fill a kind.
fn best_content(state: &State<'_>, market: &Market, offer: &Offer, left: &[i64]) -> Option<(Counts, f64)> {
    let base = &market.bases[offer.base];
    let room = state.room_of_kind(offer.kind);
    let mut classes: Vec<usize> = Vec::new();
    for class in &base.classes {
        let fits = left[*class] > 0
            && state.spread_room(What::New(offer.kind), *class) > 0
            && state.kind_admits(offer.kind, *class)
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
                let count = left[*class].min(state.spread_room(What::New(offer.kind), *class));
                let worth = market.worth_in(state, What::New(offer.kind), *class);
                Candidate::of(state.model, *class, count, worth, &room, bias)
            })
            .collect();
        let content =
            fill(state.model, &mut room.clone(), &mut state.model.kinds[offer.kind].ties.clone(), &mut candidates);
        let value = market.value(&content);
        if best.as_ref().is_none_or(|(_, most)| value > *most) {
            best = Some((content, value));
        }
    }
    best.filter(|(content, _)| !content.is_empty())
}
