//! Why each node stays, or what becomes of it: a plan from the side of the nodes.

use std::fmt::Write;

use kentroller_planner::Plan;
use serde::Serialize;

use super::width::{Width, folded, plain};

/// Longer names are shortened in the middle.
const NAME: usize = 28;
/// Where the width is not known: as wide as any terminal.
const WIDTH: u16 = 80;

/// The answer for all nodes. A public interface, whose fields scripts depend on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    pub schema_version: u32,
    /// For whom it was computed: `claims`, or `cycles` of continuous rebalancing.
    pub asked_by: &'static str,
    /// What the nodes cost now and after the plan, USD an hour.
    pub hourly_before: String,
    pub hourly_after: String,
    pub nodes: Vec<NodeWhy>,
}

/// The answer for one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeWhy {
    pub node: String,
    pub stays: bool,
    /// Why it stays, as a fixed word; absent for one that goes.
    pub reason: Option<&'static str>,
    /// The same for people, or what the wave does in which it goes.
    pub detail: String,
    /// The wave in which it goes.
    pub wave: Option<usize>,
}

impl Why {
    /// The nodes of a plan by name: those that go, then those that stay.
    pub fn of(plan: &Plan, asked_by: &'static str) -> Self {
        let gone = plan.waves.iter().zip(1..).flat_map(|(wave, number)| {
            wave.remove.iter().map(move |node| NodeWhy {
                node: node.clone(),
                stays: false,
                reason: None,
                detail: wave.reason.clone(),
                wave: Some(number),
            })
        });
        let kept = plan.kept.iter().map(|kept| NodeWhy {
            node: kept.node.clone(),
            stays: true,
            reason: Some(kept.reason.word()),
            detail: kept.detail.clone(),
            wave: None,
        });
        let mut nodes: Vec<NodeWhy> = gone.chain(kept).collect();
        nodes.sort_by(|one, other| (one.stays, &one.node).cmp(&(other.stays, &other.node)));
        let (hourly_before, hourly_after) = (plan.cost_before.hourly(), plan.cost_after.hourly());
        Self { schema_version: 1, asked_by, hourly_before, hourly_after, nodes }
    }

    /// For people.
    pub fn told(&self, width: Width) -> String {
        let width = Some(width.unwrap_or(WIDTH));
        let mut table = plain(&["NODE", "", "WHY"], width);
        for node in &self.nodes {
            let what = node.wave.map_or("stays".to_owned(), |wave| format!("goes in wave {wave}"));
            let why = node.reason.map_or(node.detail.clone(), |reason| format!("{reason}: {}", node.detail));
            table.add_row([shortened(&node.node, NAME), what, why]);
        }
        let mut out = format!("{table}\n");
        let stay = self.nodes.iter().filter(|node| node.stays).count();
        let _ = writeln!(
            out,
            "\n{} nodes would go and {stay} stay: from {} to {} USD/h.\nPlanned as {} have it.",
            self.nodes.len() - stay,
            self.hourly_before,
            self.hourly_after,
            if self.asked_by == "cycles" { "cycles" } else { "claims without options" },
        );
        folded(&out, width)
    }
}

/// At most so long; of a longer name the middle is left out, since names differ at their ends.
fn shortened(name: &str, most: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most {
        return name.to_owned();
    }
    let (head, tail) = (most / 2, most - most / 2 - 1);
    let end = &letters[letters.len() - tail..];
    format!("{}…{}", letters[..head].iter().collect::<String>(), end.iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use kentroller_planner::{Kept, KeptReason, Money, Wave};

    use super::*;

    fn plan() -> Plan {
        let kept = |node: &str, detail: &str| Kept {
            node: node.to_owned(),
            reason: KeptReason::BlockedByPods,
            detail: detail.to_owned(),
            blockers: Vec::new(),
            would_save: Money::ZERO,
        };
        let wave = |node: &str| Wave {
            remove: vec![node.to_owned()],
            reason: "saves 0.1 USD/h".to_owned(),
            ..Wave::default()
        };
        let long = "ip-10-0-115-117.us-east-1.compute.internal";
        Plan {
            kept: vec![
                kept(long, &"pod shop/web-7d9f6c5b4d-x2x8p: pdb-allows-none, and 7 more ".repeat(3)),
                kept("a", "b"),
            ],
            waves: vec![wave("z"), wave("y")],
            ..Plan::default()
        }
    }

    #[test]
    fn every_node_has_its_line_those_that_go_first_and_none_is_wider_than_a_terminal() {
        let why = Why::of(&plan(), "claims");
        let told = why.told(None);
        assert!(told.lines().all(|line| line.trim_end().chars().count() <= 80), "{told}");
        let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["y", "goes", "in", "wave", "2", "saves", "0.1", "USD/h"], "{told}");
        assert_eq!(rows[2][..5], ["z", "goes", "in", "wave", "1"], "{told}");
        assert_eq!(rows[3], ["a", "stays", "blocked-by-pods:", "b"], "{told}");
        assert!(told.contains("ip-10-0-115-11…pute.internal"), "{told}");
        assert!(told.contains("2 nodes would go and 2 stay"), "{told}");
    }
}
