//! What no plan can be below, and what a pod of each class is worth.
//!
//! The assignment LP: classes over bins, fractions allowed. Its dual sets a price on each resource of each bin, so that a
//! bin filled to the brim is worth at most what it costs; a class is worth its cheapest bin. Any such prices give a bound.
//! They are found by entropic ascent on a smoothed dual, then judged in exact integers and rounded down: the search may be
//! inexact, the bound never is.
use std::collections::BTreeMap;

use crate::{
    Money,
    budget::Pace,
    cluster::{DIMS, Vector, add},
    state::State,
};

/// A bound with the prices behind it.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub hourly: Money,
    /// By class: millionths an hour that a pod is worth.
    pub worth: Vec<f64>,
}

/// Bins of one size, price and reach.
struct BinGroup {
    capacity: Vector,
    /// Millionths an hour; 0 for room on nodes that stay.
    price: i64,
    /// `None`: as many as wanted.
    count: Option<i64>,
    admits: Vec<bool>,
}

/// Pods that the bound cannot tell apart.
struct Demand {
    request: Vector,
    count: i64,
}

struct Relaxed {
    demands: Vec<Demand>,
    groups: Vec<BinGroup>,
    /// By class: its demand.
    of_class: Vec<Option<usize>>,
    /// Dimensions in use.
    dims: usize,
    /// What stays whatever happens costs, in millionths.
    fixed: i64,
}

/// Bits after the point of a resource price.
const FRACTION: u32 = 40;

/// Bounds what any plan must cost, and prices the classes.
pub(crate) fn bound(start: &State<'_>, pace: &mut Pace<'_>) -> Bound {
    let relaxed = relax(start);
    let shares = ascend(&relaxed, pace);
    let (hourly, worth) = exact(&relaxed, &shares);
    let worth = relaxed.of_class.iter().map(|demand| demand.map_or(0.0, |demand| worth[demand])).collect();
    Bound { hourly: Money::micros(hourly), worth }
}

/// What makes existing nodes one group: room (`None` where it is pooled), price and reach.
type Alike = (Option<Vector>, i64, Vec<bool>);

