//! Karpenter with its AWS provider, as a watcher of the API sees it (core v1.14, provider v1.14).
//!
//! Every step is read from the objects themselves, so that a cluster may be handed over in any state. Absent: expiry,
//! repair, interruption, static pools.

mod disrupt;
mod fit;
mod launch;
mod pools;
mod provision;
mod terminate;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kentroller_planner::manifest::{NodeClaim, NodeClassRef};
use serde_json::{Value, json};

use crate::actor::{Actor, Weather};
use crate::catalogue::{Catalogue, Offering};
use crate::conditions;
use crate::entropy::Entropy;
use crate::hands::{Hands, sooner, wide};
use crate::room::Amounts;
use crate::seen::{Kind, Known, News, Seen, uid};
use crate::timings::Timings;

pub(crate) use fit::{Provisioning, claim_of_pool};
pub(crate) use launch::{launched_status, node_name, node_of_claim, register};
pub(crate) use pools::{HASH, HASH_VERSION, hash_of};
pub(crate) use terminate::is_kept;

/// The finalizer on NodeClaims and Nodes.
pub(crate) const FINALIZER: &str = "karpenter.sh/termination";
pub(crate) const NODE_POOL: &str = "karpenter.sh/nodepool";
pub(crate) const NODE_CLASS: &str = "karpenter.k8s.aws/ec2nodeclass";
pub(crate) const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";
pub(crate) const DISRUPTED: &str = "karpenter.sh/disrupted";

/// Karpenter.
#[derive(Debug)]
pub(crate) struct Karpenter {
    catalogue: Arc<Catalogue>,
    timings: Timings,
    weather: Weather,
    /// Chance that belongs to single claims; never drawn from itself.
    entropy: Entropy,
    namer: Entropy,
    /// Evictions that were refused, by the pod's uid: how often, and when to try again.
    refused: BTreeMap<String, (u32, Timestamp)>,
    batch: provision::Batch,
    disruption: disrupt::Disruption,
    /// Offerings that had no capacity when last tried, and until when they are left alone.
    short: BTreeMap<Offering, Timestamp>,
    /// When each pool's counts were last written, and which are out of date.
    counted: BTreeMap<Arc<str>, Timestamp>,
    uncounted: BTreeSet<Arc<str>>,
}

impl Karpenter {
    pub(crate) fn new(catalogue: Arc<Catalogue>, timings: Timings, weather: Weather, mut entropy: Entropy) -> Self {
        Self {
            namer: entropy.fork("names"),
            catalogue,
            timings,
            weather,
            entropy,
            refused: BTreeMap::new(),
            batch: provision::Batch::default(),
            disruption: disrupt::Disruption::default(),
            short: BTreeMap::new(),
            counted: BTreeMap::new(),
            uncounted: BTreeSet::new(),
        }
    }

    /// Chance that belongs to a claim and does not depend on when it is asked for.
    fn luck(&self, claim: &Known<NodeClaim>) -> Entropy {
        self.entropy.clone().fork(uid(&claim.raw))
    }
}

impl Actor for Karpenter {
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        let mut next = None;
        let touched = news.touched.get(&Kind::NodeClaim);
        let is_touched = |claim: &NodeClaim| touched.is_some_and(|keys| keys.contains(&wide(&claim.metadata.name)));
        // One whose node is ready, and that nobody has touched, is at rest.
        let is_at_rest = |claim: &Known<NodeClaim>| {
            claim.object.status.is("Initialized") && !claim.is_leaving() && !is_touched(&claim.object)
        };
        let managed = seen.claims.values().filter(|claim| is_managed(&claim.object.spec.node_class_ref));
        for claim in managed.filter(|claim| !is_at_rest(claim)) {
            let again = match claim.object.metadata.deletion_timestamp {
                Some(_) => self.terminate(claim, seen, hands),
                None => self.bring_up(claim, seen, hands),
            };
            next = sooner(next, again);
        }
        terminate::follow_deleted_nodes(seen, news, hands);
        next = sooner(next, self.provision(seen, news, hands));
        next = sooner(next, self.disrupt(seen, news, hands));
        sooner(next, self.keep_pools(seen, news, hands))
    }
}

/// Karpenter ignores claims of node classes that its provider does not serve.
pub(crate) fn is_managed(class: &NodeClassRef) -> bool {
    is_known_provider(&class.group)
}

/// The groups of node classes that are served: those of EKS Auto Mode are played like those of the AWS provider.
pub(crate) fn is_known_provider(group: &str) -> bool {
    matches!(group, "karpenter.k8s.aws" | "eks.amazonaws.com")
}

/// Whether the class of a claim or pool exists and is ready.
fn class_is_ready(class: &NodeClassRef, seen: &Seen) -> bool {
    let mut classes = seen.plain(Kind::NodeClass);
    classes.any(|(key, object)| *key.name == *class.name && conditions::is_true(object, "Ready"))
}

/// Amounts as a resource list.
pub(crate) fn resources(amounts: Amounts) -> Value {
    json!({
        "cpu": format!("{}m", amounts.cpu_milli),
        "memory": format!("{}Ki", amounts.memory >> 10),
        "pods": amounts.pods.to_string(),
        "ephemeral-storage": "20Gi",
    })
}
