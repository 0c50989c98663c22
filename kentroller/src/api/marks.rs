//! The labels, annotations, taints and finalizers on objects that are not ours alone. A key stands here, or, if planning
//! reads it, in the planner's manifest; nowhere else.

use kentroller_planner::manifest::{Mark, marks as planning};
use kentroller_planner::marks;
use kentroller_runtime::generate::reference::table;

pub use self::planning::{
    BUDGET, CAPACITY_TYPE, CONSOLIDATION, DISRUPTED, DO_NOT_DISRUPT, DRAINING, INITIALIZED, INSTANCE_TYPE, NODE_POOL,
    PREDICTED_INTERRUPTION, REGION, ZONE, ZONE_ID,
};

marks! {
    /// The uid of the plan that works on the object. Taken back when the plan has ended.
    PLAN = "rebalancing.cast.ai/plan", "label of Node and NodeClaim", set by "Kentroller";
    /// Held while the plan has its marks on other objects; a plan that is deleted takes them back first.
    PLAN_FINALIZER = "rebalancing.cast.ai/plan", "finalizer of RebalancePlan", set by "Kentroller";
    /// The name of the plan that made the node; it stays for good.
    MADE_BY = "rebalancing.cast.ai/made-by", "annotation of NodeClaim, copied to its Node by Karpenter", set by "Kentroller";
    /// The uid of the plan that cordoned the node. Without it the cordon is somebody else's and is left alone.
    CORDONED_BY = "rebalancing.cast.ai/cordoned-by", "annotation of Node", set by "Kentroller";
    /// The uid of the plan that made the node and keeps it free for the pods that it moves there next.
    RESERVED_BY = "rebalancing.cast.ai/reserved-by", "annotation of Node", set by "Kentroller";
    /// What `karpenter.sh/do-not-disrupt` was before a plan shielded the object from Karpenter: its value, or `absent`. Given back
    /// when the plan has ended.
    FORMER_SHIELD = "rebalancing.cast.ai/former-do-not-disrupt", "annotation of Node and NodeClaim", set by "Kentroller";
    /// `drain-failed`: a plan could not drain the node in time and kept it. It stays until somebody takes it away.
    STATUS = "rebalancing.cast.ai/status", "annotation of Node", set by "Kentroller";
    /// When a node that could not be drained in time takes pods again, as RFC 3339 has it.
    UNCORDON_AFTER = "rebalancing.cast.ai/uncordon-after", "annotation of Node", set by "Kentroller";
    /// `true`: the ConfigMap switches features, by its key `features.yaml`.
    FEATURES = "kentroller.cast.ai/features", "label of ConfigMap", set by "users";
    /// When Karpenter ends what is left on the node of a deleted NodeClaim, as RFC 3339 has it: how a drain is forced.
    ENDS_AT = "karpenter.sh/nodeclaim-termination-timestamp", "annotation of NodeClaim", set by "Karpenter; Kentroller where a drain is forced";
    /// PreferNoSchedule: while a plan moves pods, on the nodes that could take them, but for the one that is to. New nodes come with it.
    LATER = "rebalancing.cast.ai/later", "taint of Node", set by "Kentroller";
    /// What a pod belongs to: of DNS, Karpenter and this operator one pod moves at a time.
    APP_NAME = "app.kubernetes.io/name", "label of Pod", set by "who installed it";
    /// The older label of the same meaning, which DNS has.
    K8S_APP = "k8s-app", "label of Pod", set by "who installed it";
    /// The uid of the schedule that made the claim, also on the claim's plans. Owner references come and go with `preserveHistory`, this
    /// stays.
    SCHEDULE = "rebalancing.cast.ai/schedule", "label of RebalancePlanClaim and RebalancePlan", set by "Kentroller";
    /// The time that the claim was made for, in seconds since 1970.
    SCHEDULED_FOR = "rebalancing.cast.ai/scheduled-for", "label of RebalancePlanClaim", set by "Kentroller";
    /// When the window of the schedule ends that made the claim, such as `2026-11-22T06:00:00Z`: nothing new is begun for it afterwards.
    WINDOW_END = "rebalancing.cast.ai/window-end", "annotation of RebalancePlanClaim", set by "Kentroller";
    /// What a plan of continuous rebalancing may do: `full`, `drain-only` or `delete-empty`. Other plans do not have it.
    CYCLE_MODE = "rebalancer.cast.ai/consolidation-mode", "label of RebalancePlan", set by "Kentroller";
    /// Why node consolidation made the object: `empty`, `evictor` or `expiry`. Others do not have it.
    CONSOLIDATES = "rebalancing.cast.ai/consolidates", "label of RebalancePlan and RebalancePlanClaim", set by "Kentroller";
    /// When Kentroller labelled the node as one that the provider is expected to take away, as RFC 3339 has it: the label is ours to take
    /// back.
    PREDICTED_AT = "rebalancing.cast.ai/predicted-at", "annotation of Node", set by "Kentroller";
    /// Why Kentroller expects it, for people.
    PREDICTED_BECAUSE = "rebalancing.cast.ai/predicted-because", "annotation of Node", set by "Kentroller";
    /// `interruption`: the nodes in scope are left before the provider takes them away. Other claims and plans do not have it.
    PREDICTS = "rebalancing.cast.ai/predicts", "label of RebalancePlanClaim and RebalancePlan", set by "Kentroller";
    /// EC2 recommends to leave the machine, as AWS Node Termination Handler has it.
    REBALANCE_RECOMMENDATION = "aws-node-termination-handler/rebalance-recommendation", "taint of Node", set by "AWS Node Termination Handler";
    /// `done`: the evictor has emptied the node. With the same component's `autoscaling.cast.ai/draining` and its cordon the node is handed
    /// over, to be removed.
    EVICTION_STATUS = "evictor.cast.ai/eviction-status", "label or annotation of Node", set by "the evictor of CAST AI";
    /// What Karpenter tells drift of a node from its NodePool by; copied from the pool, as Karpenter does.
    NODE_POOL_HASH = "karpenter.sh/nodepool-hash", "annotation of NodePool and NodeClaim", set by "Karpenter; Kentroller on the NodeClaims that it makes";
    /// The version of the rule that the hash was made by.
    NODE_POOL_HASH_VERSION = "karpenter.sh/nodepool-hash-version", "annotation of NodePool and NodeClaim", set by "Karpenter; Kentroller on the NodeClaims that it makes";
}