/// Leaves out zones, terms, limits and reserves: what is left is classes over bins.
fn relax(start: &State<'_>) -> Relaxed {
    let model = start.model;
    let mut fixed = 0;
    let mut wanted: BTreeMap<usize, i64> = BTreeMap::new();
    for (index, node) in model.nodes.iter().enumerate() {
        if node.held.is_some() {
            fixed += start.bins[index].price;
            continue;
        }
        for (class, count) in &start.own[index] {
            *wanted.entry(*class).or_default() += count;
        }
    }
    // Kinds of one pool, type and capacity type differ in zone only: one bin, at the lowest price.
    let mut merged: BTreeMap<(usize, &str, &crate::CapacityType), Vec<usize>> = BTreeMap::new();
    for (index, kind) in model.kinds.iter().enumerate() {
        merged.entry((kind.pool, &kind.instance_type, &kind.capacity_type)).or_default().push(index);
    }
    let merged: Vec<Vec<usize>> = merged.into_values().collect();
    // A class's reach: the merged kinds that may take it, and whether nodes of each signature may.
    let mut demands: Vec<Demand> = Vec::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut of_class: Vec<Option<usize>> = vec![None; model.classes.len()];
    let mut by_reach: BTreeMap<(Vector, Vec<bool>), usize> = BTreeMap::new();
    for (class, count) in wanted {
        let reach: Vec<bool> =
            merged.iter().map(|zones| zones.iter().any(|kind| start.kind_admits(*kind, class))).collect();
        let request = model.classes[class].request;
        let demand = *by_reach.entry((request, reach)).or_insert_with(|| {
            demands.push(Demand { request, count: 0 });
            members.push(Vec::new());
            demands.len() - 1
        });
        demands[demand].count += count;
        members[demand].push(class);
        of_class[class] = Some(demand);
    }
    let mut groups: Vec<BinGroup> = merged
        .iter()
        .map(|zones| {
            let cheapest = zones.iter().min_by_key(|kind| model.kinds[**kind].price).copied().unwrap_or_default();
            let kind = &model.kinds[cheapest];
            let mut capacity = kind.allocatable;
            add(&mut capacity, &kind.daemons, -1);
            BinGroup {
                capacity,
                price: kind.price.as_micros(),
                count: None,
                admits: members
                    .iter()
                    .map(|classes| {
                        classes.iter().any(|class| zones.iter().any(|kind| start.kind_admits(*kind, *class)))
                    })
                    .collect(),
            }
        })
        .filter(|group| group.admits.iter().any(|admits| *admits))
        .collect();
    let bought = groups.len();
    let mut reach_of: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
    let mut existing: BTreeMap<Alike, (Vector, i64)> = BTreeMap::new();
    for (index, node) in model.nodes.iter().enumerate() {
        if node.held.is_some() && !node.receives {
            continue;
        }
        let reach = reach_of
            .entry(node.signature)
            .or_insert_with(|| {
                let admits = |class: &usize| model.admits.get(model.classes[*class].needs, node.signature);
                members.iter().map(|classes| classes.iter().any(admits)).collect()
            })
            .clone();
        let mut room = node.allocatable;
        add(&mut room, &node.used, -1);
        if node.held.is_some() {
            // Room on nodes that stay is pooled: less exact, still a bound.
            let pooled = existing.entry((None, 0, reach)).or_insert(([0; DIMS], 1));
            for (sum, room) in pooled.0.iter_mut().zip(room) {
                *sum += room.max(0);
            }
            continue;
        }
        let mut reach = reach;
        for (class, count) in &start.own[index] {
            add(&mut room, &model.classes[*class].request, *count);
            // Its own pods may stay whatever it says to others: cordoned, tainted, relabelled.
            if let Some(demand) = of_class[*class] {
                reach[demand] = true;
            }
        }
        let price = start.bins[index].price;
        let beaten = groups[..bought].iter().any(|group| {
            group.price <= price
                && group.capacity.iter().zip(&room).all(|(new, old)| new >= old)
                && group.admits.iter().zip(&reach).all(|(new, old)| *new || !*old)
        });
        if !beaten {
            existing.entry((Some(room), price, reach)).or_insert((room, 0)).1 += 1;
        }
    }
    groups.extend(existing.into_iter().map(|((_, price, admits), (capacity, count))| BinGroup {
        capacity,
        price,
        count: Some(count),
        admits,
    }));
    Relaxed { demands, groups, of_class, dims: model.dims.len(), fixed }
}

/// Resource prices of each group as `scale x share / capacity`; the shares of a group add up to one.
#[derive(Clone, Debug)]
struct Shares {
    share: Vec<[f64; DIMS]>,
    /// What a full bin is worth, in millionths; the price itself for what can be bought at will.
    scale: Vec<f64>,
}

/// Rounds of one climb when nothing else ends it.
const ROUNDS: usize = 500;

fn ascend(relaxed: &Relaxed, pace: &mut Pace<'_>) -> Shares {
    let mut ascent = Ascent::of(relaxed);
    ascent.climb(ROUNDS, 0.0, true, pace);
    if ascent.tune() {
        // With limited room priced, the shares settle once more around it.
        for _ in 0..2 {
            for (scale, best) in ascent.start.scale.iter_mut().zip(&ascent.best.scale) {
                *scale = best.max(*scale / 100.0);
            }
            ascent.start.share.clone_from(&ascent.best.share);
            ascent.climb(ROUNDS / 2, 0.4, true, pace);
            ascent.tune();
        }
    }
    ascent.best
}

/// A pair that may meet: a group, and what one pod takes of each dimension of its bin.
type Pair = (usize, [f64; DIMS]);

struct Ascent<'a> {
    relaxed: &'a Relaxed,
    /// By demand.
    pairs: Vec<Vec<Pair>>,
    /// Where the first climb begins: like `best`, but limited room is never worth nothing.
    start: Shares,
    best: Shares,
    best_value: f64,
}

