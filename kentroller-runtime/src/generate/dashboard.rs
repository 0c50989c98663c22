//! A Grafana dashboard with a panel for every metric that is declared.

use serde_json::{Value, json};

use crate::declaration::Declaration;
use crate::metrics::{self, MetricInfo, MetricType};

/// The dashboard of an operator whose metrics have this prefix: what the engine counts, then what controllers count.
pub fn dashboard(title: &str, prefix: &str, declarations: &[Declaration]) -> Value {
    let declared = declarations.iter().flat_map(|declaration| declaration.metrics);
    let panels: Vec<Value> =
        metrics::ALL.iter().chain(declared).enumerate().map(|(place, metric)| panel(place, prefix, metric)).collect();
    json!({
        "title": title, "uid": prefix, "schemaVersion": 39, "tags": [prefix], "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": panels,
    })
}

/// Two in a row.
fn panel(place: usize, prefix: &str, metric: &MetricInfo) -> Value {
    let name = format!("{prefix}_{}", metric.name);
    let legend: Vec<String> = metric.labels.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    let legend = legend.join(" ");
    let by = metric.labels.join(", ");
    let targets = match metric.type_ {
        MetricType::Counter => vec![target("A", &format!("sum by ({by}) (rate({name}_total[5m]))"), &legend)],
        // Each replica counts for itself; the one that leads has the largest.
        MetricType::Gauge => vec![target("A", &format!("max by ({by}) ({name})"), &legend)],
        MetricType::Histogram => [("A", "0.5"), ("B", "0.99")]
            .map(|(id, share)| {
                let by = ["le"].iter().chain(metric.labels).copied().collect::<Vec<_>>().join(", ");
                let text = format!("histogram_quantile({share}, sum by ({by}) (rate({name}_bucket[5m])))");
                target(id, &text, format!("{share} {legend}").trim())
            })
            .to_vec(),
    };
    let unit = match metric.type_ {
        MetricType::Counter => "cps",
        _ if metric.name.ends_with("_seconds") => "s",
        _ => "short",
    };
    json!({
        "id": place + 1, "type": "timeseries", "title": metric.name, "description": metric.doc,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": 8, "w": 12, "x": place % 2 * 12, "y": place / 2 * 8},
        "fieldConfig": {"defaults": {"unit": unit}}, "targets": targets,
    })
}

fn target(id: &str, text: &str, legend: &str) -> Value {
    json!({"refId": id, "expr": text, "legendFormat": legend})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_panel_that_asks_for_its_series() {
        let board = dashboard("Operator", "op", &[]);
        let panels = board["panels"].as_array().expect("panels");
        assert_eq!(panels.len(), metrics::ALL.len());
        let asked = |name: &str| {
            let panel = panels.iter().find(|panel| panel["title"] == name).expect(name);
            panel["targets"].as_array().expect("targets").iter().map(|one| one["expr"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            asked("controller_runtime_reconcile"),
            ["sum by (controller, result) (rate(op_controller_runtime_reconcile_total[5m]))"]
        );
        assert_eq!(
            asked("controller_runtime_reconcile_time_seconds")[1],
            "histogram_quantile(0.99, sum by (le, controller) (rate(op_controller_runtime_reconcile_time_seconds_bucket[5m])))"
        );
        assert_eq!(asked("watch_age_seconds"), ["max by (kind) (op_watch_age_seconds)"]);
        assert_eq!(panels[0]["targets"][0]["legendFormat"], "{{controller}} {{result}}");
    }
}
