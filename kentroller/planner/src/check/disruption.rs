//! Which nodes may go, and which may be given pods.

use std::collections::BTreeMap;

use super::board::{Board, Host, Origin};
use super::budgets;
use super::facts::is_deleting;
use super::prices::Prices;
use super::selectors::any_term;
use super::violation::{Fault, Faults};
use crate::manifest::marks::{
    CAPACITY_TYPE, CLUSTER_AUTOSCALER, CONSOLIDATION, DELETION_CANDIDATE, DISRUPTED, DO_NOT_DISRUPT, DRAINING,
    INITIALIZED, NODE_POOL, OS, PREDICTED_INTERRUPTION, REBOOTING, REMOVAL_DISABLED, TO_BE_DELETED, UNSCHEDULABLE,
};
use crate::manifest::{Effect, Meta, Node, NodeClaim, NodePool, parse_span};
use crate::value::{CapacityType, EvictionTarget, Options, Scope, Strictness};

/// Taints of those who are about to take a node away.
const LEAVING: [&str; 3] = [DISRUPTED, TO_BE_DELETED, DELETION_CANDIDATE];

/// Whether Karpenter holds a node for ready.
pub(super) fn is_initialized(host: &Host<'_>) -> bool {
    match host.origin {
        Origin::Planned { .. } => true,
        Origin::Live { claim, .. } => {
            claim.is_some_and(|claim| claim.status.is("Initialized"))
                || host.labels.get(INITIALIZED).is_some_and(|word| word == "true")
        }
    }
}

