//! One receiver at a time: the other nodes that could take what is evicted carry a soft taint meanwhile, so that it lands where
//! the plan wants it. Measured on a real control plane, this and the check of room before each eviction make a plan come true;
//! either alone does not.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kentroller_runtime::Kind;

use super::forcing::force;
use super::room::{Room, is_open};
use super::{PlanStep, RebalancePlans};
use crate::api::WavePhase;
use crate::api::foreign::{Node, NodeClaim, Pod};
use crate::api::marks::{NODE_POOL, PLAN};
use crate::controllers::marking;

/// A pod that has to leave, and the node that the plan has for it.
pub(super) struct MovingPod<'a> {
    pub(super) pod: &'a Pod,
    pub(super) planned: Option<String>,
}

impl<'a> PlanStep<'a> {
    /// Moves what can be moved to one receiver; says what is waited for, and which evictions are refused.
    ///
    /// Pods go where the plan has them. A pod whose place is still taken is put off while others move: that may free it.
    /// Only when nothing else moves does it go elsewhere. A pod that the API server refuses to evict holds up no other.
    /// Without `evicts` all is made ready for the first of them, and none is moved.
    pub(super) fn steer(
        &mut self,
        pods: Vec<MovingPod<'a>>,
        evicts: bool,
        room: &mut Room<'a, '_>,
    ) -> (Vec<String>, Vec<String>) {
        let all: Vec<&'a Pod> = pods.iter().map(|moving| moving.pod).collect();
        let (mut waits, mut refused) = (Vec::new(), Vec::new());
        let mut by_receiver: BTreeMap<String, Vec<&'a Pod>> = BTreeMap::new();
        let mut put_off = Vec::new();
        for MovingPod { pod, planned } in by_size(pods) {
            if pod.deleting().is_some() {
                waits.push(format!("{} to end", pod.key()));
            } else if let Some(until) = self.refused_until(pod).filter(|_| !self.is_forced(pod)) {
                refused.push(format!("{}, whose eviction is refused", pod.key()));
                self.out.look_at(until);
            } else {
                match (room.may_end(pod), planned.filter(|planned| room.takes(pod, planned))) {
                    (Err(what), _) => waits.push(what),
                    (Ok(()), Some(planned)) => by_receiver.entry(planned).or_default().push(pod),
                    (Ok(()), None) => put_off.push(pod),
                }
            }
        }
        // What has moved nothing for a while holds up no other.
        let at_rest = by_receiver.is_empty() && room.is_settled() && (waits.is_empty() || !room.is_moving());
        for pod in put_off {
            match room.best(pod).filter(|_| at_rest) {
                Some(other) => by_receiver.entry(other).or_default().push(pod),
                None => waits.push(format!("room for {}", pod.key())),
            }
        }
        if at_rest {
            self.note_stuck(by_receiver.is_empty() && refused.is_empty());
        }
        // What was moved to the receiver, by whichever wave, is still to find its place there.
        let stays = self.status.receiver.clone().filter(|now| by_receiver.contains_key(now) || !room.is_settled());
        let fullest = || by_receiver.iter().max_by_key(|(_, pods)| pods.len()).map(|(name, _)| name.clone());
        let Some(receiver) = stays.or_else(fullest) else { return (waits, refused) };
        self.status.receiver = Some(receiver.clone());
        let is_turned = self.turn_to(&receiver, &room.rivals(all.into_iter(), &receiver));
        if !is_turned || !evicts {
            waits.insert(0, format!("nodes to prefer {receiver}"));
            return (waits, refused);
        }
        for pod in by_receiver.remove(&receiver).unwrap_or_default() {
            // What was moved before in this look may have taken the room, or the owner's share.
            match room.may_end(pod) {
                Ok(()) if room.takes(pod, &receiver) => {
                    room.move_out(pod, &receiver);
                    self.note_moved(pod);
                    self.end(pod);
                    waits.push(format!("{} to move to {receiver}", pod.key()));
                }
                Ok(()) => waits.push(format!("room for {}", pod.key())),
                Err(what) => waits.push(what),
            }
        }
        let others: usize = by_receiver.values().map(Vec::len).sum();
        if others > 0 {
            waits.push(format!("{others} pods that go elsewhere"));
        }
        (waits, refused)
    }

    /// Evicts the pod; deletes it where its eviction is refused for too long.
    fn end(&mut self, pod: &Pod) {
        let guard = self.protection.guard_of(pod, self.beside(pod));
        if !self.is_forced(pod) {
            self.out.evict(pod).keyed(eviction(pod)).only_if(guard);
            return;
        }
        let told = format!("pod {} is deleted: its eviction is refused for too long", pod.key());
        let refused = format!("pod {}", pod.key());
        let forced = self.out.force(pod).keyed(force(pod)).only_if(guard);
        forced.says(RebalancePlans::PodForced, told).or_says(RebalancePlans::ForceEvictionNotAllowed, refused);
    }

