//! What an ended plan saves in the end, measured on how long nodes really lived.

use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_runtime::Kind;
use kentroller_runtime::condition::{in_status_since, seconds};

use super::outcome::is_in_vain;
use super::{PlanStep, RebalancePlans, gate};
use crate::api::{
    AttemptStatus, DeletionPhase, DeletionStatus, MeasuredSavings, PlanCondition, WavePhase, WaveSavings,
};
use crate::controllers::after;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// When the savings are measured, from the end of the plan. After a week so much else has changed that no plan is to be credited
/// with it.
const MEASURED_AFTER: [Duration; 3] = [Duration::ZERO, DAY, Duration::from_secs(7 * DAY.as_secs())];

impl PlanStep<'_> {
    /// Measures what the plan has saved since it began, at its times and when a new node of it is about to go; whether there is
    /// news.
    pub(super) fn account(&mut self) -> bool {
        let ended = in_status_since(&self.status.conditions, PlanCondition::InProgress, false);
        let carried_out = self.status.waves.iter().any(|wave| wave.touched);
        let Some(ended) = ended.filter(|_| carried_out) else { return false };
        let (now, before) = (seconds(self.world.now()), self.status.measured_savings.as_ref().map(|all| all.until));
        let times = MEASURED_AFTER.map(|span| after(ended, span));
        let time =
            times.into_iter().rfind(|time| *time <= now).filter(|time| before.is_none_or(|before| before < *time));
        let mut news = time.is_some();
        for index in self.status.waves.iter().map(|wave| wave.index).collect::<Vec<_>>() {
            let Some(until) = self.closes(index).or(time) else { continue };
            let measured = self.measured(index, ended, until);
            if let (Some(measured), Some(wave)) = (measured, self.wave_mut(index)) {
                news |= wave.measured.as_ref() != Some(&measured);
                wave.measured = Some(measured);
            }
        }
        if news {
            self.sum_up(time.or(before).unwrap_or(ended));
        }
        self.tell_share(ended);
        if let Some(next) = times.into_iter().find(|time| *time > now) {
            self.out.look_at(next);
        }
        news
    }

    /// When the first of the wave's new nodes that are still there was told to go. From then on somebody else decides what runs
    /// instead.
    fn closes(&self, index: u32) -> Option<Timestamp> {
        self.greens(index).filter_map(|add| self.made(add)?.deleting()).min().map(seconds)
    }

    fn sum_up(&mut self, until: Timestamp) {
        let waves = || self.status.waves.iter().filter_map(|wave| wave.measured.as_ref());
        let sum = |of: fn(&WaveSavings) -> &str| waves().filter_map(|wave| Money::parse(of(wave))).sum::<Money>();
        let (promised, saved) = (sum(|wave| &wave.promised), sum(|wave| &wave.saved));
        self.status.measured_savings = Some(MeasuredSavings {
            currency: "USD".to_owned(),
            promised: promised.hourly(),
            saved: saved.hourly(),
            saved_percentage: (promised > Money::ZERO).then(|| saved.percent_of(promised).to_string()),
            until,
        });
    }

    /// Told once a day has passed: making nodes costs, and that is not earned back at once.
    fn tell_share(&mut self, ended: Timestamp) {
        let Some(measured) = &self.status.measured_savings else { return };
        let amounts = [&measured.promised, &measured.saved].map(|text| Money::parse(text).unwrap_or(Money::ZERO));
        let [promised, saved] = amounts;
        if promised > Money::ZERO && measured.until >= after(ended, DAY) {
            let parts = i32::try_from(saved.percent_of(promised).parts()).unwrap_or(i32::MAX);
            let plan = self.plan.name();
            self.out.set(RebalancePlans::PLAN_SAVINGS_REALISED_PERCENT, [plan], f64::from(parts) / 10_000.0);
        }
    }

    /// What a wave has saved so far. `None`: it came to nothing, or one of its new nodes is gone or of unknown price.
    fn measured(&self, index: u32, ended: Timestamp, until: Timestamp) -> Option<WaveSavings> {
        let wave = self.wave(index)?;
        if is_in_vain(self.plan, &self.status, index) {
            return None;
        }
        let (mut rate, mut saved) = (Money::ZERO, Money::ZERO);
        for add in self.greens(index) {
            rate -= gate::promised(add);
            if self.last_attempt(add).is_some_and(|last| last.status == AttemptStatus::Success) {
                saved -= during(self.price_of(add)?, self.made(add)?.created(), until);
            }
        }
        let blue = self.status.savings.iter().flat_map(|savings| &savings.blue_nodes);
        let courses = blue.filter_map(|node| Some((gate::cost(node), self.status.nodes_deletion.get(&node.name)?)));
        for (price, course) in courses.filter(|(_, course)| course.wave == Some(index)) {
            rate += price;
            let went = course.events.iter().rfind(|event| event.status == DeletionStatus::Success);
            if let (Some(DeletionPhase::Gone), Some(went)) = (course.phase(), went) {
                saved += during(price, went.timestamp, until);
            }
        }
        let since = if wave.phase == WavePhase::Done { wave.since } else { ended };
        Some(WaveSavings { promised: during(rate, since, until).hourly(), saved: saved.hourly(), until })
    }
}

