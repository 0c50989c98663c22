//! From one cut of the stores to the planner's values.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kentroller_planner::rules::ObservedNode;
use kentroller_planner::{Moment, Snapshot, manifest};
use kentroller_runtime::{Kind, Meta, Owner, Reads, Seen};

use crate::api::foreign::{
    CapacityBuffer, ConfigMap, CsiNode, DaemonSet, Ec2NodeClass, NamedPodTemplate, Namespace, Node, NodeClaim,
    NodeOverlay, NodePool, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
};

use crate::api::marks::{DO_NOT_DISRUPT, FORMER_SHIELD, former_value};
use crate::api::{RebalancePlanClaim, RebalancePlanSchedule, UnavailableOffering};

kentroller_runtime::reads! {
    /// Everything that planning reads; prices come from a ConfigMap, and what of it cannot be had from UnavailableOfferings. A backend
    /// is told of schedules and open claims besides.
    pub struct Observed:
        CapacityBuffer, ConfigMap, CsiNode, DaemonSet, Ec2NodeClass, NamedPodTemplate, Namespace, Node, NodeClaim,
        NodeOverlay, NodePool, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, RebalancePlanClaim,
        RebalancePlanSchedule, UnavailableOffering
}

/// From a stored object to the planner's: its metadata, and the fields that both have.
macro_rules! as_read {
    ($owners:ident, $stored:ident => $read:ident { $($field:ident),* }) => {
        |one: &$stored| manifest::$read {
            metadata: metadata(&one.metadata, $owners),
            $($field: one.$field.clone()),*
        }
    };
}

/// One stored pod as the planner's rules read it.
pub fn pod(pod: &Pod) -> manifest::Pod {
    let owners = &mut Owners::default();
    as_read!(owners, Pod => Pod { spec, status })(pod)
}

/// One stored node as the planner's rules read it.
pub fn node(node: &Node) -> manifest::Node {
    let owners = &mut Owners::default();
    unshielded(as_read!(owners, Node => Node { spec, status })(node))
}

/// Asks the planner's rules of one stored node, with its NodeClaim and its pool as far as they are there.
pub fn observed<T>(
    stored: &Node,
    of: Option<&NodeClaim>,
    from: Option<&NodePool>,
    ask: impl FnOnce(ObservedNode<'_>) -> T,
) -> T {
    let (read, read_claim, read_pool) = (node(stored), of.map(claim), from.map(pool));
    ask(ObservedNode { node: &read, claim: read_claim.as_ref(), pool: read_pool.as_ref() })
}

/// The node as it was before a plan of ours shielded it: our shield is to stop Karpenter, not us.
fn unshielded(mut node: manifest::Node) -> manifest::Node {
    let Some(note) = node.metadata.annotations.get(FORMER_SHIELD).cloned() else { return node };
    let annotations = Arc::make_mut(&mut node.metadata.annotations);
    match former_value(&note) {
        Some(former) => drop(annotations.insert(DO_NOT_DISRUPT.to_owned(), former.to_owned())),
        None => drop(annotations.remove(DO_NOT_DISRUPT)),
    }
    node
}

/// One stored NodeClaim as the planner's rules read it.
pub fn claim(claim: &NodeClaim) -> manifest::NodeClaim {
    let owners = &mut Owners::default();
    as_read!(owners, NodeClaim => NodeClaim { spec, status })(claim)
}

/// One stored NodePool as the planner's rules read it.
pub fn pool(pool: &NodePool) -> manifest::NodePool {
    let owners = &mut Owners::default();
    as_read!(owners, NodePool => NodePool { spec, status })(pool)
}

/// The volumes of a cluster, and what its nodes attach, as the planner's rules read them; nothing else.
pub fn storage<'a>(
    volumes: impl Iterator<Item = &'a PersistentVolume>,
    claims: impl Iterator<Item = &'a PersistentVolumeClaim>,
    nodes: impl Iterator<Item = &'a CsiNode>,
) -> Snapshot {
    let owners = &mut Owners::default();
    Snapshot {
        persistent_volumes: volumes.map(as_read!(owners, PersistentVolume => PersistentVolume { spec })).collect(),
        persistent_volume_claims: claims
            .map(as_read!(owners, PersistentVolumeClaim => PersistentVolumeClaim { spec }))
            .collect(),
        csi_nodes: nodes.map(as_read!(owners, CsiNode => CsiNode { spec })).collect(),
        ..Snapshot::default()
    }
}