    /// Until when the eviction of a pod is not tried again, because it was refused.
    fn refused_until(&self, pod: &Pod) -> Option<Timestamp> {
        let until = self.world.reply(&eviction(pod))?.retry_at()?;
        (until > self.world.now()).then_some(until)
    }

    /// Gives every rival of the receiver our soft taint, and takes it off the receiver; says whether all of it is so.
    fn turn_to(&mut self, receiver: &str, rivals: &BTreeSet<&str>) -> bool {
        let uid = self.plan.uid();
        let mut turned = true;
        for node in self.world.all::<Node>() {
            let is_tainted = marking::is_tainted(node);
            if node.name() == receiver && is_tainted {
                turned = false;
                self.out.merge(node, marking::untaint(node));
            } else if rivals.contains(node.name()) && !is_tainted {
                turned = false;
                // One that is being opened takes no pods so far, and no second write in one look.
                if is_open(node) {
                    self.out.merge(node, marking::taint(node, uid));
                }
            }
        }
        turned
    }

    /// While no pods move, any node is as good as another; but for those that were made for pods of a later wave.
    pub(super) fn open_all(&mut self) {
        let (uid, kept_free) = (self.plan.uid(), self.kept_free());
        let ours =
            |node: &&Node| marking::is_tainted(node) && node.label(PLAN) == Some(uid) && node.deleting().is_none();
        // Until Karpenter has registered a node, no NodeClaim names it.
        let is_new =
            |node: &Node| node.label(NODE_POOL).is_some() && self.world.indexed::<NodeClaim>(node.name()).is_empty();
        let is_kept_free = |node: &Node| kept_free.contains(node.name()) || is_new(node);
        for node in self.world.all::<Node>().filter(ours).filter(|node| !is_kept_free(node)) {
            self.out.merge(node, marking::untaint(node));
        }
    }

    /// The new nodes of waves that move no pods so far.
    fn kept_free(&self) -> BTreeSet<&'a str> {
        use WavePhase::{Creating, Gating, Waiting};
        let waves = self.status.waves.iter().filter(|wave| matches!(wave.phase, Creating | Gating | Waiting));
        let greens = waves.flat_map(|wave| self.greens(wave.index));
        greens.filter_map(|add| self.made(add)).map(|claim| claim.status.node_name.as_str()).collect()
    }
}

/// The key of the effect that evicts a pod.
pub(super) fn eviction(pod: &Pod) -> String {
    format!("evict {}", pod.uid())
}

