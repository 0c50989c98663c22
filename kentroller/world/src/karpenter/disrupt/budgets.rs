//! How many nodes of a pool may be disrupted for a reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use kentroller_planner::manifest::{DisruptionBudget, Node, NodePool};

use super::candidates::Candidate;
use super::decision::Reason;
use crate::conditions;
use crate::karpenter::{DISRUPTED, NODE_POOL};
use crate::readings::shares;
use crate::seen::{Known, Seen};

/// The candidates, in their order, without those that are more than the budgets of their pools allow.
pub(super) fn within<'c, 'a>(
    candidates: impl IntoIterator<Item = &'c Candidate<'a>>,
    reason: Reason,
    seen: &Seen,
) -> Vec<&'c Candidate<'a>>
where
    'a: 'c,
{
    let mut left: BTreeMap<Arc<str>, i64> = BTreeMap::new();
    let mut found = Vec::new();
    for candidate in candidates {
        let pool = &candidate.pool.object;
        let left = left.entry(pool.metadata.name.clone()).or_insert_with(|| allowed(pool, reason, seen));
        if *left > 0 {
            *left -= 1;
            found.push(candidate);
        }
    }
    found
}

/// How many more nodes of a pool may be disrupted.
fn allowed(pool: &NodePool, reason: Reason, seen: &Seen) -> i64 {
    let members = || {
        seen.claims.values().filter(|claim| {
            claim.object.metadata.labels.get(NODE_POOL).is_some_and(|name| **name == *pool.metadata.name)
                && claim.object.status.is("Initialized")
                && !conditions::is_true(&claim.raw, "InstanceTerminating")
        })
    };
    let busy = members().filter(|claim| {
        let is_busy = |node: &Known<Node>| {
            !node.object.status.is_ready() || node.object.spec.taints.iter().any(|taint| taint.key == DISRUPTED)
        };
        claim.is_leaving() || seen.node_of(&claim.object).is_none_or(is_busy)
    });
    let default = [DisruptionBudget { nodes: "10%".into(), ..DisruptionBudget::default() }];
    let budgets = pool.spec.disruption.budgets.as_deref().unwrap_or(&default);
    let word = format!("{reason:?}");
    let of_reason =
        budgets.iter().filter(|budget| budget.reasons.as_ref().is_none_or(|reasons| reasons.contains(&word)));
    let most = of_reason.map(|budget| amount(&budget.nodes, members().count())).min().unwrap_or(i64::MAX);
    (most - i64::try_from(busy.count()).unwrap_or(i64::MAX)).max(0)
}

/// What cannot be read lets no node go.
fn amount(text: &str, whole: usize) -> i64 {
    shares::of(text, whole).map_or(0, |share| i64::try_from(share).unwrap_or(i64::MAX))
}