/// A cluster however it was read, as the operator has it: without our own shields, and with how many pods each controller has.
pub(crate) fn as_operators_see(mut snapshot: Snapshot) -> Snapshot {
    snapshot.nodes = snapshot.nodes.into_iter().map(unshielded).collect();
    snapshot.replicas = replicas(&snapshot.pods);
    snapshot
}

/// How many pods each controller has, by namespace, kind and name. Whoever makes the pods is not read: how many there are tells how
/// many are wanted.
fn replicas(pods: &[manifest::Pod]) -> BTreeMap<(String, String, String), u32> {
    let mut counts: BTreeMap<&str, (&manifest::Pod, &manifest::Owner, u32)> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| !pod.status.is_finished()) {
        if let Some(owner) = pod.metadata.controller() {
            counts.entry(&owner.uid).or_insert((pod, owner, 0)).2 += 1;
        }
    }
    let named = |(pod, owner, count): (&manifest::Pod, &manifest::Owner, u32)| {
        ((pod.metadata.namespace.to_string(), owner.kind.clone(), owner.name.clone()), count)
    };
    counts.into_values().map(named).collect()
}

/// Everything that planning reads, as of one cut. Kinds that the cut does not have are left out; where the planner can
/// tell none from not known, they are not known. Besides, what of it could not be understood.
pub fn snapshot(cut: &Seen<Observed>, now: Timestamp) -> (Snapshot, Vec<String>) {
    let owners = &mut Owners::default();
    let snapshot = Snapshot {
        now: moment(now),
        nodes: all(cut, as_read!(owners, Node => Node { spec, status })),
        pods: all(cut, as_read!(owners, Pod => Pod { spec, status })),
        pods_unknown: false,
        node_pools: all(cut, as_read!(owners, NodePool => NodePool { spec, status })),
        node_claims: all(cut, as_read!(owners, NodeClaim => NodeClaim { spec, status })),
        pdbs: all(cut, as_read!(owners, PodDisruptionBudget => PodDisruptionBudget { spec, status })),
        daemon_sets: known(cut, as_read!(owners, DaemonSet => DaemonSet { spec })),
        persistent_volumes: all(cut, as_read!(owners, PersistentVolume => PersistentVolume { spec })),
        persistent_volume_claims: all(cut, as_read!(owners, PersistentVolumeClaim => PersistentVolumeClaim { spec })),
        csi_nodes: all(cut, as_read!(owners, CsiNode => CsiNode { spec })),
        namespaces: known(cut, as_read!(owners, Namespace => Namespace {})),
        ec2_node_classes: all(cut, as_read!(owners, Ec2NodeClass => Ec2NodeClass { spec, status })),
        node_overlays: all(cut, as_read!(owners, NodeOverlay => NodeOverlay { spec })),
        replicas: BTreeMap::new(),
    };
    let mut snapshot = as_operators_see(snapshot);
    let buffers = all(cut, as_read!(owners, CapacityBuffer => CapacityBuffer { spec, status }));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kentroller_planner::manifest::{KINDS, Need};
    use kentroller_runtime::Kinds as _;

    use super::*;

    #[test]
    fn the_stores_keep_exactly_the_kinds_that_planning_reads() {
        let wanted: BTreeSet<_> =
            KINDS.iter().map(|kind| (kind.group, kind.version, kind.kind, kind.plural, kind.namespaced)).collect();
        let beside =
            [ConfigMap::INFO, RebalancePlanClaim::INFO, RebalancePlanSchedule::INFO, UnavailableOffering::INFO];
        let stores = Observed::kinds().into_iter().map(|entry| entry.info).filter(|info| !beside.contains(info));
        let kept: BTreeSet<_> =
            stores.map(|info| (info.group, info.version, info.kind, info.plural, info.namespaced)).collect();
        assert_eq!(kept, wanted);
        let optional = [CapacityBuffer::INFO, NodeOverlay::INFO, Ec2NodeClass::INFO].map(|info| info.kind);
        let rare: Vec<_> = KINDS.iter().filter(|kind| kind.need == Need::Optional).map(|kind| kind.kind).collect();
        assert_eq!(rare, optional, "a cluster may do without these");
        let may_be_missing = [CapacityBuffer::OPTIONAL, NodeOverlay::OPTIONAL, Ec2NodeClass::OPTIONAL, Pod::OPTIONAL];
        assert_eq!(may_be_missing, [true, true, true, false]);
    }
}
