//! Volumes, the claims on them and what nodes can attach, as far as they tie pods to places.

use kentroller_planner::manifest::{CsiNodeSpec, PersistentVolumeClaimSpec, PersistentVolumeSpec};
use kentroller_runtime::{Meta, resource};

#[resource(foreign, group = "", version = "v1", kind = "PersistentVolume", plural = "persistentvolumes")]
/// A volume, and the nodes from which it can be reached.
pub struct PersistentVolume {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: PersistentVolumeSpec,
}

#[resource(
    foreign,
    group = "",
    version = "v1",
    kind = "PersistentVolumeClaim",
    plural = "persistentvolumeclaims",
    namespaced
)]
/// A claim on a volume.
pub struct PersistentVolumeClaim {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: PersistentVolumeClaimSpec,
}

#[resource(foreign, group = "storage.k8s.io", version = "v1", kind = "CSINode", plural = "csinodes")]
/// What the storage drivers of a node can attach.
pub struct CsiNode {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: CsiNodeSpec,
}
