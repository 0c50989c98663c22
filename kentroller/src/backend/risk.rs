//! How likely spot machines are to be taken away soon: a pure function of what the cluster itself has seen.
//!
//! The risk of a machine falls with its age, as a Weibull distribution has it whose shape was read off public traces; its height is what
//! was lost in its pool (one instance type in one zone), with a prior worth two losses. That tells pools apart and is never enough to act
//! on: in a calm fleet no public sign gives an alarm half an hour ahead. What gives alarms is a machine lost in the same pool a few
//! minutes ago, and the provider's own recommendation. Spot prices are left out: since the market of bids ended they tell next to nothing.

use std::collections::BTreeMap;
use std::time::Duration;

/// Within this time the machine is expected to go.
const HORIZON: f64 = 0.5;
/// The shape of the risk over age, in hours.
const SHAPE: f64 = 0.6;
/// Younger machines count as so old, in hours.
const LEAST_AGE: f64 = 0.05;
/// The prior: so many losses, at the rate at which a tenth of all machines is lost in a month.
const PRIOR: f64 = 2.0;
const MONTHLY_LOSS: f64 = 0.1;
const MONTH: f64 = 730.0;
/// A loss counts half after so many hours; what a machine has stood longer ago says nothing of its pool now.
const HALF_LIFE: f64 = 24.0;
/// How long a loss warns the others of its pool: of losses in one pool nine in ten come within three minutes of each other.
const WAVE: Duration = Duration::from_secs(10 * 60);
/// What is at least expected of a machine in whose pool another one was just lost.
const IN_A_WAVE: f64 = 0.5;
/// How long a pool without capacity counts as a sign.
const SHORTAGE: Duration = Duration::from_secs(10 * 60);
/// How much it raises the risk.
const IN_A_SHORTAGE: f64 = 2.0;
/// How long the provider's recommendation stands.
const RECOMMENDATION: Duration = Duration::from_secs(20 * 60);
/// What is at least expected of a machine that the provider recommends to leave.
const RECOMMENDED: f64 = 0.8;

/// An instance type in a zone: machines of one pool are lost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pool<'a> {
    pub(super) instance_type: &'a str,
    pub(super) zone: &'a str,
}

/// A spot machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine<'a> {
    pub(super) pool: Pool<'a>,
    pub(super) age: Duration,
    /// How long ago the provider recommended to leave it.
    pub(super) recommended: Option<Duration>,
}

/// What happened in a pool, and how long ago.
#[derive(Clone, Copy, Debug)]
pub(super) struct Happened<'a> {
    pub(super) pool: Pool<'a>,
    pub(super) ago: Duration,
}

/// The probability that the machine is taken away within half an hour, and why it is more than its age says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chance {
    pub(super) probability: f64,
    pub(super) why: Vec<String>,
}

