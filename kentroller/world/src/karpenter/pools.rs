//! NodePools: what they hold, whether they can launch, and the hash of their template.

use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::manifest::ObjectName;
use serde_json::{Value, json};

use super::{Karpenter, NODE_POOL, class_is_ready, resources};
use crate::conditions;
use crate::entropy::Entropy;
use crate::hands::{Hands, after, sooner};
use crate::room::Amounts;
use crate::seen::{Kind, News, Seen};

pub(crate) const HASH: &str = "karpenter.sh/nodepool-hash";
pub(crate) const HASH_VERSION: &str = "karpenter.sh/nodepool-hash-version";

/// How often a pool's counts are written at most.
const PACE: Duration = Duration::from_secs(5);

/// A hash of the template without its requirements: stands for Karpenter's, whose value nobody else can compute.
pub(crate) fn hash_of(pool: &Value) -> String {
    let mut template = pool["spec"]["template"].clone();
    if let Some(spec) = template["spec"].as_object_mut() {
        spec.remove("requirements");
    }
    let text = template.to_string();
    let seed = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Entropy::seeded(seed).draw().to_string()
}

/// The status of a pool with so many launched nodes.
pub(crate) fn pool_status(status: &mut Value, nodes: usize, held: Amounts, class_ready: bool, now: Timestamp) {
    status["nodes"] = json!(nodes);
    status["resources"] = resources(held);
    status["resources"]["nodes"] = json!(nodes.to_string());
    let truth = if class_ready { "True" } else { "False" };
    conditions::set(status, "ValidationSucceeded", "True", "ValidationSucceeded", "", now);
    conditions::set(
        status,
        "NodeClassReady",
        truth,
        if class_ready { "NodeClassReady" } else { "NodeClassNotReady" },
        "",
        now,
    );
    conditions::set(status, "Ready", truth, if class_ready { "Ready" } else { "UnhealthyDependents" }, "", now);
}

impl Karpenter {
    pub(super) fn keep_pools(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp> {
        let mut next = None;
        let relevant = news.any(&[Kind::NodePool, Kind::NodeClaim, Kind::NodeClass]);
        for (name, pool) in &seen.pools {
            let key = ObjectName { namespace: "".into(), name: name.clone() };
            let hash = hash_of(&pool.raw);
            if pool.raw["metadata"]["annotations"][HASH] != hash.as_str() {
                hands.edit("NodePool", &key, |object| {
                    object["metadata"]["annotations"][HASH] = json!(hash);
                    object["metadata"]["annotations"][HASH_VERSION] = json!("v3");
                });
            }
            let due = self.counted.get(name).map_or(hands.now, |at| after(*at, PACE));
            let pending = self.uncounted.contains(name);
            if !relevant && !pending {
                continue;
            }
            if due > hands.now {
                self.uncounted.insert(name.clone());
                next = sooner(next, Some(due));
                continue;
            }
            self.uncounted.remove(name);
            self.counted.insert(name.clone(), hands.now);
            let members = seen.claims.values().filter(|claim| {
                claim.object.metadata.labels.get(NODE_POOL).is_some_and(|one| **one == **name)
                    && !claim.object.status.provider_id.is_empty()
                    && !claim.is_leaving()
            });
            let amounts = |claim: &Value| {
                Amounts::of_node(&serde_json::from_value(claim["status"]["capacity"].clone()).unwrap_or_default())
            };
            let held = members.clone().fold(Amounts::default(), |sum, claim| sum.plus(amounts(&claim.raw)));
            let ready = class_is_ready(&pool.object.spec.template.spec.node_class_ref, seen);
            let count = members.count();
            hands.edit_status("NodePool", &key, |status| pool_status(status, count, held, ready, hands.now));
        }
        next
    }
}
