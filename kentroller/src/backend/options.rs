//! From a claim's spec to the planner's options.

use std::time::Duration;

use kentroller_planner::{CapacityType, EvictionRule, Options, Percent, Scope, SortBy};
use kentroller_runtime::settings::parse_duration;

use crate::api::{AggressiveModeConfig, CapacityChoice, ClaimMode, RebalancePlanClaimSpec, SortBy as Order};

/// The planner's options that a claim asks for, beside what settings say of every plan: `evictionConfig`, the tolerance of
/// a claim that names none, and whether a pod may be ended whose eviction is refused.
///
/// # Errors
/// A field that cannot be read, or holds a word that this version does not know.
pub(crate) fn options(
    spec: &RebalancePlanClaimSpec,
    eviction: &[EvictionRule],
    tolerance: Percent,
    may_force: bool,
) -> Result<Options, String> {
    check_durations(spec)?;
    // Of these rules only those that protect bind a claim.
    let eviction = eviction.to_vec();
    let tolerance = spec.tolerance_percent.map_or(tolerance, |percent| Percent::whole(i64::from(percent)));
    let mut options = Options { scope: scope(spec), eviction, tolerance, breaks_pdbs: false, ..Options::default() };
    if let Some(least) = spec.min_savings_percentage {
        options.roll = least == 0;
        options.min_savings = (least > 0).then(|| Percent::whole(i64::from(least)));
    }
    options.sort_by = match &spec.mode {
        None | Some(ClaimMode::CostBased) => None,
        Some(ClaimMode::AgeSort) => Some(SortBy::Age),
        Some(ClaimMode::Unknown(word)) => return Err(invalid("spec.mode", word, "CRB or AgeSort")),
    };
    if let Some(limits) = &spec.node_constraints {
        options.max_cpu = limits.max_cpu;
        options.max_nodes = limits.max_nodes.map(|most| usize::try_from(most).unwrap_or(0));
        options.min_age =
            Duration::from_secs(limits.min_age_seconds.and_then(|age| u64::try_from(age).ok()).unwrap_or(0));
        options.min_cluster_size = usize::try_from(limits.min_cluster_size.unwrap_or(0)).unwrap_or(0);
        options.capacity_type = match &limits.capacity_type {
            None | Some(CapacityChoice::Any) => None,
            Some(CapacityChoice::Spot) => Some(CapacityType::Spot),
            Some(CapacityChoice::OnDemand) => Some(CapacityType::OnDemand),
            Some(CapacityChoice::Unknown(word)) => {
                return Err(invalid("spec.nodeConstraints.capacityType", word, "Spot, OnDemand or Any"));
            }
        };
        options.sort_by = match &limits.sort_by {
            None => options.sort_by,
            Some(Order::NormalizedCpuPrice) => Some(SortBy::NormalizedCpuPrice),
            Some(Order::RequestedCpuPrice) => Some(SortBy::RequestedCpuPrice),
            Some(Order::LeastUtilized) => Some(SortBy::LeastUtilized),
            Some(Order::Age) => Some(SortBy::Age),
            Some(Order::Unknown(word)) => {
                let known = "NormalizedCpuPrice, RequestedCpuPrice, LeastUtilized or Age";
                return Err(invalid("spec.nodeConstraints.sortBy", word, known));
            }
        };
    }
    if let Some(config) = &spec.aggressive_mode_config {
        options.aggressive = config.lifted(may_force);
    }
    Ok(options)
}

/// Durations are texts: the CRD lets any through.
fn check_durations(spec: &RebalancePlanClaimSpec) -> Result<(), String> {
    let timeouts = spec.timeouts.as_ref();
    let durations = [
        ("timeouts.planGenerationTimeout", timeouts.and_then(|all| all.plan_generation_timeout.as_ref())),
        ("timeouts.rebalanceExecutionTimeout", timeouts.and_then(|all| all.rebalance_execution_timeout.as_ref())),
        ("uncordonAfter", spec.uncordon_after.as_ref()),
    ];
    let of_aggressive = spec.aggressive_mode_config.iter().flat_map(AggressiveModeConfig::durations);
    let of_aggressive = of_aggressive.map(|(field, text)| (format!("aggressiveModeConfig.{field}"), text));
    for (field, text) in durations.map(|(field, text)| (field.to_owned(), text)).into_iter().chain(of_aggressive) {
        if let Some(text) = text
            && parse_duration(text).is_none()
        {
            return Err(invalid(&format!("spec.{field}"), text, "a duration such as 30m or 1h"));
        }
    }
    Ok(())
}

