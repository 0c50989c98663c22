//! Which nodes may go, and which may be given pods, whatever the pods are.

use super::pools::zero_budget;
use super::strictness::of_node;
use super::{CONSOLIDATION, DO_NOT_DISRUPT, REMOVAL_DISABLED};
use crate::manifest::{Moment, Node, NodeClaim, NodePool, parse_span};
use crate::rules::pool;
use crate::value::{CapacityType, KeptReason, Mode, Options, Scope, Strictness};

/// Why a node may not be removed, whatever its pods say; `None` when it may. `zoned`: nodes of this cluster name their zones.
pub(crate) fn node_reason(
    node: &Node,
    claim: Option<&NodeClaim>,
    pool: Option<&NodePool>,
    now: Moment,
    options: &Options,
    is_empty: bool,
    zoned: bool,
) -> Option<(KeptReason, String)> {
    let lifted = &options.aggressive;
    let told = |reason: KeptReason, detail: &str| Some((reason, detail.to_owned()));
    let label = |key: &str| node.metadata.labels.get(key).map(String::as_str);
    let Some(claim) = claim else {
        return told(KeptReason::NotKarpenter, "no NodeClaim names this node");
    };
    let Some(pool) = pool else {
        return told(KeptReason::NotKarpenter, "its NodePool is not there");
    };
    if node.metadata.deletion_timestamp.is_some() || claim.metadata.deletion_timestamp.is_some() {
        return told(KeptReason::Deleting, "it is being deleted already");
    }
    if !matches!(label("kubernetes.io/os"), None | Some("linux")) {
        return told(KeptReason::NotLinux, "only Linux nodes are planned");
    }
    if !is_initialized(node, Some(claim)) {
        return told(KeptReason::NotInitialized, "Karpenter has not finished starting it");
    }
    if let Some(why) = leaving(node, Some(claim)) {
        return Some((KeptReason::InUse, why));
    }
    match label(pool::CAPACITY_TYPE).map(CapacityType::of) {
        Some(CapacityType::OnDemand | CapacityType::Spot) => {}
        Some(other) => {
            return Some((KeptReason::Committed, format!("capacity type {} is paid for already", other.as_str())));
        }
        None => {
            return told(KeptReason::PriceUnknown, "no label karpenter.sh/capacity-type, so its price is not known");
        }
    }
    if zoned && label(pool::ZONE).is_none() {
        return told(KeptReason::PriceUnknown, "no label topology.kubernetes.io/zone, so its price is not known");
    }
    if pool.spec.replicas.is_some() {
        return told(KeptReason::StaticPool, "its NodePool is static");
    }
    if node.metadata.annotations.get(DO_NOT_DISRUPT).is_some_and(|value| value == "true") {
        return told(KeptReason::DoNotDisrupt, "annotation karpenter.sh/do-not-disrupt");
    }
    if node.metadata.mark(REMOVAL_DISABLED) == Some("true") && !lifted.ignore_problem_removal_disabled_nodes {
        return told(KeptReason::RemovalDisabled, "marked autoscaling.cast.ai/removal-disabled");
    }
    if of_node(node, options) == Some(Strictness::RemovalDisabled) {
        return told(KeptReason::RemovalDisabled, "evictionConfig says removalDisabled for this node");
    }
    if options.reserved_nodes.contains(&*node.metadata.name) {
        return told(KeptReason::InUse, "another plan or controller works on it");
    }
    let who = pool.metadata.annotations.get(CONSOLIDATION).map(String::as_str);
    if who == Some("exclude") {
        return told(
            KeptReason::ConsolidationOff,
            "its NodePool is annotated kentroller.cast.ai/consolidation: exclude",
        );
    }
    let handed_over = who == Some("include");
    let disruption = &pool.spec.disruption;
    if !lifted.ignore_zero_node_pool_disruption_budgets
        && let Some(why) = zero_budget(pool, handed_over, is_empty, now)
    {
        return Some((KeptReason::BudgetZero, why));
    }
    if !handed_over {
        if disruption.consolidate_after == "Never" {
            return told(KeptReason::ConsolidationOff, "its NodePool says consolidateAfter: Never");
        }
        if disruption.consolidation_policy == "WhenEmpty" && !is_empty {
            return told(KeptReason::ConsolidationOff, "its NodePool says consolidationPolicy: WhenEmpty");
        }
        if !matches!(
            disruption.consolidation_policy.as_str(),
            "" | "WhenEmpty" | "WhenEmptyOrUnderutilized" | "Balanced"
        ) {
            return told(KeptReason::ConsolidationOff, "its NodePool has a consolidationPolicy that is not known");
        }
        if !claim.status.is("Consolidatable") && !lifted.ignore_consolidatable {
            return told(KeptReason::NotConsolidatable, "Karpenter has not marked its NodeClaim Consolidatable");
        }
    }
    let in_scope = match &options.scope {
        Scope::All => true,
        Scope::Nodes(names) => names.contains(&*node.metadata.name),
        Scope::Terms(terms) => {
            terms.iter().any(|term| term.matches(&node.metadata.name, &node.metadata.labels) == Some(true))
        }
    };
    if !in_scope {
        return told(KeptReason::OutOfScope, "not among the selected nodes");
    }
    if options.capacity_type.as_ref().is_some_and(|wanted| label(pool::CAPACITY_TYPE) != Some(wanted.as_str())) {
        return told(KeptReason::OutOfScope, "not of the selected capacity type");
    }
    if options.mode == Mode::DeleteEmpty && !is_empty {
        return told(KeptReason::OutOfScope, "only empty nodes are removed in this mode");
    }
    if options.min_age > 0 {
        let age = node.metadata.creation_timestamp.map_or(0, |created| now.0 - created.0);
        if age < options.min_age {
            return Some((KeptReason::TooYoung, format!("{age} s old, {} s are asked for", options.min_age)));
        }
    }
    None
}

