//! The nodes that Karpenter may disrupt: no pod on them, and nothing of theirs, forbids it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kentroller_planner::Money;
use kentroller_planner::manifest::{Effect, LabelSelector, Labels, NodeClaim, NodePool, ObjectName, Taint};
use serde_json::Value;

use crate::catalogue::INSTANCE_TYPE;
use crate::karpenter::terminate::is_kept;
use crate::karpenter::{DISRUPTED, DO_NOT_DISRUPT, Karpenter, NODE_POOL};
use crate::readings::selectors::selects;
use crate::room::tolerates;
use crate::seen::{Kind, Known, KnownPod, Seen};
use crate::workloads::selector;

/// A node that may be disrupted.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) name: Arc<str>,
    pub(super) node: Arc<str>,
    pub(super) pool: &'a Known<NodePool>,
    pub(super) claim: &'a Known<NodeClaim>,
    pub(super) instance_type: String,
    /// `None` where it is not in the catalogue.
    pub(super) price: Option<Money>,
    /// Those that need another place.
    pub(super) pods: Vec<(&'a ObjectName, &'a KnownPod)>,
    /// What moving them costs, in thousandths.
    cost: i64,
}

pub(super) fn pool_of<'a>(claim: &NodeClaim, seen: &'a Seen) -> Option<&'a Known<NodePool>> {
    seen.pools.get(claim.metadata.labels.get(NODE_POOL)?.as_str())
}

impl Karpenter {
    /// The nodes that may be disrupted, the most money for the least disruption first.
    pub(super) fn candidates<'a>(&self, seen: &'a Seen, now: Timestamp) -> Vec<Candidate<'a>> {
        let concerned =
            |claim: &Known<NodeClaim>| claim.object.status.is("Consolidatable") || claim.object.status.is("Drifted");
        let claims = seen.claims.iter().filter(|(_, claim)| concerned(claim));
        let guards = Guards::of(seen);
        let mut all: Vec<Candidate<'a>> =
            claims.filter_map(|(name, claim)| self.candidate(name, claim, &guards, seen, now)).collect();
        all.sort_by(|one, other| other.worth(one).then_with(|| one.name.cmp(&other.name)));
        all
    }

    fn candidate<'a>(
        &self,
        name: &Arc<str>,
        claim: &'a Known<NodeClaim>,
        guards: &Guards<'_>,
        seen: &'a Seen,
        now: Timestamp,
    ) -> Option<Candidate<'a>> {
        let (pool, node) = (pool_of(&claim.object, seen)?, seen.node_of(&claim.object)?);
        let is_free = claim.object.status.is("Initialized")
            && !claim.is_leaving()
            && !node.is_leaving()
            && node.raw["metadata"]["annotations"][DO_NOT_DISRUPT] != "true"
            && !node.object.spec.taints.iter().any(|taint| taint.key == DISRUPTED);
        let pods: Vec<_> = seen.on_node(&node.object.metadata.name).collect();
        if !is_free || pods.iter().any(|(key, pod)| is_kept(pod, now) || guards.hold(key, pod)) {
            return None;
        }
        let moves =
            pods.into_iter().filter(|(_, pod)| !pod.is_daemon() && pod.owner_kind() != "Node" && pod.is_active());
        let pods: Vec<_> = moves.collect();
        let cost = 1_000 + pods.iter().map(|(_, pod)| cost(pod).max(0)).sum::<i64>();
        let labels: &Labels = &node.object.metadata.labels;
        Some(Candidate {
            name: name.clone(),
            node: node.object.metadata.name.clone(),
            pool,
            claim,
            instance_type: labels.get(INSTANCE_TYPE).cloned().unwrap_or_default(),
            price: self.catalogue.price_of(labels),
            pods,
            cost,
        })
    }
}

impl Candidate<'_> {
    /// Compares the price for each unit of disruption.
    fn worth(&self, other: &Self) -> Ordering {
        let micros = |candidate: &Self| i128::from(candidate.price.unwrap_or(Money::ZERO).as_micros());
        (micros(self) * i128::from(other.cost)).cmp(&(micros(other) * i128::from(self.cost)))
    }

    pub(super) fn is(&self, condition: &str) -> bool {
        self.claim.object.status.is(condition)
    }

    /// Whether its pool lets it go though pods run there.
    pub(super) fn is_underutilized(&self) -> bool {
        self.is("Consolidatable") && self.pool.object.spec.disruption.consolidation_policy != "WhenEmpty"
    }
}

/// What moving a pod costs: 1, more with its deletion cost and its priority. Source: `EvictionCost` of Karpenter.
fn cost(pod: &KnownPod) -> i64 {
    let deletion = pod.object.metadata.annotations.get("controller.kubernetes.io/pod-deletion-cost");
    let deletion: i64 = deletion.and_then(|text| text.parse().ok()).unwrap_or(0);
    let priority = pod.raw["spec"]["priority"].as_i64().unwrap_or(0);
    (1_000 + deletion * 1_000 / (1 << 27) + priority * 1_000 / (1 << 25)).clamp(-10_000, 10_000)
}

/// The disruption budgets of pods, by namespace, each with its selector.
struct Guards<'a>(BTreeMap<&'a str, Vec<(LabelSelector, &'a Value)>>);

impl<'a> Guards<'a> {
    fn of(seen: &'a Seen) -> Self {
        let mut guards = Self(BTreeMap::new());
        for (key, raw) in seen.plain(Kind::DisruptionBudget) {
            guards.0.entry(&key.namespace).or_default().extend(selector(raw).map(|selector| (selector, &**raw)));
        }
        guards
    }

    /// Whether budgets forbid that the pod is evicted: one that allows none, or more than one.
    fn hold(&self, key: &ObjectName, pod: &KnownPod) -> bool {
        let disrupted =
            Taint { key: DISRUPTED.into(), value: String::new(), effect: Effect::NoSchedule, ..Taint::default() };
        let tolerates = tolerates(&pod.object.spec.shape.tolerations, &disrupted);
        if !pod.is_active() || pod.owner_kind() == "Node" || tolerates {
            return false;
        }
        let near = self.0.get(&*key.namespace).into_iter().flatten();
        let over: Vec<&Value> = near
            .filter(|(selector, _)| selects(selector, &pod.object.metadata.labels))
            .map(|(_, budget)| *budget)
            .collect();
        let allows_none = over.iter().any(|budget| {
            let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" && !pod.object.status.is_ready();
            budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) == 0 && !always
        });
        over.len() > 1 || allows_none
    }
}
