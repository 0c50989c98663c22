//! The rules of Prometheus for the declared alerts, and the page with their runbooks.

use serde_json::{Value, json};

use crate::metrics::{AlertInfo, MetricInfo};

/// The groups of a PrometheusRule. `operator` stands before each name; `page` is where the runbooks are.
///
/// # Errors
/// Alerts over what nobody measures.
pub fn rules(
    operator: &str,
    prefix: &str,
    page: &str,
    alerts: &[AlertInfo],
    declared: &[MetricInfo],
) -> Result<Value, Vec<String>> {
    let mut wrong = Vec::new();
    let mut rules = Vec::new();
    for alert in alerts {
        match alert.expression(prefix, declared) {
            Ok(expr) => rules.push(rule(operator, page, alert, &expr)),
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() { Ok(json!([{"name": prefix, "rules": rules}])) } else { Err(wrong) }
}

fn rule(operator: &str, page: &str, alert: &AlertInfo, expr: &str) -> Value {
    let name = format!("{operator}{}", alert.name);
    let mut rule = json!({
        "alert": name, "expr": expr, "labels": {"severity": "warning"},
        "annotations": {
            "summary": alert.summary, "description": alert.meaning,
            "runbook": format!("{page}#{}", name.to_lowercase()),
        },
    });
    if !alert.lasts.is_empty() {
        rule["for"] = alert.lasts.into();
    }
    rule
}

/// The runbooks: a section for each alert.
///
/// # Errors
/// Alerts over what nobody measures.
pub fn page(operator: &str, prefix: &str, alerts: &[AlertInfo], declared: &[MetricInfo]) -> Result<String, String> {
    let mut page = String::from("# Alerts\n\nWhat each alert means, and what to do about it.\n");
    for alert in alerts {
        let expr = alert.expression(prefix, declared)?;
        let lasts = if alert.lasts.is_empty() { String::new() } else { format!(" for {}", alert.lasts) };
        page.push_str(&format!(
            "\n## {operator}{}\n\n{}. {}\n\nIt fires on `{expr}`{lasts}.\n\n",
            alert.name,
            alert.summary.replace("{{ $labels.", "`").replace(" }}", "`"),
            alert.meaning
        ));
        for (number, step) in (1..).zip(alert.steps) {
            page.push_str(&format!("{number}. {step}\n"));
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{ALERTS, MetricType};

    const SPARKS: MetricInfo =
        MetricInfo { name: "sparks", type_: MetricType::Counter, labels: &[], doc: "Sparks that flew", buckets: &[] };

    fn alert(expr: &'static str) -> AlertInfo {
        AlertInfo {
            name: "Fire",
            expr,
            lasts: "2m",
            summary: "It burns",
            meaning: "It is hot",
            steps: &["Run", "Call"],
        }
    }

    #[test]
    fn an_alert_is_a_rule_over_metrics_as_they_are_scraped_and_points_to_its_runbook() {
        let alerts = [alert("rate($sparks[5m]) > 1 and $workqueue_depth > 2")];
        let rules = rules("Hive", "hive", "docs/alerts.md", &alerts, &[SPARKS]).expect("rules");
        assert_eq!(
            rules[0]["rules"][0],
            json!({"alert": "HiveFire", "expr": "rate(hive_sparks_total[5m]) > 1 and hive_workqueue_depth > 2", "for": "2m",
                "labels": {"severity": "warning"},
                "annotations": {"summary": "It burns", "description": "It is hot", "runbook": "docs/alerts.md#hivefire"}})
        );
        let page = page("Hive", "hive", &alerts, &[SPARKS]).expect("a page");
        assert!(
            page.contains("\n## HiveFire\n\nIt burns. It is hot\n") && page.ends_with("1. Run\n2. Call\n"),
            "{page}"
        );
    }

    #[test]
    fn an_alert_over_what_nobody_measures_is_refused() {
        for (expr, told) in [
            ("$sparkz > 1", "alert Fire: nobody measures `sparkz`"),
            ("1 > 0", "alert Fire: its expression asks for no metric"),
        ] {
            assert_eq!(rules("Hive", "hive", "", &[alert(expr)], &[SPARKS]), Err(vec![told.to_owned()]));
            assert_eq!(page("Hive", "hive", &[alert(expr)], &[SPARKS]), Err(told.to_owned()));
        }
    }

    #[test]
    fn the_alerts_of_every_operator_are_over_its_engine_and_have_steps() {
        for alert in ALERTS {
            alert.expression("op", &[]).expect("its metrics are there");
            assert!(!alert.steps.is_empty() && !alert.meaning.is_empty(), "{}", alert.name);
        }
    }
}
