//! Volumes, as far as they tie pods to places.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::marks::{REGION, ZONE};
use super::{Expression, Meta, NodeSelectorTerm, Operator, RequiredNodeTerms, or_default};

/// A PersistentVolume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: PersistentVolumeSpec,
}

/// Where a volume can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistentVolumeSpec {
    pub node_affinity: VolumeNodeAffinity,
    /// The driver that attaches it, also where the volume is of the time before drivers: those have moved to drivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csi: Option<CsiDriver>,
    /// Set: the volume is a disk of one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<BTreeMap<String, serde_json::Value>>,
    /// Set: the volume is a directory of one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_path: Option<BTreeMap<String, serde_json::Value>>,
}

impl<'de> Deserialize<'de> for PersistentVolumeSpec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Wire {
            #[serde(deserialize_with = "or_default")]
            node_affinity: VolumeNodeAffinity,
            csi: Option<CsiDriver>,
            local: Option<BTreeMap<String, serde_json::Value>>,
            host_path: Option<BTreeMap<String, serde_json::Value>>,
            aws_elastic_block_store: Option<IgnoredAny>,
            gce_persistent_disk: Option<IgnoredAny>,
            azure_disk: Option<IgnoredAny>,
            cinder: Option<IgnoredAny>,
        }
        let wire = Wire::deserialize(from)?;
        // Those that kube-scheduler counts as the driver's: `isCSIMigrationOn` of its plugin NodeVolumeLimits.
        let moved = [
            (wire.aws_elastic_block_store, "ebs.csi.aws.com"),
            (wire.gce_persistent_disk, "pd.csi.storage.gke.io"),
            (wire.azure_disk, "disk.csi.azure.com"),
            (wire.cinder, "cinder.csi.openstack.org"),
        ];
        let moved = moved.into_iter().find_map(|(source, driver)| source.map(|_| driver));
        let driver = |name: &str| CsiDriver { driver: name.to_owned(), ..CsiDriver::default() };
        Ok(Self {
            node_affinity: wire.node_affinity,
            csi: wire.csi.or(moved.map(driver)),
            local: wire.local,
            host_path: wire.host_path,
        })
    }
}

impl PersistentVolume {
    /// Whether the volume is of one node and ends with it.
    pub fn is_local(&self) -> bool {
        self.spec.local.is_some() || self.spec.host_path.is_some()
    }

    /// What the nodes must be from which it can be reached; one term of each list must hold.
    ///
    /// Volumes of the time before drivers say it by labels: kube-scheduler reads those in its plugin VolumeZone, with a list
    /// of zones written as `a__b`.
    pub fn places(&self) -> Vec<RequiredNodeTerms> {
        let labels = self.metadata.labels.iter().filter_map(|(key, value)| {
            let key = super::place::normalized(key);
            let values = value.split("__").map(str::to_owned).collect();
            [ZONE, REGION].contains(&key).then(|| Expression { key: key.to_owned(), operator: Operator::In, values })
        });
        let of_labels = labels.map(|expression| RequiredNodeTerms {
            node_selector_terms: vec![NodeSelectorTerm {
                match_expressions: vec![expression],
                match_fields: Vec::new(),
            }],
        });
        self.spec.node_affinity.required.iter().cloned().chain(of_labels).collect()
    }
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
