//! A cluster as it is once objects of it are changed, and those who act on such a change have done so.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::manifest::marks::NODE_POOL;
use crate::manifest::{Condition, NodePool, PdbStatus};
use crate::value::{Patch, Snapshot};

/// The cluster with some patches; `None` where an object is not there, or would be none of its kind.
pub(super) fn patched(snapshot: &Snapshot, patches: &[Patch]) -> Option<Snapshot> {
    let mut changed = snapshot.clone();
    for patch in patches {
        apply(&mut changed, patch)?;
    }
    Some(changed)
}

fn apply(snapshot: &mut Snapshot, patch: &Patch) -> Option<()> {
    let metadata = &patch.body["metadata"];
    match patch.kind.kind {
        "NodePool" => {
            let pool = snapshot.node_pools.iter_mut().find(|pool| pool.metadata.key() == patch.object)?;
            let before = std::mem::replace(pool, merged(pool, &patch.body)?);
            let is_never = |pool: &NodePool| pool.spec.disruption.consolidate_after == "Never";
            if is_never(&before) && !is_never(pool) {
                mark_consolidatable(snapshot, &patch.object.name);
            }
        }
        "PodDisruptionBudget" => {
            let pdb = snapshot.pdbs.iter_mut().find(|pdb| pdb.metadata.key() == patch.object)?;
            // Kubernetes counts anew: the pods are Ready, and one of them may now be missing.
            pdb.status = Some(PdbStatus { disruptions_allowed: 1, ..pdb.status.clone().unwrap_or_default() });
        }
        "Node" => {
            let node = snapshot.nodes.iter_mut().find(|node| node.metadata.key() == patch.object)?;
            node.metadata = merged(&node.metadata, metadata)?;
        }
        "Pod" => {
            let pod = snapshot.pods.iter_mut().find(|pod| pod.metadata.key() == patch.object)?;
            pod.metadata = merged(&pod.metadata, metadata)?;
        }
        _ => return None,
    }
    Some(())
}

/// Karpenter marks the NodeClaims of a pool that is consolidated from now on.
fn mark_consolidatable(snapshot: &mut Snapshot, pool: &str) {
    let is_of = |node: &str| {
        let node = snapshot.nodes.iter().find(|one| *one.metadata.name == *node);
        node.and_then(|node| node.metadata.labels.get(NODE_POOL)).is_some_and(|of| of == pool)
    };
    for claim in snapshot.node_claims.iter_mut().filter(|claim| is_of(&claim.status.node_name)) {
        let status = Arc::make_mut(&mut claim.status);
        status.conditions.retain(|condition| condition.kind != "Consolidatable");
        let (kind, status_word) = ("Consolidatable".to_owned(), "True".to_owned());
        status.conditions.push(Condition { kind, status: status_word, ..Condition::default() });
    }
}

fn merged<T: Serialize + DeserializeOwned>(object: &T, patch: &Value) -> Option<T> {
    let mut whole = serde_json::to_value(object).ok()?;
    merge(&mut whole, patch);
    serde_json::from_value(whole).ok()
}

/// As RFC 7386 has it: null removes, an object is gone into, anything else replaces.
fn merge(whole: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *whole = patch.clone();
        return;
    };
    if !whole.is_object() {
        *whole = Value::Object(serde_json::Map::new());
    }
    let Some(all) = whole.as_object_mut() else { return };
    for (key, value) in fields {
        if value.is_null() {
            all.remove(key);
        } else {
            merge(all.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
