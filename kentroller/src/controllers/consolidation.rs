//! Node consolidation: nodes go that are empty, that the evictor has emptied, or that are past their expiry. What a look finds becomes a
//! plan, or a claim where pods have to move, that is carried out like any other: slots of budgets, a cordon, a last look before a
//! deletion.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::rules::expires_at;
use kentroller_planner::{Aggressive, Moment, Options};
use kentroller_runtime::{Cluster, Failure, HasStatus, Kind, Mode, Outcome, Reconcile, Switches, World, controller};

use super::continuous::cycle_options;
use super::rest::Rest;
use super::{after, at_any_change, ended, marking, turn};
use crate::api::foreign::{Node, NodeClaim, NodePool, Pod};
use crate::api::{
    ClaimState, DeletionPhase, NodeClaimToDelete, RebalancePlan, RebalancePlanClaim, RebalancePlanClaimSpec,
    RebalancePlanSpec, Scope, marks,
};
use crate::backend::snapshot;
use crate::settings::{CycleMode, Settings};

const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long Karpenter has to end a NodeClaim that is past its expiry.
const OVERDUE: Duration = Duration::from_secs(60);
/// A node that was tried and is still there is not tried again before.
const RETRY: Duration = Duration::from_secs(10 * 60);

/// Makes plans of nodes that are of no use any more.
#[controller(
    of = Cluster,
    feature = "node_consolidation",
    reads(Node, NodeClaim, NodePool, Pod),
    writes(RebalancePlan: create + delete, RebalancePlanClaim: create + delete),
    watches(RebalancePlan => at_any_change, RebalancePlanClaim => at_any_change),
    events(
        NodesConsolidated = "Node consolidation found nodes that may go, and made a plan or a claim of them.",
        warning(ConsolidationRefused = "The API server did not take the plan or the claim of node consolidation."),
    ),
)]
pub struct NodeConsolidation;

impl Reconcile for NodeConsolidation {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut look = Look { world, settings: world.settings(), out: world.outcome(cluster) };
        look.keep_history();
        look.step();
        look.out.look_in(LOOK_EVERY);
        Ok(look.out)
    }

    /// What it made is looked after by its own controllers.
    fn disabled(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

/// Why a node is of no use any more; what comes first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    Evicted,
    Empty,
    Expired,
}

impl Path {
    /// In label [`marks::CONSOLIDATES`].
    const fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Evicted => "evictor",
            Self::Expired => "expiry",
        }
    }

    /// In logs and events.
    const fn told(self) -> &'static str {
        match self {
            Self::Empty => "empty-node-deleter: empty nodes",
            Self::Evicted => "nodes that the evictor has emptied",
            Self::Expired => "nodes past their expiry",
        }
    }
}

/// One look.
struct Look<'a> {
    world: &'a World<NodeConsolidation>,
    settings: &'a Settings,
    out: Outcome<NodeConsolidation>,
}

impl<'a> Look<'a> {
    fn step(&mut self) {
        if let Some(rest) = Rest::of(self.world) {
            self.out.log(rest.told(self.settings));
            return;
        }
        if let Some(other) = turn::is_taken(self.world.all::<RebalancePlan>(), self.world.all::<RebalancePlanClaim>()) {
            self.out.log(format!("empty-node-deleter: no node is consolidated before {other} has ended"));
            return;
        }
        let found = self.found();
        let Some(first) = found.iter().map(|(path, _)| *path).min() else {
            self.out.log("empty-node-deleter: no node is of no use");
            return;
        };
        let most = usize::try_from(self.settings.node_consolidation_workers).unwrap_or(usize::MAX);
        let claims = found.into_iter().filter(|(path, _)| *path == first).map(|(_, claim)| claim);
        self.make(first, &claims.take(most).collect::<Vec<_>>());
    }

    /// The NodeClaims of nodes that are of no use, by name, each with the first reason why.
    fn found(&self) -> Vec<(Path, &'a NodeClaim)> {
        let (resting, options) = (self.resting(), options(self.settings));
        let claims = self.world.all::<NodeClaim>().filter(|claim| claim.deleting().is_none());
        let claims = claims.filter(|claim| !resting.contains(&*claim.status.node_name));
        claims.filter_map(|claim| Some((self.path_of(claim, &options)?, claim))).collect()
    }

