//! What is measured of a plan that runs.

use jiff::Timestamp;
use kentroller_runtime::{Kind, Mode, Switches};

use super::{PlanStep, RebalancePlans};
use crate::api::PlanState;
use crate::controllers::rest::Rest;
use crate::controllers::{count, unix_seconds};

impl PlanStep<'_> {
    /// Measures how the plan stands. One that has just ended, or that somebody holds, gives nobody a cause to look.
    pub(super) fn measure(&mut self) {
        let is_held = Rest::of(self.world).is_some() || self.world.settings().mode() == Mode::Observe;
        if is_held || self.status.state != Some(PlanState::Running) {
            return;
        }
        let (name, (not_ready, pending)) = (self.plan.name(), self.unwell());
        self.out.set(RebalancePlans::PLAN_LAST_STEP_TIMESTAMP_SECONDS, [name], unix_seconds(self.last_step()));
        self.out.set(RebalancePlans::MOVED_PODS_NOT_READY, [name], count(not_ready));
        self.out.set(RebalancePlans::MOVED_PODS_PENDING, [name], count(pending));
    }

    /// When something last happened to a node of the plan.
    fn last_step(&self) -> Timestamp {
        let tries = self.status.nodes_creation.values().flat_map(|node| &node.attempts).map(|one| one.timestamp);
        let courses = self.status.nodes_deletion.values().flat_map(|node| &node.events).map(|one| one.timestamp);
        tries.chain(courses).fold(self.began(), Timestamp::max)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kentroller_runtime::testing::{given, object};
    use serde_json::{Value, json};

    use crate::api::RebalancePlan;
    use crate::api::foreign::Pod;
    use crate::controllers::plan::RebalancePlans;
    use crate::settings::{OperatorMode, Pause, Settings};

    fn plan(execute: bool) -> RebalancePlan {
        let event = |time: &str| json!({"status": "InProgress", "description": "", "timestamp": time});
        let events = [event("2026-11-22T10:02:00Z"), event("2026-11-22T10:04:00Z")];
        object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "u", "generation": 1},
            "spec": {"execute": execute, "nodeClaimsToAdd": [], "podsToMigrate": [],
                "nodeClaimsToDelete": [{"nodeClaimName": "c", "wave": 0}, {"nodeClaimName": "d", "wave": 0}]},
            "status": {"state": "Running", "conditions": [], "startTime": "2026-11-22T10:00:00Z", "observedGeneration": 1,
                "waves": [{"index": 0, "phase": "Draining", "since": "2026-11-22T10:00:10Z", "touched": true}],
                "nodesDeletion": {"n": {"name": "n", "phase": "Gone", "wave": 0, "events": events}}, "ownersMoved": ["w"]}}))
    }

    /// A pod of the workload that was moved, which came at this time, on this node.
    fn pod(name: &str, came: &str, node: &str) -> Pod {
        object(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": name, "uid": name, "creationTimestamp": came,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "w", "controller": true}]},
            "spec": {"containers": [], "nodeName": node}, "status": {"phase": "Pending", "conditions": []}}))
    }

    fn measured(execute: bool, change: fn(&mut Settings)) -> BTreeMap<&'static str, f64> {
        let decided = given::<RebalancePlans>()
            .at("2026-11-22T10:10:00Z")
            .set(change)
            .with(pod("old", "2026-11-22T10:03:00Z", "m"))
            .with(pod("new", "2026-11-22T10:09:00Z", ""))
            .decide(&plan(execute))
            .expect("a decision");
        let all = decided.measured.expect("it decided");
        assert!(all.iter().all(|one| one.labels == ["now"]), "{all:?}");
        all.into_iter().map(|one| (one.metric.name, one.value)).collect()
    }

    #[test]
    fn a_plan_that_runs_tells_its_last_step_and_how_the_pods_are_that_it_moved() {
        let at: jiff::Timestamp = "2026-11-22T10:04:00Z".parse().expect("a time");
        let seconds = f64::from(u32::try_from(at.as_second()).expect("after 1970"));
        let wanted =
            [("moved_pods_not_ready", 1.0), ("moved_pods_pending", 1.0), ("plan_last_step_timestamp_seconds", seconds)];
        assert_eq!(measured(true, |_| ()), wanted.into());
        let nothing = BTreeMap::new();
        assert_eq!(measured(false, |_| ()), nothing, "it was stopped at this moment");
        assert_eq!(measured(true, |settings| settings.paused = Pause::Yes), nothing);
        assert_eq!(measured(true, |settings| settings.mode = OperatorMode::Observe), nothing);
        assert_eq!(measured(true, |settings| settings.rebalancer = false), nothing);
    }

    #[test]
    fn a_status_without_events_counts_from_its_start() {
        let mut bare: Value = serde_json::to_value(plan(true)).expect("JSON");
        bare["status"]["nodesDeletion"]["n"]["events"] = json!([]);
        let given = given::<RebalancePlans>().at("2026-11-22T10:10:00Z").with(pod("old", "2026-11-22T10:03:00Z", "m"));
        let decided = given.decide(&object(bare)).expect("a decision");
        let start: jiff::Timestamp = "2026-11-22T10:00:00Z".parse().expect("a time");
        let step = decided.measured.into_iter().flatten().find(|one| one.metric.name.starts_with("plan_last_step"));
        assert_eq!(step.map(|one| one.value), Some(f64::from(u32::try_from(start.as_second()).expect("after 1970"))));
    }
}
