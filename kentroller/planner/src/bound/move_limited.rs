//! What no plan that moves few pods can be below. It shows whether a curve of costs by moves could still be better.

use typed_index_collections::TiVec;

use super::bound;
use crate::model::build::model;
use crate::model::{ClassId, DIMS, NodeId, Vector, room};
use crate::solution::State;
use crate::value::{Catalog, InputError, Money, Options, Pace, Percent, Snapshot};

/// Bounds the cost of every plan that moves at most so many pods.
///
/// A relaxed LP of removals: free room has one price in each pool and dimension, and any pod that fits on one of the pool's
/// nodes may buy it. Any such prices give a bound. Good ones are found dimension by dimension.
///
/// # Errors
/// The same input errors as planning.
pub fn floor(snapshot: &Snapshot, catalog: &Catalog, moves: usize) -> Result<Money, InputError> {
    let model = model(snapshot, catalog, &Options::default())?;
    let state = State::of(&model, Percent::whole(0));
    let relaxed = Relaxed::of(&state, moves as f64);
    // No room is priced above the most that a pod pays for it elsewhere.
    let dims = model.dims.len();
    let most = |dim: usize| {
        let paid = model.classes.iter().zip(&relaxed.worth).filter(|(class, _)| class.request[dim] > 0);
        paid.map(|(class, worth)| worth / class.request[dim] as f64).fold(0.0, f64::max)
    };
    let mut rates = vec![[0.0; DIMS]; model.limits.len() + 1];
    let mut best = relaxed.value(&rates);
    let mut step = 0.5;
    while step > 0.01 {
        let before = best;
        for pool in 0..rates.len() {
            for (dim, by) in (0..dims).flat_map(|dim| [(dim, step), (dim, -step)]) {
                let was = rates[pool][dim];
                rates[pool][dim] = (was + by * most(dim)).max(0.0);
                let found = relaxed.value(&rates);
                if found > best {
                    best = found;
                } else {
                    rates[pool][dim] = was;
                }
            }
        }
        if best <= before * 1.0001 {
            step /= 2.0;
        }
    }
    Ok(Money::micros(best as i64))
}

struct Relaxed<'a, 'm> {
    state: &'a State<'m>,
    moves: f64,
    /// By class: what no new node undercuts.
    worth: TiVec<ClassId, f64>,
    /// By class: pools that have a node on which a pod fits now.
    fits: TiVec<ClassId, Vec<usize>>,
}

impl<'a, 'm> Relaxed<'a, 'm> {
    fn of(state: &'a State<'m>, moves: f64) -> Self {
        let mut endless = |_: u64| 0;
        let worth = bound(state, &mut Pace::of(&mut endless)).worth;
        let fits = worth.keys().map(|class| {
            // Broken spreads are left out, as later moves may allow what they forbid now.
            let fits = |node: &NodeId| {
                let (bin, signature) = (&state.bins[node.bin()], state.model.nodes[*node].signature);
                state.model.admits.get(state.model.classes[class].needs, signature)
                    && room(state.model, class, &bin.free, &bin.term_counts) > 0
            };
            let nodes = state.model.nodes.keys().filter(fits);
            let mut pools: Vec<usize> = nodes.map(|node| pool(state, node)).collect();
            pools.sort_unstable();
            pools.dedup();
            pools
        });
        Self { state, moves, worth, fits: fits.collect() }
    }

    /// The bound for some prices of room, by pool and dimension. The price of a move is the best one for them.
    fn value(&self, rates: &[[f64; DIMS]]) -> f64 {
        let (state, model) = (self.state, self.state.model);
        let cost = |pool: usize, of: &Vector| -> f64 {
            rates[pool].iter().zip(of).map(|(rate, amount)| rate * (*amount).max(0) as f64).sum()
        };
        let worth: TiVec<ClassId, f64> = model
            .classes
            .keys()
            .map(|class| {
                let costs = self.fits[class].iter().map(|pool| cost(*pool, &model.classes[class].request));
                costs.fold(self.worth[class], f64::min)
            })
            .collect();
        let mut sum = 0.0;
        // What each node that may go is worth beyond its price, and the pods that it moves.
        let mut nodes: Vec<(f64, f64)> = Vec::new();
        for node in model.nodes.keys() {
            let bin = &state.bins[node.bin()];
            let free = cost(pool(state, node), &bin.free);
            if !state.may_close(node.bin()) {
                sum += bin.price.as_f64() - free;
                continue;
            }
            let own: f64 = state.own[node].iter().map(|(class, count)| worth[*class] * *count as f64).sum();
            sum += own;
            nodes.push((own + free - bin.price.as_f64(), state.own_moves(node) as f64));
        }
        let total: f64 = nodes.iter().map(|(_, pods)| pods).sum();
        // The bound is concave in the price of a move, and straight between the prices at which a node begins to stay.
        nodes.sort_by(|a, b| (a.0 * b.1).total_cmp(&(b.0 * a.1)));
        let at = |price: f64| -> f64 {
            let stay: f64 = nodes.iter().map(|(gain, pods)| (gain + price * pods).max(0.0)).sum();
            sum - stay + price * (total - self.moves)
        };
        let mut left = self.moves;
        let last = nodes.iter().find(|(_, pods)| {
            left -= pods;
            left < 0.0
        });
        at(last.map_or(0.0, |(gain, pods)| (-gain / pods).max(0.0)))
    }
}

fn pool(state: &State<'_>, node: NodeId) -> usize {
    state.model.nodes[node].pool.unwrap_or(state.model.limits.len())
}
