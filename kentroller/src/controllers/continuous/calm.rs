//! Calm: what a plan has just changed, or tried in vain, is left alone by cycles for a while, so that no cycle undoes or repeats what
//! was done a short time ago. People, schedules and node consolidation are not bound: they have a need.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::ObjectName;
use kentroller_planner::{CapacityType, Resting};
use kentroller_runtime::{HasStatus, Kind};

use crate::api::foreign::Pod;
use crate::api::{AttemptStatus, DeletionPhase, PlanStatus, RebalancePlan};
use crate::controllers::after;

/// A pod that a plan moved, and a node that a plan kept, rest for this long.
const REST: Duration = Duration::from_secs(60 * 60);
/// What could not be bought is not asked for again before.
const OFFERING_REST: Duration = Duration::from_secs(15 * 60);

/// A pod, and when it came.
pub(crate) struct Came<'a> {
    pub(crate) name: ObjectName,
    /// The uid of its controller.
    pub(crate) owner: &'a str,
    pub(crate) at: Timestamp,
}

impl<'a> Came<'a> {
    /// `None` of a pod without a controller: nobody would have brought it back.
    pub(super) fn of(pod: &'a Pod) -> Option<Self> {
        let name = ObjectName { namespace: pod.metadata.namespace.to_string().into(), name: pod.name().into() };
        Some(Self { name, owner: &pod.controller()?.uid, at: pod.created() })
    }
}

/// What rests at this moment, because of these plans.
pub(crate) fn resting<'a>(
    plans: impl Iterator<Item = &'a RebalancePlan>,
    pods: impl Iterator<Item = Came<'a>>,
    now: Timestamp,
) -> Resting {
    let mut resting = Resting::default();
    // By owner: while which plan its pods were moved.
    let mut moved: BTreeMap<&str, Vec<(Timestamp, Timestamp, &str)>> = BTreeMap::new();
    for plan in plans {
        let Some(status) = plan.status() else { continue };
        resting.nodes.extend(kept(plan.name(), status, now));
        resting.offerings.extend(failed(status, now));
        let Some((from, to)) = moving(status).filter(|(_, to)| now < after(*to, REST)) else { continue };
        for owner in &status.owners_moved {
            moved.entry(owner).or_default().push((from, to, plan.name()));
        }
    }
    if !moved.is_empty() {
        resting.pods = pods.filter_map(|pod| just_moved(pod, &moved, now)).collect();
    }
    resting
}

/// Nodes that were to go and stayed, whatever held them, each with words for people.
fn kept(plan: &str, status: &PlanStatus, now: Timestamp) -> Vec<(String, String)> {
    let kept = status.nodes_deletion.iter().filter(|(_, course)| course.phase() == Some(DeletionPhase::Kept));
    let told = kept.filter_map(|(node, course)| {
        let last = course.events.last()?;
        let until = after(last.timestamp, REST);
        let why = last.description.as_deref().unwrap_or("it did not go");
        let told = || format!("RebalancePlan {plan} kept it ({why}); cycles leave it alone until {until}");
        (now < until).then(|| (node.clone(), told()))
    });
    told.collect()
}

/// What could not be bought a short time ago.
fn failed(status: &PlanStatus, now: Timestamp) -> Vec<(String, String, CapacityType)> {
    let attempts = status.nodes_creation.values().flat_map(|creation| &creation.attempts);
    let failed = attempts.filter(|attempt| attempt.status == AttemptStatus::Failed);
    let rests = failed.filter(|attempt| now < after(attempt.timestamp, OFFERING_REST));
    let offering = rests.filter_map(|attempt| {
        let capacity_type = CapacityType::of(attempt.capacity_type.as_deref()?);
        Some((attempt.instance_type.clone(), attempt.zone.clone()?, capacity_type))
    });
    offering.collect()
}

/// From when to when the plan moved pods, as far as its nodes tell.
fn moving(status: &PlanStatus) -> Option<(Timestamp, Timestamp)> {
    let events = status.nodes_deletion.values().flat_map(|course| &course.events);
    Some((status.start_time?, events.map(|event| event.timestamp).max()?))
}

