//! Whether the pods that a plan has moved serve again. While some of them do not, it moves no others: what is wrong with them may
//! be wrong with the next ones.

use std::collections::BTreeSet;
use std::time::Duration;

use kentroller_runtime::Kind;

use super::waves::told;
use super::{PlanStep, room};
use crate::api::foreign::Pod;
use crate::api::{DeletionPhase, NodeDeletion};
use crate::controllers::after;

/// How long the successor of a pod that was moved may take to be Ready.
const READY_TIMEOUT: Duration = Duration::from_secs(5 * 60);

impl PlanStep<'_> {
    /// The owners whose pods the plan is to move and of whose pods some are not Ready as it begins: of them nobody can say that the plan
    /// made them so.
    pub(super) fn owners_not_ready(&self) -> Vec<String> {
        let pods = self.planned_pods().filter_map(|(_, pod)| pod.controller());
        let owners: BTreeSet<&str> = pods.map(|owner| owner.uid.as_str()).collect();
        let is_unwell =
            |uid: &&str| self.world.owned_by::<Pod>(uid).iter().any(|pod| !pod.has_ended() && !pod.is_ready());
        owners.into_iter().filter(is_unwell).map(str::to_owned).collect()
    }

    /// What has to be before this node is cordoned; `None` if it may be.
    pub(super) fn before_cordoning(&self, name: &str) -> Option<String> {
        self.not_ready.clone().or_else(|| self.first_node(name))
    }

    /// What any other node than the first waits for: that one goes alone, until it is empty and its pods serve elsewhere. The first
    /// one itself may have to be cordoned once more: its course was written, and the cordon was not.
    fn first_node(&self, name: &str) -> Option<String> {
        let courses = &self.status.nodes_deletion;
        let is_draining = |course: &&NodeDeletion| course.phase() == Some(DeletionPhase::Draining);
        let is_over = |course: &NodeDeletion| {
            matches!(course.phase(), Some(DeletionPhase::Ending | DeletionPhase::Gone | DeletionPhase::Kept))
        };
        if let Some(first) = courses.values().find(is_draining).filter(|_| !courses.values().any(is_over)) {
            return (first.name != name).then(|| format!("node {} to be empty, which goes first", first.name));
        }
        // Its successors may still be on their way.
        let mut over = courses.values().filter(|course| is_over(course));
        let alone = over.next().filter(|_| over.next().is_none() && !courses.values().any(|one| is_draining(&one)))?;
        let pod = self.successors(Duration::ZERO).into_iter().next()?;
        Some(format!("pod {} of node {}, which went first, to be Ready", pod.key(), alone.name))
    }

    /// What is told while pods that the plan has moved are not Ready for too long; `None` while all is well.
    pub(super) fn not_ready(&self) -> Option<String> {
        if !self.status.waves.iter().any(|wave| wave.touched) {
            return None;
        }
        let late: Vec<String> = self.successors(READY_TIMEOUT).iter().map(|pod| pod.key().to_string()).collect();
        (!late.is_empty()).then(|| format!("{} to be Ready, before anything else moves", told(late)))
    }

    /// How many pods that the plan has moved are not Ready for too long, and how many have no node yet.
    pub(super) fn unwell(&self) -> (usize, usize) {
        let successors = self.successors(Duration::ZERO);
        let count = |is: &dyn Fn(&Pod) -> bool| successors.iter().filter(|pod| is(pod)).count();
        let is_late = |pod: &Pod| after(pod.created(), READY_TIMEOUT) <= self.world.now();
        (count(&is_late), count(&|pod| pod.spec.node_name.is_empty()))
    }

    /// The pods that came for those that were moved, are not Ready, and are so old.
    fn successors(&self, age: Duration) -> Vec<&Pod> {
        let (began, now) = (self.began(), self.world.now());
        let occupancy = self.world.view::<Pod>();
        let pods = occupancy.moving().filter_map(|key| self.world.lookup::<Pod>(key).present());
        let is_so_old = |pod: &&Pod| pod.created() >= began && after(pod.created(), age) <= now;
        let mut pods: Vec<&Pod> = pods.filter(|pod| pod.deleting().is_none() && is_so_old(pod)).collect();
        if !pods.is_empty() {
            let moved = self.moved();
            pods.retain(|pod| pod.controller().is_some_and(|owner| moved.contains(&owner.uid)));
        }
        pods
    }

    /// Why a pod that serves is not moved while its siblings do not, as they did not before the plan: nobody knows when they will.
    pub(super) fn lacks_siblings(&self, pod: &Pod) -> Option<String> {
        let owner = pod.controller().filter(|owner| self.status.owners_not_ready.contains(&owner.uid))?;
        if !pod.is_ready() {
            return None;
        }
        let siblings = room::siblings(self.world, &owner.uid);
        let unwell = room::not_serving(&siblings, pod);
        (unwell >= room::share(&owner.kind, pod, siblings.len())).then(|| {
            format!("pod {}: {unwell} of its siblings are not Ready, and were not when the plan began", pod.key())
        })
    }
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::testing::{given, object};
    use serde_json::{Value, json};

    use crate::api::foreign::Pod;
    use crate::api::{PlanStatus, RebalancePlan};
    use crate::controllers::plan::RebalancePlans;

    #[test]
    fn whose_pods_were_moved_is_read_from_the_status_so_that_a_new_process_waits_for_them_too() {
        // Its node is gone, and so is whatever the process before had seen of it.
        let plan = |moved: Value| -> RebalancePlan {
            object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "u", "generation": 1},
                "spec": {"execute": true, "nodeClaimsToAdd": [], "podsToMigrate": [],
                    "nodeClaimsToDelete": [{"nodeClaimName": "c", "wave": 0}, {"nodeClaimName": "d", "wave": 0}]},
                "status": {"state": "Running", "conditions": [], "startTime": "2026-11-22T10:00:00Z", "observedGeneration": 1,
                    "waves": [{"index": 0, "phase": "Draining", "since": "2026-11-22T10:00:10Z", "touched": true}],
                    "nodesDeletion": {"n": {"name": "n", "phase": "Gone", "wave": 0, "events": []}}, "ownersMoved": moved}}))
        };
        let successor: Pod = object(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "db-0", "uid": "p", "creationTimestamp": "2026-11-22T10:01:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "w", "controller": true}]},
            "spec": {"containers": [], "nodeName": "m"}, "status": {"phase": "Running", "conditions": []}}));
        let told = |moved: Value| {
            let decided = given::<RebalancePlans>()
                .at("2026-11-22T10:10:00Z")
                .with(successor.clone())
                .decide(&plan(moved))
                .expect("a decision");
            let status: PlanStatus =
                serde_json::from_value(decided.status.clone().expect("a status")).expect("a status");
            let told: Vec<String> = decided.marks.iter().map(|mark| mark.message.clone()).collect();
            (status.state.expect("a state").as_str().to_owned(), told.join("; "))
        };
        let (state, waits) = told(json!(["w"]));
        assert_eq!(state, "Running");
        assert!(waits.contains("shop/db-0") && waits.contains("before anything else moves"), "{waits}");
        let (_, others) = told(json!([]));
        assert!(!others.contains("before anything else moves"), "{others}");
    }
}
