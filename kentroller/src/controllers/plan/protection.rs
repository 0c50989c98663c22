//! What must not be touched now, whatever it was when the plan was made: the planner's own rules, asked again on what is
//! there before a node is cordoned, before each eviction, and before a NodeClaim is deleted.
//!
//! Disruption budgets of pods are left out: the eviction API keeps them, and a pod that it refuses is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kentroller_planner::manifest;
use kentroller_planner::rules::{ObservedNode, PodRules, Surroundings};
use kentroller_planner::{Moment, Options, Rule};
use kentroller_runtime::{Guard, Kind};

use super::RebalancePlans;
use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
use crate::api::marks::CORDONED_BY;
use crate::api::{MigrationPolicy, RebalancePlan};
use crate::backend::snapshot;
use crate::controllers::marking::{self, is_cordoned_by_another};

/// The rules at one moment, under the options that the plan was made with.
#[derive(Debug)]
pub(super) struct Protection {
    pub(super) options: Options,
    /// The same, but for what our own evictions change (`Consolidatable`), and what has a rule of its own while a plan runs (slots).
    while_it_runs: Options,
    now: Moment,
    /// Namespace and name of the pods that the plan says are moved alive or not at all.
    mandatory: BTreeSet<(String, String)>,
}

/// What the rules of a pod look at besides it.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    /// How many pods its controller has.
    pub(super) replicas: u32,
    /// Its node, if entries of `evictionConfig` may speak of it.
    pub(super) node: Option<manifest::Node>,
}

impl Protection {
    pub(super) fn of(plan: &RebalancePlan, options: Options, now: Timestamp) -> Self {
        // A word of another version is no leave to evict.
        let moves = plan.spec.pods_to_migrate.iter().filter(|pod| pod.policy != MigrationPolicy::Optional);
        let mandatory = moves.map(|pod| (pod.namespace.clone(), pod.name.clone())).collect();
        let mut while_it_runs = options.clone();
        while_it_runs.aggressive.ignore_consolidatable = true;
        while_it_runs.aggressive.ignore_zero_node_pool_disruption_budgets = true;
        Self { options, while_it_runs, now: Moment(now.as_second()), mandatory }
    }

    /// The rule that holds the pod where it is, in words for people; none of a pod that somebody has ended.
    pub(super) fn holds_pod(&self, pod: &Pod, beside: &Beside) -> Option<String> {
        if pod.deleting().is_some() {
            return None;
        }
        if self.mandatory.contains(&(pod.metadata.namespace.to_string(), pod.name().to_owned())) {
            return Some(format!("pod {}: its policy is Mandatory, and no pod is moved alive so far", pod.key()));
        }
        let owner = pod
            .controller()
            .map(|owner| (pod.metadata.namespace.to_string(), owner.kind.to_string(), owner.name.to_string()));
        let replicas: BTreeMap<_, _> = owner.into_iter().map(|owner| (owner, beside.replicas)).collect();
        let around = Surroundings { now: self.now, pdbs: &[], nodes: beside.node.as_slice(), replicas: &replicas };
        let rule = PodRules::of(around, &self.options, []).holds(&snapshot::pod(pod))?;
        Some(format!("pod {}: {rule}", pod.key()))
    }

    /// Whether the pod bears a mark that forbids its move (`removal-disabled`, `do-not-disrupt`), whatever the claim lifts.
    pub(super) fn is_marked(&self, pod: &Pod) -> bool {
        let around = Surroundings { now: self.now, pdbs: &[], nodes: &[], replicas: &BTreeMap::new() };
        let rule = PodRules::of(around, &Options::default(), []).holds(&snapshot::pod(pod));
        matches!(rule, Some(Rule::RemovalDisabled | Rule::DoNotDisrupt))
    }

    /// The rule by which a pod that belongs to its node holds it there.
    pub(super) fn holds_resident(&self, pod: &Pod) -> Option<String> {
        let around = Surroundings { now: self.now, pdbs: &[], nodes: &[], replicas: &BTreeMap::new() };
        let rule = PodRules::of(around, &self.options, []).holds_resident(&snapshot::pod(pod))?;
        Some(format!("pod {}: {rule}", pod.key()))
    }

    /// Why the node may not go, whatever its pods say.
    pub(super) fn holds_node(
        &self,
        node: &Node,
        claim: &NodeClaim,
        pool: Option<&NodePool>,
        plan: &RebalancePlan,
        is_empty: bool,
    ) -> Option<String> {
        let is_foreign =
            is_cordoned_by_another(node.spec.unschedulable, node.annotation(CORDONED_BY), Some(plan.uid()));
        if is_foreign && !marking::is_evicted(node) {
            return Some("somebody else cordoned it".to_owned());
        }
        let held = |observed: ObservedNode<'_>| observed.holds(self.now, &self.while_it_runs, is_empty, false);
        snapshot::observed(node, Some(claim), pool, held).map(|(_, detail)| detail)
    }

