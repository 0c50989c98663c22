//! What a cycle tells of itself: one line in the log, gauges, and a line for each node where somebody asks for that.

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_runtime::Answer;

use super::worth::{Verdict, worth};
use super::{ContinuousRebalancing, Cycle, asked};
use crate::backend::{Findings, Planned, Plans};
use crate::controllers::{count, unix_seconds};

/// The one line of a cycle.
pub(super) struct Summary<'a> {
    pub(super) began: Timestamp,
    pub(super) mode: &'static str,
    pub(super) findings: &'a Findings,
    /// What came of it, and why not more.
    pub(super) decision: String,
    /// When the next one begins; `None`: once the plan has ended.
    pub(super) next: Option<Timestamp>,
}

impl Summary<'_> {
    pub(super) fn line(&self) -> String {
        let Findings { nodes, candidates, excluded, cost, bound, best } = self.findings;
        let reasons: Vec<String> = excluded.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let excluded = if reasons.is_empty() { String::new() } else { format!(" (excluded: {})", reasons.join(", ")) };
        let bound = bound.map_or("unknown".to_owned(), |bound| format!("{bound} USD/h"));
        let next = self.next.map_or("when it has ended".to_owned(), |next| format!("at {next}"));
        format!(
            "crb_cycle_summary: cycle {}, mode {}: {candidates} of {nodes} nodes are candidates{excluded}; cost {cost} USD/h, bound \
             {bound}, best found {best} USD/h; {}; next cycle {next}",
            self.began, self.mode, self.decision,
        )
    }
}

/// What is saved a month for each pod that moves.
pub(super) fn a_move(saved: Money, moves: usize) -> String {
    match i64::try_from(moves) {
        Ok(moves) if moves > 0 => format!("{} USD a month for each", (saved / moves).monthly()),
        _ => "none of them".to_owned(),
    }
}

impl Cycle<'_> {
    /// Whether each node goes, or why it stays: a line each.
    pub(super) fn tell_nodes(&mut self, mode: &str, planned: &Planned) {
        for node in &planned.removed {
            self.out.log(format!("crb_node_decision: mode {mode}, node {node} goes"));
        }
        for kept in &planned.kept {
            let why = kept.reasons.join("; ");
            let word = why.split(':').next().unwrap_or_default();
            let key =
                if planned.findings.excluded.contains_key(word) { "crb_node_blocker" } else { "crb_node_decision" };
            self.out.log(format!("{key}: mode {mode}, node {} stays: {why}", kept.name));
        }
    }

    /// Gauges of the last cycle that has its answer; they stand until the next one is asked for.
    pub(super) fn measure(&mut self) {
        let answer = self.world.answer::<Plans>(self.cluster);
        let Some(Answer::Given { answer: planned, .. }) = answer.cloned() else { return };
        let Some((mode, _)) = asked(&planned.seed) else { return };
        let findings = planned.first_findings();
        let verdict = worth(self.settings, mode, &planned).map_or_else(|(verdict, _)| verdict, |()| Verdict::Plan);
        let dollars = |of: Money| of.exact().parse().unwrap_or(f64::NAN);
        self.out.set(ContinuousRebalancing::CYCLE_CANDIDATES, [], count(findings.candidates));
        for (reason, nodes) in &findings.excluded {
            self.out.set(ContinuousRebalancing::CYCLE_EXCLUDED_NODES, [reason], count(*nodes));
        }
        let bound = findings.bound.map(|bound| ("bound", bound));
        for (of, amount) in [("now", findings.cost), ("best", findings.best)].into_iter().chain(bound) {
            self.out.set(ContinuousRebalancing::CYCLE_COST_DOLLARS_PER_HOUR, [of], dollars(amount));
        }
        self.out.set(ContinuousRebalancing::CYCLE_DECISION, [verdict.word()], 1.0);
    }

    /// Looks again when the next cycle begins, and tells when that is.
    pub(super) fn next_at(&mut self, next: Timestamp) {
        self.out.look_at(next);
        self.out.set(ContinuousRebalancing::CYCLE_NEXT_TIMESTAMP_SECONDS, [], unix_seconds(next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_tells_candidates_costs_decision_and_what_comes_next() {
        let money = |text: &str| Money::parse(text).expect("an amount");
        let findings = Findings {
            nodes: 12,
            candidates: 9,
            excluded: [("too-young".to_owned(), 2), ("static-pool".to_owned(), 1)].into(),
            cost: money("3.5"),
            bound: Some(money("2")),
            best: money("2.25"),
        };
        let at = |text: &str| text.parse().expect("a time");
        let mut summary = Summary {
            began: at("2026-11-22T10:00:00Z"),
            mode: "full",
            findings: &findings,
            decision: "no plan: too little".to_owned(),
            next: Some(at("2026-11-22T10:01:00Z")),
        };
        assert_eq!(
            summary.line(),
            "crb_cycle_summary: cycle 2026-11-22T10:00:00Z, mode full: 9 of 12 nodes are candidates (excluded: 1 static-pool, 2 \
             too-young); cost 3.5000 USD/h, bound 2.0000 USD/h, best found 2.2500 USD/h; no plan: too little; next cycle at \
             2026-11-22T10:01:00Z"
        );
        summary.next = None;
        assert!(summary.line().ends_with("; next cycle when it has ended"));
        assert_eq!(a_move(money("1"), 10), "73.00 USD a month for each");
        assert_eq!(a_move(money("1"), 0), "none of them");
    }
}