/// For each machine, in their order.
pub(super) fn chances(machines: &[Machine<'_>], lost: &[Happened<'_>], short: &[Happened<'_>]) -> Vec<Chance> {
    let rates = rates(machines, lost);
    let latest = |all: &[Happened<'_>], pool: Pool<'_>, within: Duration| {
        all.iter().filter(|one| one.pool == pool && one.ago <= within).map(|one| one.ago).min()
    };
    let of = |machine: &Machine<'_>| {
        let pool = machine.pool;
        let from = hours(machine.age).max(LEAST_AGE);
        let mut expected = rates[&pool] * ((from + HORIZON).powf(SHAPE) - from.powf(SHAPE));
        let mut why = Vec::new();
        if let Some(ago) = latest(short, pool, SHORTAGE) {
            expected *= IN_A_SHORTAGE;
            why.push(format!("{} could not be had in {} {} ago", pool.instance_type, pool.zone, told(ago)));
        }
        let mut probability = 1.0 - (-expected).exp();
        if let Some(ago) = latest(lost, pool, WAVE) {
            probability = probability.max(IN_A_WAVE);
            why.push(format!("another {} was taken away in {} {} ago", pool.instance_type, pool.zone, told(ago)));
        }
        if let Some(ago) = machine.recommended.filter(|ago| *ago <= RECOMMENDATION) {
            probability = probability.max(RECOMMENDED);
            why.push(format!("the provider recommended {} ago to leave it", told(ago)));
        }
        Chance { probability, why }
    };
    machines.iter().map(of).collect()
}

/// How fast machines of each pool are lost: losses over what the machines there have stood, each with the prior.
fn rates<'a>(machines: &[Machine<'a>], lost: &[Happened<'_>]) -> BTreeMap<Pool<'a>, f64> {
    let usual = -(1.0 - MONTHLY_LOSS).ln() / MONTH.powf(SHAPE);
    let mut stood: BTreeMap<Pool<'a>, f64> = BTreeMap::new();
    for machine in machines {
        let age = hours(machine.age);
        *stood.entry(machine.pool).or_default() += age.powf(SHAPE) - (age - HALF_LIFE).max(0.0).powf(SHAPE);
    }
    let rate = |(pool, stood): (Pool<'a>, f64)| {
        let losses = lost.iter().filter(|one| one.pool == pool);
        let losses: f64 = losses.map(|one| 0.5_f64.powf(hours(one.ago) / HALF_LIFE)).sum();
        (pool, (PRIOR + losses) / (PRIOR / usual + stood))
    };
    stood.into_iter().map(rate).collect()
}

fn hours(span: Duration) -> f64 {
    span.as_secs_f64() / 3600.0
}

/// In whole minutes, for people.
fn told(ago: Duration) -> String {
    format!("{} min", ago.as_secs() / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Pool<'static> = Pool { instance_type: "m5.large", zone: "a" };
    const B: Pool<'static> = Pool { instance_type: "m5.large", zone: "b" };

    const fn minutes(many: u64) -> Duration {
        Duration::from_secs(many * 60)
    }

    fn machine(pool: Pool<'static>, age: Duration) -> Machine<'static> {
        Machine { pool, age, recommended: None }
    }

    fn happened(pool: Pool<'static>, many: u64) -> Happened<'static> {
        Happened { pool, ago: minutes(many) }
    }

    /// Of one machine of pool A that is a day old, in percent.
    fn percent(lost: &[Happened<'_>], short: &[Happened<'_>]) -> f64 {
        chances(&[machine(A, minutes(1440))], lost, short)[0].probability * 100.0
    }

    #[test]
    fn a_calm_pool_is_told_by_the_closed_form_of_its_prior_and_never_alarms() {
        let usual = -0.9_f64.ln() / 730.0_f64.powf(0.6);
        let rate = 2.0 / (2.0 / usual + 24.0_f64.powf(0.6));
        let wanted = 1.0 - (-rate * (24.5_f64.powf(0.6) - 24.0_f64.powf(0.6))).exp();
        assert!((percent(&[], &[]) - wanted * 100.0).abs() < 1e-9);
        for age in [0, 1, 3, 60, 1440, 100_000] {
            let of = chances(&[machine(A, minutes(age))], &[], &[]);
            assert!(of[0].probability < 0.01 && of[0].why.is_empty(), "{age}: {of:?}");
        }
    }

    #[test]
    fn the_risk_falls_with_age_and_rises_with_losses_that_fade() {
        let by_age: Vec<f64> =
            [3, 60, 600, 6000].map(|age| chances(&[machine(A, minutes(age))], &[], &[])[0].probability).to_vec();
        assert!(by_age.is_sorted_by(|younger, older| younger > older), "{by_age:?}");
        let (none, old, new) =
            (percent(&[], &[]), percent(&[happened(A, 4320)], &[]), percent(&[happened(A, 30)], &[]));
        assert!(none < old && old < new && new < 1.0, "{none} {old} {new}");
        assert!((percent(&[happened(B, 30)], &[]) - none).abs() < 1e-12, "another pool");
        assert!(percent(&[], &[happened(A, 9)]) > none * 1.9);
        assert!((percent(&[], &[happened(A, 11)]) - none).abs() < 1e-12);
    }

    #[test]
    fn a_loss_in_the_same_pool_warns_for_ten_minutes_and_a_recommendation_for_twenty() {
        for (ago, warns) in [(0, true), (10, true), (11, false)] {
            assert_eq!(percent(&[happened(A, ago)], &[]) >= 50.0, warns, "{ago}");
            assert!(percent(&[happened(B, ago)], &[]) < 1.0, "{ago}");
        }
        for (ago, warns) in [(0, true), (20, true), (21, false)] {
            let told = Machine { recommended: Some(minutes(ago)), ..machine(A, minutes(1440)) };
            let of = chances(&[told, machine(A, minutes(1440))], &[], &[]);
            assert_eq!(of[0].probability >= 0.8, warns, "{ago}");
            assert_eq!(of[0].why.len(), usize::from(warns));
            assert!(of[1].probability < 0.01, "it is of one machine alone");
        }
    }
}