    /// Whether the node may be given pods as the planner has it, wherever they come from.
    pub(super) fn receives(&self, node: &Node, claim: Option<&NodeClaim>, pool: Option<&NodePool>) -> bool {
        snapshot::observed(node, claim, pool, |observed| observed.receives(self.now, &self.options))
    }

    /// Looks at the pod once more, as it is in the API server when it is to be evicted.
    pub(super) fn guard_of(self: &Arc<Self>, pod: &Pod, beside: Beside) -> Guard<RebalancePlans> {
        let (rules, key) = (Arc::clone(self), pod.key());
        let wanted = key.clone();
        let guard = Guard::<RebalancePlans>::that(move |fresh| match fresh.get::<Pod>(&wanted)? {
            Some(pod) => rules.holds_pod(&pod, &beside).map_or(Ok(()), Err),
            None => Ok(()),
        });
        guard.get::<Pod>(key)
    }
}

#[cfg(test)]
mod tests {
    use kentroller_planner::Mode;
    use kentroller_runtime::testing::object;
    use serde_json::{Value, json};

    use super::*;

    fn plan(policy: &str) -> RebalancePlan {
        let pod = json!({"namespace": "shop", "name": "web", "srcNode": "a", "dstNodeClaimName": "b", "policy": policy, "wave": 0});
        object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "now", "uid": "u"},
            "spec": {"nodeClaimsToAdd": [], "nodeClaimsToDelete": [], "podsToMigrate": [pod]}}))
    }

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().expect("a time")
    }

    #[test]
    fn a_mark_counts_as_the_rules_read_it() {
        let check = |marks: Value, want: bool| {
            let pod: Pod = object(json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": "shop", "name": "web", "annotations": marks, "ownerReferences":
                    [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "w", "controller": true}]},
                "spec": {"containers": []}, "status": {"startTime": "2026-11-22T08:00:00Z"}}));
            let mut lifted = Options::default();
            lifted.aggressive.ignore_problem_removal_disabled_pods = true;
            assert_eq!(Protection::of(&plan("Optional"), lifted, now()).is_marked(&pod), want, "{marks}");
        };
        check(json!({}), false);
        check(json!({"karpenter.sh/do-not-disrupt": "true"}), true);
        check(json!({"karpenter.sh/do-not-disrupt": "3h"}), true);
        check(json!({"karpenter.sh/do-not-disrupt": "1h"}), false);
        check(json!({"karpenter.sh/do-not-disrupt": "false"}), false);
        check(json!({"autoscaling.cast.ai/removal-disabled": "true"}), true);
        check(json!({"autoscaling.cast.ai/removal-disabled": "false"}), false);
    }

    #[test]
    fn what_a_plan_changes_itself_hides_no_other_reason_why_a_node_stays() {
        let condition =
            |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-11-22T08:00:00Z"});
        let labels = json!({"karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand",
            "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "a", "karpenter.sh/initialized": "true"});
        let node: Node =
            object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": labels},
            "spec": {}, "status": {"conditions": [condition("Ready")]}}));
        // Its pods have just left it, or one has just come: Karpenter has taken Consolidatable off.
        let claim: NodeClaim = object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "c"}, "spec": {},
            "status": {"conditions": [condition("Initialized")]}}));
        let pool = |disruption: Value| -> NodePool {
            object(
                json!({"apiVersion": "", "kind": "", "metadata": {"name": "general"}, "spec": {"disruption": disruption}}),
            )
        };
        let check = |mode: Mode, disruption: Value, is_empty: bool, want: Option<&str>| {
            let options = Options { mode, ..Options::default() };
            let told = Protection::of(&plan("Optional"), options, now()).holds_node(
                &node,
                &claim,
                Some(&pool(disruption.clone())),
                &plan("Optional"),
                is_empty,
            );
            let fits = want.map_or(told.is_none(), |want| told.as_ref().is_some_and(|told| told.contains(want)));
            assert!(fits, "{mode:?} {disruption} {is_empty}: {told:?}, not {want:?}");
        };
        let plain = || json!({"consolidateAfter": "30s", "consolidationPolicy": "WhenEmptyOrUnderutilized"});
        let shut =
            || json!({"consolidateAfter": "30s", "consolidationPolicy": "WhenEmpty", "budgets": [{"nodes": "0"}]});
        check(Mode::Full, plain(), false, None);
        check(Mode::DeleteEmpty, plain(), true, None);
        check(Mode::DeleteEmpty, plain(), false, Some("only empty nodes"));
        check(Mode::Full, shut(), true, None);
        check(Mode::Full, shut(), false, Some("WhenEmpty"));
    }

    #[test]
    fn a_pod_whose_policy_is_not_known_stays_as_one_that_is_to_be_moved_alive() {
        let pod: Pod = object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "w", "controller": true}]},
            "spec": {"containers": [], "nodeName": "a"}, "status": {"phase": "Running"}}),
        );
        for (policy, stays) in [("Optional", false), ("Mandatory", true), ("Sometimes", true)] {
            let held = Protection::of(&plan(policy), Options::default(), now()).holds_pod(&pod, &Beside::default());
            assert_eq!(held.is_some(), stays, "{policy}: {held:?}");
        }
    }
}
