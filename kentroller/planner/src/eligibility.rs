//! What may move: which rules hold a pod where it is, and which hold a node whatever its pods say.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Aggressive, CapacityType, EvictionTarget, KeptReason, Mode, Moment, Options, Rule, Scope, Snapshot, Strictness,
    manifest::{Node, NodeClaim, NodePool, ObjectName, Pod, PodDisruptionBudget},
    moment::parse_span,
    rules::pool,
};

const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";
const REMOVAL_DISABLED: &str = "autoscaling.cast.ai/removal-disabled";
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
const MIRROR: &str = "kubernetes.io/config.mirror";
/// A pool that carries this is ours to consolidate, whatever its own settings say to Karpenter.
pub(crate) const HANDED_OVER: &str = "kentroller.cast.ai/consolidation";

/// What kind of pod it is, for the question whether it must find a new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs and must run on.
    Workload,
    /// Belongs to its node: DaemonSet and static pods.
    Daemon,
    /// Waits for a node.
    Pending,
    /// Has ended, and takes nothing.
    Finished,
    /// Is going, yet takes its room until it is gone.
    Terminating,
}

pub(crate) fn kind_of(pod: &Pod) -> Kind {
    let owner = pod.metadata.controller().map(|owner| owner.kind.as_str());
    if pod.status.is_finished() {
        Kind::Finished
    } else if owner == Some("DaemonSet") || owner == Some("Node") || pod.metadata.annotations.contains_key(MIRROR) {
        Kind::Daemon
    } else if pod.metadata.deletion_timestamp.is_some() {
        Kind::Terminating
    } else if pod.spec.node_name.is_empty() {
        Kind::Pending
    } else {
        Kind::Workload
    }
}

/// Answers which rule holds a pod.
pub(crate) struct PodRules<'a> {
    now: Moment,
    options: &'a Options,
    pdbs: BTreeMap<&'a str, Vec<&'a PodDisruptionBudget>>,
    replicas: BTreeMap<(&'a str, &'a str, &'a str), u32>,
    removal_disabled_nodes: BTreeSet<&'a str>,
    known_replicas: &'a BTreeMap<(String, String, String), u32>,
}

