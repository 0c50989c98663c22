//! All that a report says about one node.

use std::fmt::Write;

use super::Report;

/// Why a node stays, or where its pods go.
pub fn explain(report: &Report, node: &str) -> String {
    let mut out = String::new();
    if let Some(kept) = report.kept.iter().find(|kept| kept.node == node) {
        let _ = writeln!(out, "{node} stays: {}", kept.reason);
        let _ = writeln!(out, "  {}", kept.detail);
        for blocker in &kept.blockers {
            let _ = writeln!(out, "  {} holds it: {}", blocker.pod, blocker.rule);
        }
        if !kept.would_save_hourly.starts_with("0.0000") {
            let _ = writeln!(
                out,
                "  without it the bill would be {} USD/h lower, before its pods find another place",
                kept.would_save_hourly
            );
        }
        for wave in &report.waves {
            for step in wave.moves.iter().filter(|step| step.to == node) {
                let _ = writeln!(out, "  wave {}: takes {} from {}", wave.index, step.pod, step.from);
            }
        }
    } else if let Some(wave) = report.waves.iter().find(|wave| wave.remove.iter().any(|name| name == node)) {
        let _ = writeln!(out, "{node} goes in wave {}: {}", wave.index, wave.reason);
        for step in wave.moves.iter().filter(|step| step.from == node) {
            let _ = writeln!(out, "  {} moves to {}", step.pod, step.to);
        }
        let _ = writeln!(out, "  {} USD/h after this wave", wave.hourly_after);
    } else if let Some((wave, new)) =
        report.waves.iter().find_map(|wave| wave.add.iter().find(|new| new.name == node).map(|new| (wave, new)))
    {
        let _ = writeln!(
            out,
            "{node} comes in wave {}: {} of {} in {}, {} USD/h",
            wave.index, new.instance_type, new.node_pool, new.zone, new.price_hourly
        );
        for (name, amount) in &new.requests {
            let _ = writeln!(out, "  its pods ask for {amount} {name}");
        }
        for other in &new.alternatives {
            let _ = writeln!(out, "  or {} at {} USD/h", other.instance_type, other.price_hourly);
        }
    } else {
        let _ = writeln!(out, "{node}: no such node in the input or the plan");
    }
    out
}
