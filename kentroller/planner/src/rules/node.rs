//! Which nodes may go, and which may be given pods, whatever the pods are.

use super::budget::{DisruptionReason, budget, is_handed_over};
use super::strictness::of_node;
use crate::manifest::marks;
use crate::manifest::{Moment, Node, NodeClaim, NodePool, parse_span};
use crate::value::{CapacityType, EvictionRule, KeptReason, Mode, Options, Scope, Strictness};

/// Why a node stays.
type Reason = (KeptReason, String);

/// A node with its NodeClaim and its NodePool, if they are there.
#[derive(Clone, Copy, Debug)]
pub struct ObservedNode<'a> {
    /// The node.
    pub node: &'a Node,
    /// Whose status names the node.
    pub claim: Option<&'a NodeClaim>,
    /// The pool that the node's label names.
    pub pool: Option<&'a NodePool>,
}

impl<'a> ObservedNode<'a> {
    /// Why the node may not be removed, whatever its pods say; `None` when it may.
    ///
    /// `is_empty`: no pod runs on it that would have to go elsewhere. `zoned`: nodes of this cluster name their zones.
    ///
    /// ```
    /// use kentroller_planner::manifest::Node;
    /// use kentroller_planner::rules::ObservedNode;
    /// use kentroller_planner::{KeptReason, Moment, Options};
    ///
    /// let node = Node::default();
    /// let observed = ObservedNode { node: &node, claim: None, pool: None };
    /// let (reason, detail) = observed.holds(Moment(0), &Options::default(), true, false).unwrap();
    /// assert_eq!((reason, detail.as_str()), (KeptReason::NotKarpenter, "no NodeClaim names this node"));
    /// ```
    pub fn holds(&self, now: Moment, options: &Options, is_empty: bool, zoned: bool) -> Option<Reason> {
        let told = |reason: KeptReason, detail: &str| Some((reason, detail.to_owned()));
        let Some(claim) = self.claim else {
            return told(KeptReason::NotKarpenter, "no NodeClaim names this node");
        };
        let Some(pool) = self.pool else {
            return told(KeptReason::NotKarpenter, "its NodePool is not there");
        };
        self.by_nature(pool, zoned)
            .or_else(|| self.by_its_marks(options))
            .or_else(|| by_its_pool(claim, pool, now, options, is_empty))
            .or_else(|| self.by_what_is_asked(now, options, is_empty))
    }

