//! Volumes and the claims on them, as far as they tie pods to places.

use kentroller_planner::manifest::{PersistentVolumeClaimSpec, PersistentVolumeSpec};
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
