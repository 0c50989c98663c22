//! Volumes, as far as they tie pods to places.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Meta, RequiredNodeTerms, or_default};

/// A PersistentVolume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: PersistentVolumeSpec,
}

/// Where a volume can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeSpec {
    #[serde(deserialize_with = "or_default")]
    pub node_affinity: VolumeNodeAffinity,
    pub csi: Option<CsiDriver>,
    /// Set: the volume is a disk of one node.
    pub local: Option<BTreeMap<String, serde_json::Value>>,
    /// Set: the volume is a directory of one node.
    pub host_path: Option<BTreeMap<String, serde_json::Value>>,
}

/// The nodes from which a volume can be reached; absent: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeNodeAffinity {
    pub required: Option<RequiredNodeTerms>,
}

/// A CSI driver, of a volume or of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CsiDriver {
    /// The name in a volume.
    #[serde(deserialize_with = "or_default")]
    pub driver: String,
    /// The name on a node.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// How many volumes the node can attach.
    #[serde(deserialize_with = "or_default")]
    pub allocatable: BTreeMap<String, i64>,
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PersistentVolumeClaim {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: PersistentVolumeClaimSpec,
}

/// The volume that a claim is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeClaimSpec {
    #[serde(deserialize_with = "or_default")]
    pub volume_name: String,
    #[serde(deserialize_with = "or_default")]
    pub access_modes: Vec<String>,
}

/// The CSI drivers of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CsiNode {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: CsiNodeSpec,
}

/// The drivers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CsiNodeSpec {
    #[serde(deserialize_with = "or_default")]
    pub drivers: Vec<CsiDriver>,
}