    /// The entry of `evictionConfig` that decides over the node, of those that name nodes.
    pub fn entry<'o>(&self, options: &'o Options) -> Option<&'o EvictionRule> {
        of_node(self.node, options)
    }

    /// The value of a label of the node.
    pub(crate) fn label(&self, key: &str) -> Option<&'a str> {
        self.node.metadata.labels.get(key).map(String::as_str)
    }

    /// Whether the node or its NodeClaim is on its way out.
    pub fn is_deleting(&self) -> bool {
        self.node.metadata.deletion_timestamp.is_some()
            || self.claim.is_some_and(|claim| claim.metadata.deletion_timestamp.is_some())
    }

    /// Reasons that no setting lifts: it goes already, it is not up yet, it is not Linux, or its price is not known.
    fn by_nature(&self, pool: &NodePool, zoned: bool) -> Option<Reason> {
        let told = |reason: KeptReason, detail: &str| Some((reason, detail.to_owned()));
        let unpriced =
            |label: &str| Some((KeptReason::PriceUnknown, format!("no label {label}, so its price is not known")));
        if self.is_deleting() {
            return told(KeptReason::Deleting, "it is being deleted already");
        }
        if !self.is_linux() {
            return told(KeptReason::NotLinux, "only Linux nodes are planned");
        }
        if !self.is_initialized() {
            return told(KeptReason::NotInitialized, "Karpenter has not finished starting it");
        }
        if let Some(why) = self.leaving() {
            return Some((KeptReason::InUse, why));
        }
        match self.label(marks::CAPACITY_TYPE).map(CapacityType::of) {
            Some(CapacityType::OnDemand | CapacityType::Spot) => {}
            Some(other) => {
                return Some((KeptReason::Committed, format!("capacity type {} is paid for already", other.as_str())));
            }
            None => {
                return unpriced(marks::CAPACITY_TYPE);
            }
        }
        if zoned && self.node.zone().is_none() {
            return unpriced(marks::ZONE);
        }
        pool.spec.replicas.and_then(|_| told(KeptReason::StaticPool, "its NodePool is static"))
    }

    /// What marks of the node, and entries that name it, say.
    fn by_its_marks(&self, options: &Options) -> Option<Reason> {
        let (node, lifted) = (self.node, &options.aggressive);
        let told = |reason: KeptReason, detail: &str| Some((reason, detail.to_owned()));
        let is_shielded = node.metadata.annotations.get(marks::DO_NOT_DISRUPT).is_some_and(|value| value == "true");
        if is_shielded && !lifted.ignore_problem_removal_disabled_nodes {
            return told(KeptReason::DoNotDisrupt, &format!("annotation {}", marks::DO_NOT_DISRUPT));
        }
        if node.metadata.mark(marks::REMOVAL_DISABLED) == Some("true") && !lifted.ignore_problem_removal_disabled_nodes
        {
            return told(KeptReason::RemovalDisabled, &format!("marked {}", marks::REMOVAL_DISABLED));
        }
        if self.entry(options).is_some_and(|entry| entry.strictness == Strictness::RemovalDisabled) {
            return told(KeptReason::RemovalDisabled, "evictionConfig says removalDisabled for this node");
        }
        if options.objected_nodes.contains(&*node.metadata.name) {
            return told(KeptReason::Objected, "the judge of plans objects to its removal: a warning says why");
        }
        if let Some(why) = options.resting.nodes.get(&*node.metadata.name) {
            return told(KeptReason::Resting, why);
        }
        let reserved = options.reserved_nodes.contains(&*node.metadata.name);
        reserved.then(|| (KeptReason::InUse, "another plan or controller works on it".to_owned()))
    }

    /// What was asked for: which nodes, of which type, how old.
    fn by_what_is_asked(&self, now: Moment, options: &Options, is_empty: bool) -> Option<Reason> {
        let node = self.node;
        let told = |reason: KeptReason, detail: &str| Some((reason, detail.to_owned()));
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
        let other_type = |wanted: &CapacityType| self.label(marks::CAPACITY_TYPE) != Some(wanted.as_str());
        if options.capacity_type.as_ref().is_some_and(other_type) {
            return told(KeptReason::OutOfScope, "not of the selected capacity type");
        }
        if options.mode == Mode::DeleteEmpty && !is_empty {
            return told(KeptReason::OutOfScope, "only empty nodes are removed in this mode");
        }
        let least = i64::try_from(options.min_age.as_secs()).unwrap_or(i64::MAX);
        let age = node.metadata.creation_timestamp.map_or(0, |created| now.0 - created.0);
        let too_young = least > 0 && age < least;
        too_young.then(|| (KeptReason::TooYoung, format!("{age} s old, {least} s are asked for")))
    }

    /// Whether Karpenter has finished starting the node.
    pub fn is_initialized(&self) -> bool {
        self.claim.is_some_and(|claim| claim.status.is("Initialized"))
            || self.label(marks::INITIALIZED).is_some_and(|value| value == "true")
    }

    fn is_linux(&self) -> bool {
        matches!(self.label(marks::OS), None | Some("linux"))
    }

    /// Who is about to take the node away, if somebody is.
    fn leaving(&self) -> Option<String> {
        let taints = [marks::DISRUPTED, marks::TO_BE_DELETED, marks::DELETION_CANDIDATE];
        if let Some(taint) = self.node.spec.taints.iter().find(|taint| taints.contains(&taint.key.as_str())) {
            return Some(format!("its taint {} says that somebody is removing it", taint.key));
        }
        let annotations = [Some(&self.node.metadata), self.claim.map(|claim| &claim.metadata)];
        if annotations.into_iter().flatten().any(|metadata| metadata.annotations.contains_key(marks::REBOOTING)) {
            return Some("Karpenter is booting it again".to_owned());
        }
        let disrupted = self.claim.is_some_and(|claim| claim.status.is("DisruptionReason"));
        disrupted.then(|| "Karpenter is about to disrupt it".to_owned())
    }

    /// Whether the node may be given pods, whatever they are: it stays, it works, and nobody is about to take it away.
    pub fn receives(&self, now: Moment, options: &Options) -> bool {
        let (node, claim) = (self.node, self.claim);
        let at_risk = [marks::DRAINING, marks::PREDICTED_INTERRUPTION]
            .iter()
            .any(|mark| node.metadata.mark(mark).is_some_and(|word| word != "false"));
        let of_karpenter = claim.is_some() || node.metadata.labels.contains_key(marks::NODE_POOL);
        let stays = if of_karpenter {
            let drifted = claim.is_some_and(|claim| claim.status.is("Drifted"));
            self.is_initialized() && !drifted && !expires_soon(claim, now) && !settling(claim, self.pool)
        } else {
            // Another autoscaler may remove its nodes at any time.
            !is_autoscaled_elsewhere(node)
        };
        stays
            && !self.is_deleting()
            && !at_risk
            && !node.spec.unschedulable
            && node.status.is_ready()
            && self.is_linux()
            && self.leaving().is_none()
            && !options.reserved_nodes.contains(&*node.metadata.name)
    }
}

