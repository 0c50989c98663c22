//! What may move: which rules hold a pod where it is, and which hold a node whatever its pods say.
use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Aggressive, CapacityType, EvictionRule, EvictionTarget, KeptReason, Mode, Moment, Options, Rule, Scope, Snapshot,
    Strictness,
    manifest::{DisruptionBudget, Node, NodeClaim, NodePool, ObjectName, Owner, Pod, PodDisruptionBudget},
    moment::parse_span,
    rules::pool,
    schedule,
};

const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";
const REMOVAL_DISABLED: &str = "autoscaling.cast.ai/removal-disabled";
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
const MIRROR: &str = "kubernetes.io/config.mirror";
/// A pool with `include` is ours to consolidate, whatever its own settings say to Karpenter; one with `exclude` is not.
const CONSOLIDATION: &str = "kentroller.cast.ai/consolidation";

/// What kind of pod it is, for the question whether it must find a new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs and must run on.
    Workload,
    /// Belongs to its node: DaemonSet and static pods.
    Daemon,
    /// Waits for a node.
    Pending,
    /// Has gates: nobody looks for a node for it yet.
    Gated,
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
        if pod.spec.shape.gates > 0 { Kind::Gated } else { Kind::Pending }
    } else {
        Kind::Workload
    }
}

/// Pods by the uid of their controller.
pub(crate) fn replicas<'a>(pods: impl Iterator<Item = &'a Pod>) -> BTreeMap<&'a str, u32> {
    // Pods of a set often share one list of owners: those are counted first, which compares no texts.
    let mut lists: BTreeMap<*const Vec<Owner>, (&str, u32)> = BTreeMap::new();
    for pod in pods {
        if let Some(owner) = pod.metadata.controller() {
            lists.entry(Arc::as_ptr(&pod.metadata.owner_references)).or_insert((&owner.uid, 0)).1 += 1;
        }
    }
    let mut replicas = BTreeMap::new();
    for (uid, count) in lists.into_values() {
        *replicas.entry(uid).or_default() += count;
    }
    replicas
}

/// Answers which rule holds a pod.
pub(crate) struct PodRules<'a> {
    now: Moment,
    options: &'a Options,
    pdbs: Pdbs<'a>,
    /// Running pods by the uid of their controller.
    replicas: BTreeMap<&'a str, u32>,
    /// By node: what the entries that name nodes say of all its pods.
    nodes: BTreeMap<&'a str, Strictness>,
    known_replicas: &'a BTreeMap<(String, String, String), u32>,
}