impl<'a> PodRules<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot, options: &'a Options) -> Self {
        let mut pdbs: BTreeMap<&str, Vec<&PodDisruptionBudget>> = BTreeMap::new();
        for pdb in &snapshot.pdbs {
            pdbs.entry(&pdb.metadata.namespace).or_default().push(pdb);
        }
        let mut replicas: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
        for pod in snapshot.pods.iter().filter(|pod| matches!(kind_of(pod), Kind::Workload | Kind::Pending)) {
            if let Some(owner) = pod.metadata.controller() {
                *replicas.entry((&pod.metadata.namespace, &owner.kind, &owner.name)).or_default() += 1;
            }
        }
        let removal_disabled_nodes = snapshot
            .nodes
            .iter()
            .filter(|node| node_strictness(node, options) == Some(Strictness::RemovalDisabled))
            .map(|node| node.metadata.name.as_str())
            .collect();
        Self { now: snapshot.now, options, pdbs, replicas, removal_disabled_nodes, known_replicas: &snapshot.replicas }
    }

    /// The rule that holds a running pod, if one does. Rules of topology and volumes are judged elsewhere.
    pub(crate) fn holds(&self, pod: &Pod) -> Option<Rule> {
        let lifted = &self.options.aggressive;
        let rule = self.rule(pod, lifted)?;
        match self.strictness(pod) {
            // Rules of physics stand; the rest is what `disposable` and `aggressive` are for.
            Some(Strictness::Disposable)
                if !matches!(
                    rule,
                    Rule::UnknownConstraint | Rule::ForeignScheduler | Rule::ResourceClaims | Rule::Terminating
                ) =>
            {
                None
            }
            Some(Strictness::Aggressive)
                if matches!(rule, Rule::SingleReplica | Rule::PdbAllowsNone | Rule::SeveralPdbs) =>
            {
                None
            }
            _ => Some(rule),
        }
    }

    fn rule(&self, pod: &Pod, lifted: &Aggressive) -> Option<Rule> {
        let owner = pod.metadata.controller();
        if self.strictness(pod) == Some(Strictness::RemovalDisabled)
            || self.removal_disabled_nodes.contains(pod.spec.node_name.as_str())
        {
            return Some(Rule::RemovalDisabled);
        }
        if pod.metadata.mark(REMOVAL_DISABLED) == Some("true") && !lifted.ignore_problem_removal_disabled_pods {
            return Some(Rule::RemovalDisabled);
        }
        if pod.metadata.annotations.get(DO_NOT_DISRUPT).is_some_and(|value| self.do_not_disrupt(pod, value)) {
            return Some(Rule::DoNotDisrupt);
        }
        if pod.metadata.annotations.get(SAFE_TO_EVICT).is_some_and(|value| value == "false") {
            return Some(Rule::NotSafeToEvict);
        }
        match owner.map(|owner| owner.kind.as_str()) {
            None if !lifted.ignore_problem_pods_without_controller => return Some(Rule::Bare),
            Some("Job") if !lifted.ignore_problem_job_pods => return Some(Rule::Job),
            _ => {}
        }
        if !matches!(pod.spec.shape.scheduler_name.as_str(), "" | "default-scheduler") {
            return Some(Rule::ForeignScheduler);
        }
        if pod.spec.shape.resource_claims > 0 {
            return Some(Rule::ResourceClaims);
        }
        if let Some(rule) = self.pdb(pod) {
            return Some(rule);
        }
        if self.options.continuous && self.replicas_of(pod) == Some(1) {
            return Some(Rule::SingleReplica);
        }
        None
    }

    /// `true`, or a positive Go duration counted from the pod's start; what cannot be read protects nobody.
    fn do_not_disrupt(&self, pod: &Pod, value: &str) -> bool {
        if value == "true" {
            return true;
        }
        match parse_span(value) {
            Some(span) if span > 0 => {
                pod.status.start_time.is_none_or(|start| start.0.saturating_add(span) > self.now.0)
            }
            _ => false,
        }
    }

    fn pdb(&self, pod: &Pod) -> Option<Rule> {
        let mut matching = Vec::new();
        for pdb in self.pdbs.get(pod.metadata.namespace.as_str()).into_iter().flatten() {
            match pdb.spec.selector.as_ref().map_or(Some(false), |selector| selector.matches(&pod.metadata.labels)) {
                Some(true) => matching.push(pdb),
                Some(false) => {}
                None => return Some(Rule::PdbUnknown),
            }
        }
        let lifted = self.options.aggressive.ignore_blocking_pdb;
        match matching.as_slice() {
            [] => None,
            [pdb] => {
                let Some(status) = &pdb.status else { return Some(Rule::PdbUnknown) };
                let free = pdb.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" && !pod.status.is_ready();
                (status.disruptions_allowed <= 0 && !free && !lifted).then_some(Rule::PdbAllowsNone)
            }
            // The eviction API refuses a pod of two budgets, whatever they allow.
            _ => (!lifted).then_some(Rule::SeveralPdbs),
        }
    }

    /// Replicas of the pod's controller: as told, else those that are seen.
    fn replicas_of(&self, pod: &Pod) -> Option<u32> {
        let owner = pod.metadata.controller()?;
        let told = (pod.metadata.namespace.clone(), owner.kind.clone(), owner.name.clone());
        let seen = (pod.metadata.namespace.as_str(), owner.kind.as_str(), owner.name.as_str());
        self.known_replicas.get(&told).or_else(|| self.replicas.get(&seen)).copied()
    }

    fn strictness(&self, pod: &Pod) -> Option<Strictness> {
        let matching = self.options.eviction.iter().filter(|rule| match &rule.selects {
            EvictionTarget::Nodes(_) => false,
            EvictionTarget::Pods { namespaces, labels, kind, min_replicas, max_replicas } => {
                let replicas = self.replicas_of(pod);
                // A count that is not known matches what protects, and nothing else.
                let protects = rule.strictness == Strictness::RemovalDisabled;
                let bounded = |bound: Option<u32>, holds: fn(u32, u32) -> bool| {
                    bound.is_none_or(|bound| replicas.map_or(protects, |count| holds(count, bound)))
                };
                (namespaces.is_empty() || namespaces.contains(&pod.metadata.namespace))
                    && labels.matches(&pod.metadata.labels).unwrap_or(protects)
                    && (kind.is_empty() || pod.metadata.owner_references.iter().any(|owner| is_of(kind, &owner.kind)))
                    && bounded(min_replicas.filter(|least| *least > 0), |count, bound| count >= bound)
                    && bounded(*max_replicas, |count, bound| count <= bound)
            }
        });
        matching.map(|rule| rule.strictness).max()
    }
}

/// Whether a kind is a controller up the chain of an owner's kind.
fn is_of(kind: &str, owner: &str) -> bool {
    kind == owner || matches!((kind, owner), ("Deployment", "ReplicaSet") | ("CronJob", "Job"))
}

