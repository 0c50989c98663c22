//! The report for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write;

use kentroller_planner::Money;

use super::Report;
use super::document::Cost;
use super::width::{Width, folded, plain};

/// Waves shown without `wide`.
const SHOWN: usize = 12;

/// The report as text of a width; `wide` shows every wave and every node that stays.
pub fn table(report: &Report, wide: bool, width: Width) -> String {
    let mut out = head(report);
    if let Some(karpenter) = &report.karpenter {
        out.push('\n');
        out.push_str(&super::karpenter::table(report, karpenter, wide, width));
    }
    if !report.waves.is_empty() {
        out.push('\n');
        out.push_str(&waves(report, wide, width));
    }
    if !report.curve.is_empty() {
        let mut points = plain(&["pods moved", "USD/h", "waves"], width);
        for point in &report.curve {
            points.add_row([format!("<= {} %", point.moved_percent), point.hourly.clone(), point.waves.to_string()]);
        }
        let _ = write!(out, "\n{points}\n");
    }
    out.push('\n');
    out.push_str(&kept(report, wide, width));
    for advice in &report.advice {
        let (hourly, saves) = (&advice.hourly, &advice.saves_hourly);
        let _ = writeln!(out, "advice: {}: the plan then comes to {hourly} USD/h, {saves} less", advice.text);
    }
    if report.advice.iter().any(|advice| !advice.patches.is_empty()) {
        out.push_str("(-o patch prints advice as patches that can be applied)\n");
    }
    let shown = if wide { usize::MAX } else { 8 };
    for warning in report.snapshot.warnings.iter().take(shown) {
        let _ = writeln!(out, "warning: {warning}");
    }
    let hidden = report.snapshot.warnings.len().saturating_sub(shown);
    if hidden > 0 {
        let _ = writeln!(out, "and {hidden} more warnings (-o wide)");
    }
    folded(&out, width)
}

/// What the cluster costs, what it could cost, and how much is to be done for it.
fn head(report: &Report) -> String {
    let mut out = String::new();
    let cost = &report.cost;
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!(
        "{} nodes, {} pods (and {} of DaemonSets); prices: {}, {}, region {}",
        report.snapshot.nodes,
        report.snapshot.pods,
        report.snapshot.daemon_pods,
        report.catalog.source,
        if report.catalog.as_of.is_empty() { "undated" } else { &report.catalog.as_of },
        report.catalog.region
    ));
    line(String::new());
    line(format!("now         {:>12} USD/h   {:>14} USD/month", cost.before.hourly, cost.before.monthly));
    line(format!(
        "after       {:>12} USD/h   {:>14} USD/month   {}",
        cost.after.hourly,
        cost.after.monthly,
        cost.less()
    ));
    if let (Some(bound), Some(gap)) = (&cost.lower_bound, &cost.gap_percent) {
        line(format!(
            "no plan is below {:>7} USD/h: this one is at most {gap} % above the best possible",
            bound.hourly
        ));
    }
    match &report.nothing {
        Some(word) => line(format!("\nNothing to do: {word}.")),
        None => {
            let removed: usize = report.waves.iter().map(|wave| wave.remove.len()).sum();
            let added: usize = report.waves.iter().map(|wave| wave.add.len()).sum();
            line(format!(
                "\n{removed} nodes go, {added} come, {} pods move ({} %), in {} waves{}",
                report.moves.pods,
                report.moves.percent,
                report.waves.len(),
                overlap(cost)
            ));
            if let Some(cheapest) = &report.cheapest {
                line(format!(
                    "the cheapest plan found comes to {} USD/h and moves {} pods (--tolerance 0)",
                    cheapest.hourly, cheapest.moves
                ));
            }
        }
    }
    out
}

/// What running old and new nodes side by side costs, if it costs anything.
fn overlap(cost: &Cost) -> String {
    if cost.transition == Money::ZERO.hourly() {
        return String::new();
    }
    let payback = cost.payback_hours.as_ref().map_or(String::new(), |hours| format!(", paid back in {hours} h"));
    format!("; the overlap of old and new nodes costs {} USD once{payback}", cost.transition)
}

