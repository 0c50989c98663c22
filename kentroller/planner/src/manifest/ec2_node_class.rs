//! EC2NodeClasses: what Karpenter starts the nodes of a pool with.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Meta, Requirement, or_default};

/// An EC2NodeClass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ec2NodeClass {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: Ec2NodeClassSpec,
    #[serde(deserialize_with = "or_default")]
    pub status: Ec2NodeClassStatus,
}

/// What decides how much a node has, and where it can be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ec2NodeClassSpec {
    /// `AL2`, `AL2023`, `Bottlerocket`, `Custom` and those of Windows; empty where an alias tells it.
    #[serde(deserialize_with = "or_default")]
    pub ami_family: String,
    #[serde(deserialize_with = "or_default")]
    pub ami_selector_terms: Vec<AmiTerm>,
    #[serde(deserialize_with = "or_default")]
    pub kubelet: Kubelet,
    /// `RAID0`: the machine's own disks are the ephemeral storage.
    #[serde(deserialize_with = "or_default")]
    pub instance_store_policy: String,
    #[serde(deserialize_with = "or_default")]
    pub block_device_mappings: Vec<BlockDevice>,
}

/// Which images are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AmiTerm {
    /// Such as `al2023@latest`.
    #[serde(deserialize_with = "or_default")]
    pub alias: String,
}

/// What the kubelet is told. Texts that are no quantities are expressions, of which nothing can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kubelet {
    #[serde(deserialize_with = "whole")]
    pub max_pods: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    pub pods_per_core: i64,
    #[serde(deserialize_with = "texts")]
    pub system_reserved: BTreeMap<String, String>,
    #[serde(deserialize_with = "texts")]
    pub kube_reserved: BTreeMap<String, String>,
    /// By signal: a quantity or a percentage.
    #[serde(deserialize_with = "texts")]
    pub eviction_hard: BTreeMap<String, String>,
}

/// A number, or an expression that makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Whole {
    Number(i64),
    Expression(String),
}

/// A volume of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockDevice {
    #[serde(deserialize_with = "or_default")]
    pub device_name: String,
    #[serde(deserialize_with = "or_default")]
    pub root_volume: bool,
    #[serde(deserialize_with = "or_default")]
    pub ebs: Ebs,
}

/// Its size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ebs {
    /// A quantity, such as `20Gi`; empty: the default of the images.
    #[serde(deserialize_with = "or_default")]
    pub volume_size: String,
}

/// What Karpenter found for a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ec2NodeClassStatus {
    #[serde(deserialize_with = "or_default")]
    pub subnets: Vec<Subnet>,
    #[serde(deserialize_with = "or_default")]
    pub amis: Vec<Ami>,
}

/// A subnet, by its zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subnet {
    #[serde(deserialize_with = "or_default")]
    pub zone: String,
}

/// An image, by the machines that it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ami {
    #[serde(deserialize_with = "or_default")]
    pub requirements: Vec<Requirement>,
}

impl Ec2NodeClass {
    /// The zones that it has subnets in; empty where Karpenter has not told any.
    pub fn zones(&self) -> Vec<&str> {
        self.status.subnets.iter().map(|subnet| subnet.zone.as_str()).filter(|zone| !zone.is_empty()).collect()
    }
}

impl Ec2NodeClassSpec {
    /// The family of its images, in lower case: as told, else by an alias, else `custom`.
    pub fn family(&self) -> String {
        let alias = self.ami_selector_terms.iter().find_map(|term| term.alias.split_once('@'));
        match (self.ami_family.as_str(), alias) {
            ("", None) => "custom".to_owned(),
            ("", Some((family, _))) => family.to_ascii_lowercase(),
            (told, _) => told.to_ascii_lowercase(),
        }
    }

    /// Whether its nodes join their own disks to be their ephemeral storage.
    pub fn joins_disks(&self) -> bool {
        self.instance_store_policy == "RAID0"
    }
}

fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Whole>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(from)?;
    Ok(value.map(|value| match (value.as_i64(), value.as_str()) {
        (Some(number), _) => Whole::Number(number),
        (None, Some(text)) => Whole::Expression(text.to_owned()),
        (None, None) => Whole::Expression(value.to_string()),
    }))
}

/// Amounts as texts; a plain number is one.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = or_default::<D, BTreeMap<String, serde_json::Value>>(from)?;
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(values.into_iter().map(|(name, value)| (name, text(value))).collect())
}
