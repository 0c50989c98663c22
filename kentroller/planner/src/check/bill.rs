//! What a plan says that it costs, and what it costs.

use super::board::Board;
use super::prices::Prices;
use super::violation::{Fault, Faults};
use crate::value::{Money, Options, Plan};

/// Minutes for which the old and the new nodes of a wave run side by side.
const OVERLAP_PER_HOUR: i128 = 6;
/// Hours over which a saving must earn what the transition costs.
const HOURS: i128 = 30 * 24;

/// The running sums. Unit: millionths of a dollar an hour.
#[derive(Debug)]
pub(super) struct Bill {
    before: i128,
    change: i128,
    removed: i128,
    added: i128,
    /// Times ten minutes.
    overlap: i128,
    wave: (i128, i128),
}

impl Bill {
    /// Compares the stated cost before with the prices of the live nodes.
    pub(super) fn new(board: &Board<'_>, prices: &Prices<'_>, plan: &Plan, faults: &mut Faults) -> Self {
        let (mut sure, mut most, mut rounded) = (0, 0, 0);
        for host in &board.hosts {
            if let Some(price) = prices.of_live(host) {
                let amount = i128::from(price.amount.as_micros());
                // A plan may count nodes of others and nodes on their way out, or not.
                if host.pool().is_some() && !super::facts::is_deleting(host) {
                    sure += amount;
                }
                most += amount;
                rounded += i128::from(price.rounded);
            }
        }
        let before = i128::from(plan.cost_before.as_micros());
        if before < sure - rounded || before > most + rounded {
            faults.push((Fault::Sum, format!("cost.before is {before}e-6, the nodes cost {sure}e-6 to {most}e-6")));
        }
        Self { before, change: 0, removed: 0, added: 0, overlap: 0, wave: (0, 0) }
    }

    pub(super) const fn buy(&mut self, price: Money) {
        self.wave.0 += price.as_micros() as i128;
    }

    pub(super) const fn drop(&mut self, price: Money) {
        self.wave.1 += price.as_micros() as i128;
    }

    /// Closes a wave.
    pub(super) fn after_wave(&mut self, stated: Money, roll: bool) -> Faults {
        let (added, removed) = std::mem::take(&mut self.wave);
        self.added += added;
        self.removed += removed;
        self.change += added - removed;
        self.overlap += added.min(removed).max(0);
        let mut faults = Faults::new();
        let now = self.before + self.change;
        if i128::from(stated.as_micros()) != now {
            faults.push((Fault::Sum, format!("hourlyAfter is {}e-6, it adds up to {now}e-6", stated.as_micros())));
        }
        if now > self.before && !roll {
            faults.push((
                Fault::Dearer,
                format!("after it the cluster costs {now}e-6, before the plan {}e-6", self.before),
            ));
        }
        faults
    }

    /// Closes the plan.
    pub(super) fn after_all(&self, plan: &Plan, options: &Options, roll: bool) -> Faults {
        let mut faults = Faults::new();
        let (after, stated) = (self.before + self.change, i128::from(plan.cost_after.as_micros()));
        if stated != after {
            faults.push((Fault::Sum, format!("cost.after is {stated}e-6, it adds up to {after}e-6")));
        }
        if let Some(bound) = &plan.lower_bound
            && (i128::from(bound.hourly.as_micros()) > after || bound.hourly < Money::ZERO)
            && !roll
        {
            let text = format!("cost.lowerBound is {}e-6, yet the plan costs {after}e-6", bound.hourly.as_micros());
            faults.push((Fault::Bound, text));
        }
        if plan.transition < Money::ZERO {
            faults
                .push((Fault::Sum, format!("cost.transition is {}e-6: it is below zero", plan.transition.as_micros())));
        }
        if plan.waves.is_empty() || roll {
            return faults;
        }
        let least = self.overlap / OVERLAP_PER_HOUR;
        let transition = least.max(i128::from(plan.transition.as_micros()));
        let net = -self.change * HOURS - transition;
        match options.min_savings {
            None if net <= 0 => {
                let text = format!(
                    "it saves {}e-6 an hour, the transition costs {transition}e-6: nothing net in 30 days",
                    -self.change
                );
                faults.push((Fault::Savings, text));
            }
            Some(wanted) if net * 1_000_000 < i128::from(wanted.parts()) * self.removed * HOURS || net <= 0 => {
                let text = format!(
                    "it saves {}e-6 an hour of {}e-6 that is removed, the transition costs {transition}e-6; minSavings is {wanted} %",
                    -self.change, self.removed
                );
                faults.push((Fault::Savings, text));
            }
            _ => {}
        }
        faults
    }
}
