//! What volumes hold pods to: places, and attachments of a node.

use std::collections::BTreeMap;

use crate::manifest::{ObjectName, PersistentVolume, Pod, RequiredNodeTerms};
use crate::value::{Options, Rule, Snapshot};

/// The driver whose volumes are counted against a node's attachments.
const EBS: &str = "ebs.csi.aws.com";

/// What a node attaches where no CSINode tells: 28 attachments of a Nitro instance less its root volume, a network interface
/// and one to spare. Source: the EBS volume limits page of the EC2 user guide.
pub(crate) const EBS_DEFAULT: i64 = 25;

/// Persistent volumes, as far as they hold pods.
#[derive(Debug)]
pub struct Volumes<'a> {
    claims: BTreeMap<ObjectName, &'a str>,
    volumes: BTreeMap<&'a str, &'a PersistentVolume>,
    /// What each node may attach, where its CSINode is known.
    limits: BTreeMap<&'a str, i64>,
}

impl<'a> Volumes<'a> {
    /// The volumes of a cluster, with what each node may attach.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            claims: snapshot
                .persistent_volume_claims
                .iter()
                .map(|claim| (claim.metadata.key(), claim.spec.volume_name.as_str()))
                .collect(),
            volumes: snapshot.persistent_volumes.iter().map(|volume| (&*volume.metadata.name, volume)).collect(),
            limits: snapshot
                .csi_nodes
                .iter()
                .map(|node| {
                    let driver = node.spec.drivers.iter().find(|driver| driver.name == EBS);
                    // A driver that tells no limit has none.
                    let limit = driver.and_then(|driver| driver.allocatable.get("count")).copied();
                    (&*node.metadata.name, limit.unwrap_or(1 << 30))
                })
                .collect(),
        }
    }

    /// EBS volumes that a pod attaches.
    pub fn attached(&self, pod: &Pod) -> i64 {
        let claims = claims_of(pod);
        let volumes =
            claims.iter().filter_map(|claim| self.claims.get(claim).and_then(|volume| self.volumes.get(volume)));
        let ebs = volumes.filter(|volume| volume.spec.csi.as_ref().is_some_and(|csi| csi.driver == EBS));
        i64::try_from(ebs.count()).unwrap_or(i64::MAX)
    }

    /// EBS volumes that a node may attach, by its CSINode. Without one: what most instances can.
    pub fn limit(&self, node: &str) -> i64 {
        self.limits.get(node).copied().unwrap_or(EBS_DEFAULT)
    }

    /// The places that a pod's volumes tie it to, and the rule by which they hold it.
    pub(crate) fn of_pod(&self, pod: &Pod, options: &Options) -> (Vec<RequiredNodeTerms>, Option<Rule>) {
        let mut terms = Vec::new();
        let mut rule = None;
        for claim in claims_of(pod) {
            match self.claims.get(&claim).and_then(|volume| self.volumes.get(volume)) {
                None => rule = Some(Rule::VolumeUnknown),
                Some(volume) => {
                    let of_a_node = volume.spec.local.is_some() || volume.spec.host_path.is_some();
                    if of_a_node && options.aggressive.ignore_local_persistent_volumes {
                        continue;
                    }
                    if of_a_node {
                        rule = rule.or(Some(Rule::LocalVolume));
                    }
                    terms.extend(volume.spec.node_affinity.required.clone());
                }
            }
        }
        terms.sort();
        terms.dedup();
        (terms, rule)
    }
}

/// The names of a pod's claims.
fn claims_of(pod: &Pod) -> Vec<ObjectName> {
    let name = |name: String| ObjectName { namespace: pod.metadata.namespace.clone(), name: name.into() };
    let volumes = pod.spec.shape.volumes.iter();
    let mut claims: Vec<ObjectName> = volumes
        .filter_map(|volume| match (volume.claim.as_str(), volume.ephemeral.as_str()) {
            ("", "") => None,
            ("", ephemeral) => Some(name(format!("{}-{ephemeral}", pod.metadata.name))),
            (claim, _) => Some(name(claim.to_owned())),
        })
        .collect();
    claims.sort();
    claims.dedup();
    claims
}
