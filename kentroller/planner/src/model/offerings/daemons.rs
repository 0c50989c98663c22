//! What DaemonSets take of a new node.

use crate::manifest::{Pod, PodShape, RequiredNodeTerms, Resources, Toleration, marks};
use crate::model::{DIMS, PODS, Vector, add, vector};
use crate::rules::placement::{Needs, Place};
use crate::rules::ports::host_ports;
use crate::rules::requests;
use crate::value::Snapshot;
use std::collections::BTreeMap;

/// A DaemonSet as far as its pods take room.
pub(super) struct Daemon {
    pub(super) needs: Needs,
    request: Resources,
    ports: Vec<(String, i32)>,
}

/// The DaemonSets: as told, else as seen from the pods that run.
///
/// What a pod asks for that runs counts beside what the template asks for: defaults of the namespace and other people's
/// changes are in the pod only. Karpenter takes the newest pod of each.
pub(super) fn daemons(snapshot: &Snapshot) -> Vec<Daemon> {
    let mut running: BTreeMap<(&str, &str), &Pod> = BTreeMap::new();
    for pod in &snapshot.pods {
        if let Some(owner) = pod.metadata.controller().filter(|owner| owner.kind == "DaemonSet") {
            let newest = running.entry((&pod.metadata.namespace, &owner.name)).or_insert(pod);
            if newest.metadata.creation_timestamp < pod.metadata.creation_timestamp {
                *newest = pod;
            }
        }
    }
    match &snapshot.daemon_sets {
        None => running.values().map(|pod| daemon(&pod.spec.shape, true)).collect(),
        Some(sets) => {
            let told = sets.iter().map(|set| {
                let mut daemon = daemon(&set.spec.template.spec.shape, false);
                if let Some(pod) = running.get(&(&*set.metadata.namespace, &*set.metadata.name)) {
                    daemon.grow_to(&pod.spec.shape);
                }
                daemon
            });
            told.collect()
        }
    }
}

impl Daemon {
    /// Takes the larger of what it asks for and what one of its pods does, and the host ports of both.
    fn grow_to(&mut self, shape: &PodShape) {
        for (name, quantity) in requests::of_shape(shape) {
            let at_least = self.request.entry(name).or_default();
            *at_least = (*at_least).max(quantity);
        }
        self.ports.extend(host_ports(shape));
        self.ports.sort();
        self.ports.dedup();
    }
}

fn daemon(shape: &PodShape, of_running_pod: bool) -> Daemon {
    let mut needs = Needs::of(shape, Vec::new());
    // Room is kept for it even where its pods might not start.
    needs.os.clear();
    if of_running_pod {
        // The controller ties each pod to its node by name. Without that, the set's own terms are left.
        for list in &mut needs.terms {
            for term in &mut list.node_selector_terms {
                term.match_fields.clear();
            }
        }
        needs.terms.retain(|list: &RequiredNodeTerms| {
            list.node_selector_terms.iter().all(|term| !term.match_expressions.is_empty())
        });
    }
    // The controller adds these tolerations to every DaemonSet pod.
    let kept = [
        marks::NOT_READY,
        marks::UNREACHABLE,
        marks::DISK_PRESSURE,
        marks::MEMORY_PRESSURE,
        marks::PID_PRESSURE,
        marks::UNSCHEDULABLE,
        marks::NETWORK_UNAVAILABLE,
    ];
    needs.tolerations.extend(kept.map(|key| Toleration {
        key: key.to_owned(),
        operator: "Exists".to_owned(),
        ..Toleration::default()
    }));
    Daemon { needs, request: requests::of_shape(shape), ports: host_ports(shape) }
}

/// What the DaemonSets of a place ask for, and their host ports.
pub(super) fn overhead(daemons: &[Daemon], place: &Place, dims: &[String]) -> (Vector, Vec<(String, i32)>) {
    let mut overhead = [0; DIMS];
    let mut ports = Vec::new();
    for daemon in daemons.iter().filter(|daemon| daemon.needs.admits(place) != Some(false)) {
        add(&mut overhead, &vector(&daemon.request, dims).0, 1);
        overhead[PODS] += 1;
        ports.extend(daemon.ports.iter().cloned());
    }
    (overhead, ports)
}