/// What something costs in that time, of so much an hour.
fn during(hourly: Money, from: Timestamp, to: Timestamp) -> Money {
    hourly * to.duration_since(from).as_secs().max(0) / 3600
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::testing::{given, object};
    use serde_json::{Value, json};

    use crate::api::RebalancePlan;
    use crate::api::foreign::NodeClaim;
    use crate::controllers::plan::RebalancePlans;

    /// A plan of one wave that took `old`, of 1 USD an hour, out of the cluster at 10:10, and ended at 10:20.
    fn plan(state: &str, touched: bool) -> Value {
        let at = |time: &str| format!("2026-11-22T{time}Z");
        let offering = json!({"priceHourly": "0.4", "requirements": [
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m5.large"]}]});
        let add = json!({"wave": 0, "metadata": {"name": "new"}, "alternatives": [offering], "spec": {"requirements": [], "nodeClassRef": {"group": "g", "kind": "k", "name": "n"}}});
        let attempt = json!({"description": "", "instanceType": "m5.large", "nodeClaimName": "new-1", "status": "Success", "timestamp": at("10:04:00")});
        let went = json!({"status": "Success", "timestamp": at("10:10:00")});
        let ended = json!({"type": "InProgress", "status": "False", "reason": "Done", "message": "", "lastTransitionTime": at("10:20:00")});
        json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "u", "generation": 1},
            "spec": {"execute": true, "nodeClaimsToAdd": [add], "podsToMigrate": [],
                "nodeClaimsToDelete": [{"nodeClaimName": "c", "wave": 0}]},
            "status": {"state": state, "conditions": [ended], "startTime": at("10:00:00"), "observedGeneration": 1,
                "savings": {"blueNodes": [{"name": "old", "priceHourly": "1.0"}], "currency": "USD"},
                "waves": [{"index": 0, "phase": "Done", "since": at("10:15:00"), "touched": touched}],
                "nodesCreation": {"new": {"name": "new", "attempts": [attempt]}},
                "nodesDeletion": {"old": {"name": "old", "phase": "Gone", "wave": 0, "events": [went]}}}})
    }

    /// The new node, there since 10:02.
    fn new_node(deleting: Value) -> NodeClaim {
        object(
            json!({"metadata": {"name": "new-1", "uid": "n", "creationTimestamp": "2026-11-22T10:02:00Z", "deletionTimestamp": deleting}}),
        )
    }

    /// Saved, promised and the gauge, at that time of the day after so many days; `None` where nothing new is written.
    fn measured(plan: &Value, nodes: &[NodeClaim], at: &str) -> (Option<(String, String)>, Option<f64>) {
        let mut given = given::<RebalancePlans>().at(at);
        for node in nodes {
            given = given.with(node.clone());
        }
        let decided = given.decide(&object::<RebalancePlan>(plan.clone())).expect("a decision");
        let status = decided.status.map(|status| serde_json::to_value(status).expect("JSON"));
        let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        let all = status.map(|status| status["measuredSavings"].clone());
        let all = all.map(|all| (text(&all["saved"]), text(&all["promised"])));
        let gauge =
            decided.measured.into_iter().flatten().find(|one| one.metric.name == "plan_savings_realised_percent");
        (all, gauge.map(|one| one.value))
    }

    fn amounts(saved: &str, promised: &str) -> Option<(String, String)> {
        Some((saved.to_owned(), promised.to_owned()))
    }

    #[test]
    fn what_went_is_earned_since_it_went_and_what_came_is_paid_since_it_was_asked_for() {
        let (done, lives) = (plan("Done", true), [new_node(Value::Null)]);
        // 10 minutes at 1 USD an hour, less 18 at 0.4; 5 at 0.6 were promised.
        assert_eq!(measured(&done, &lives, "2026-11-22T10:20:00Z"), (amounts("0.0467", "0.0500"), None));
        let (after_a_day, share) = measured(&done, &lives, "2026-11-23T10:20:00Z");
        assert_eq!(after_a_day, amounts("14.4467", "14.4500"));
        assert_eq!(share, Some(99.9772));
        // The new node was told to go an hour after the end: nothing counts from then on.
        let goes = [new_node(json!("2026-11-22T11:20:00Z"))];
        assert_eq!(measured(&done, &goes, "2026-11-23T10:20:00Z").0, amounts("0.6467", "0.6500"));
        // It is gone, and nobody knows since when.
        assert_eq!(measured(&done, &[], "2026-11-23T10:20:00Z").0, amounts("0.0000", "0.0000"));
        let failed = plan("Failed", true);
        assert_eq!(measured(&failed, &lives, "2026-11-22T10:20:00Z").0, amounts("0.0467", "0.0500"));
        assert_eq!(
            measured(&plan("Failed", false), &lives, "2026-11-22T10:20:00Z"),
            (None, None),
            "nothing was touched"
        );
    }

    #[test]
    fn between_its_times_nothing_is_written_but_that_a_new_node_goes() {
        let mut done = plan("Done", true);
        let until = json!("2026-11-22T10:20:00Z");
        done["status"]["measuredSavings"] =
            json!({"currency": "USD", "promised": "0.0500", "saved": "0.0467", "until": until});
        done["status"]["waves"][0]["measured"] = json!({"promised": "0.0500", "saved": "0.0467", "until": until});
        assert_eq!(measured(&done, &[new_node(Value::Null)], "2026-11-23T10:19:59Z"), (None, None));
        assert_eq!(
            measured(&done, &[new_node(Value::Null)], "2026-11-30T10:20:00Z").0,
            amounts("100.8467", "100.8500")
        );
        let goes = [new_node(json!("2026-11-22T11:20:00Z"))];
        assert_eq!(measured(&done, &goes, "2026-11-22T11:20:01Z").0, amounts("0.6467", "0.6500"));
        done["status"]["waves"][0]["measured"] =
            json!({"promised": "0.6500", "saved": "0.6467", "until": "2026-11-22T11:20:00Z"});
        assert_eq!(measured(&done, &goes, "2026-11-22T11:30:00Z"), (None, None), "that was told");
    }
}
