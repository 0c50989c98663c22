//! Whether what a cycle found is worth it.

use kentroller_planner::{Money, Percent};

use crate::backend::Planned;
use crate::settings::{CycleMode, Settings};

/// Whether the plan reaches what is asked of one in this mode.
///
/// # Errors
/// Why not, with the figures.
pub(super) fn worth(settings: &Settings, mode: CycleMode, planned: &Planned) -> Result<(), String> {
    if let Some(saved) = planned.held_back {
        return Err(format!(
            "the best plan saves {saved} % net, savingsThresholdPercentage is {}",
            settings.savings_threshold
        ));
    }
    if let Some((_, why)) = &planned.nothing {
        return Err(why.clone());
    }
    let savings = &planned.savings;
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
        let (saved, least) = (savings.projected_savings_cost_monthly.as_deref(), settings.monthly_savings_threshold);
        if saved.and_then(Money::parse).is_none_or(|saved| saved.as_micros() < least.millionths()) {
            let saved = saved.unwrap_or("an unknown amount of");
            return Err(format!("the best plan saves {saved} USD a month, the least is {least}"));
        }
    }
    Ok(())
}

/// What the cluster costs.
pub(super) fn cost(planned: &Planned) -> String {
    planned.savings.current_cluster_hourly_cost.as_deref().map_or("unknown".to_owned(), |cost| format!("{cost} USD/h"))
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::settings::{Decimal, Settings as _};
    use serde_json::{Value, json};

    use super::*;

    fn planned(monthly: &str, cluster_percent: &str) -> Planned {
        let savings =
            json!({"projectedSavingsCostMonthly": monthly, "projectedClusterSavingsPercent": cluster_percent});
        let spec = json!({"nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []});
        let plan: Value = json!({"spec": spec, "seed": "", "id": "", "savings": savings, "savings_percent": 0, "held_back": null,
            "proposed": null, "removed": [], "kept": [], "warnings": [], "nothing": null});
        serde_json::from_value(plan).expect("a computed plan")
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
            let judged = worth(settings, mode, &planned(monthly, percent));
            assert_eq!(judged.is_ok(), wanted, "{mode:?} {monthly} {percent}: {judged:?}");
        }
    }
}