fn node_strictness(node: &Node, options: &Options) -> Option<Strictness> {
    let matching = options.eviction.iter().filter(|rule| match &rule.selects {
        EvictionTarget::Nodes(terms) => terms.iter().any(|term| {
            term.matches(&node.metadata.name, &node.metadata.labels)
                .unwrap_or(rule.strictness == Strictness::RemovalDisabled)
        }),
        EvictionTarget::Pods { .. } => false,
    });
    matching.map(|rule| rule.strictness).max()
}

/// Why a node may not be removed, whatever its pods say; `None` when it may.
pub(crate) fn node_reason(
    node: &Node,
    claim: Option<&NodeClaim>,
    pool: Option<&NodePool>,
    now: Moment,
    options: &Options,
    is_empty: bool,
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
    let initialized = claim.status.is("Initialized") || label("karpenter.sh/initialized") == Some("true");
    if !initialized {
        return told(KeptReason::NotInitialized, "Karpenter has not finished starting it");
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
    if pool.spec.replicas.is_some() {
        return told(KeptReason::StaticPool, "its NodePool is static");
    }
    if node.metadata.annotations.get(DO_NOT_DISRUPT).is_some_and(|value| value == "true") {
        return told(KeptReason::DoNotDisrupt, "annotation karpenter.sh/do-not-disrupt");
    }
    if node.metadata.mark(REMOVAL_DISABLED) == Some("true") && !lifted.ignore_problem_removal_disabled_nodes {
        return told(KeptReason::RemovalDisabled, "marked autoscaling.cast.ai/removal-disabled");
    }
    if node_strictness(node, options) == Some(Strictness::RemovalDisabled) {
        return told(KeptReason::RemovalDisabled, "evictionConfig says removalDisabled for this node");
    }
    if options.reserved_nodes.contains(&node.metadata.name) {
        return told(KeptReason::InUse, "another plan or controller works on it");
    }
    let handed_over = pool.metadata.mark(HANDED_OVER) == Some("include");
    let disruption = &pool.spec.disruption;
    if !handed_over {
        if disruption.consolidate_after == "Never" && !lifted.ignore_consolidatable {
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
        if !lifted.ignore_zero_node_pool_disruption_budgets && budget_is_zero(pool, is_empty) {
            return told(KeptReason::BudgetZero, "its NodePool has a disruption budget of 0");
        }
        if !claim.status.is("Consolidatable") && !lifted.ignore_consolidatable {
            return told(KeptReason::NotConsolidatable, "Karpenter has not marked its NodeClaim Consolidatable");
        }
    }
    let in_scope = match &options.scope {
        Scope::All => true,
        Scope::Nodes(names) => names.contains(&node.metadata.name),
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

/// Whether a budget that always holds allows no disruption. Budgets with a schedule are judged when a node is to go.
fn budget_is_zero(pool: &NodePool, is_empty: bool) -> bool {
    let reason = if is_empty { "Empty" } else { "Underutilized" };
    pool.spec.disruption.budgets.iter().flatten().any(|budget| {
        let applies = budget.reasons.as_ref().is_none_or(|reasons| reasons.iter().any(|r| r == reason));
        budget.schedule.is_none() && applies && matches!(budget.nodes.trim(), "0" | "0%")
    })
}

/// The pod's share of the eviction cost, in thousandths.
///
/// Karpenter's rule: 1 + deletion-cost / 2^27 + priority / 2^25, between -10 and 10.
pub(crate) fn eviction_cost(pod: &Pod) -> i64 {
    let deletion: i64 = pod
        .metadata
        .annotations
        .get("controller.kubernetes.io/pod-deletion-cost")
        .and_then(|text| text.parse::<i32>().ok())
        .map_or(0, i64::from);
    let cost = 1000 + deletion * 1000 / (1 << 27) + i64::from(pod.spec.shape.priority) * 1000 / (1 << 25);
    cost.clamp(-10_000, 10_000)
}

/// The names of a pod's claims.
pub(crate) fn claims_of(pod: &Pod) -> Vec<ObjectName> {
    let name = |name: String| ObjectName { namespace: pod.metadata.namespace.clone(), name };
    let volumes = pod.spec.shape.volumes.iter();
    let mut claims: Vec<ObjectName> = volumes
        .filter_map(|volume| match (volume.claim.as_str(), volume.ephemeral.as_str()) {
            ("", "") => None,
            ("", ephemeral) => Some(name(format!("{}-{ephemeral}", pod.metadata.name))),
            (claim, _) => Some(name(claim.to_owned())),
        })
        .collect();
    claims.sort();
    claims.dedup();
    claims
}
