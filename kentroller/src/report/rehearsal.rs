//! What came of a rehearsal: a public interface, whose fields scripts depend on. Money is a decimal text.

use std::fmt::Write;

use serde::Serialize;

use super::document::less;
use super::width::plain;

/// A rehearsal.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsal {
    pub schema_version: u32,
    pub cluster: Cluster,
    pub operator: Run,
    /// Karpenter alone from the same start; absent unless it was asked for.
    pub karpenter: Option<Run>,
    pub waves: Vec<Wave>,
    pub stays: Vec<Stays>,
    /// What was waited for longest; absent when nothing was.
    pub longest_wait: Option<Wait>,
    /// What the copy does not know or does not play.
    pub not_known: Vec<String>,
    pub warnings: Vec<String>,
    /// Times of day, and what was told.
    pub story: Vec<Line>,
    /// Invariants that broke: each is a mistake of the operator or of the simulation.
    pub broken: Vec<String>,
}

/// What it began with.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Where it is from.
    pub source: String,
    pub nodes: usize,
    pub pods: usize,
    pub starts: String,
    pub seed: u64,
}

/// What became of the cluster.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// How it ended, such as the states of the claims.
    pub outcome: String,
    pub hourly_before: String,
    pub hourly_after: String,
    pub savings_percent: String,
    /// What all machines have cost from start to end.
    pub spent: String,
    pub seconds: i64,
    pub nodes_after: usize,
    pub evictions: usize,
    /// Nodes that Karpenter bought on its own: for pods without a place, or to replace a node by a cheaper one.
    pub unplanned_nodes: usize,
    /// The time in which pods did not serve that should have, one after the other. Unit: seconds.
    pub not_ready_pod_seconds: i64,
    pub most_not_ready: usize,
    /// Pods that do not run at the end.
    pub not_running: Vec<String>,
    pub course: Vec<Point>,
}

/// How things stood.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Since the start.
    pub seconds: i64,
    pub hourly: String,
    pub evictions: usize,
}

/// A wave as it went.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    pub plan: String,
    /// From 1.
    pub index: u32,
    pub add: usize,
    pub remove: usize,
    pub pods: usize,
    /// Seconds since the start at which it began, at which its nodes were first drained, and at which it was over.
    pub began: i64,
    pub drained: Option<i64>,
    pub ended: Option<i64>,
    pub phase: String,
}

/// A node that stays.
#[derive(Clone, Debug, Serialize)]
pub struct Stays {
    pub node: String,
    pub reasons: Vec<String>,
}

/// Something that was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    pub seconds: i64,
    pub what: String,
}

/// A line of the story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub time: String,
    pub text: String,
}

impl Rehearsal {
    /// The rehearsal as JSON, with a line end.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a rehearsal is plain texts and numbers");
        text.push('\n');
        text
    }

    /// The rehearsal as YAML.
    ///
    /// # Errors
    /// None that is known: the writer's own.
    pub fn yaml(&self) -> Result<String, String> {
        serde_saphyr::to_string(self).map_err(|error| error.to_string())
    }

    /// The summary for a terminal.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let run = &self.operator;
        let _ = writeln!(
            out,
            "Before {} USD an hour, after {}: {} for the whole cluster; it ended after {}: {}.",
            run.hourly_before,
            run.hourly_after,
            less(&run.savings_percent),
            clock(run.seconds),
            run.outcome
        );
        let _ = writeln!(
            out,
            "{} evictions; pods did not serve for {} s in all, at most {} at once; nodes that Karpenter bought on its own: {}.",
            run.evictions, run.not_ready_pod_seconds, run.most_not_ready, run.unplanned_nodes
        );
        if let Some(wait) = &self.longest_wait {
            let _ = writeln!(out, "The longest wait took {}: {}", clock(wait.seconds), wait.what);
        }
        self.tell_waves(&mut out);
        if let Some(karpenter) = &self.karpenter {
            out.push('\n');
            out.push_str(&beside(run, karpenter));
        }
        self.tell_rest(&mut out);
        out
    }

    fn tell_waves(&self, out: &mut String) {
        if self.waves.is_empty() {
            return;
        }
        let mut table = plain(&["plan", "wave", "nodes", "pods", "began", "drained", "over"], None);
        let at = |seconds: Option<i64>| seconds.map_or_else(|| "-".to_owned(), clock);
        for wave in &self.waves {
            table.add_row([
                wave.plan.clone(),
                wave.index.to_string(),
                format!("-{} +{}", wave.remove, wave.add),
                wave.pods.to_string(),
                clock(wave.began),
                at(wave.drained),
                at(wave.ended),
            ]);
        }
        let _ = writeln!(out, "\n{table}");
    }

    fn tell_rest(&self, out: &mut String) {
        let some = |out: &mut String, head: &str, lines: &[String], shown: usize| {
            if lines.is_empty() {
                return;
            }
            let _ = writeln!(out, "\n{head}");
            for line in lines.iter().take(shown) {
                let _ = writeln!(out, "  {line}");
            }
            if lines.len() > shown {
                let _ = writeln!(out, "  and {} more (-o yaml)", lines.len() - shown);
            }
        };
        let stays: Vec<String> =
            self.stays.iter().map(|one| format!("{}: {}", one.node, one.reasons.join("; "))).collect();
        some(out, &format!("{} nodes stay:", stays.len()), &stays, 10);
        some(out, "Pods that do not run at the end:", &self.operator.not_running, 10);
        some(out, "Not known to the copy, or not played by it:", &self.not_known, usize::MAX);
        some(out, "Warnings:", &self.warnings, 8);
        some(out, "Broken invariants:", &self.broken, usize::MAX);
    }
}

/// Both runs, line by line.
fn beside(ours: &Run, karpenter: &Run) -> String {
    let mut table = plain(&["", "Kentroller", "Karpenter alone"], None);
    let mut row = |what: &str, of: &dyn Fn(&Run) -> String| {
        table.add_row([what.to_owned(), of(ours), of(karpenter)]);
    };
    row("USD an hour at the end", &|run| run.hourly_after.clone());
    row("less, in percent", &|run| run.savings_percent.clone());
    row("USD spent meanwhile", &|run| run.spent.clone());
    row("nodes at the end", &|run| run.nodes_after.to_string());
    row("evictions", &|run| run.evictions.to_string());
    row("seconds of pods not Ready", &|run| run.not_ready_pod_seconds.to_string());
    format!("{table}\n")
}

/// Seconds as `1:02:03` or `2:03`.
pub(super) fn clock(seconds: i64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}