/// The largest first: they find it hardest to get a place.
fn by_size(mut pods: Vec<MovingPod<'_>>) -> Vec<MovingPod<'_>> {
    let size = |pod: &Pod| {
        let wanted = kentroller_planner::rules::requests::of_shape(&pod.spec.shape);
        wanted.get("cpu").map_or(0, |cpu| cpu.milli())
    };
    pods.sort_by_key(|moving| (std::cmp::Reverse(size(moving.pod)), moving.pod.key()));
    pods
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::testing::{Given, given, object};
    use serde_json::{Value, json};

    use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
    use crate::api::{PlanStatus, RebalancePlan};
    use crate::controllers::plan::RebalancePlans;

    /// A plan that runs: pod `p` leaves node `old` for NodeClaim `to`, and in a later wave `q` leaves node `older` for `a`.
    fn plan(to: &str, adds: bool, gone: bool) -> RebalancePlan {
        let class = json!({"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"});
        let add = json!({"metadata": {"name": to}, "spec": {"nodeClassRef": class, "requirements": []}, "wave": 0});
        let pod = |name: &str, from: &str, to: &str, wave: u32| json!({"namespace": "shop", "name": name, "srcNode": from, "dstNodeClaimName": to, "policy": "Optional", "wave": wave});
        let attempt = json!({"status": "Success", "description": "", "nodeClaimName": to, "timestamp": "2026-11-22T09:00:00Z",
            "instanceType": "m6a.xlarge", "zone": "a", "capacityType": "on-demand"});
        let course = json!({"name": "old", "phase": if gone { "Gone" } else { "Draining" }, "wave": 0, "events": [],
            "cordonTime": "2026-11-22T10:00:10Z"});
        let all = |one: Value| if adds { json!([one]) } else { json!([]) };
        object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "u", "generation": 1},
            "spec": {"execute": true, "nodeClaimsToAdd": all(add),
                "podsToMigrate": [pod("p", "old", to, 0), pod("q", "older", "a", 1)],
                "nodeClaimsToDelete": [{"nodeClaimName": "old", "wave": 0}, {"nodeClaimName": "older", "wave": 1}]},
            "status": {"state": "Running", "conditions": [], "startTime": "2026-11-22T10:00:00Z", "observedGeneration": 1,
                "waves": [{"index": 0, "phase": "Draining", "since": "2026-11-22T10:00:10Z", "touched": true}],
                "nodesCreation": if adds { json!({to: {"name": to, "attempts": [attempt]}}) } else { json!({}) },
                "nodesDeletion": {"old": course}, "ownersMoved": ["w-p"]}}))
    }

    fn node(name: &str, cpu: &str, spec: Value, plan: bool) -> Node {
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T08:00:00Z"});
        let mut labels = json!({"karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand",
            "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "a", "karpenter.sh/initialized": "true"});
        let mut annotations = json!({});
        if plan {
            labels["rebalancing.cast.ai/plan"] = json!("u");
        }
        if spec["unschedulable"] == true {
            annotations["rebalancing.cast.ai/cordoned-by"] = json!("u");
        }
        object(
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "spec": spec, "status": {"conditions": [ready], "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}}),
        )
    }

    fn claim(name: &str) -> NodeClaim {
        let is = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-11-22T08:00:00Z"});
        object(
            json!({"apiVersion": "", "kind": "", "metadata": {"name": name}, "spec": {}, "status": {"nodeName": name,
            "conditions": [is("Launched"), is("Registered"), is("Initialized"), is("Consolidatable")]}}),
        )
    }

    fn pod(name: &str, owner: &str, node: &str, cpu: &str) -> Pod {
        let conditions = if node.is_empty() { json!([]) } else { json!([{"type": "Ready", "status": "True"}]) };
        object(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": name, "uid": name, "creationTimestamp": "2026-11-22T10:00:20Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": true}]},
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}], "nodeName": node},
            "status": {"phase": "Running", "conditions": conditions}}))
    }

    /// Nodes `old`, which we have cordoned, and `a`, each with its NodeClaim.
    fn cluster() -> Given<RebalancePlans> {
        let pool: NodePool = object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "general"},
            "spec": {"disruption": {"consolidateAfter": "30s", "consolidationPolicy": "WhenEmptyOrUnderutilized"}}}));
        let given = given::<RebalancePlans>().at("2026-11-22T10:00:40Z").with(pool);
        given.with(claim("a"))
    }

    /// What is done, and which node is to take pods.
    fn decided(given: &Given<RebalancePlans>, plan: &RebalancePlan) -> (String, Option<String>) {
        let decided = given.decide(plan).expect("a decision");
        let status: PlanStatus = serde_json::from_value(decided.status.clone().expect("a status")).expect("a status");
        let effects: Vec<String> = decided.effects().map(ToString::to_string).collect();
        let told: Vec<&str> = decided.marks.iter().map(|mark| mark.message.as_str()).collect();
        (format!("{}; {}", effects.join("; "), told.join("; ")), status.receiver)
    }

    #[test]
    fn nothing_is_evicted_for_a_node_that_the_scheduler_still_takes_for_closed() {
        for is_closed in [true, false] {
            let closed = json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
            let spec = json!({"taints": if is_closed { closed } else { json!([]) }});
            let given = cluster().with(claim("old")).with(node("old", "4", json!({"unschedulable": true}), true));
            let given = given.with(claim("new")).with(node("new", "4", spec, true)).with(pod("p", "w-p", "old", "1"));
            let (done, receiver) = decided(&given, &plan("new", true, false));
            assert_eq!(receiver.as_deref(), Some("new"), "{done}");
            assert_eq!(done.contains("evict"), !is_closed, "{done}");
        }
    }

    #[test]
    fn a_pod_without_its_place_is_given_none_that_is_meant_for_another() {
        for (meant, wanted) in [(true, "b"), (false, "a")] {
            let given = cluster().with(claim("old")).with(node("old", "4", json!({"unschedulable": true}), true));
            let given = given.with(claim("older")).with(node("older", "4", json!({}), false));
            let given =
                given.with(node("a", "2", json!({}), true)).with(claim("b")).with(node("b", "3", json!({}), true));
            let given = given.with(pod("p", "w-p", "old", "1500m"));
            let given = given.with(pod("q", "w-q", if meant { "older" } else { "a" }, if meant { "1" } else { "0" }));
            let (done, receiver) = decided(&given, &plan("lost", false, false));
            assert_eq!(receiver.as_deref(), Some(wanted), "{done}");
        }
    }

    #[test]
    fn no_node_is_opened_before_what_was_moved_has_its_place() {
        for is_placed in [true, false] {
            let later = json!({"taints": [{"key": "rebalancing.cast.ai/later", "effect": "PreferNoSchedule"}]});
            let successor = pod("p-2", "w-p", if is_placed { "b" } else { "" }, "1");
            let given = cluster().with(node("a", "4", later, true)).with(successor);
            let (done, _) = decided(&given, &plan("b", false, true));
            assert_eq!(done.contains("Node a {\"spec\":{\"taints\":[]}}"), is_placed, "{done}");
            assert_eq!(done.contains("to have their places"), !is_placed, "{done}");
        }
    }
}