/// What forbids to remove a live node. `was_empty`: it ran no workload pod when the plan was made.
pub(super) fn removal_faults(
    board: &Board<'_>,
    host: &Host<'_>,
    was_empty: bool,
    options: &Options,
    prices: &Prices<'_>,
    zero_budgets: &BTreeMap<(&str, &'static str), String>,
) -> Faults {
    let Origin::Live { node, claim, pool } = host.origin else {
        return vec![(Fault::UnknownName, "remove: the plan itself buys this node".to_owned())];
    };
    let mut faults = hands_off(node, host, options);
    let mut refuse = |wrong: bool, fault: Fault, text: String| {
        if wrong {
            faults.push((fault, text));
        }
    };
    refuse(board.snapshot.pods_unknown, Fault::PodsUnknown, "the input has no pods at all".to_owned());
    refuse(is_deleting(host), Fault::Deleting, "metadata.deletionTimestamp of the Node or NodeClaim is set".to_owned());
    refuse(!is_linux(host), Fault::NotLinux, format!("label {OS} is {:?}", host.labels.get(OS)));
    let capacity = host.labels.get(CAPACITY_TYPE).map(|word| CapacityType::of(word));
    let committed = !matches!(capacity, Some(CapacityType::OnDemand | CapacityType::Spot));
    refuse(committed, Fault::Committed, format!("label {CAPACITY_TYPE} is {capacity:?}"));
    refuse(prices.of_live(host).is_none(), Fault::PriceUnknown, "what it costs is not known".to_owned());
    if let Some(wanted) = &options.capacity_type {
        refuse(capacity.as_ref() != Some(wanted), Fault::OutOfScope, format!("only {} nodes may go", wanted.as_str()));
    }
    let in_scope = match &options.scope {
        Scope::All => Some(true),
        Scope::Nodes(names) => Some(names.contains(host.name)),
        Scope::Terms(terms) => any_term(terms, host.name, &|key| host.label(key)),
    };
    refuse(in_scope != Some(true), Fault::OutOfScope, "the scope does not name it".to_owned());
    if !options.min_age.is_zero() {
        let least = options.min_age.as_secs();
        let age = node.metadata.creation_timestamp.map(|at| board.snapshot.now.0.saturating_sub(at.0));
        let young = age.is_none_or(|age| u64::try_from(age).unwrap_or(0) < least);
        refuse(young, Fault::TooYoung, format!("its age is {age:?} s, minAge is {least} s"));
    }
    let (Some(claim), Some(pool)) = (claim, pool) else {
        let what = if claim.is_none() { "no NodeClaim" } else { "no NodePool" };
        refuse(
            true,
            Fault::NotKarpenter,
            format!("{what} belongs to it (label {NODE_POOL}: {:?})", host.labels.get(NODE_POOL)),
        );
        return faults;
    };
    refuse(
        !is_initialized(host),
        Fault::NotInitialized,
        "condition Initialized of its NodeClaim is not True".to_owned(),
    );
    faults.extend(pool_faults(claim, pool, was_empty, options, zero_budgets));
    faults
}

/// What the pool and the claim of a node say against its removal.
fn pool_faults(
    claim: &NodeClaim,
    pool: &NodePool,
    was_empty: bool,
    options: &Options,
    zero_budgets: &BTreeMap<(&str, &'static str), String>,
) -> Faults {
    let mut faults = Faults::new();
    let mut refuse = |wrong: bool, fault: Fault, text: String| {
        if wrong {
            faults.push((fault, text));
        }
    };
    refuse(pool.spec.replicas.is_some(), Fault::StaticPool, format!("NodePool {} is static", pool.metadata.name));
    let disruption = &pool.spec.disruption;
    let handed_over = budgets::is_handed_over(pool);
    let consolidatable = claim.status.is("Consolidatable") || options.aggressive.ignore_consolidatable || handed_over;
    refuse(
        !consolidatable,
        Fault::NotConsolidatable,
        "condition Consolidatable of its NodeClaim is not True".to_owned(),
    );
    let excluded = pool.metadata.annotations.get(CONSOLIDATION).is_some_and(|word| word == "exclude");
    refuse(excluded, Fault::ConsolidationOff, format!("its NodePool is annotated {CONSOLIDATION}: exclude"));
    let stays_out = options.pools_opt_in && !handed_over;
    refuse(stays_out, Fault::ConsolidationOff, format!("its NodePool is not annotated {CONSOLIDATION}: include"));
    if !handed_over {
        let policy = disruption.consolidation_policy.as_str();
        let allows = match policy {
            "" | "WhenEmptyOrUnderutilized" | "Balanced" => true,
            "WhenEmpty" => was_empty,
            _ => false,
        };
        refuse(!allows, Fault::ConsolidationOff, format!("consolidationPolicy of its NodePool is {policy:?}"));
        let never = disruption.consolidate_after == "Never";
        refuse(never, Fault::ConsolidationOff, "consolidateAfter of its NodePool is Never".to_owned());
    }
    let reason = if was_empty { "Empty" } else { "Underutilized" };
    if !options.aggressive.ignore_zero_node_pool_disruption_budgets
        && let Some(why) = zero_budgets.get(&(&*pool.metadata.name, reason))
    {
        refuse(true, Fault::BudgetZero, format!("NodePool {}: {why}", pool.metadata.name));
    }
    faults
}

/// What forbids to take pods off a node, whether it goes or stays.
pub(super) fn origin_faults(host: &Host<'_>, options: &Options) -> Faults {
    match host.origin {
        Origin::Live { node, .. } => hands_off(node, host, options),
        Origin::Planned { .. } => Faults::new(),
    }
}

fn hands_off(node: &Node, host: &Host<'_>, options: &Options) -> Faults {
    let mut faults = Faults::new();
    if !options.aggressive.ignore_problem_removal_disabled_nodes {
        if node.metadata.mark(REMOVAL_DISABLED) == Some("true") {
            faults.push((Fault::RemovalDisabled, format!("{REMOVAL_DISABLED} is \"true\"")));
        }
        if node.metadata.annotations.get(DO_NOT_DISRUPT).is_some_and(|word| word == "true") {
            faults.push((Fault::DoNotDisrupt, format!("{DO_NOT_DISRUPT} is \"true\"")));
        }
    }
    let protected = options.eviction.iter().any(|rule| match &rule.selects {
        EvictionTarget::Nodes(terms) if rule.strictness == Strictness::RemovalDisabled => {
            any_term(terms, host.name, &|key| host.label(key)) != Some(false)
        }
        _ => false,
    });
    if protected {
        faults.push((Fault::RemovalDisabled, "an entry of evictionConfig with removalDisabled matches".to_owned()));
    }
    if options.reserved_nodes.contains(host.name) {
        faults.push((Fault::InUse, "other work has its hands on it".to_owned()));
    }
    if is_rebooting(host) {
        faults.push((Fault::InUse, format!("{REBOOTING} says that Karpenter boots it again")));
    }
    let leaving = host.taints.iter().find(|taint| LEAVING.contains(&taint.key.as_str()));
    if let Some(taint) = leaving {
        faults.push((Fault::InUse, format!("the taint {} says that somebody is removing it", taint.key)));
    }
    faults
}

/// What forbids to give pods to a host, apart from the pods themselves.
pub(super) fn receiver_faults(board: &Board<'_>, host: &Host<'_>, options: &Options) -> Faults {
    let mut why: Vec<String> = Vec::new();
    if host.gone {
        why.push("an earlier wave removes it".to_owned());
    }
    if let Origin::Live { node, claim, .. } = host.origin {
        if is_deleting(host) {
            why.push("it is being deleted".to_owned());
        }
        if options.reserved_nodes.contains(host.name) {
            why.push("other work has its hands on it".to_owned());
        }
        if !is_linux(host) {
            why.push(format!("label {OS} is {:?}", host.labels.get(OS)));
        }
        if node.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status != "True") {
            why.push("its condition Ready is not True".to_owned());
        }
        let of_karpenter = claim.is_some() || host.labels.contains_key(NODE_POOL);
        if of_karpenter && !is_initialized(host) {
            why.push("it is not initialized".to_owned());
        }
        if !of_karpenter && node.metadata.annotations.keys().any(|key| key.starts_with(CLUSTER_AUTOSCALER)) {
            why.push("it belongs to another autoscaler".to_owned());
        }
        for mark in [DRAINING, PREDICTED_INTERRUPTION] {
            if node.metadata.mark(mark).is_some_and(|word| word != "false") {
                why.push(format!("it is marked {mark}"));
            }
        }
        let leaving = host
            .taints
            .iter()
            .find(|taint| taint.effect == Effect::PreferNoSchedule && LEAVING.contains(&taint.key.as_str()));
        if let Some(taint) = leaving {
            why.push(format!("it has the taint {}", taint.key));
        }
        if is_rebooting(host) {
            why.push("Karpenter boots it again".to_owned());
        }
        if let Some(claim) = claim {
            why.extend(claim_trouble(claim, board.snapshot.now.0));
        }
    }
    why.into_iter().map(|why| (Fault::Receiver, format!("to {}: {why}", host.name))).collect()
}

/// Whether Karpenter drains a live host to boot it again.
fn is_rebooting(host: &Host<'_>) -> bool {
    let Origin::Live { node, claim, .. } = host.origin else { return false };
    let marked = |metadata: &Meta| metadata.annotations.contains_key(REBOOTING);
    marked(&node.metadata) || claim.is_some_and(|claim| marked(&claim.metadata))
}

/// Whether a host is closed to new pods.
pub(super) fn is_cordoned(host: &Host<'_>) -> bool {
    host.taints.iter().any(|taint| taint.key == UNSCHEDULABLE)
}

fn claim_trouble(claim: &NodeClaim, now: i64) -> Option<String> {
    if claim.status.is("Drifted") {
        return Some("its NodeClaim is Drifted".to_owned());
    }
    if claim.status.is("DisruptionReason") {
        return Some("Karpenter is about to disrupt it (condition DisruptionReason)".to_owned());
    }
    // The span within which the planner's candidates count as expiring.
    const SOON: i64 = 48 * 3_600;
    let created = claim.metadata.creation_timestamp?.0;
    let lives = parse_span(claim.spec.expire_after.as_deref()?)?;
    let left = created.saturating_add(lives).saturating_sub(now);
    (left < SOON).then(|| format!("its NodeClaim expires in {left} s"))
}

fn is_linux(host: &Host<'_>) -> bool {
    host.labels.get(OS).is_none_or(|os| os == "linux")
}