/// An absent scope is the whole cluster; one that is there and names nothing matches nothing.
fn scope(spec: &RebalancePlanClaimSpec) -> Scope {
    match &spec.scope {
        None => Scope::All,
        Some(scope) => match &scope.node_selector {
            Some(selector) => Scope::Terms(selector.node_selector_terms.iter().map(Into::into).collect()),
            None => Scope::Nodes(scope.node_names.iter().cloned().collect()),
        },
    }
}

fn invalid(field: &str, value: &str, expected: &str) -> String {
    format!("{field} {value:?} is not {expected}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: serde_json::Value) -> Result<Options, String> {
        options(&serde_json::from_value(spec).expect("a spec"), &[], Percent::whole(1), false)
    }

    #[test]
    fn an_absent_scope_is_all_and_an_empty_one_is_nothing() {
        let scope = |spec| read(spec).expect("options").scope;
        assert_eq!(scope(json!({})), Scope::All);
        assert_eq!(scope(json!({"scope": {}})), Scope::Nodes([].into()));
        assert_eq!(scope(json!({"scope": {"nodeNames": []}})), Scope::Nodes([].into()));
        assert_eq!(scope(json!({"scope": {"nodeNames": ["a"]}})), Scope::Nodes(["a".to_owned()].into()));
        assert_eq!(scope(json!({"scope": {"nodeSelector": {"nodeSelectorTerms": []}}})), Scope::Terms(vec![]));
    }

    #[test]
    fn no_threshold_is_any_saving_and_zero_is_a_roll() {
        let savings = |spec| read(spec).map(|options| (options.roll, options.min_savings)).expect("options");
        assert_eq!(savings(json!({})), (false, None));
        assert_eq!(savings(json!({"minSavingsPercentage": 0})), (true, None));
        assert_eq!(savings(json!({"minSavingsPercentage": 15})), (false, Some(Percent::whole(15))));
    }

    #[test]
    fn what_a_claim_tolerates_goes_before_what_the_settings_do() {
        let tolerance = |spec| read(spec).expect("options").tolerance;
        assert_eq!(tolerance(json!({})), Percent::whole(1));
        assert_eq!(tolerance(json!({"tolerancePercent": 0})), Percent::whole(0));
        assert_eq!(tolerance(json!({"tolerancePercent": 5})), Percent::whole(5));
    }

    #[test]
    fn the_oldest_go_first_in_mode_age_sort_unless_an_order_is_asked_for() {
        let sort = |spec| read(spec).expect("options").sort_by;
        assert_eq!(sort(json!({})), None);
        assert_eq!(sort(json!({"mode": "CRB"})), None);
        assert_eq!(sort(json!({"mode": "AgeSort"})), Some(SortBy::Age));
        assert_eq!(sort(json!({"mode": "AgeSort", "nodeConstraints": {"maxNodes": 3}})), Some(SortBy::Age));
        let both = json!({"mode": "AgeSort", "nodeConstraints": {"sortBy": "LeastUtilized"}});
        assert_eq!(sort(both), Some(SortBy::LeastUtilized));
    }

    #[test]
    fn a_word_or_duration_that_cannot_be_read_is_named_with_its_field() {
        let mistake = |spec| read(spec).expect_err("a mistake");
        let sort = mistake(json!({"nodeConstraints": {"sortBy": "Luck"}}));
        assert!(sort.starts_with("spec.nodeConstraints.sortBy \"Luck\" is not"), "{sort}");
        let time = mistake(json!({"timeouts": {"planGenerationTimeout": "soon"}}));
        assert!(time.starts_with("spec.timeouts.planGenerationTimeout \"soon\" is not a duration"), "{time}");
    }
}
