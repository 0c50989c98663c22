//! From one cut of the stores to the planner's values.

use jiff::Timestamp;
use kentroller_planner::{Moment, Snapshot, manifest};
use kentroller_runtime::{Cut, Kind, Meta};

use crate::api::foreign::{
    CapacityBuffer, CsiNode, DaemonSet, NamedPodTemplate, Namespace, Node, NodeClaim, NodeOverlay, NodePool,
    PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
};

/// Everything that planning reads, as of one cut. Kinds that no controller reads are left out; where the planner can tell
/// none from not known, they are not known. Besides, what of it could not be understood.
pub fn snapshot(cut: &Cut, now: Timestamp) -> (Snapshot, Vec<String>) {
    let mut snapshot = Snapshot {
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
        daemon_sets: known(cut, |set: &DaemonSet| manifest::DaemonSet {
            metadata: metadata(&set.metadata),
            spec: set.spec.clone(),
        }),
        persistent_volumes: all(cut, |volume: &PersistentVolume| manifest::PersistentVolume {
            metadata: metadata(&volume.metadata),
            spec: volume.spec.clone(),
        }),
        persistent_volume_claims: all(cut, |claim: &PersistentVolumeClaim| manifest::PersistentVolumeClaim {
            metadata: metadata(&claim.metadata),
            spec: claim.spec.clone(),
        }),
        csi_nodes: all(cut, |node: &CsiNode| manifest::CsiNode {
            metadata: metadata(&node.metadata),
            spec: node.spec.clone(),
        }),
        namespaces: known(cut, |namespace: &Namespace| manifest::Namespace { metadata: metadata(&namespace.metadata) }),
        node_overlays: all(cut, |overlay: &NodeOverlay| manifest::NodeOverlay {
            metadata: metadata(&overlay.metadata),
            spec: overlay.spec.clone(),
        }),
        ..Snapshot::default()
    };
    let buffers = all(cut, |buffer: &CapacityBuffer| manifest::CapacityBuffer {
        metadata: metadata(&buffer.metadata),
        spec: buffer.spec.clone(),
        status: buffer.status.clone(),
    });
    let templates = all(cut, |named: &NamedPodTemplate| (metadata(&named.metadata).key(), named.template.clone()));
    let unknown = manifest::add_buffers(&mut snapshot.pods, &buffers, &templates.into_iter().collect());
    (snapshot, unknown)
}

fn all<K: Kind, T>(cut: &Cut, convert: impl Fn(&K) -> T) -> Vec<T> {
    known(cut, convert).unwrap_or_default()
}

fn known<K: Kind, T>(cut: &Cut, convert: impl Fn(&K) -> T) -> Option<Vec<T>> {
    cut.shelf::<K>().map(|shelf| shelf.all().map(convert).collect())
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
