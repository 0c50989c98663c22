//! Entropic ascent on the smoothed dual of the assignment LP.

use super::relax::{BinGroup, Relaxed, WIDE};
use crate::model::DIMS;
use crate::value::Pace;

/// By group and dimension: what a bin is worth that is full in that dimension. Unit: millionths of a US dollar an hour.
///
/// The prices of a group add up to what one of its bins costs. Where bins are limited they may add up to more.
pub(super) type Prices = Vec<[f64; WIDE]>;

/// Rounds of one climb when nothing else ends it.
const ROUNDS: usize = 500;

/// All groups are looked at once in so many rounds. In between only those that were cheap count.
const LOOK: usize = 8;

/// A group gets no pods when it costs more than the cheapest by so many times the heat.
const COLD: f64 = 12.0;

/// The best prices found.
pub(super) fn ascend(relaxed: &Relaxed, pace: &mut Pace<'_>) -> Prices {
    let mut ascent = Ascent::of(relaxed);
    ascent.climb(start(relaxed), ROUNDS, 0.0, pace);
    if relaxed.groups.iter().any(|group| group.count.is_some()) {
        // The price of limited room is known now. Two shorter climbs let all other prices settle around it.
        for from in [0.25, 0.5] {
            ascent.climb(ascent.best.clone(), ROUNDS / 2, from, pace);
        }
    }
    ascent.best
}

/// Where pods of a demand may go.
struct Reach {
    /// The dimensions that it asks for.
    dims: Vec<usize>,
    all: Places,
    /// Those that cost little more than the cheapest when all were last looked at.
    near: Places,
}

/// Groups, and what part of a bin one pod takes there.
#[derive(Default)]
struct Places {
    groups: Vec<usize>,
    /// As many for each group as there are dimensions.
    parts: Vec<f64>,
}

impl Places {
    fn each(&self, dims: usize) -> impl Iterator<Item = (usize, &[f64])> {
        self.groups.iter().copied().zip(self.parts.chunks_exact(dims))
    }

    /// What one pod costs in each group; the least of it.
    fn costs(&self, dims: &[usize], prices: &Prices, costs: &mut Vec<f64>) -> f64 {
        costs.clear();
        let mut least = f64::INFINITY;
        for (group, parts) in self.each(dims.len()) {
            let prices = &prices[group];
            let cost = dims.iter().zip(parts).map(|(dim, part)| prices[*dim] * part).sum();
            least = least.min(cost);
            costs.push(cost);
        }
        least
    }
}

impl Reach {
    /// Looks at all groups and notes which are near. `within`: how much more than the cheapest they may cost, as a part of it.
    fn look(&mut self, prices: &Prices, within: f64, costs: &mut Vec<f64>) {
        let most = self.all.costs(&self.dims, prices, costs) * (1.0 + within);
        self.near.groups.clear();
        self.near.parts.clear();
        for ((group, parts), cost) in self.all.each(self.dims.len()).zip(costs) {
            if *cost <= most {
                self.near.groups.push(group);
                self.near.parts.extend(parts);
            }
        }
    }
}

struct Ascent<'a> {
    relaxed: &'a Relaxed,
    /// By demand.
    reach: Vec<Reach>,
    best: Prices,
    best_value: f64,
}

impl<'a> Ascent<'a> {
    fn of(relaxed: &'a Relaxed) -> Self {
        let reach = relaxed.demands.iter().enumerate().map(|(at, demand)| {
            let dims: Vec<usize> = (0..relaxed.dims).filter(|dim| demand.request[*dim] > 0).collect();
            let fits = |group: &BinGroup| {
                group.admits[at] && dims.iter().all(|dim| demand.request[*dim] <= group.capacity[*dim])
            };
            let groups: Vec<usize> = (0..relaxed.groups.len()).filter(|group| fits(&relaxed.groups[*group])).collect();
            let part =
                |group: usize, dim: usize| demand.request[dim] as f64 / relaxed.groups[group].capacity[dim] as f64;
            let parts = groups.iter().flat_map(|group| dims.iter().map(|dim| part(*group, *dim))).collect();
            Reach { dims, all: Places { groups, parts }, near: Places::default() }
        });
        let reach = reach.collect();
        let mut ascent = Self { relaxed, reach, best: Vec::new(), best_value: f64::NEG_INFINITY };
        ascent.keep(&relaxed.groups.iter().map(|group| shared(group, group.price.as_f64())).collect());
        ascent
    }