impl<'a> Ascent<'a> {
    fn of(relaxed: &'a Relaxed) -> Self {
        let dims = relaxed.dims;
        let groups = &relaxed.groups;
        let mut pairs: Vec<Vec<Pair>> = Vec::with_capacity(relaxed.demands.len());
        for (at, demand) in relaxed.demands.iter().enumerate() {
            let list = groups.iter().enumerate().filter(|(_, group)| group.admits[at]);
            let fitting = list.filter(|(_, group)| demand.request.iter().zip(&group.capacity).all(|(r, c)| r <= c));
            let part = |group: &BinGroup| {
                let mut part = [0.0; DIMS];
                for dim in (0..dims).filter(|dim| demand.request[*dim] > 0) {
                    part[dim] = demand.request[dim] as f64 / group.capacity[dim] as f64;
                }
                part
            };
            pairs.push(fitting.map(|(index, group)| (index, part(group))).collect());
        }
        let share = |group: &BinGroup| {
            let mut share = [0.0; DIMS];
            // Cpu and memory to begin with: what is scarce beyond them shows soon.
            for dim in (0..dims).filter(|dim| group.capacity[*dim] > 0) {
                share[dim] = if dim < 2 { 1.0 } else { 0.1 };
            }
            let total: f64 = share.iter().sum();
            share.map(|share| share / total.max(1e-9))
        };
        let mut shares = Shares {
            share: groups.iter().map(share).collect(),
            scale: groups.iter().map(|group| group.price as f64).collect(),
        };
        let best_value = value(relaxed, &pairs, &shares);
        let best = shares.clone();
        // Room that is free or already paid for is worth something: half of what the market asks, to begin with.
        let rate = market_rate(relaxed);
        for (index, group) in groups.iter().enumerate().filter(|(_, group)| group.count.is_some()) {
            let worth: f64 = (0..dims).map(|dim| group.capacity[dim] as f64 * rate[dim]).sum::<f64>() * 0.5;
            shares.scale[index] = worth.max(group.price as f64);
        }
        Self { relaxed, pairs, start: shares, best, best_value }
    }

    /// Entropic ascent on the dual, smoothed less and less.
    fn climb(&mut self, rounds: usize, from: f64, scales: bool, pace: &mut Pace<'_>) {
        let (relaxed, dims, groups) = (self.relaxed, self.relaxed.dims, &self.relaxed.groups);
        let mut shares = if scales { self.start.clone() } else { self.best.clone() };
        let mut load = vec![[0.0f64; DIMS]; groups.len()];
        let mut cost: Vec<f64> = Vec::new();
        for round in 0..rounds {
            if round % 16 == 0 && pace.used() >= 350 {
                break;
            }
            let progress = from + (1.0 - from) * round as f64 / rounds as f64;
            let smooth = 0.06 * (0.001f64 / 0.06).powf(progress);
            let pace = 0.5 * (0.02f64 / 0.5).powf(progress);
            load.fill([0.0; DIMS]);
            for (demand, pairs) in relaxed.demands.iter().zip(&self.pairs) {
                cost.clear();
                let mut least = f64::INFINITY;
                for (group, part) in pairs {
                    let c = shares.price(*group, part, dims);
                    least = least.min(c);
                    cost.push(c);
                }
                let heat = (least * smooth).max(1e-6);
                let mut total = 0.0;
                for c in &mut cost {
                    let above = (*c - least) / heat;
                    *c = if above > 12.0 { 0.0 } else { (-above).exp() };
                    total += *c;
                }
                for ((group, part), weight) in pairs.iter().zip(&cost) {
                    let amount = demand.count as f64 * weight / total;
                    if amount > 0.0 {
                        for (load, part) in load[*group][..dims].iter_mut().zip(part) {
                            *load += amount * part;
                        }
                    }
                }
            }
            for (index, group) in groups.iter().enumerate() {
                let most = load[index].iter().copied().fold(0.0f64, f64::max);
                if most <= 1e-9 {
                    continue;
                }
                let mean: f64 = load[index].iter().zip(&shares.share[index]).map(|(load, share)| load * share).sum();
                let mut total = 0.0;
                for dim in (0..dims).filter(|dim| group.capacity[*dim] > 0) {
                    let share = &mut shares.share[index][dim];
                    *share = (*share * (pace * (load[index][dim] - mean) / most).exp()).max(1e-7);
                    total += *share;
                }
                for share in &mut shares.share[index] {
                    *share /= total;
                }
                if let (Some(count), true) = (group.count, scales) {
                    // Wanted more than there is: worth more.
                    let wanted = (mean / count as f64 - 1.0).clamp(-1.0, 1.0);
                    shares.scale[index] = (shares.scale[index] * (pace * 0.5 * wanted).exp()).max(group.price as f64);
                }
            }
            if round % 8 == 7 || round + 1 == rounds {
                let now = value(relaxed, &self.pairs, &shares);
                if now > self.best_value {
                    self.best_value = now;
                    self.best = shares.clone();
                }
            }
        }
    }

