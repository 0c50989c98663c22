//! Volumes: where they can be reached from, and how many a node can attach.

use std::collections::{BTreeMap, BTreeSet};

use super::board::{Board, Host, Origin};
use super::selectors::any_term;
use super::violation::Fault;
use crate::manifest::marks::INSTANCE_TYPE;
use crate::manifest::{PersistentVolume, PersistentVolumeClaim, RequiredNodeTerms};
use crate::value::Snapshot;

/// Volumes of EBS that a node takes when no live node of any type says: 28 attachments of a Nitro instance, less the
/// root volume, a network interface and one to spare. Source: the EBS volume limits page of the EC2 user guide.
const EBS_DEFAULT: i64 = 25;
const EBS: &str = "ebs.csi.aws.com";

/// One claim of a pod.
#[derive(Clone, Copy, Debug)]
struct Mounted<'a> {
    /// It is made anew with each pod and ties it to no place.
    ephemeral: bool,
    volume: Option<&'a PersistentVolume>,
}

/// The volumes of a cluster, by name.
#[derive(Debug)]
pub(super) struct Volumes<'a> {
    claims: BTreeMap<(&'a str, &'a str), &'a PersistentVolumeClaim>,
    volumes: BTreeMap<&'a str, &'a PersistentVolume>,
    /// By node and driver. If a node is listed without the driver, the driver has no limit there.
    limits: BTreeMap<&'a str, BTreeMap<&'a str, i64>>,
    /// The least that live nodes say, by instance type and driver.
    by_type: BTreeMap<(&'a str, &'a str), i64>,
    by_driver: BTreeMap<&'a str, i64>,
    local_is_lost: bool,
}