    fn path_of(&self, claim: &NodeClaim, options: &Options) -> Option<Path> {
        let node = self.world.named::<Node>(&claim.status.node_name)?;
        let is_empty = || !self.world.indexed::<Pod>(node.name()).iter().any(|pod| pod.is_workload());
        if marking::is_evicted(node) && is_empty() {
            let mut options = options.clone();
            // Of a node that was handed over to be removed Karpenter is not asked.
            options.aggressive.ignore_consolidatable = true;
            if self.may_go(node, claim, &options) {
                return Some(Path::Evicted);
            }
        }
        // Continuous rebalancing has empty nodes in each of its modes.
        let has_empty = !self.settings.continuous_rebalancing && !node.spec.unschedulable && is_empty();
        if has_empty && self.may_go(node, claim, options) {
            return Some(Path::Empty);
        }
        let end = Timestamp::from_second(expires_at(&snapshot::claim(claim))?.0).unwrap_or(Timestamp::MAX);
        (self.world.now() >= after(end, OVERDUE)).then_some(Path::Expired)
    }

    /// Whether no rule holds the node, empty as it is.
    fn may_go(&self, node: &Node, claim: &NodeClaim, options: &Options) -> bool {
        let pool = node.label(marks::NODE_POOL).and_then(|pool| self.world.named::<NodePool>(pool));
        let now = Moment(self.world.now().as_second());
        snapshot::observed(node, Some(claim), pool, |observed| observed.holds(now, options, true, false)).is_none()
    }

    fn make(&mut self, path: Path, claims: &[&NodeClaim]) {
        let name = format!("{}-nodes-{}", path.word(), self.world.now().strftime("%Y%m%d%H%M%S"));
        let nodes: Vec<String> = claims.iter().map(|claim| claim.status.node_name.clone()).collect();
        let told = format!("{}: {}; {name}", path.told(), nodes.join(", "));
        let labels = [(marks::CONSOLIDATES.to_owned(), path.word().to_owned())];
        let is_allowed = self.settings.mode() == Mode::Act;
        self.out.log(told.clone());
        let added = if path == Path::Expired {
            let scope = Some(Scope { node_names: nodes, ..Scope::default() });
            let mut claim = RebalancePlanClaim::new(
                &name,
                // Dearer or not.
                RebalancePlanClaimSpec {
                    auto_execute: is_allowed,
                    min_savings_percentage: Some(0),
                    scope,
                    ..RebalancePlanClaimSpec::default()
                },
            );
            claim.metadata.labels = Some(labels.into());
            self.out.create(&claim)
        } else {
            let goes = |claim: &&NodeClaim| NodeClaimToDelete { node_claim_name: claim.name().to_owned(), wave: 0 };
            let node_claims_to_delete = claims.iter().map(goes).collect();
            let mut plan = RebalancePlan::new(
                &name,
                RebalancePlanSpec { execute: is_allowed, node_claims_to_delete, ..RebalancePlanSpec::default() },
            );
            plan.metadata.labels = Some(labels.into());
            self.out.create(&plan)
        };
        added.says(NodeConsolidation::NodesConsolidated, told).or_says(NodeConsolidation::ConsolidationRefused, name);
    }

    /// Our plans, the oldest first.
    fn plans(&self) -> Vec<&'a RebalancePlan> {
        ended::marked(self.world.all(), marks::CONSOLIDATES)
    }

    /// Our claims, the oldest first.
    fn claims(&self) -> Vec<&'a RebalancePlanClaim> {
        ended::marked(self.world.all(), marks::CONSOLIDATES)
    }

    /// Nodes that one of our plans has kept a short time ago, or that a claim of ours was about.
    fn resting(&self) -> BTreeSet<&'a str> {
        let recent = self.plans().into_iter().filter_map(|plan| plan.status());
        let nodes = recent.flat_map(|status| &status.nodes_deletion).filter(|(_, course)| {
            let last = course.events.last().map_or(Timestamp::MIN, |event| event.timestamp);
            course.phase() == Some(DeletionPhase::Kept) && self.world.now() < after(last, RETRY)
        });
        let claims = self.claims().into_iter().filter(|claim| self.world.now() < after(claim.created(), RETRY));
        let named = claims.filter_map(|claim| claim.spec.scope.as_ref()).flat_map(|scope| &scope.node_names);
        nodes.map(|(name, _)| name.as_str()).chain(named.map(String::as_str)).collect()
    }

    fn keep_history(&mut self) {
        for old in ended::superfluous(&self.plans()) {
            self.out.delete(old);
        }
        let is_over = |claim: &&RebalancePlanClaim| {
            let state = claim.status().and_then(|status| status.state.as_ref());
            claim.deleting().is_none() && state.is_some_and(ClaimState::is_final)
        };
        for old in self.claims().into_iter().rev().filter(is_over).skip(ended::HISTORY) {
            self.out.delete(old);
        }
    }
}