    /// Prices limited room one group at a time, in which the bound is concave; whether there is any.
    fn tune(&mut self) -> bool {
        let groups = &self.relaxed.groups;
        let limited: Vec<usize> = (0..groups.len()).filter(|group| groups[*group].count.is_some()).take(24).collect();
        for group in &limited {
            let mut step = 2.0f64;
            while step > 1.002 {
                let now = self.best.scale[*group];
                let mut better = false;
                for trial in [now * step, now / step] {
                    self.best.scale[*group] = trial.max(groups[*group].price as f64);
                    let found = value(self.relaxed, &self.pairs, &self.best);
                    if found > self.best_value {
                        self.best_value = found;
                        better = true;
                        break;
                    }
                    self.best.scale[*group] = now;
                }
                if !better {
                    step = step.sqrt();
                }
            }
        }
        !limited.is_empty()
    }
}

impl Shares {
    /// What one pod costs in a bin of a group.
    fn price(&self, group: usize, part: &[f64; DIMS], dims: usize) -> f64 {
        self.scale[group] * part[..dims].iter().zip(&self.share[group]).map(|(part, share)| part * share).sum::<f64>()
    }
}

/// What a core, a byte and so on cost at the cheapest offering that is balanced: a start for the ascent.
fn market_rate(relaxed: &Relaxed) -> [f64; DIMS] {
    let mut rate = [0.0; DIMS];
    for (dim, rate) in rate.iter_mut().enumerate() {
        let asked = relaxed.groups.iter().filter(|group| group.count.is_none() && group.capacity[dim] > 0);
        let least = asked.map(|group| group.price as f64 / group.capacity[dim] as f64).fold(f64::INFINITY, f64::min);
        *rate = if least.is_finite() { least / 2.0 } else { 0.0 };
    }
    rate
}

fn value(relaxed: &Relaxed, pairs: &[Vec<Pair>], shares: &Shares) -> f64 {
    let mut sum = 0.0;
    for (demand, pairs) in relaxed.demands.iter().zip(pairs) {
        let prices = pairs.iter().map(|(group, part)| shares.price(*group, part, relaxed.dims));
        let least = prices.fold(f64::INFINITY, f64::min);
        if least.is_finite() {
            sum += demand.count as f64 * least;
        }
    }
    for (index, group) in relaxed.groups.iter().enumerate() {
        if let Some(count) = group.count {
            sum -= count as f64 * (shares.scale[index] - group.price as f64).max(0.0);
        }
    }
    sum
}

/// The bound of some resource prices in exact integers, rounded down; and what a pod of each demand is worth.
fn exact(relaxed: &Relaxed, shares: &Shares) -> (i64, Vec<f64>) {
    let mut prices: Vec<[i128; DIMS]> = Vec::with_capacity(relaxed.groups.len());
    let mut paid: i128 = 0;
    for (index, group) in relaxed.groups.iter().enumerate() {
        let one = (1u64 << FRACTION) as f64;
        let mut price = [0i128; DIMS];
        for (dim, price) in price.iter_mut().enumerate() {
            if group.capacity[dim] > 0 {
                let exact = shares.scale[index] * shares.share[index][dim] / group.capacity[dim] as f64 * one;
                *price = if exact.is_finite() && exact > 0.0 { exact as i128 } else { 0 };
            }
        }
        let full = |price: &[i128; DIMS]| -> i128 {
            price.iter().zip(&group.capacity).map(|(price, capacity)| price * i128::from((*capacity).max(0))).sum()
        };
        let limit = i128::from(group.price) << FRACTION;
        match group.count {
            None => {
                // Floating point may have rounded up by a hair; prices shrink until a full bin is worth no more than it costs.
                while full(&price) > limit {
                    for price in &mut price {
                        *price -= (*price >> 30) + i128::from(*price > 0);
                    }
                }
            }
            Some(count) => paid += i128::from(count) * (full(&price) - limit).max(0),
        }
        prices.push(price);
    }
    let mut total: i128 = -paid;
    let mut worth = Vec::with_capacity(relaxed.demands.len());
    for (at, demand) in relaxed.demands.iter().enumerate() {
        let fitting = relaxed.groups.iter().zip(&prices).filter(|(group, _)| {
            group.admits[at]
                && demand.request.iter().zip(&group.capacity).all(|(request, capacity)| request <= capacity)
        });
        let least = fitting
            .map(|(_, price)| {
                price.iter().zip(&demand.request).map(|(price, request)| price * i128::from(*request)).sum::<i128>()
            })
            .min()
            .unwrap_or(0);
        total += least * i128::from(demand.count);
        worth.push(least as f64 / (1u64 << FRACTION) as f64);
    }
    let bound = (total >> FRACTION).max(0);
    (relaxed.fixed + i64::try_from(bound).unwrap_or(0), worth)
}