fn waves(report: &Report, wide: bool, width: Width) -> String {
    let mut table = plain(&["wave", "goes", "comes", "pods", "USD/h after", "saved a move"], width);
    let shown = if wide { report.waves.len() } else { SHOWN };
    for wave in report.waves.iter().take(shown) {
        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        for node in &wave.add {
            *types.entry(&node.instance_type).or_default() += 1;
        }
        let comes: Vec<String> = types.iter().map(|(name, count)| format!("{count} x {name}")).collect();
        let goes = match wave.remove.as_slice() {
            names if wide || names.len() <= 2 => names.join(" "),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            [] => String::new(),
        };
        table.add_row([
            wave.index.to_string(),
            goes,
            comes.join(", "),
            wave.moves.len().to_string(),
            wave.hourly_after.clone(),
            wave.saves_per_move.clone(),
        ]);
    }
    let mut text = format!("{table}\n");
    if report.waves.len() > shown {
        let _ = writeln!(text, "and {} more waves (-o wide)", report.waves.len() - shown);
    }
    text
}

fn kept(report: &Report, wide: bool, width: Width) -> String {
    if report.kept.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    if wide {
        let mut table = plain(&["stays", "reason", "detail", "would save"], width);
        for node in &report.kept {
            table.add_row([&node.node, &node.reason, &node.detail, &node.would_save_hourly]);
        }
        let _ = writeln!(out, "{table}");
        return out;
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &report.kept {
        *reasons.entry(&node.reason).or_default() += 1;
    }
    let told: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let _ = writeln!(out, "{} nodes stay: {} (--explain NODE, -o wide)", report.kept.len(), told.join(", "));
    out
}

#[cfg(test)]
mod tests {
    use kentroller_planner::manifest::{Node, ObjectName, marks};
    use kentroller_planner::{Catalog, Cheapest, Move, Plan, Snapshot, Wave};

    use super::*;
    use crate::report::Timing;

    fn node(name: &str, zone: &str) -> Node {
        serde_json::from_value(serde_json::json!({"metadata": {"name": name, "labels": {marks::ZONE: zone}}}))
            .expect("a node")
    }

    #[test]
    fn it_tells_what_a_move_saves_how_many_change_their_zone_and_which_plan_was_cheapest() {
        let step = |pod: &str, to: &str| Move {
            pod: ObjectName { namespace: "apps".into(), name: pod.into() },
            from: "a".into(),
            to: to.into(),
        };
        let wave = Wave {
            remove: vec!["a".into()],
            moves: vec![step("p", "near"), step("q", "far")],
            hourly_after: Money::micros(600_000),
            ..Wave::default()
        };
        let plan = Plan {
            cost_before: Money::micros(1_000_000),
            cost_after: Money::micros(600_000),
            workload_pods: 4,
            cheapest: Some(Cheapest { hourly: Money::micros(596_000), moves: 4 }),
            waves: vec![wave],
            ..Plan::default()
        };
        let snapshot =
            Snapshot { nodes: vec![node("a", "z1"), node("near", "z1"), node("far", "z2")], ..Snapshot::default() };
        let told = |plan: &Plan| {
            let report =
                Report::of(plan, &snapshot, &Catalog::embedded(), String::new(), Vec::new(), Timing::default());
            (table(&report, false, None), serde_json::to_value(&report).expect("JSON"))
        };
        let (text, json) = told(&plan);
        let row = text.lines().find(|line| line.trim_end().ends_with("0.2000")).expect("the wave");
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["1", "a", "2", "0.6000", "0.2000"]);
        assert!(text.contains("the cheapest plan found comes to 0.5960 USD/h and moves 4 pods"), "{text}");
        assert_eq!(json["cheapest"], serde_json::json!({"hourly": "0.5960", "moves": 4}));
        assert_eq!(json["moves"], serde_json::json!({"pods": 2, "percent": "50.0", "zoneChanges": 1}));
        let (text, json) = told(&Plan { cheapest: None, ..plan });
        assert!(!text.contains("cheapest") && json.get("cheapest").is_none(), "{text}");
    }
}
