//! What no plan can be below, and what a pod of each class is worth.
//!
//! The assignment LP puts classes into bins, fractions allowed. Its dual sets a price on each resource of each bin. A full
//! bin is worth at most what it costs. A pod is worth what it costs in its cheapest bin. Any prices of this sort give a
//! bound. They are found by entropic ascent on a smoothed dual, in floating point. The bound is then computed from them in
//! exact integers and rounded down. So the prices may be inexact, and the bound still holds.

mod ascent;
#[cfg(any(test, feature = "generate"))]
pub mod move_limited;
mod relax;

use typed_index_collections::TiVec;

use self::ascent::{Prices, ascend};
use self::relax::{Relaxed, WIDE, relax};
use crate::model::ClassId;
use crate::solution::State;
use crate::value::{Money, Pace};

/// A bound with the prices behind it.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub hourly: Money,
    /// By class: what a pod is worth. Unit: millionths of a US dollar an hour, with fractions.
    pub worth: TiVec<ClassId, f64>,
}

/// Bits after the point of a resource price.
const FRACTION: u32 = 40;

/// Bounds what any plan must cost, and prices the classes.
pub(crate) fn bound(start: &State<'_>, pace: &mut Pace<'_>) -> Bound {
    let relaxed = relax(start);
    let prices = ascend(&relaxed, pace);
    let (hourly, worth) = exact(&relaxed, &prices);
    let worth = relaxed.of_class.iter().map(|demand| demand.map_or(0.0, |demand| worth[demand])).collect();
    Bound { hourly, worth }
}

/// The bound of some resource prices in exact integers, rounded down; and what a pod of each demand is worth.
fn exact(relaxed: &Relaxed, found: &Prices) -> (Money, Vec<f64>) {
    let mut prices: Vec<[i128; WIDE]> = Vec::with_capacity(relaxed.groups.len());
    let mut paid: i128 = 0;
    for (index, group) in relaxed.groups.iter().enumerate() {
        let one = (1u64 << FRACTION) as f64;
        let mut price = [0i128; WIDE];
        for (dim, price) in price.iter_mut().enumerate() {
            if group.capacity[dim] > 0 {
                let exact = found[index][dim] / group.capacity[dim] as f64 * one;
                *price = if exact.is_finite() && exact > 0.0 { exact as i128 } else { 0 };
            }
        }
        let full = |price: &[i128; WIDE]| -> i128 {
            price.iter().zip(&group.capacity).map(|(price, capacity)| price * i128::from((*capacity).max(0))).sum()
        };
        let limit = i128::from(group.price.as_micros()) << FRACTION;
        match group.count {
            None => {
                // Floating point may have rounded up a little. Prices shrink until a full bin is worth no more than it costs.
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
    (relaxed.fixed + Money::micros(i64::try_from(bound).unwrap_or(0)), worth)
}

#[cfg(test)]
mod tests {
    use microlp::{ComparisonOp, OptimizationDirection, Problem};

    use super::*;
    use crate::generate;
    use crate::solution::State;
    use crate::value::{Catalog, Options};

    /// The assignment LP itself, solved by a solver that shares nothing with the ascent.
    fn solved(relaxed: &Relaxed) -> f64 {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let bins: Vec<_> = relaxed
            .groups
            .iter()
            .map(|group| {
                problem
                    .add_var(group.price.as_f64() / 1e6, (0.0, group.count.map_or(f64::INFINITY, |count| count as f64)))
            })
            .collect();
        let mut rows: Vec<Vec<Vec<(microlp::Variable, f64)>>> = vec![vec![Vec::new(); WIDE]; bins.len()];
        for (at, demand) in relaxed.demands.iter().enumerate() {
            let mut placed = Vec::new();
            for (index, group) in relaxed.groups.iter().enumerate() {
                if group.admits[at] && demand.request.iter().zip(&group.capacity).all(|(r, c)| r <= c) {
                    let amount = problem.add_var(0.0, (0.0, f64::INFINITY));
                    placed.push((amount, 1.0));
                    for dim in (0..WIDE).filter(|dim| demand.request[*dim] > 0) {
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
        outcome.solution().expect("solved").objective() + relaxed.fixed.as_f64() / 1e6
    }

    /// Large pods that ask mostly for memory, few of each kind, and nodes of three ratios of cpu to memory.
    fn short_of_memory() -> Relaxed {
        let wide = |milli_cpu: i64, mib: i64, pods: i64| {
            let mut wide = [0; WIDE];
            wide[..3].copy_from_slice(&[milli_cpu, mib << 20, pods]);
            wide
        };
        let demands = (1..=60i64).map(|one| relax::Demand {
            request: wide(50 + one * 37 % 900, 600 + one * 991 % 30_000, 1),
            count: 1 + one % 9,
        });
        let demands: Vec<relax::Demand> = demands.collect();
        let group = |vcpu: i64, mib: i64, price: i64, count| relax::BinGroup {
            capacity: wide(vcpu * 990, mib, 110),
            price: Money::micros(price),
            count,
            admits: vec![true; demands.len()],
        };
        let sizes = [2, 4, 8, 16, 32, 48];
        let families = [(2, 38_250), (4, 43_200), (8, 56_700)];
        let sold = families
            .iter()
            .flat_map(|(gib, price)| sizes.map(|vcpu| group(vcpu, vcpu * gib * 940, vcpu * price, None)));
        let there = families
            .iter()
            .flat_map(|(gib, price)| sizes.map(|vcpu| group(vcpu, vcpu * gib * 950, vcpu * price, Some(2 + vcpu % 3))));
        let groups: Vec<relax::BinGroup> = sold.chain(there).collect();
        Relaxed { groups, of_class: TiVec::new(), dims: 3, fixed: Money::ZERO, demands }
    }

    #[test]
    fn the_bound_is_close_to_the_lp_where_one_resource_alone_is_short() {
        let relaxed = short_of_memory();
        let prices = ascend(&relaxed, &mut Pace::of(&mut crate::value::Steps(1000)));
        let (found, lp) = (exact(&relaxed, &prices).0.as_f64() / 1e6, solved(&relaxed));
        assert!(found <= lp * (1.0 + 1e-9), "{found} is above {lp}");
        assert!(found >= lp * 0.999, "{found} is far below {lp}");
    }

    #[test]
    fn the_bound_is_below_the_lp_and_close_to_it() {
        let catalog = Catalog::from_csv(include_str!("../../catalog/ec2.csv"), "", "").expect("reads");
        for (seed, constrained) in [(1, false), (2, true), (3, true)] {
            let recipe = generate::Recipe { nodes: 60, seed, constrained, held: constrained };
            let snapshot = generate::generate(recipe, &catalog);
            let model = crate::model::build::model(&snapshot, &catalog, &Options::default()).expect("sound");
            let start = State::of(&model, crate::value::Percent::whole(1));
            let relaxed = relax(&start);
            let found = bound(&start, &mut Pace::of(&mut crate::value::Steps(1000))).hourly.as_f64() / 1e6;
            let lp = solved(&relaxed);
            assert!(found <= lp * (1.0 + 1e-9), "{found} is above {lp}");
            assert!(found >= lp * 0.998, "{found} is far below {lp}");
        }
    }
}