/// The options under which nodes are judged that are to go without a pod: as a cycle has them, of whatever age and number. What
/// cycles lift binds cycles only.
pub(super) fn options(settings: &Settings) -> Options {
    let aggressive = Aggressive::default();
    Options { min_age: Duration::ZERO, max_nodes: None, aggressive, ..cycle_options(settings, CycleMode::DeleteEmpty) }
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::Controller as _;
    use kentroller_runtime::generate::rbac::Rights;
    use kentroller_runtime::settings::Settings as _;
    use kentroller_runtime::testing::{Given, given, object};
    use serde_json::{Value, json};

    use super::*;

    /// A cluster whose one node has no pods; its NodeClaim is in such a pool, and Karpenter says so of it.
    fn cluster(
        disruption: Value,
        consolidatable: &str,
        change: impl FnOnce(&mut Settings),
    ) -> Given<NodeConsolidation> {
        let mut settings = Settings::from_env(&|_| None).expect("the defaults are right");
        settings.node_consolidation = true;
        change(&mut settings);
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": "2026-11-22T08:00:00Z"});
        let labels = json!({"karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand",
            "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "a", "karpenter.sh/initialized": "true"});
        let node: Node =
            object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": labels},
            "spec": {}, "status": {"conditions": [condition("Ready", "True")]}}));
        let claim: NodeClaim = object(json!({"apiVersion": "", "kind": "", "metadata": {"name": "c"}, "spec": {},
            "status": {"nodeName": "a",
                "conditions": [condition("Initialized", "True"), condition("Consolidatable", consolidatable)]}}));
        let pool: NodePool = object(
            json!({"apiVersion": "", "kind": "", "metadata": {"name": "general"}, "spec": {"disruption": disruption}}),
        );
        given().at("2026-11-22T10:00:00Z").set(|known| *known = settings).with(node).with(claim).with(pool)
    }

    #[test]
    fn an_empty_node_goes_if_its_pool_allows_it_and_karpenter_has_marked_it() {
        let check = |disruption: Value, consolidatable: &str, change: fn(&mut Settings), goes: bool| {
            let decided = cluster(disruption.clone(), consolidatable, change).decide(&Cluster::default());
            let decided = decided.expect("a decision");
            let told = format!("{disruption} {consolidatable}: {:?}", decided.lines);
            assert_eq!(decided.effects().count(), usize::from(goes), "{told}");
            assert_eq!(told.contains("empty-node-deleter: empty nodes: a"), goes, "{told}");
        };
        let plain = || json!({"consolidateAfter": "30s", "consolidationPolicy": "WhenEmptyOrUnderutilized"});
        check(plain(), "True", |_| (), true);
        check(json!({"consolidateAfter": "30s", "consolidationPolicy": "WhenEmpty"}), "True", |_| (), true);
        check(plain(), "False", |_| (), false);
        check(json!({"consolidateAfter": "Never"}), "True", |_| (), false);
        let shut = json!({"consolidateAfter": "30s", "budgets": [{"nodes": "0", "reasons": ["Empty"]}]});
        check(shut, "True", |_| (), false);
        check(plain(), "True", |settings| settings.continuous_rebalancing = true, false);
    }

    #[test]
    fn while_it_rests_nothing_is_made() {
        let given = cluster(json!({"consolidateAfter": "30s"}), "True", |settings| {
            settings.paused = crate::settings::Pause::Yes;
        });
        assert_eq!(given.decide(&Cluster::default()).expect("a decision").effects().count(), 0);
    }

    #[test]
    fn its_rights_are_to_read_nodes_and_to_make_plans_and_claims() {
        assert_eq!(
            Rights::of_one(&NodeConsolidation::declaration(), &[]).lines(),
            [
                "everywhere: get, list, watch nodes, pods",
                "everywhere: create, delete, get, list, watch rebalanceplanclaims, rebalanceplans",
                "everywhere: get, list, watch nodeclaims, nodepools"
            ]
        );
    }
}
