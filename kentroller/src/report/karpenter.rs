//! Where Karpenter's own rule would settle, beside the plan.

use std::fmt::Write;

use kentroller_planner::consolidation::Course;
use serde::Serialize;

use super::Report;
use super::document::{Moves, share};
use super::width::{Width, plain};

/// Where Karpenter's own consolidation would settle on the same cluster.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Karpenter {
    /// The policy that every NodePool was given, or `as-configured`.
    pub policy: String,
    /// What the cluster costs in the end.
    pub hourly: String,
    pub monthly: String,
    /// Relative to the whole cluster, as `cost.savingsPercent`; absent where nodes have no price.
    pub savings_percent: Option<String>,
    /// Pods that move, once for each time that they do.
    pub moves: Moves,
    /// Nodes that go, those included that it bought before.
    pub removed: usize,
    pub added: usize,
    pub commands: Vec<Command>,
    /// `false`: time was over before nothing was left to do.
    pub is_settled: bool,
}

/// One command of Karpenter's.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Counted from 1.
    pub index: usize,
    pub remove: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<String>,
    pub moves: usize,
    pub hourly_after: String,
}

impl Karpenter {
    /// The course that Karpenter would take, under a policy; `None`: that of each NodePool. `report`: of the plan.
    pub fn of(course: &Course, policy: Option<&str>, report: &Report) -> Self {
        let is_whole = report.cost.unpriced.is_empty();
        let saved = course.before - course.after();
        let command = |(command, index): (&kentroller_planner::consolidation::Consolidation, usize)| Command {
            index,
            remove: command.removed.clone(),
            add: command.added.clone(),
            moves: command.moves,
            hourly_after: command.hourly_after.hourly(),
        };
        Self {
            policy: policy.unwrap_or("as-configured").to_owned(),
            hourly: course.after().hourly(),
            monthly: course.after().monthly(),
            savings_percent: is_whole.then(|| saved.percent_of(course.before).to_string()),
            moves: Moves {
                pods: course.moves(),
                percent: share(course.moves(), report.snapshot.pods).to_string(),
                zone_changes: None,
            },
            removed: course.commands.iter().map(|command| command.removed.len()).sum(),
            added: course.commands.iter().filter(|command| command.added.is_some()).count(),
            commands: course.commands.iter().zip(1..).map(command).collect(),
            is_settled: course.is_settled,
        }
    }
}

/// Both side by side; `wide`: every command of Karpenter's too.
pub(super) fn table(report: &Report, karpenter: &Karpenter, wide: bool, width: Width) -> String {
    let percent = |of: &Option<String>| of.as_ref().map_or("-".to_owned(), |percent| format!("{percent} %"));
    let mut both = plain(&["", "USD/h", "saved", "pods moved", "nodes gone", "bought", "steps"], width);
    let cost = &report.cost;
    let removed: usize = report.waves.iter().map(|wave| wave.remove.len()).sum();
    let added: usize = report.waves.iter().map(|wave| wave.add.len()).sum();
    let row = |name: String, hourly: &String, saved: &Option<String>, counts: [usize; 4], share: &String| {
        let [pods, gone, bought, steps] = counts;
        [
            name,
            hourly.clone(),
            percent(saved),
            format!("{pods} ({share} %)"),
            gone.to_string(),
            bought.to_string(),
            steps.to_string(),
        ]
    };
    let moves = &karpenter.moves;
    both.add_row(row(
        "Karpenter".to_owned(),
        &karpenter.hourly,
        &karpenter.savings_percent,
        [moves.pods, karpenter.removed, karpenter.added, karpenter.commands.len()],
        &moves.percent,
    ));
    both.add_row(row(
        "Kentroller".to_owned(),
        &cost.after.hourly,
        &cost.savings_percent,
        [report.moves.pods, removed, added, report.waves.len()],
        &report.moves.percent,
    ));
    let mut out = format!("{both}\n");
    let whose = match karpenter.policy.as_str() {
        "as-configured" => "the policy of each NodePool".to_owned(),
        policy => format!("policy {policy} in every NodePool"),
    };
    let _ = writeln!(
        out,
        "Karpenter's own rule (v1.14) with {whose}, without its waits, and without budgets but those of 0."
    );
    if !karpenter.is_settled {
        out.push_str("Time was over before it had settled; give a longer --time-limit.\n");
    }
    if wide && !karpenter.commands.is_empty() {
        let mut all = plain(&["command", "goes", "comes", "pods", "USD/h after"], width);
        for command in &karpenter.commands {
            all.add_row([
                command.index.to_string(),
                command.remove.join(" "),
                command.add.clone().unwrap_or_default(),
                command.moves.to_string(),
                command.hourly_after.clone(),
            ]);
        }
        let _ = write!(out, "\n{all}\n");
    }
    out
}