/// In place of a former value: there was none.
const ABSENT: &str = "absent";

/// How a former value is noted.
pub fn former_note(value: Option<&str>) -> &str {
    value.unwrap_or(ABSENT)
}

/// The former value that a note tells; `None` where there was none.
pub fn former_value(note: &str) -> Option<&str> {
    (note != ABSENT).then_some(note)
}

/// Every key that the operator sets or reads.
pub fn all() -> impl Iterator<Item = &'static Mark> {
    ALL.iter().chain(planning::ALL)
}

/// The reference page of all keys.
pub fn page() -> String {
    let mut page = String::from(
        "# Marks\n\nThe labels, annotations, taints and finalizers that the operator sets or reads on objects that are not its own alone. \
         Users set those whose third column says so; the others are left to who sets them.\n\n",
    );
    let rows = all().map(|mark| [format!("`{}`", mark.key), mark.place.into(), mark.set_by.into(), mark.doc.into()]);
    table(&mut page, ["key", "where", "set by", "meaning"], rows);
    page
}

#[cfg(test)]
mod tests {
    use kentroller_planner::manifest::marks::keeps_annotation;

    use super::*;
    use crate::api::sources::code_of;

    #[test]
    fn an_annotation_that_is_declared_is_not_dropped_when_an_object_is_decoded() {
        for mark in all().filter(|mark| mark.place.contains("annotation")) {
            assert!(keeps_annotation(mark.key), "{} is dropped", mark.key);
        }
    }

    #[test]
    fn no_key_is_written_anywhere_else_in_this_crate() {
        let mut found = Vec::new();
        // What a chart says of its own pods is no mark of ours.
        let exempt = ["api/marks.rs", "chart/values.rs"];
        let others = code_of(&[""]);
        for (file, line) in others.iter().filter(|(file, _)| !exempt.iter().any(|one| file.ends_with(one))) {
            let literals = line.split('"').skip(1).step_by(2);
            let keys = literals.filter(|text| DOMAINS.iter().any(|domain| has_key(text, domain)));
            found.extend(keys.map(|key| format!("{file}: {key}")));
        }
        assert!(found.is_empty(), "declare these in api/marks.rs and use the constants:\n{}", found.join("\n"));
    }

    const DOMAINS: [&str; 4] = ["cast.ai/", "karpenter.sh/", "karpenter.k8s.aws/", "kubernetes.io/"];

    /// Whether a key of the domain stands in the text; the domain alone is none, nor is a group with its version.
    fn has_key(text: &str, domain: &str) -> bool {
        text.split(domain)
            .skip(1)
            .any(|rest| rest.starts_with(|first: char| first.is_ascii_alphabetic()) && !rest.starts_with("v1"))
    }

    #[test]
    fn a_key_has_one_meaning_for_each_place() {
        let mut known: Vec<(&str, &str)> = all().map(|mark| (mark.key, mark.place)).collect();
        known.sort_unstable();
        let mut once = known.clone();
        once.dedup();
        assert_eq!(known, once);
    }
}
