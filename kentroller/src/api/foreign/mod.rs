//! What is read of kinds that other people define. Their specs and statuses are the planner's, so that nothing is
//! defined twice; what nobody reads is dropped while an object is decoded.

mod capacity;
mod config_map;
mod disruption_budget;
mod event;
mod namespace;
mod node;
mod node_claim;
mod node_class;
mod node_pool;
mod occupancy;
mod pod;
mod storage;
mod workload;

use std::sync::Arc;

use kentroller_planner::manifest::marks::keeps_annotation;
use kentroller_runtime::Meta;
use kentroller_runtime::store::share::Pool;

pub use self::capacity::{CapacityBuffer, NamedPodTemplate, NodeOverlay};
pub use self::config_map::ConfigMap;
pub use self::disruption_budget::PodDisruptionBudget;
pub use self::event::NodeClaimEvent;
pub use self::namespace::Namespace;
pub use self::node::{Node, Zones, zone_ids};
pub use self::node_claim::NodeClaim;
pub use self::node_class::Ec2NodeClass;
pub use self::node_pool::NodePool;
pub use self::occupancy::Occupancy;
pub(crate) use self::occupancy::requests_of;
pub use self::pod::Pod;
pub use self::storage::{CsiNode, PersistentVolume, PersistentVolumeClaim};
pub use self::workload::{DaemonSet, ReplicaSet, Replicas, StatefulSet};

/// Leaves only the annotations that somebody reads: others can be hundreds of kilobytes long.
fn keep_annotations(metadata: &mut Meta, pool: &mut Pool) {
    if metadata.annotations.keys().all(|key| keeps_annotation(key)) {
        return;
    }
    let read = metadata.annotations.iter().filter(|(key, _)| keeps_annotation(key));
    metadata.annotations = Arc::new(read.map(|(key, value)| (key.clone(), value.clone())).collect());
    pool.value(&mut metadata.annotations);
}
