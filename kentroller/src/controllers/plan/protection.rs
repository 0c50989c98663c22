//! What must not be touched now, whatever it was when the plan was made: the planner's own rules, asked again on what is
//! there before a node is cordoned, before each eviction, and before a NodeClaim is deleted.
//!
//! Disruption budgets of pods are left out: the eviction API keeps them, and a pod that it refuses is tried again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kentroller_planner::rules::{ObservedNode, PodRules, Surroundings};
use kentroller_planner::{KeptReason, Moment, Options};
use kentroller_runtime::{Guard, Kind};

use super::{PlanStep, RebalancePlans};
use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
use crate::api::marks::CORDONED_BY;
use crate::api::{MigrationPolicy, RebalancePlan};
use crate::backend::snapshot;

/// The rules at one moment, under the options that the plan was made with.
#[derive(Clone, Debug)]
pub(super) struct Protection {
    options: Options,
    now: Moment,
}

impl Protection {
    pub(super) fn of(options: Options, now: Timestamp) -> Self {
        Self { options, now: Moment(now.as_second()) }
    }

    /// The rule that holds the pod where it is, in words for people.
    pub(super) fn holds_pod(&self, pod: &Pod) -> Option<String> {
        let replicas = BTreeMap::new();
        let around = Surroundings { now: self.now, pdbs: &[], nodes: &[], replicas: &replicas };
        let rule = PodRules::of(around, &self.options, []).holds(&snapshot::pod(pod))?;
        Some(format!("pod {}: {rule}", pod.key()))
    }

    /// Why the node may not go, whatever its pods say.
    ///
    /// What our own evictions change is left out (`Consolidatable`), and what has a rule of its own while a plan runs (slots).
    pub(super) fn holds_node(
        &self,
        node: &Node,
        claim: &NodeClaim,
        pool: Option<&NodePool>,
        plan: &RebalancePlan,
        is_empty: bool,
    ) -> Option<String> {
        if node.spec.unschedulable && node.annotation(CORDONED_BY) != Some(plan.uid()) {
            return Some("somebody else cordoned it".to_owned());
        }
        let (read, claim, pool) = (snapshot::node(node), snapshot::claim(claim), pool.map(snapshot::pool));
        let observed = ObservedNode { node: &read, claim: Some(&claim), pool: pool.as_ref() };
        let (reason, detail) = observed.holds(self.now, &self.options, is_empty, false)?;
        let is_ours = matches!(reason, KeptReason::NotConsolidatable | KeptReason::BudgetZero);
        (!is_ours).then_some(detail)
    }

    /// Looks at the pod once more, as it is in the API server when it is to be evicted.
    pub(super) fn guard_of(&self, pod: &Pod) -> Guard<RebalancePlans> {
        let (rules, key) = (self.clone(), pod.key());
        let wanted = key.clone();
        let guard = Guard::<RebalancePlans>::that(move |fresh| match fresh.get::<Pod>(&wanted)? {
            Some(pod) => rules.holds_pod(&pod).map_or(Ok(()), Err),
            None => Ok(()),
        });
        guard.get::<Pod>(key)
    }
}

impl PlanStep<'_> {
    /// The first of these pods that must not be ended, and why.
    pub(super) fn held_pod(&self, pods: &[&Pod]) -> Option<String> {
        let ours = pods.iter().filter(|pod| pod.deleting().is_none());
        ours.clone().find_map(|pod| {
            let planned = self.plan.spec.pods_to_migrate.iter();
            let mut planned =
                planned.filter(|planned| planned.name == pod.name() && *planned.namespace == *pod.metadata.namespace);
            let mandatory = planned.any(|planned| planned.policy == MigrationPolicy::Mandatory);
            let alone = || format!("pod {}: its policy is Mandatory, and no pod is moved alive so far", pod.key());
            mandatory.then(alone).or_else(|| self.protection.holds_pod(pod))
        })
    }
}
