//! What is to wake somebody, of what our controllers measure.

use kentroller_runtime::{ALERTS, AlertInfo};

/// All alerts: those of every operator, then ours.
pub fn alerts() -> Vec<AlertInfo> {
    ALERTS.iter().chain(&OURS).copied().collect()
}

const OURS: [AlertInfo; 5] = [
    AlertInfo {
        name: "MarkWithoutActivePlan",
        expr: "max($orphaned_marks) > 0",
        lasts: "15m",
        summary: "Nodes bear marks of a plan that is gone",
        meaning: "They take no pods, or Karpenter leaves them alone, although no plan needs that. The operator takes such marks back within \
                  minutes; here it cannot.",
        steps: &[
            "`kubectl get nodes,nodeclaims --show-labels` shows them: [the label of a plan](marks.md) holds its uid.",
            "The log of the operator tells what the API server answers when the marks are taken back.",
            "In mode `observe` the operator has no right to: switch it back, or take them off with `kentroller release`, which needs no operator \
             and stops every plan.",
        ],
    },
    AlertInfo {
        name: "PlanNoProgress",
        expr: "time() - max by (plan) ($plan_last_step_timestamp_seconds) > 1800",
        lasts: "5m",
        summary: "Plan {{ $labels.plan }} has made no step for half an hour",
        meaning: "Nodes of the plan stay cordoned or shielded while it waits. It ends by itself when its rebalanceExecutionTimeout is over.",
        steps: &[
            "`kentroller status` tells what it waits for: a disruption slot, a pod that may not be evicted, a node that does not come.",
            "`kentroller explain node NAME` tells what holds a node, and by which field.",
            "Is a PodDisruptionBudget in the way that allows nothing? Its pods have to be Ready first.",
            "`kentroller cancel PLAN` stops it at its next safe point and takes its marks back.",
        ],
    },
    AlertInfo {
        name: "MovedPodsNotReady",
        expr: "max by (plan) ($moved_pods_not_ready) > 0",
        lasts: "5m",
        summary: "Pods that plan {{ $labels.plan }} moved are not Ready",
        meaning: "They came more than five minutes ago. While it is so, the plan moves nothing else, and at last it ends.",
        steps: &[
            "`kentroller status` names them; `kubectl describe pod` and the pod's log tell why they do not serve.",
            "Do they serve on other nodes? Then compare the new node's type, zone and image with the old one's.",
            "`kentroller cancel PLAN` ends the plan; nodes that are emptied are not brought back.",
        ],
    },
    AlertInfo {
        name: "PodsPendingAfterMove",
        expr: "max by (plan) ($moved_pods_pending) > 0",
        lasts: "5m",
        summary: "Pods that plan {{ $labels.plan }} moved have no node",
        meaning: "The scheduler has not bound what came for pods that were evicted. The room that was kept for them may have been taken by others.",
        steps: &[
            "`kubectl get pods -A --field-selector status.phase=Pending` shows them; `kubectl describe pod` tells what the scheduler says.",
            "Karpenter makes nodes for what is pending: does its log say why not?",
            "Were the plan's new nodes lost, or filled by pods of others? `kentroller history NODE` tells which nodes a plan made.",
        ],
    },
    AlertInfo {
        name: "SavingsRealised",
        expr: "min by (plan) ($plan_savings_realised_percent) < 50",
        lasts: "5m",
        summary: "Plan {{ $labels.plan }} has saved less than half of what it promised",
        meaning: "A day or more after its end. New nodes came dearer than planned, or nodes that should have gone were kept, or old and new ones \
                  ran side by side for long.",
        steps: &[
            "`kentroller savings` tells what each plan promised and what it has saved.",
            "`status.achievedOutcome` of the plan has the nodes that really came: which were not the first choice, and why did that fail?",
            "`kentroller why` tells why nodes stay; those that were kept are in `status.warnings`.",
            "A claim with `achievedSavingsPercentageThreshold` stops before anything is evicted for new nodes that save too little.",
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kentroller_runtime::generate::alerts;

    use crate::controllers::{METRICS_PREFIX, all};

    #[test]
    fn every_metric_that_an_alert_names_is_declared_and_every_alert_has_its_runbook() {
        let declared: Vec<_> = all().iter().flat_map(|one| one.declaration().metrics).copied().collect();
        let page = alerts::page("Kentroller", METRICS_PREFIX, &super::alerts(), &declared).expect("all is measured");
        let names: BTreeSet<&str> = super::alerts().iter().map(|alert| alert.name).collect();
        assert_eq!(names.len(), super::alerts().len(), "two alerts share a name");
        let committed = include_str!("../../docs/reference/alerts.md");
        for alert in super::alerts() {
            let head = format!("\n## Kentroller{}\n", alert.name);
            assert!(page.contains(&head) && committed.contains(&head), "{} has no section", alert.name);
            assert!(!alert.steps.is_empty(), "{} has no steps", alert.name);
        }
    }
}