/// What the pool says: who consolidates it, when, and how much at once.
fn by_its_pool(claim: &NodeClaim, pool: &NodePool, now: Moment, options: &Options, is_empty: bool) -> Option<Reason> {
    let lifted = &options.aggressive;
    let off = |detail: &str| Some((KeptReason::ConsolidationOff, detail.to_owned()));
    match pool.metadata.annotations.get(marks::CONSOLIDATION).map(String::as_str) {
        Some("exclude") => return off(&format!("its NodePool is annotated {}: exclude", marks::CONSOLIDATION)),
        Some("include") => {}
        _ if options.pools_opt_in => {
            return off(&format!(
                "its NodePool is not annotated {}: include, as nodePoolFilterMode asks",
                marks::CONSOLIDATION
            ));
        }
        _ => {}
    }
    if !lifted.ignore_zero_node_pool_disruption_budgets {
        let reason = if is_empty { DisruptionReason::Empty } else { DisruptionReason::Underutilized };
        // Whether any node may go: any share of one node but zero rounds up to one.
        let allowed = budget(pool, reason, 1, now);
        if let Some(why) = allowed.because.filter(|_| allowed.nodes == 0) {
            return Some((KeptReason::BudgetZero, why));
        }
    }
    if is_handed_over(pool) {
        return None;
    }
    let disruption = &pool.spec.disruption;
    if disruption.consolidate_after == "Never" {
        return off("its NodePool says consolidateAfter: Never");
    }
    if disruption.consolidation_policy == "WhenEmpty" && !is_empty {
        return off("its NodePool says consolidationPolicy: WhenEmpty");
    }
    if !matches!(disruption.consolidation_policy.as_str(), "" | "WhenEmpty" | "WhenEmptyOrUnderutilized" | "Balanced") {
        return off("its NodePool has a consolidationPolicy that is not known");
    }
    let waits = !claim.status.is("Consolidatable") && !lifted.ignore_consolidatable;
    waits.then(|| (KeptReason::NotConsolidatable, "Karpenter has not marked its NodeClaim Consolidatable".to_owned()))
}

/// When Karpenter ends a NodeClaim because of its age; `None` if it never does.
pub fn expires_at(claim: &NodeClaim) -> Option<Moment> {
    let span = claim.spec.expire_after.as_deref().and_then(parse_span)?;
    Some(Moment(claim.metadata.creation_timestamp?.0.saturating_add(span)))
}

/// Within 48 hours of its expiry: pods moved there would move again soon.
fn expires_soon(claim: Option<&NodeClaim>, now: Moment) -> bool {
    claim.and_then(expires_at).is_some_and(|end| end.0.saturating_sub(now.0) < 48 * 3600)
}

/// Inside its consolidateAfter window: Karpenter refuses such a destination, unless the pool never consolidates.
fn settling(claim: Option<&NodeClaim>, pool: Option<&NodePool>) -> bool {
    let (Some(claim), Some(pool)) = (claim, pool) else { return false };
    let waits = parse_span(&pool.spec.disruption.consolidate_after).is_some_and(|span| span > 0);
    waits && pool.spec.replicas.is_none() && !claim.status.is("Consolidatable")
}

fn is_autoscaled_elsewhere(node: &Node) -> bool {
    let groups = [marks::EKS_NODE_GROUP, marks::EKSCTL_NODE_GROUP, marks::MANAGED_BY, marks::GKE_NODE_POOL];
    groups.iter().any(|key| node.metadata.labels.contains_key(*key))
        || node.metadata.annotations.keys().any(|key| key.starts_with(marks::CLUSTER_AUTOSCALER))
}