impl<'a> Volumes<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, ignore_local: bool) -> Self {
        let mut all = Self {
            claims: snapshot
                .persistent_volume_claims
                .iter()
                .map(|claim| ((&*claim.metadata.namespace, &*claim.metadata.name), claim))
                .collect(),
            volumes: snapshot.persistent_volumes.iter().map(|volume| (&*volume.metadata.name, volume)).collect(),
            limits: BTreeMap::new(),
            by_type: BTreeMap::new(),
            by_driver: BTreeMap::new(),
            local_is_lost: ignore_local,
        };
        let types: BTreeMap<&str, &str> =
            snapshot.nodes.iter().filter_map(|node| Some((&*node.metadata.name, node.instance_type()?))).collect();
        for node in &snapshot.csi_nodes {
            let limits = all.limits.entry(&*node.metadata.name).or_default();
            for driver in &node.spec.drivers {
                let Some(count) = driver.allocatable.get("count") else { continue };
                limits.insert(&driver.name, *count);
                let least = all.by_driver.entry(&driver.name).or_insert(*count);
                *least = (*least).min(*count);
                if let Some(of) = types.get(&*node.metadata.name) {
                    let least = all.by_type.entry((of, &driver.name)).or_insert(*count);
                    *least = (*least).min(*count);
                }
            }
        }
        all
    }

    /// What of a pod's volumes forbids to move it at all.
    pub(super) fn pod_faults(&self, board: &Board<'a>, body: usize) -> Vec<(Fault, String)> {
        let mut faults = Vec::new();
        if let Some(disk) = board.class_of(body).shape.volumes.iter().find_map(|volume| volume.disk) {
            faults.push((Fault::VolumeUnknown, format!("where its volume ({disk}) is cannot be told")));
        }
        for (name, mounted) in self.mounted(board, body) {
            match mounted.volume {
                None if mounted.ephemeral => {}
                None => faults.push((Fault::VolumeUnknown, format!("what the claim {name} is bound to is not known"))),
                Some(volume) if volume.is_local() && !self.local_is_lost => {
                    let text = format!("the claim {name} is bound to a disk of the node ({})", volume.metadata.name);
                    faults.push((Fault::LocalVolume, text));
                }
                Some(_) => {}
            }
        }
        faults
    }

    /// Whether the pod has a volume that exists on its node only.
    pub(super) fn has_local(&self, board: &Board<'a>, body: usize) -> bool {
        self.mounted(board, body).iter().any(|(_, mounted)| mounted.volume.is_some_and(PersistentVolume::is_local))
    }

    /// What speaks against the pod's volumes on a host.
    pub(super) fn host_faults(&self, board: &Board<'a>, body: usize, host: &Host<'a>) -> Vec<(Fault, String)> {
        let mine = self.mounted(board, body);
        if mine.is_empty() {
            return Vec::new();
        }
        let mut faults = Vec::new();
        for (name, mounted) in &mine {
            let Some(volume) = mounted.volume.filter(|volume| !mounted.ephemeral && !volume.is_local()) else {
                continue;
            };
            let reaches = |required: &RequiredNodeTerms| {
                any_term(&required.node_selector_terms, host.name, &|key| host.label(key)) == Some(true)
            };
            if !volume.places().iter().all(reaches) {
                let text = format!("the volume of claim {name} cannot be reached from node {}", host.name);
                faults.push((Fault::VolumePlace, text));
            }
        }
        let mut attached: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        // The drivers of which the pod brings a volume that is not attached here yet.
        let mut brought = BTreeSet::new();
        for other in host.pods.iter().copied().filter(|other| *other != body).chain([body]) {
            for (name, mounted) in self.mounted(board, other) {
                let Some(volume) = mounted.volume else { continue };
                let Some(csi) = &volume.spec.csi else { continue };
                let namespace = board.class_of(other).namespace;
                let own =
                    if mounted.ephemeral { format!("{namespace}/{name}") } else { (*volume.metadata.name).to_owned() };
                if attached.entry(&csi.driver).or_default().insert(own) && other == body {
                    brought.insert(csi.driver.as_str());
                }
            }
        }
        for (_, mounted) in &mine {
            let csi = mounted.volume.and_then(|volume| volume.spec.csi.as_ref());
            let Some(csi) = csi.filter(|csi| brought.contains(csi.driver.as_str())) else { continue };
            let count = i64::try_from(attached.get(csi.driver.as_str()).map_or(0, BTreeSet::len)).unwrap_or(i64::MAX);
            if let Some(limit) = self.limit(host, &csi.driver).filter(|limit| count > *limit) {
                let text =
                    format!("node {} would attach {count} volumes of {}, its limit is {limit}", host.name, csi.driver);
                faults.push((Fault::AttachLimit, text));
                break;
            }
        }
        faults
    }

    /// How many volumes of a driver a host can attach; `None`: as many as one likes.
    fn limit(&self, host: &Host<'_>, driver: &str) -> Option<i64> {
        if let Origin::Live { .. } = host.origin {
            let own = self.limits.get(host.name).and_then(|limits| limits.get(driver)).copied();
            // kube-scheduler knows no limit of a node without CSINode.
            return own.or((self.limits.is_empty() && driver == EBS).then_some(EBS_DEFAULT));
        }
        let of = host.labels.get(INSTANCE_TYPE).map_or("", String::as_str);
        let told = self.by_type.get(&(of, driver)).or_else(|| self.by_driver.get(driver));
        told.copied().or((driver == EBS).then_some(EBS_DEFAULT))
    }

    fn mounted(&self, board: &Board<'a>, body: usize) -> Vec<(String, Mounted<'a>)> {
        let class = board.class_of(body);
        let mut all = Vec::new();
        for volume in &class.shape.volumes {
            let ephemeral = !volume.ephemeral.is_empty();
            let name = match (ephemeral, volume.claim.is_empty()) {
                (true, _) => format!("{}-{}", board.bodies[body].pod.metadata.name, volume.ephemeral),
                (false, false) => volume.claim.clone(),
                (false, true) => continue,
            };
            let claim = self.claims.get(&(class.namespace, name.as_str()));
            let bound = claim.and_then(|claim| self.volumes.get(claim.spec.volume_name.as_str())).copied();
            all.push((name, Mounted { ephemeral, volume: bound }));
        }
        all
    }
}