#[cfg(test)]
mod tests {
    use microlp::{ComparisonOp, OptimizationDirection, Problem};

    use super::*;
    use crate::{Catalog, Options, generate, state::State};

    /// The assignment LP itself, solved by a solver that shares nothing with the ascent.
    fn solved(relaxed: &Relaxed) -> f64 {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let bins: Vec<_> = relaxed
            .groups
            .iter()
            .map(|group| {
                problem
                    .add_var(group.price as f64 / 1e6, (0.0, group.count.map_or(f64::INFINITY, |count| count as f64)))
            })
            .collect();
        let mut rows: Vec<Vec<Vec<(microlp::Variable, f64)>>> = vec![vec![Vec::new(); DIMS]; bins.len()];
        for (at, demand) in relaxed.demands.iter().enumerate() {
            let mut placed = Vec::new();
            for (index, group) in relaxed.groups.iter().enumerate() {
                if group.admits[at] && demand.request.iter().zip(&group.capacity).all(|(r, c)| r <= c) {
                    let amount = problem.add_var(0.0, (0.0, f64::INFINITY));
                    placed.push((amount, 1.0));
                    for dim in (0..DIMS).filter(|dim| demand.request[*dim] > 0) {
                        rows[index][dim].push((amount, demand.request[dim] as f64 / group.capacity[dim] as f64));
                    }
                }
            }
            problem.add_constraint(placed.as_slice(), ComparisonOp::Eq, demand.count as f64);
        }
        for (index, dims) in rows.into_iter().enumerate() {
            for mut row in dims.into_iter().filter(|row| !row.is_empty()) {
                row.push((bins[index], -1.0));
                problem.add_constraint(row.as_slice(), ComparisonOp::Le, 0.0);
            }
        }
        let outcome = problem.solve().expect("the LP has a solution");
        outcome.solution().expect("solved").objective() + relaxed.fixed as f64 / 1e6
    }

    #[test]
    fn the_bound_is_below_the_lp_and_close_to_it() {
        let catalog = Catalog::from_csv(include_str!("../catalog/ec2.csv"), "", "").expect("reads");
        for (seed, constrained) in [(1, false), (2, true), (3, true)] {
            let recipe = generate::Recipe { nodes: 60, seed, constrained, held: constrained };
            let snapshot = generate::generate(recipe, &catalog);
            let mut model = crate::build::build(&snapshot, &catalog, &Options::default()).expect("sound");
            crate::waiting::seat(&mut model);
            let start = State::of(&model, crate::Percent::whole(1));
            let relaxed = relax(&start);
            let began = std::time::Instant::now();
            let found = bound(&start, &mut Pace::of(&mut crate::Steps(1000))).hourly.as_micros() as f64 / 1e6;
            let took = began.elapsed();
            let lp = solved(&relaxed);
            eprintln!(
                "demands {} groups {} bound {found:.4} lp {lp:.4} ratio {:.5} ascent {took:?} lp {:?}",
                relaxed.demands.len(),
                relaxed.groups.len(),
                found / lp,
                began.elapsed() - took
            );
            assert!(found <= lp * (1.0 + 1e-9), "{found} is above {lp}");
            assert!(found >= lp * 0.99, "{found} is far below {lp}");
        }
    }
}