    /// Entropic ascent, smoothed less and less.
    fn climb(&mut self, mut prices: Prices, rounds: usize, from: f64, pace: &mut Pace<'_>) {
        let groups = &self.relaxed.groups;
        let mut load = vec![[0.0f64; WIDE]; groups.len()];
        let mut costs: Vec<f64> = Vec::new();
        // The mean of feasible prices is feasible. Since the bound is concave, the mean is as good, and it swings less.
        let mut mean = prices.clone();
        for round in 0..rounds {
            if round % 16 == 0 && pace.used() >= 350 {
                break;
            }
            let progress = from + (1.0 - from) * round as f64 / rounds as f64;
            let smooth = 0.06 * (0.001f64 / 0.06).powf(progress);
            let speed = 0.5 * (0.02f64 / 0.5).powf(progress);
            if round % LOOK == 0 {
                // As far as groups get pods, and as far again, since prices change until the next look.
                self.reach.iter_mut().for_each(|reach| reach.look(&prices, 2.0 * COLD * smooth + speed, &mut costs));
            }
            load.fill([0.0; WIDE]);
            for (demand, reach) in self.relaxed.demands.iter().zip(&self.reach) {
                let least = reach.near.costs(&reach.dims, &prices, &mut costs);
                let heat = (least * smooth).max(1e-6);
                let mut total = 0.0;
                for cost in &mut costs {
                    let above = (*cost - least) / heat;
                    *cost = if above > COLD { 0.0 } else { (-above).exp() };
                    total += *cost;
                }
                for ((group, parts), weight) in reach.near.each(reach.dims.len()).zip(&costs) {
                    if *weight > 0.0 {
                        let amount = demand.count as f64 * weight / total;
                        for (dim, part) in reach.dims.iter().zip(parts) {
                            load[group][*dim] += amount * part;
                        }
                    }
                }
            }
            for ((group, load), prices) in groups.iter().zip(&load).zip(&mut prices) {
                // A wrong price of limited room costs the bound a lot. Its prices move slowly, as they would swing otherwise.
                step(group, load, prices, if group.count.is_some() { 0.2 * speed } else { speed });
            }
            let weight = (1.0 / (round + 1) as f64).max(0.04);
            for (mean, prices) in mean.iter_mut().zip(&prices) {
                for (mean, price) in mean.iter_mut().zip(prices) {
                    *mean += (*price - *mean) * weight;
                }
            }
            if round % 8 == 7 || round + 1 == rounds {
                self.keep(&prices);
                self.keep(&mean);
            }
        }
    }

    /// Keeps prices that give a higher bound than all before.
    fn keep(&mut self, prices: &Prices) {
        let mut value = 0.0;
        let mut costs = Vec::new();
        for (demand, reach) in self.relaxed.demands.iter().zip(&self.reach) {
            let least = reach.all.costs(&reach.dims, prices, &mut costs);
            if least.is_finite() {
                value += demand.count as f64 * least;
            }
        }
        for (group, prices) in self.relaxed.groups.iter().zip(prices) {
            if let Some(count) = group.count {
                value -= count as f64 * (prices.iter().sum::<f64>() - group.price.as_f64()).max(0.0);
            }
        }
        if value > self.best_value {
            self.best_value = value;
            self.best.clone_from(prices);
        }
    }
}

/// Moves a group's prices towards where it is wanted more than there is.
fn step(group: &BinGroup, load: &[f64; WIDE], prices: &mut [f64; WIDE], speed: f64) {
    let price = group.price.as_f64();
    if let Some(count) = group.count {
        for (price, load) in prices.iter_mut().zip(load) {
            *price *= (speed * (load / count as f64 - 1.0).clamp(-1.0, 2.0)).exp();
        }
        let total: f64 = prices.iter().sum();
        if total < price {
            prices.iter_mut().for_each(|one| *one *= price / total);
        }
        return;
    }
    let most = load.iter().copied().fold(0.0f64, f64::max);
    if most <= 1e-9 {
        return;
    }
    let mean: f64 = load.iter().zip(&*prices).map(|(load, one)| load * one / price).sum();
    let mut total = 0.0;
    for (dim, one) in prices.iter_mut().enumerate().filter(|(dim, _)| group.capacity[*dim] > 0) {
        *one = (*one * (speed * (load[dim] - mean) / most).exp()).max(1e-7 * price);
        total += *one;
    }
    prices.iter_mut().for_each(|one| *one *= price / total);
}

/// Spreads a worth over the dimensions of a group: most of it on cpu and memory. The climb soon finds what else is scarce.
fn shared(group: &BinGroup, worth: f64) -> [f64; WIDE] {
    let mut prices = [0.0; WIDE];
    for (dim, price) in prices.iter_mut().enumerate().filter(|(dim, _)| group.capacity[*dim] > 0) {
        *price = if dim < 2 { 1.0 } else { 0.1 };
    }
    let total: f64 = prices.iter().sum();
    prices.map(|price| price * worth / total.max(1e-9))
}

/// Where the climb begins. Room that is free or already paid for is worth half of what the market asks.
fn start(relaxed: &Relaxed) -> Prices {
    let mut rate = [0.0; DIMS];
    for (dim, rate) in rate.iter_mut().enumerate() {
        let asked = relaxed.groups.iter().filter(|group| group.count.is_none() && group.capacity[dim] > 0);
        let least = asked.map(|group| group.price.as_f64() / group.capacity[dim] as f64).fold(f64::INFINITY, f64::min);
        *rate = if least.is_finite() { least / 2.0 } else { 0.0 };
    }
    let of = |group: &BinGroup| {
        let worth: f64 =
            rate.iter().zip(&group.capacity).take(relaxed.dims).map(|(rate, room)| rate * *room as f64 / 2.0).sum();
        shared(group, if group.count.is_some() { worth.max(group.price.as_f64()) } else { group.price.as_f64() })
    };
    relaxed.groups.iter().map(of).collect()
}