/// Whether Karpenter has finished starting a node.
pub(crate) fn is_initialized(node: &Node, claim: Option<&NodeClaim>) -> bool {
    claim.is_some_and(|claim| claim.status.is("Initialized"))
        || node.metadata.labels.get("karpenter.sh/initialized").is_some_and(|value| value == "true")
}

/// Who is about to take a node away, if somebody is.
fn leaving(node: &Node, claim: Option<&NodeClaim>) -> Option<String> {
    let marks = ["karpenter.sh/disrupted", "ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler"];
    if let Some(taint) = node.spec.taints.iter().find(|taint| marks.contains(&taint.key.as_str())) {
        return Some(format!("its taint {} says that somebody is removing it", taint.key));
    }
    let disrupted = claim.is_some_and(|claim| claim.status.is("DisruptionReason"));
    disrupted.then(|| "Karpenter is about to disrupt it".to_owned())
}

/// Whether a node may be given pods, whatever they are: it stays, it works, and nobody is about to take it away.
pub(crate) fn receives(
    node: &Node,
    claim: Option<&NodeClaim>,
    pool: Option<&NodePool>,
    now: Moment,
    options: &Options,
) -> bool {
    let is_deleting = node.metadata.deletion_timestamp.is_some()
        || claim.is_some_and(|claim| claim.metadata.deletion_timestamp.is_some());
    let at_risk = ["autoscaling.cast.ai/draining", "autoscaling.cast.ai/predicted-interruption"]
        .iter()
        .any(|mark| node.metadata.mark(mark).is_some_and(|word| word != "false"));
    let of_karpenter = claim.is_some() || node.metadata.labels.contains_key(pool::NODE_POOL);
    let stays = if of_karpenter {
        let drifted = claim.is_some_and(|claim| claim.status.is("Drifted"));
        is_initialized(node, claim) && !drifted && !expires_soon(claim, now) && !settling(claim, pool)
    } else {
        // A node of another autoscaler may vanish on that one's terms.
        !is_autoscaled_elsewhere(node)
    };
    stays
        && !is_deleting
        && !at_risk
        && !node.spec.unschedulable
        && node.status.is_ready()
        && matches!(node.metadata.labels.get("kubernetes.io/os").map(String::as_str), None | Some("linux"))
        && leaving(node, claim).is_none()
        && !options.reserved_nodes.contains(&*node.metadata.name)
}

/// Within 48 hours of its expiry: pods moved there would move again soon.
fn expires_soon(claim: Option<&NodeClaim>, now: Moment) -> bool {
    claim.is_some_and(|claim| {
        let span = claim.spec.expire_after.as_deref().and_then(parse_span);
        match (span, claim.metadata.creation_timestamp) {
            (Some(span), Some(created)) => created.0.saturating_add(span).saturating_sub(now.0) < 48 * 3600,
            _ => false,
        }
    })
}

/// Inside its consolidateAfter window: Karpenter refuses such a destination, unless the pool never consolidates.
fn settling(claim: Option<&NodeClaim>, pool: Option<&NodePool>) -> bool {
    let (Some(claim), Some(pool)) = (claim, pool) else { return false };
    let waits = parse_span(&pool.spec.disruption.consolidate_after).is_some_and(|span| span > 0);
    waits && pool.spec.replicas.is_none() && !claim.status.is("Consolidatable")
}

fn is_autoscaled_elsewhere(node: &Node) -> bool {
    let groups = [
        "eks.amazonaws.com/nodegroup",
        "alpha.eksctl.io/nodegroup-name",
        "provisioner.cast.ai/managed-by",
        "cloud.google.com/gke-nodepool",
    ];
    groups.iter().any(|key| node.metadata.labels.contains_key(*key))
        || node.metadata.annotations.keys().any(|key| key.starts_with("cluster-autoscaler.kubernetes.io/"))
}
