//! What volumes hold pods to: places, and attachments of a node.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{ObjectName, PersistentVolume, Pod, RequiredNodeTerms};
use crate::value::{Options, Rule, Snapshot};

/// The driver of which it is known what a node attaches where no CSINode tells.
const EBS: &str = "ebs.csi.aws.com";

/// 28 attachments of a Nitro instance less its root volume, a network interface and one to spare. Source: the EBS volume
/// limits page of the EC2 user guide.
const EBS_DEFAULT: i64 = 25;

/// Persistent volumes, as far as they hold pods.
#[derive(Debug)]
pub struct Volumes<'a> {
    claims: BTreeMap<ObjectName, &'a str>,
    volumes: BTreeMap<&'a str, &'a PersistentVolume>,
    /// By node whose CSINode is known: what it may attach of each driver that has a limit there.
    limits: BTreeMap<&'a str, BTreeMap<&'a str, i64>>,
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
                    let drivers = node.spec.drivers.iter();
                    let limit = drivers.filter_map(|one| Some((one.name.as_str(), *one.allocatable.get("count")?)));
                    (&*node.metadata.name, limit.collect())
                })
                .collect(),
        }
    }

    /// The volumes that a pod attaches, each once, with their drivers.
    pub fn attached(&self, pod: &Pod) -> BTreeSet<(&'a str, &'a str)> {
        let claims = claims_of(pod);
        let volumes =
            claims.iter().filter_map(|claim| self.claims.get(claim).and_then(|volume| self.volumes.get(volume)));
        volumes.filter_map(|volume| Some((volume.spec.csi.as_ref()?.driver.as_str(), &*volume.metadata.name))).collect()
    }

    /// How many volumes of a driver a node may attach; `None`: as many as one likes.
    ///
    /// A node without CSINode has no limit to kube-scheduler. Where no CSINode is known at all, most instances tell.
    pub fn limit(&self, node: &str, driver: &str) -> Option<i64> {
        match self.limits.get(node) {
            Some(limits) => limits.get(driver).copied(),
            None => Self::untold_limit(driver).filter(|_| self.limits.is_empty()),
        }
    }

    /// What a node may attach of a driver where none tells.
    pub(crate) fn untold_limit(driver: &str) -> Option<i64> {
        (driver == EBS).then_some(EBS_DEFAULT)
    }

    /// The drivers that have a limit on some node, or could have one on a new node.
    pub(crate) fn limited(&self) -> BTreeSet<&'a str> {
        self.limits.values().flat_map(BTreeMap::keys).copied().chain([EBS]).collect()
    }

    /// The places that a pod's volumes tie it to, and the rule by which they hold it.
    pub(crate) fn of_pod(&self, pod: &Pod, options: &Options) -> (Vec<RequiredNodeTerms>, Option<Rule>) {
        let mut terms = Vec::new();
        // Of a disk that the pod names itself nobody tells where it is.
        let mut rule = pod.spec.shape.volumes.iter().any(|one| one.disk.is_some()).then_some(Rule::VolumeUnknown);
        for claim in claims_of(pod) {
            match self.claims.get(&claim).and_then(|volume| self.volumes.get(volume)) {
                None => rule = Some(Rule::VolumeUnknown),
                Some(volume) => {
                    if volume.is_local() && options.aggressive.ignore_local_persistent_volumes {
                        continue;
                    }
                    if volume.is_local() {
                        rule = rule.or(Some(Rule::LocalVolume));
                    }
                    terms.extend(volume.places());
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