/// The pod, if it came for one that a plan moved, less than an hour ago.
fn just_moved(
    pod: Came<'_>,
    moved: &BTreeMap<&str, Vec<(Timestamp, Timestamp, &str)>>,
    now: Timestamp,
) -> Option<(ObjectName, String)> {
    if now >= after(pod.at, REST) {
        return None;
    }
    let (_, _, plan) = moved.get(pod.owner)?.iter().find(|(from, to, _)| (*from..=*to).contains(&pod.at))?;
    Some((pod.name, (*plan).to_owned()))
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::testing::object;
    use serde_json::{Value, json};

    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-22T{time}Z").parse().expect("a time")
    }

    /// A plan that ran from 10:00, moved pods of owner `w`, and kept node `b` at 10:20.
    fn plan() -> RebalancePlan {
        let event = |time: &str, status: &str, what: &str| json!([{"status": status, "description": what, "timestamp": at(time)}]);
        let attempt = |name: &str, status: &str| {
            json!({"capacityType": "on-demand", "description": "", "instanceType": name, "nodeClaimName": name, "status": status,
                "timestamp": at("10:05:00"), "zone": "z"})
        };
        object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "p", "uid": "p"},
            "spec": {"nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": []},
            "status": {"state": "DoneWithWarnings", "conditions": [], "startTime": at("10:00:00"), "ownersMoved": ["w"],
                "nodesCreation": {"n": {"name": "n", "attempts": [attempt("m5.large", "Failed"), attempt("m6.large", "Success")]}},
                "nodesDeletion": {"a": {"name": "a", "phase": "Gone", "events": event("10:10:00", "Success", "gone")},
                    "b": {"name": "b", "phase": "Kept", "events": event("10:20:00", "Failed", "not drained in time")}}}}))
    }

    fn pod(owner: &str, came: &str) -> Pod {
        let owner =
            json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "w", "uid": owner, "controller": true}]);
        let metadata: Value = json!({"namespace": "shop", "name": format!("of-{came}"), "uid": came, "creationTimestamp": at(came),
            "ownerReferences": owner});
        object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}))
    }

    #[test]
    fn a_pod_that_a_plan_moved_rests_for_an_hour_and_no_other_pod_does() {
        let cases = [
            ("w", "10:12:00", "10:30:00", true),
            ("w", "10:12:00", "11:11:59", true),
            ("w", "10:12:00", "11:12:00", false),
            ("other", "10:12:00", "10:30:00", false),
            ("w", "09:59:00", "10:30:00", false),
            ("w", "10:25:00", "10:30:00", false),
        ];
        for (owner, came, now, rests) in cases {
            let pod = pod(owner, came);
            let found = resting([&plan()].into_iter(), Came::of(&pod).into_iter(), at(now)).pods;
            assert_eq!(
                found.into_values().collect::<Vec<_>>(),
                if rests { vec!["p"] } else { vec![] },
                "{owner} {came} {now}"
            );
        }
    }

    #[test]
    fn a_node_that_a_plan_kept_rests_and_it_is_told_why_and_until_when() {
        let nodes = |now: &str| resting([&plan()].into_iter(), std::iter::empty(), at(now)).nodes;
        let told = "RebalancePlan p kept it (not drained in time); cycles leave it alone until 2026-11-22T11:20:00Z";
        assert_eq!(nodes("11:19:59"), [("b".to_owned(), told.to_owned())].into());
        assert_eq!(nodes("11:20:00"), BTreeMap::new());
    }

    #[test]
    fn what_could_not_be_bought_is_not_asked_for_again_within_a_quarter_of_an_hour() {
        let offerings = |now: &str| resting([&plan()].into_iter(), std::iter::empty(), at(now)).offerings;
        let failed = ("m5.large".to_owned(), "z".to_owned(), CapacityType::OnDemand);
        assert_eq!(offerings("10:19:59"), [failed].into());
        assert_eq!(offerings("10:20:00"), [].into());
    }
}
