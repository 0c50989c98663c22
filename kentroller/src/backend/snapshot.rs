//! From one cut of the stores to the planner's values.

use jiff::Timestamp;
use kentroller_planner::{Moment, Snapshot, manifest};
use kentroller_runtime::{Cut, Kind, Meta};

use crate::api::foreign::{
    DaemonSet, Node, NodeClaim, NodePool, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
};

/// Everything that planning reads, as of one cut. Kinds that no controller reads are left out.
pub fn snapshot(cut: &Cut, now: Timestamp) -> Snapshot {
    Snapshot {
        now: moment(now),
        nodes: all(cut, |node: &Node| manifest::Node {
            metadata: metadata(&node.metadata),
            spec: node.spec.clone(),
            status: node.status.clone(),
        }),
        pods: all(cut, |pod: &Pod| manifest::Pod {
            metadata: metadata(&pod.metadata),
            spec: pod.spec.clone(),
            status: pod.status.clone(),
        }),
        node_pools: all(cut, |pool: &NodePool| manifest::NodePool {
            metadata: metadata(&pool.metadata),
            spec: pool.spec.clone(),
            status: pool.status.clone(),
        }),
        node_claims: all(cut, |claim: &NodeClaim| manifest::NodeClaim {
            metadata: metadata(&claim.metadata),
            spec: claim.spec.clone(),
            status: claim.status.clone(),
        }),
        pdbs: all(cut, |budget: &PodDisruptionBudget| manifest::PodDisruptionBudget {
            metadata: metadata(&budget.metadata),
            spec: budget.spec.clone(),
            status: budget.status.clone(),
        }),
        daemon_sets: Some(all(cut, |set: &DaemonSet| manifest::DaemonSet {
            metadata: metadata(&set.metadata),
            spec: set.spec.clone(),
        })),
        persistent_volumes: all(cut, |volume: &PersistentVolume| manifest::PersistentVolume {
            metadata: metadata(&volume.metadata),
            spec: volume.spec.clone(),
        }),
        persistent_volume_claims: all(cut, |claim: &PersistentVolumeClaim| manifest::PersistentVolumeClaim {
            metadata: metadata(&claim.metadata),
            spec: claim.spec.clone(),
        }),
        ..Snapshot::default()
    }
}

fn all<K: Kind, T>(cut: &Cut, convert: impl Fn(&K) -> T) -> Vec<T> {
    cut.shelf::<K>().into_iter().flat_map(|shelf| shelf.all().map(&convert).collect::<Vec<T>>()).collect()
}

fn metadata(meta: &Meta) -> manifest::Meta {
    let owner = |owner: &kentroller_runtime::Owner| manifest::Owner {
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
        controller: owner.controller,
    };
    manifest::Meta {
        name: meta.name.to_string(),
        namespace: meta.namespace.to_string(),
        uid: meta.uid.to_string(),
        labels: meta.labels.clone(),
        annotations: (*meta.annotations).clone(),
        owner_references: meta.owners.iter().map(owner).collect(),
        creation_timestamp: Some(moment(meta.created)),
        deletion_timestamp: meta.deadline.map(moment),
    }
}

fn moment(at: Timestamp) -> Moment {
    Moment(at.as_second())
}
