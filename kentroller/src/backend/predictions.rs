//! The port that tells which spot nodes are about to be taken away.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kentroller_runtime::settings::Decimal;
use kentroller_runtime::{Cancelled, Failure, Kind, Port, Seen};
use serde::{Deserialize, Serialize};

use super::risk::{Chance, Happened, Machine, Pool, chances};
use crate::api::foreign::{Node, NodeClaim, NodeClaimEvent, Zones, zone_ids};
use crate::api::marks::{CAPACITY_TYPE, INSTANCE_TYPE, NODE_POOL, REBALANCE_RECOMMENDATION, ZONE};
use crate::api::{OfferingCapacity, OfferingReason, UnavailableOffering, UnavailableOfferingSpec};

/// So many losses of one pool count at most.
const MOST_TIMES: usize = 100;

kentroller_runtime::reads! {
    /// What is seen of spot nodes.
    pub struct Signs: Node, NodeClaim, NodeClaimEvent, UnavailableOffering
}

/// Predicts from what is seen in this cluster; asked about all spot nodes of Karpenter.
#[derive(Clone, Copy, Debug)]
pub struct Predictions;

/// What was predicted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Predicted {
    /// By the name of the node; of a node that is not here nothing is known.
    pub risks: BTreeMap<String, Risk>,
}

/// How likely a node is to be taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// From 0 to 1.
    pub probability: Decimal,
    /// For people; empty where nothing but its age and its pool tells.
    pub why: String,
}

impl Port for Predictions {
    const NAME: &'static str = "predictions";
    const TIME_LIMIT: Duration = Duration::from_secs(30);
    type Reads = Signs;
    type Ask = ();
    type Answer = Predicted;

    fn fill(&self, (): &(), seen: &Seen<Signs>, now: Timestamp, _: &Cancelled) -> Result<Predicted, Failure> {
        let store = seen.store::<NodeClaim>();
        let of_node = |node: &Node| store?.indexed_under(node.name()).find(|claim| is_spot(node, claim));
        let all = || seen.store::<Node>().into_iter().flat_map(|store| store.all());
        let zones = zone_ids(all());
        let nodes: Vec<(&Node, Machine<'_>)> = all()
            .filter_map(|node| {
                let recommended = recommended(node, of_node(node)?, seen, now);
                Some((node, Machine { pool: pool(node, &zones)?, age: since(node.created(), now), recommended }))
            })
            .collect();
        let machines: Vec<Machine<'_>> = nodes.iter().map(|(_, machine)| *machine).collect();
        let lost = happened(&OfferingReason::SpotInterruptionObserved, seen, now);
        let short = happened(&OfferingReason::InsufficientCapacityError, seen, now);
        let chances = chances(&machines, &lost, &short);
        let named = nodes.iter().zip(chances).map(|((node, _), chance)| (node.name().to_owned(), Risk::from(chance)));
        Ok(Predicted { risks: named.collect() })
    }
}

impl From<Chance> for Risk {
    fn from(chance: Chance) -> Self {
        // At most a million.
        let millionths = (chance.probability.clamp(0.0, 1.0) * 1e6).round() as i64;
        Self { probability: Decimal::from_millionths(millionths), why: chance.why.join("; ") }
    }
}

/// Whether the node is a spot node that Karpenter made, and stays for now.
pub(crate) fn is_spot(node: &Node, claim: &NodeClaim) -> bool {
    let is_of_karpenter = node.label(NODE_POOL).is_some();
    is_of_karpenter && node.label(CAPACITY_TYPE) == Some("spot") && claim.deleting().is_none()
}

/// How long ago the provider recommended to leave the machine.
fn recommended(node: &Node, claim: &NodeClaim, seen: &Seen<Signs>, now: Timestamp) -> Option<Duration> {
    let has_taint = node.spec.taints.iter().any(|taint| taint.key == REBALANCE_RECOMMENDATION);
    let store = seen.store::<NodeClaimEvent>();
    let events = store.into_iter().flat_map(|store| store.indexed_under(claim.name()));
    let told = events.filter(|event| event.reason == NodeClaimEvent::REBALANCE_RECOMMENDED);
    // A name may come again; what was told before belongs to another machine.
    let told = told.map(|event| event.at()).filter(|at| *at >= claim.created()).map(|at| since(at, now));
    // As long as the taint is there it stands.
    told.chain(has_taint.then_some(Duration::ZERO)).min()
}

/// What is remembered to have happened to spot machines for this reason.
fn happened<'a>(reason: &OfferingReason, seen: &'a Seen<Signs>, now: Timestamp) -> Vec<Happened<'a>> {
    let all = seen.store::<UnavailableOffering>().into_iter().flat_map(|store| store.all());
    let is_it = |spec: &&UnavailableOfferingSpec| {
        spec.reason == *reason && spec.capacity_type == OfferingCapacity::Spot && spec.is_kept(now)
    };
    let told = all.map(|one| &one.spec).filter(is_it).flat_map(|spec| {
        let pool = Pool { instance_type: &spec.instance_type, zone: &spec.zone_id };
        let times = usize::try_from(spec.attempts.unwrap_or(1)).unwrap_or(1).min(MOST_TIMES);
        std::iter::repeat_n(Happened { pool, ago: since(spec.failed_at(), now) }, times)
    });
    told.collect()
}

/// The pool that a machine is of; `None` before its provider has told.
fn pool<'a>(node: &'a Node, zones: &Zones<'a>) -> Option<Pool<'a>> {
    let zone = node.label(ZONE)?;
    Some(Pool { instance_type: node.label(INSTANCE_TYPE)?, zone: zones.get(zone).copied().unwrap_or(zone) })
}

fn since(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}
