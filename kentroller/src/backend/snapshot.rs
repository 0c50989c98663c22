//! From one cut of the stores to the planner's values.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kentroller_planner::{Moment, Snapshot, manifest};
use kentroller_runtime::{Kind, Meta, Owner, Reads, Seen};

use crate::api::foreign::{
    CapacityBuffer, ConfigMap, CsiNode, DaemonSet, NamedPodTemplate, Namespace, Node, NodeClaim, NodeOverlay, NodePool,
    PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
};

kentroller_runtime::reads! {
    /// Everything that planning reads; prices come from a ConfigMap.
    pub struct Observed:
        CapacityBuffer, ConfigMap, CsiNode, DaemonSet, NamedPodTemplate, Namespace, Node, NodeClaim, NodeOverlay,
        NodePool, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget
}

/// Everything that planning reads, as of one cut. Kinds that the cut does not have are left out; where the planner can
/// tell none from not known, they are not known. Besides, what of it could not be understood.
pub fn snapshot(cut: &Seen<Observed>, now: Timestamp) -> (Snapshot, Vec<String>) {
    let owners = &mut Owners::default();
    let mut snapshot = Snapshot {
        now: moment(now),
        nodes: all(cut, |node: &Node| manifest::Node {
            metadata: metadata(&node.metadata, owners),
            spec: node.spec.clone(),
            status: node.status.clone(),
        }),
        pods: all(cut, |pod: &Pod| manifest::Pod {
            metadata: metadata(&pod.metadata, owners),
            spec: pod.spec.clone(),
            status: pod.status.clone(),
        }),
        node_pools: all(cut, |pool: &NodePool| manifest::NodePool {
            metadata: metadata(&pool.metadata, owners),
            spec: pool.spec.clone(),
            status: pool.status.clone(),
        }),
        node_claims: all(cut, |claim: &NodeClaim| manifest::NodeClaim {
            metadata: metadata(&claim.metadata, owners),
            spec: claim.spec.clone(),
            status: claim.status.clone(),
        }),
        pdbs: all(cut, |budget: &PodDisruptionBudget| manifest::PodDisruptionBudget {
            metadata: metadata(&budget.metadata, owners),
            spec: budget.spec.clone(),
            status: budget.status.clone(),
        }),
        daemon_sets: known(cut, |set: &DaemonSet| manifest::DaemonSet {
            metadata: metadata(&set.metadata, owners),
            spec: set.spec.clone(),
        }),
        persistent_volumes: all(cut, |volume: &PersistentVolume| manifest::PersistentVolume {
            metadata: metadata(&volume.metadata, owners),
            spec: volume.spec.clone(),
        }),
        persistent_volume_claims: all(cut, |claim: &PersistentVolumeClaim| manifest::PersistentVolumeClaim {
            metadata: metadata(&claim.metadata, owners),
            spec: claim.spec.clone(),
        }),
        csi_nodes: all(cut, |node: &CsiNode| manifest::CsiNode {
            metadata: metadata(&node.metadata, owners),
            spec: node.spec.clone(),
        }),
        namespaces: known(cut, |namespace: &Namespace| manifest::Namespace {
            metadata: metadata(&namespace.metadata, owners),
        }),
        node_overlays: all(cut, |overlay: &NodeOverlay| manifest::NodeOverlay {
            metadata: metadata(&overlay.metadata, owners),
            spec: overlay.spec.clone(),
        }),
        ..Snapshot::default()
    };
    let buffers = all(cut, |buffer: &CapacityBuffer| manifest::CapacityBuffer {
        metadata: metadata(&buffer.metadata, owners),
        spec: buffer.spec.clone(),
        status: buffer.status.clone(),
    });
    let templates =
        all(cut, |named: &NamedPodTemplate| (metadata(&named.metadata, owners).key(), named.template.clone()));
    let unknown = manifest::add_buffers(&mut snapshot.pods, &buffers, &templates.into_iter().collect());
    (snapshot, unknown)
}

fn all<K: Kind, T>(cut: &Seen<Observed>, convert: impl FnMut(&K) -> T) -> Vec<T>
where
    Observed: Reads<K>,
{
    known(cut, convert).unwrap_or_default()
}

fn known<K: Kind, T>(cut: &Seen<Observed>, convert: impl FnMut(&K) -> T) -> Option<Vec<T>>
where
    Observed: Reads<K>,
{
    cut.store::<K>().map(|store| {
        let mut all = Vec::with_capacity(store.len());
        all.extend(store.all().map(convert));
        all
    })
}

/// Owners by the list of a store that they were made from: pods of a set have one list.
#[derive(Default)]
struct Owners(BTreeMap<usize, Arc<Vec<manifest::Owner>>>);

impl Owners {
    fn of(&mut self, owners: &Arc<Vec<Owner>>) -> Arc<Vec<manifest::Owner>> {
        let made = || owners.iter().map(owner).collect::<Vec<_>>().into();
        Arc::clone(self.0.entry(Arc::as_ptr(owners) as usize).or_insert_with(made))
    }
}

fn owner(owner: &Owner) -> manifest::Owner {
    manifest::Owner {
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
        controller: owner.controller,
    }
}

fn metadata(meta: &Meta, owners: &mut Owners) -> manifest::Meta {
    manifest::Meta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        labels: meta.labels.clone(),
        annotations: meta.annotations.clone(),
        owner_references: owners.of(&meta.owners),
        creation_timestamp: Some(moment(meta.created)),
        deletion_timestamp: meta.deadline.map(moment),
    }
}

fn moment(at: Timestamp) -> Moment {
    Moment(at.as_second())
}
