//! The ways to a cheaper cluster: with all moves, or within a limit of them.

mod construct;
mod fill;
mod given;
mod improve;
mod keep_existing;
mod market;
mod select;
mod shrink;
mod swap;

use self::construct::construct;
pub(crate) use self::given::{Given, Limits};
use self::improve::improve;
pub(crate) use self::keep_existing::keep_existing;
pub(crate) use self::market::Market;
pub(crate) use self::shrink::place;
use self::shrink::shrink;
use crate::model::BinId;
use crate::solution::State;
use crate::value::{Mode, Money, Pace};

/// The share of the budget, in thousandths, in which a first solution is made.
const FIRST: u32 = 500;

/// Searches among all solutions: everything that may move may move.
pub(crate) fn free<'m>(start: &State<'m>, given: Given<'_>, until: u32, pace: &mut Pace<'_>) -> State<'m> {
    let options = given.options;
    let limits = Limits { moves: None, until };
    if options.mode != Mode::Full || options.churn_price > Money::ZERO {
        return near(start, start.clone(), given, limits, pace);
    }
    let mut fresh = anew(start, given, pace);
    if !start.model.broken.is_empty() && !start.frozen {
        // From nothing, a broken spread is hard to satisfy; from what else is cheapest it may be easy.
        let mut frozen = start.clone();
        frozen.frozen = true;
        fresh.extend(anew(&frozen, given, pace));
    }
    let mut first = match fresh.into_iter().min_by_key(|made| made.cost) {
        Some(fresh) if options.roll || fresh.cost < start.cost => fresh,
        _ => shrink(start.clone(), options, Limits { moves: None, until: until.min(FIRST) }, pace),
    };
    first.frozen = start.frozen;
    improve(first, given, limits, pace)
}

/// Everything that may move packed anew.
fn anew<'m>(start: &State<'m>, given: Given<'_>, pace: &mut Pace<'_>) -> Vec<State<'m>> {
    let all: Vec<BinId> = start.bins.keys().filter(|bin| start.may_close(*bin)).collect();
    construct(start, &all, given.market, pace).into_iter().collect()
}

/// Searches near a solution, within a limit of moves. `origin`: the cluster as it is.
pub(crate) fn near<'m>(
    origin: &State<'m>,
    start: State<'m>,
    given: Given<'_>,
    limits: Limits,
    pace: &mut Pace<'_>,
) -> State<'m> {
    let options = given.options;
    let mut best = shrink(start, options, limits, pace);
    if options.mode != Mode::Full {
        return best;
    }
    let churn = options.churn_price;
    if !options.roll {
        for charged in select::CHARGED {
            if pace.used() >= limits.until {
                break;
            }
            let moves = limits.moves.unwrap_or(i64::MAX);
            let removed = select::removable(origin, given.market, charged, moves, churn);
            let made = construct(origin, &removed, given.market, pace);
            if let Some(made) = made.filter(|made| made.objective(churn) < best.objective(churn)) {
                best = made;
            }
        }
    }
    improve(best, given, limits, pace)
}

/// What a rough solution costs in which everything that may move is packed anew; `None` where there is none.
pub(crate) fn rough(start: &State<'_>, given: Given<'_>, pace: &mut Pace<'_>) -> Option<Money> {
    anew(start, given, pace).into_iter().map(|made| made.cost).min()
}

/// Searches near a solution for one with fewer moves, each of which must save its price.
pub(crate) fn calm<'m>(start: State<'m>, given: Given<'_>, until: u32, pace: &mut Pace<'_>) -> State<'m> {
    let limits = Limits { moves: Some(start.moved), until };
    improve(start, given, limits, pace)
}