impl<'a> PodRules<'a> {
    /// `running`: the workload's pods on known nodes.
    pub(crate) fn of(snapshot: &'a Snapshot, options: &'a Options, running: impl Iterator<Item = &'a Pod>) -> Self {
        let replicas = replicas(running);
        let nodes = snapshot.nodes.iter();
        let nodes = nodes.filter_map(|node| Some((&*node.metadata.name, node_strictness(node, options)?))).collect();
        let pdbs = Pdbs::of(&snapshot.pdbs);
        Self { now: snapshot.now, options, pdbs, replicas, nodes, known_replicas: &snapshot.replicas }
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

    /// The rule by which a DaemonSet's or static pod holds its node, if one does.
    ///
    /// Karpenter evicts such pods when it drains: what forbids that forbids to remove the node.
    pub(crate) fn holds_resident(&self, pod: &Pod) -> Option<Rule> {
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        if pod.metadata.annotations.get(DO_NOT_DISRUPT).is_some_and(|value| self.do_not_disrupt(pod, value)) {
            return Some(Rule::DoNotDisrupt);
        }
        let is_static = pod.metadata.annotations.contains_key(MIRROR)
            || pod.metadata.controller().is_some_and(|owner| owner.kind == "Node");
        if is_static { None } else { self.pdb(pod) }
    }

    fn rule(&self, pod: &Pod, lifted: &Aggressive) -> Option<Rule> {
        let owner = pod.metadata.controller();
        if self.strictness(pod) == Some(Strictness::RemovalDisabled) {
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
        if self.options.continuous && self.replicas_of(pod).is_none_or(|replicas| replicas < 2) {
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
        for pdb in self.pdbs.near(pod) {
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
            _ => Some(Rule::SeveralPdbs),
        }
    }

    /// Replicas of the pod's controller: as told, else those that run.
    fn replicas_of(&self, pod: &Pod) -> Option<u32> {
        let owner = pod.metadata.controller()?;
        self.known_replicas_of(pod).or_else(|| self.replicas.get(owner.uid.as_str()).copied())
    }

    fn known_replicas_of(&self, pod: &Pod) -> Option<u32> {
        let owner = pod.metadata.controller()?;
        let told = ((*pod.metadata.namespace).to_owned(), owner.kind.clone(), owner.name.clone());
        self.known_replicas.get(&told).copied()
    }

    fn strictness(&self, pod: &Pod) -> Option<Strictness> {
        let matching = binding(self.options).filter(|rule| match &rule.selects {
            EvictionTarget::Nodes(_) => false,
            EvictionTarget::Pods { namespaces, labels, kind, min_replicas, max_replicas } => {
                let replicas = self.known_replicas_of(pod);
                // What is not known matches what protects, and nothing else.
                let protects = rule.strictness == Strictness::RemovalDisabled;
                let bounded = |bound: Option<u32>, holds: fn(u32, u32) -> bool| {
                    bound.is_none_or(|bound| replicas.map_or(protects, |count| holds(count, bound)))
                };
                (namespaces.is_empty() || namespaces.iter().any(|one| **one == *pod.metadata.namespace))
                    && labels.matches(&pod.metadata.labels).unwrap_or(protects)
                    && (kind.is_empty() || is_of(kind, pod).unwrap_or(protects))
                    && bounded(min_replicas.filter(|least| *least > 0), |count, bound| count >= bound)
                    && bounded(*max_replicas, |count, bound| count <= bound)
            }
        });
        let of_node = self.nodes.get(&*pod.spec.node_name).copied();
        matching.map(|rule| rule.strictness).chain(of_node).max()
    }
}

/// Disruption budgets, to be found without trying all: most of them name a label and its value.
struct Pdbs<'a> {
    /// By namespace and the first label that is asked for.
    by_label: BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a PodDisruptionBudget>>,
    /// All others, by namespace.
    others: BTreeMap<&'a str, Vec<&'a PodDisruptionBudget>>,
}

impl<'a> Pdbs<'a> {
    fn of(all: &'a [PodDisruptionBudget]) -> Self {
        let (mut by_label, mut others) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for pdb in all {
            let namespace = &*pdb.metadata.namespace;
            // An expression may be one that cannot be judged: that concerns every pod of the namespace.
            let plain = pdb.spec.selector.as_ref().filter(|selector| selector.match_expressions.is_empty());
            match plain.and_then(|selector| selector.match_labels.iter().next()) {
                Some((key, value)) => by_label.entry((namespace, key.as_str(), value.as_str())).or_default().push(pdb),
                None => others.entry(namespace).or_default().push(pdb),
            }
        }
        Self { by_label, others }
    }

    /// Those that may select a pod.
    fn near<'s>(&'s self, pod: &'s Pod) -> impl Iterator<Item = &'s PodDisruptionBudget> {
        let namespace = &*pod.metadata.namespace;
        let labels = pod.metadata.labels.iter();
        let named =
            labels.filter_map(move |(key, value)| self.by_label.get(&(namespace, key.as_str(), value.as_str())));
        named.chain(self.others.get(namespace)).flatten().copied()
    }
}

/// The entries of `evictionConfig` that bind: what protects binds everybody, what lifts a rule continuous rebalancing only.
fn binding(options: &Options) -> impl Iterator<Item = &EvictionRule> {
    options.eviction.iter().filter(|rule| options.continuous || rule.strictness == Strictness::RemovalDisabled)
}

/// Whether a kind is the pod's controller or that one's own; `None` where that cannot be told from the pod.
fn is_of(kind: &str, pod: &Pod) -> Option<bool> {
    let owner = pod.metadata.controller().map_or("", |owner| owner.kind.as_str());
    match (owner, kind) {
        (owner, kind) if owner == kind => Some(true),
        // A Deployment marks its pods; any other ReplicaSet may have an owner of any kind.
        ("ReplicaSet", "Deployment") => pod.metadata.labels.contains_key("pod-template-hash").then_some(true),
        ("" | "StatefulSet" | "DaemonSet" | "ReplicationController", _) => Some(false),
        _ => None,
    }
}

fn node_strictness(node: &Node, options: &Options) -> Option<Strictness> {
    let matching = binding(options).filter(|rule| match &rule.selects {
        EvictionTarget::Nodes(terms) => terms.iter().any(|term| {
            term.matches(&node.metadata.name, &node.metadata.labels)
                .unwrap_or(rule.strictness == Strictness::RemovalDisabled)
        }),
        EvictionTarget::Pods { .. } => false,
    });
    matching.map(|rule| rule.strictness).max()
}

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
    if node_strictness(node, options) == Some(Strictness::RemovalDisabled) {
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

/// Whether Karpenter removes nodes of a pool for what that saves, at one time or another.
pub(crate) fn is_consolidated(pool: &NodePool) -> bool {
    let disruption = &pool.spec.disruption;
    let is_shut = |budget: &DisruptionBudget| {
        budget.schedule.is_none() && matches!(budget.nodes.as_str(), "0" | "0%") && covers(budget, "Underutilized")
    };
    pool.spec.replicas.is_none()
        && disruption.consolidate_after != "Never"
        && disruption.consolidation_policy != "WhenEmpty"
        && !disruption.budgets.iter().flatten().any(is_shut)
}

/// Whether a budget binds disruptions for a reason; without reasons it binds all.
fn covers(budget: &DisruptionBudget, reason: &str) -> bool {
    budget.reasons.as_ref().is_none_or(|reasons| reasons.iter().any(|one| one == reason))
}

/// Which budget of the pool lets no node go now, if one does; one that cannot be read lets none go.
fn zero_budget(pool: &NodePool, handed_over: bool, is_empty: bool, now: Moment) -> Option<String> {
    let is_zero = |nodes: &str| nodes.trim_end_matches('%').parse::<u32>().ok().is_none_or(|nodes| nodes == 0);
    let own = pool.metadata.annotations.get("kentroller.cast.ai/budget").filter(|_| handed_over);
    if let Some(own) = own.filter(|own| is_zero(own)) {
        return Some(format!("its NodePool is annotated kentroller.cast.ai/budget: {own}"));
    }
    let reason = if is_empty { "Empty" } else { "Underutilized" };
    pool.spec.disruption.budgets.iter().flatten().find_map(|budget| {
        // A pool that was handed over is shut to Karpenter by such a budget, not to us.
        if !covers(budget, reason) || (handed_over && covers(budget, "Underutilized")) {
            return None;
        }
        match schedule::is_open(budget.schedule.as_deref(), budget.duration.as_deref(), now) {
            None => {
                Some("a disruption budget of its NodePool has a schedule or duration that cannot be read".to_owned())
            }
            Some(true) if is_zero(&budget.nodes) => {
                Some(format!("its NodePool has a disruption budget of {} now", budget.nodes))
            }
            Some(_) => None,
        }
    })
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
    let name = |name: String| ObjectName { namespace: pod.metadata.namespace.clone(), name: name.into() };
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
