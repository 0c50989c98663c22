//! Pods of a solution change places where that costs nothing and leaves fewer preferences unmet.

use super::market::Market;
use crate::model::{BinId, BinRef, ClassId, Counts, OfferingId, add, fits};
use crate::solution::State;
use crate::value::Pace;

/// At most this many bins are looked at for one pod.
const LOOKED: usize = 256;

/// Moves bins to zones and pods to bins that leave fewer preferences unmet, alone or in exchange, until that brings nothing.
pub(crate) fn swap(state: &mut State<'_>, market: &Market, until: u32, pace: &mut Pace<'_>) {
    let bins: Vec<BinId> = state.bins.keys().filter(|bin| state.bins[*bin].open).collect();
    loop {
        let before = state.unmet;
        for bin in &bins {
            if let (BinRef::New(offering), true) = (state.bins[*bin].bin_ref, state.may_close(*bin)) {
                rezone(state, market, *bin, offering);
            }
        }
        for (at, bin) in bins.iter().enumerate() {
            let others = bins[at + 1..].iter().chain(&bins[..at]).copied();
            if pace.is_past(until, 4) {
                return;
            }
            for (class, count) in state.bins[*bin].given.clone() {
                let mut others = others.clone().take(LOOKED);
                // One after another looks on where the last one went.
                let _ = (0..count).all(|_| leaves(state, *bin, class, &mut others));
            }
        }
        if state.unmet >= before {
            return;
        }
    }
}

/// Puts what a new bin holds into the variant of it that leaves the fewest preferences unmet. Where a spread does not hold, zones stay as they are.
fn rezone(state: &mut State<'_>, market: &Market, bin: BinId, offering: OfferingId) {
    if state.bins[bin].given.iter().any(|(class, _)| !state.model.classes[*class].spreads.is_empty()) {
        return;
    }
    let mut content = Counts::new();
    state.close(bin, &mut content);
    let least_unmet_variant = market.least_unmet_variant(state, offering, &content);
    let bin = state.buy(if state.may_buy(least_unmet_variant) { least_unmet_variant } else { offering });
    for (class, count) in content {
        state.put(bin, class, count);
    }
}

/// Whether a pod of a class left a bin for another, alone or for one that came instead; if not, nothing has changed.
fn leaves(state: &mut State<'_>, bin: BinId, class: ClassId, others: &mut impl Iterator<Item = BinId>) -> bool {
    if !state.model.classes[class].spreads.is_empty() {
        return false;
    }
    let before = state.unmet;
    state.put(bin, class, -1);
    let relief = before - state.unmet;
    if relief > 0 {
        for other in others {
            if state.unmet_by(state.bins[other].bin_ref, class, 1) >= relief {
                continue;
            }
            if state.room(other, class) > 0 {
                state.put(other, class, 1);
                if state.unmet < before {
                    return true;
                }
                state.put(other, class, -1);
            }
            for at in (0..state.bins[other].given.len()).rev() {
                let Some((back, _)) = state.bins[other].given.get(at).copied() else { continue };
                if !comes_back(state, (bin, class), (other, back)) {
                    continue;
                }
                if state.unmet < before {
                    return true;
                }
                state.put(bin, back, -1);
                state.put(other, class, -1);
                state.put(other, back, 1);
            }
        }
    }
    state.put(bin, class, 1);
    false
}

/// Whether a pod that left a bin could take the place of one elsewhere, and that one its place; if not, nothing has changed.
fn comes_back(state: &mut State<'_>, (bin, class): (BinId, ClassId), (other, back): (BinId, ClassId)) -> bool {
    let (one, two) = (&state.model.classes[class], &state.model.classes[back]);
    let mut room = state.bins[other].free;
    add(&mut room, &two.request, 1);
    let is_same = back == class || !two.spreads.is_empty();
    if is_same || !fits(&one.request, &room) || !fits(&two.request, &state.bins[bin].free) {
        return false;
    }
    state.put(other, back, -1);
    if state.room(other, class) > 0 {
        state.put(other, class, 1);
        if state.room(bin, back) > 0 {
            state.put(bin, back, 1);
            return true;
        }
        state.put(other, class, -1);
    }
    state.put(other, back, 1);
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Recipe, generate};
    use crate::model::Model;
    use crate::model::build::model;
    use crate::search::Given;
    use crate::value::{Catalog, Options};
    use crate::{bound, search};

    /// The weight of unmet preferences, counted for a solution as it stands.
    fn counted_anew(of: &State<'_>, model: &Model, options: &Options) -> i64 {
        let mut anew = State::of(model, options.reserve);
        for node in model.nodes.keys().filter(|node| !of.bins[node.bin()].open) {
            anew.close(node.bin(), &mut Counts::new());
        }
        for bin in of.bins.iter().filter(|bin| bin.open) {
            let at = match bin.bin_ref {
                BinRef::Node(node) => node.bin(),
                BinRef::New(offering) => anew.buy(offering),
            };
            for (class, count) in &bin.given {
                anew.put(at, *class, *count);
            }
        }
        assert_eq!((anew.cost, anew.moved), (of.cost, of.moved));
        anew.unmet
    }

    #[test]
    fn what_a_search_counts_step_by_step_is_what_is_unmet_and_changing_places_costs_nothing() {
        let catalog = Catalog::embedded();
        let options = Options::default();
        let mut met = 0;
        for seed in 0..8 {
            let recipe = Recipe { nodes: 25, seed, constrained: seed % 2 == 0, held: seed % 4 == 0 };
            let model = model(&generate(recipe, &catalog), &catalog, &options).expect("sound");
            let start = State::of(&model, options.reserve);
            let mut steps = |steps: u64| u32::try_from(steps / 2).unwrap_or(u32::MAX);
            let pace = &mut Pace::of(&mut steps);
            let bound = bound::bound(&start, pace);
            let market = Market::of(&start, &bound);
            let given = Given { market: &market, bound: &bound, options: &options };
            let found = search::free(&start, given, 1000, pace);
            assert_eq!(found.unmet, counted_anew(&found, &model, &options), "seed {seed}");
            // From nothing: nobody looked at preferences yet.
            let all: Vec<BinId> = start.bins.keys().filter(|bin| start.may_close(*bin)).collect();
            let Some(made) = crate::search::construct::construct(&start, &all, &market, &mut Pace::of(&mut |_| 0))
            else {
                continue;
            };
            let mut swapped = made.clone();
            swap(&mut swapped, &market, 1000, &mut Pace::of(&mut |_| 0));
            assert_eq!((swapped.cost, swapped.moved), (made.cost, made.moved), "seed {seed}");
            assert_eq!(swapped.unmet, counted_anew(&swapped, &model, &options), "seed {seed}");
            assert!(swapped.spreads_hold(), "seed {seed}");
            met += i32::from(swapped.unmet < made.unmet);
        }
        assert!(met > 4, "changing places helped {met} clusters");
    }
}
