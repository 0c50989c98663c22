//! Kubernetes and Karpenter objects as they come over the wire, reduced to the fields that planning reads.
//!
//! Lenient about fields that are unknown or null, strict about quantities and times.

mod buffer;
mod ec2_node_class;
mod karpenter;
mod kinds;
pub mod marks;
mod moment;
mod node;
mod place;
mod pod;
mod quantity;
mod selector;
mod storage;
mod workload;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

pub use buffer::{
    CapacityBuffer, CapacityBufferSpec, CapacityBufferStatus, NamedPodTemplate, TemplateRef, add_buffers,
};
pub use ec2_node_class::{
    Ami, AmiTerm, BlockDevice, Ebs, Ec2NodeClass, Ec2NodeClassSpec, Ec2NodeClassStatus, Kubelet, Subnet, Whole,
};
pub use karpenter::{
    Budget as DisruptionBudget, Disruption, NodeClaim, NodeClaimSpec, NodeClaimStatus, NodeClassRef, NodeOverlay,
    NodeOverlaySpec, NodePool, NodePoolSpec, NodePoolStatus, PoolTemplate, PoolTemplateSpec, Requirement, TemplateMeta,
};
pub use kinds::{KINDS, Need, ReadKind};
pub use marks::Mark;
pub use moment::{Moment, parse_span};
pub use node::{Condition, Effect, Node, NodeSpec, NodeStatus, Taint};
pub(crate) use place::has_own_prices;
pub(crate) use pod::is_static;
pub use pod::{
    Affinity, Container, ContainerState, Interner, NodeAffinity, Pod, PodAffinity, PodAffinityTerm, PodShape, PodSpec,
    PodStatus, Port, PreferredNodeTerm, RequiredNodeTerms, ResourceList, Resources, SpreadConstraint, Toleration,
    Volume, WeightedPodTerm, belongs_to_node,
};
pub use quantity::{Quantity, QuantityError};
pub use selector::{Expression, LabelSelector, NodeSelectorTerm, Operator};
pub use storage::{
    CsiDriver, CsiNode, CsiNodeSpec, PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeSpec, VolumeNodeAffinity,
};
pub use workload::{
    DaemonSet, DaemonSetSpec, Namespace, PdbSpec, PdbStatus, PodDisruptionBudget, PodTemplate, PodTemplateMeta,
};

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// The metadata of any object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    #[serde(deserialize_with = "or_default")]
    pub name: Arc<str>,
    #[serde(deserialize_with = "or_default")]
    pub namespace: Arc<str>,
    #[serde(deserialize_with = "or_default")]
    pub uid: Arc<str>,
    #[serde(deserialize_with = "shared_or_default")]
    pub labels: Arc<Labels>,
    /// Only those whose prefix planning reads.
    #[serde(deserialize_with = "known_annotations")]
    pub annotations: Arc<Labels>,
    /// One list for all pods of a set.
    #[serde(deserialize_with = "shared_or_default")]
    pub owner_references: Arc<Vec<Owner>>,
    pub creation_timestamp: Option<Moment>,
    pub deletion_timestamp: Option<Moment>,
}

impl Meta {
    /// The owner that controls this object.
    pub fn controller(&self) -> Option<&Owner> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    /// Namespace and name.
    pub fn key(&self) -> ObjectName {
        ObjectName { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// A mark that may stand as a label or as an annotation.
    pub fn mark(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).or_else(|| self.labels.get(key)).map(String::as_str)
    }
}

/// An owner reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Owner {
    #[serde(deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub uid: String,
    #[serde(deserialize_with = "or_default")]
    pub controller: bool,
}

/// Namespace and name of an object, shown as `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl Serialize for ObjectName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    /// What it is shown as.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let (namespace, name) = text.split_once('/').unwrap_or(("", &text));
        Ok(Self { namespace: namespace.into(), name: name.into() })
    }
}

/// A field that may be null means the same as one that is absent.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

fn shared_or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<Arc<T>, D::Error> {
    or_default(from).map(Arc::new)
}

fn known_annotations<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Labels>, D::Error> {
    struct Known;
    impl<'de> serde::de::Visitor<'de> for Known {
        type Value = Labels;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("annotations")
        }
        fn visit_unit<E>(self) -> Result<Labels, E> {
            Ok(Labels::new())
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
            let mut kept = Labels::new();
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                if marks::keeps_annotation(&key) {
                    kept.insert(key.into_owned(), map.next_value()?);
                } else {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
            Ok(kept)
        }
    }
    from.deserialize_any(Known).map(Arc::new)
}
