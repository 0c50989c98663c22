//! Whether what a cycle found is worth it.

use kentroller_planner::{Money, Percent};

use crate::backend::Planned;
use crate::settings::{CycleMode, Settings};

/// A plan that has not earned within so many hours what the overlap of old and new nodes costs is not begun: by night and by day
/// other nodes are the cheapest, and it would be undone before.
const PAYBACK_HOURS: i64 = 24;

/// What is to become of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A plan is made.
    Plan,
    /// The best plan that was found saves too little.
    TooLittle,
    /// No plan was found that saves anything.
    Nothing,
}

impl Verdict {
    /// As a label of a metric.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::TooLittle => "too-little",
            Self::Nothing => "nothing",
        }
    }
}

/// Whether the plan reaches what is asked of one in this mode.
///
/// # Errors
/// Why not, with the figures.
pub(super) fn worth(settings: &Settings, mode: CycleMode, planned: &Planned) -> Result<(), (Verdict, String)> {
    if let Some((_, why)) = planned.nothing.as_ref().filter(|_| planned.held_back.is_none()) {
        return Err((Verdict::Nothing, why.clone()));
    }
    reaches(settings, mode, planned).map_err(|why| (Verdict::TooLittle, why))
}

fn reaches(settings: &Settings, mode: CycleMode, planned: &Planned) -> Result<(), String> {
    if let Some(saved) = planned.held_back {
        return Err(format!(
            "the best plan saves {saved} % net, savingsThresholdPercentage is {}",
            settings.savings_threshold
        ));
    }
    let (savings, once) = (&planned.savings, planned.transition);
    let hourly = savings.projected_savings_cost_hourly.as_deref().and_then(Money::parse).unwrap_or_default();
    if hourly * PAYBACK_HOURS < once {
        return Err(format!(
            "the best plan saves {hourly} USD/h and costs {once} USD once, which it must earn within {PAYBACK_HOURS} hours"
        ));
    }
    if let Some(least) = settings.cluster_savings_threshold.filter(|_| mode == CycleMode::Full) {
        let saved = savings.projected_cluster_savings_percent.as_deref().and_then(Percent::parse);
        if saved.is_none_or(|saved| saved.parts() < least.millionths() / 100) {
            let saved = savings.projected_cluster_savings_percent.as_deref().unwrap_or("an unknown share");
            return Err(format!(
                "the best plan saves {saved} % of the cluster's cost, savingsThresholdPercent is {least}"
            ));
        }
    }
    if mode > CycleMode::DeleteEmpty {
        let (gross, least) = (savings.projected_savings_cost_monthly.as_deref(), settings.monthly_savings_threshold);
        let net = gross.and_then(Money::parse).map(|gross| gross - once);
        if net.is_none_or(|net| net.as_micros() < least.millionths()) {
            let saved = net.map_or("an unknown amount of".to_owned(), |net| net.to_string());
            return Err(format!("the best plan saves {saved} USD a month net, the least is {least}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::settings::{Decimal, Settings as _};
    use serde_json::json;

    use super::*;

    /// A plan that saves this much, and costs this much once.
    fn planned(monthly: &str, cluster_percent: &str, hourly: &str, once: &str) -> Planned {
        let savings = json!({"projectedSavingsCostMonthly": monthly, "projectedClusterSavingsPercent": cluster_percent,
            "projectedSavingsCostHourly": hourly});
        let savings = serde_json::from_value(savings).expect("savings");
        Planned { savings, transition: Money::parse(once).expect("an amount"), ..Planned::default() }
    }

    #[test]
    fn each_mode_has_its_thresholds_and_at_the_edge_they_are_reached() {
        let defaults = Settings::from_env(&|_| None).expect("the defaults are right");
        let of_cluster = Some(Decimal::from_millionths(5_000_000));
        let (plain, both) = (defaults.clone(), Settings { cluster_savings_threshold: of_cluster, ..defaults });
        let cases = [
            (&plain, CycleMode::Full, "50.00", "1.0", true),
            (&plain, CycleMode::Full, "49.99", "1.0", false),
            (&plain, CycleMode::DrainOnly, "49.99", "1.0", false),
            (&plain, CycleMode::DeleteEmpty, "0.01", "0.0", true),
            (&both, CycleMode::Full, "50.00", "5.0", true),
            (&both, CycleMode::Full, "50.00", "4.9", false),
            (&both, CycleMode::DrainOnly, "50.00", "4.9", true),
        ];
        for (settings, mode, monthly, percent, wanted) in cases {
            let judged = worth(settings, mode, &planned(monthly, percent, "1", "0"));
            assert_eq!(judged.is_ok(), wanted, "{mode:?} {monthly} {percent}: {judged:?}");
        }
    }

    #[test]
    fn what_a_plan_costs_once_counts_against_it_and_must_be_earned_within_a_day() {
        let settings = Settings::from_env(&|_| None).expect("the defaults are right");
        let cases = [
            ("52.00", "0.1", "2", true),
            ("52.00", "0.1", "2.01", false),
            ("730.00", "1", "24", true),
            ("730.00", "1", "24.01", false),
        ];
        for (monthly, hourly, once, wanted) in cases {
            let judged = worth(&settings, CycleMode::Full, &planned(monthly, "1.0", hourly, once));
            assert_eq!(judged.is_ok(), wanted, "{monthly} {hourly} {once}: {judged:?}");
        }
    }
}
