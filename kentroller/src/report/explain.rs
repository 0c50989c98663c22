//! All that a report says about one node.

use std::fmt::Write;

use serde::Serialize;

use super::Report;
use super::document::{Blocker, Kept, NewNode, Wave};

/// All about some nodes. A public interface, whose fields scripts depend on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    pub schema_version: u32,
    pub nodes: Vec<ExplainedNode>,
}

/// All about a node.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedNode {
    pub node: String,
    /// `stays`, `goes` or `comes`; `unknown` of a node that neither the input nor the plan has.
    pub course: &'static str,
    /// The wave in which it goes or comes, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<usize>,
    /// Why it stays, as a fixed word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people, or what the wave does.
    pub detail: String,
    pub blockers: Vec<Blocker>,
    /// What is saved if it goes, before its pods find another place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_save_hourly: Option<String>,
    /// What it is, if it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bought: Option<NewNode>,
    /// Pods that leave it or come to it.
    pub moves: Vec<WaveMove>,
}

/// A pod's way, and when it goes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveMove {
    /// Counted from 1.
    pub wave: usize,
    pub pod: String,
    pub from: String,
    pub to: String,
}

/// All about some nodes that a report knows.
pub fn all(report: &Report, nodes: &[String]) -> Explained {
    Explained { schema_version: 1, nodes: nodes.iter().map(|node| about(report, node)).collect() }
}

/// What becomes of a node.
enum Course<'a> {
    Stays(&'a Kept),
    Goes(&'a Wave),
    Comes(&'a Wave, &'a NewNode),
}

fn course<'a>(report: &'a Report, node: &str) -> Option<Course<'a>> {
    let kept = report.kept.iter().find(|kept| kept.node == node).map(Course::Stays);
    let gone = || report.waves.iter().find(|wave| wave.remove.iter().any(|name| name == node)).map(Course::Goes);
    let bought = |wave: &'a Wave| Some(Course::Comes(wave, wave.add.iter().find(|new| new.name == node)?));
    kept.or_else(gone).or_else(|| report.waves.iter().find_map(bought))
}

fn about(report: &Report, node: &str) -> ExplainedNode {
    let of_wave = |wave: &Wave| {
        let steps = wave.moves.iter().filter(|step| step.from == node || step.to == node);
        let told = steps.map(|step| WaveMove {
            wave: wave.index,
            pod: step.pod.clone(),
            from: step.from.clone(),
            to: step.to.clone(),
        });
        told.collect::<Vec<_>>()
    };
    let (word, kept, wave, bought) = match course(report, node) {
        Some(Course::Stays(kept)) => ("stays", Some(kept), None, None),
        Some(Course::Goes(wave)) => ("goes", None, Some(wave), None),
        Some(Course::Comes(wave, new)) => ("comes", None, Some(wave), Some(new)),
        None => ("unknown", None, None, None),
    };
    ExplainedNode {
        node: node.to_owned(),
        course: word,
        wave: wave.map(|wave| wave.index),
        reason: kept.map(|kept| kept.reason.clone()),
        detail: kept.map(|kept| &kept.detail).or(wave.map(|wave| &wave.reason)).cloned().unwrap_or_default(),
        blockers: kept.map(|kept| kept.blockers.clone()).unwrap_or_default(),
        would_save_hourly: kept.map(|kept| kept.would_save_hourly.clone()),
        bought: bought.cloned(),
        moves: report.waves.iter().flat_map(of_wave).collect(),
    }
}

/// Why a node stays, or where its pods go.
pub fn explain(report: &Report, node: &str) -> String {
    let mut out = String::new();
    match course(report, node) {
        Some(Course::Stays(kept)) => {
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
        }
        Some(Course::Goes(wave)) => {
            let _ = writeln!(out, "{node} goes in wave {}: {}", wave.index, wave.reason);
            for step in wave.moves.iter().filter(|step| step.from == node) {
                let _ = writeln!(out, "  {} moves to {}", step.pod, step.to);
            }
            let _ = writeln!(out, "  {} USD/h after this wave", wave.hourly_after);
        }
        Some(Course::Comes(wave, new)) => {
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
        }
        None => {
            let _ = writeln!(out, "{node}: no such node in the input or the plan");
        }
    }
    out
}
