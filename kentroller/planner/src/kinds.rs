//! New nodes: every offering of every pool that some pod could use and that no other offering beats.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    CapacityType, Catalog, Money, Snapshot, Warning,
    cluster::{ATTACHMENTS, CPU, EBS_DEFAULT, MEMORY, PODS, Vector, add, vector},
    manifest::{DaemonSet, Labels, NodePool, PodShape, RequiredNodeTerms, Taint, Toleration},
    requests,
    rules::{
        placement::{Needs, Place},
        pool,
    },
};

/// An offering as a bin.
#[derive(Clone, Debug)]
pub(crate) struct NewKind {
    pub pool: usize,
    pub pool_name: String,
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: CapacityType,
    pub price: Money,
    pub allocatable: Vector,
    /// What the DaemonSets of such a node ask for.
    pub daemons: Vector,
    /// Host ports of those DaemonSets, as protocol and port.
    pub daemon_ports: Vec<(String, i32)>,
    /// The same as counts of the terms that host ports are.
    pub ties: Vec<crate::cluster::Tie>,
    pub place: Place,
    pub signature: usize,
    /// What it takes of its pool's limits: milli-cpu and bytes as bought.
    pub capacity: (i64, i64),
}

/// A DaemonSet as far as its pods take room.
pub(crate) struct Daemon {
    needs: Needs,
    request: crate::manifest::Resources,
    ports: Vec<(String, i32)>,
}

/// The DaemonSets: as told, else as seen from the pods that run.
pub(crate) fn daemons(snapshot: &Snapshot) -> Vec<Daemon> {
    match &snapshot.daemon_sets {
        Some(sets) => sets.iter().map(|set: &DaemonSet| daemon(&set.spec.template.spec.shape, false)).collect(),
        None => {
            let mut seen = BTreeMap::new();
            for pod in &snapshot.pods {
                if let Some(owner) = pod.metadata.controller().filter(|owner| owner.kind == "DaemonSet") {
                    seen.entry((&pod.metadata.namespace, &owner.name)).or_insert(&pod.spec.shape);
                }
            }
            seen.values().map(|shape| daemon(shape, true)).collect()
        }
    }
}

fn daemon(shape: &PodShape, of_running_pod: bool) -> Daemon {
    let mut needs = Needs::of(shape, Vec::new());
    if of_running_pod {
        // The controller ties each pod to its node by name; what is left are the set's own terms.
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
        "not-ready",
        "unreachable",
        "disk-pressure",
        "memory-pressure",
        "pid-pressure",
        "unschedulable",
        "network-unavailable",
    ];
    needs.tolerations.extend(kept.map(|key| Toleration {
        key: format!("node.kubernetes.io/{key}"),
        operator: "Exists".to_owned(),
        ..Toleration::default()
    }));
    Daemon { needs, request: requests::of_shape(shape), ports: host_ports(shape) }
}

/// Host ports as protocol and port. Addresses are left out: two pods that share a port never share a node here.
pub(crate) fn host_ports(shape: &PodShape) -> Vec<(String, i32)> {
    let containers =
        shape.containers.iter().chain(shape.init_containers.iter().filter(|c| c.restart_policy == "Always"));
    let mut ports: Vec<(String, i32)> = containers
        .flat_map(|container| &container.ports)
        .filter(|port| port.host_port > 0)
        .map(|port| (if port.protocol.is_empty() { "TCP".to_owned() } else { port.protocol.clone() }, port.host_port))
        .collect();
    ports.sort();
    ports.dedup();
    ports
}

/// What the new nodes of a cluster are made from.
pub(crate) struct Source<'a> {
    pub snapshot: &'a Snapshot,
    pub catalog: &'a Catalog,
    pub region: &'a str,
    pub dims: &'a [String],
    /// Label keys that some pod or DaemonSet asks for.
    pub keys: &'a BTreeSet<String>,
    /// Zones of existing nodes, by pool.
    pub zones: &'a BTreeSet<String>,
    /// The least allocatable of existing nodes of a pool in dimensions that the catalogue does not tell.
    pub learned: &'a BTreeMap<String, Vector>,
}

impl Source<'_> {
    /// All offerings that may be bought, dominated ones left out.
    pub(crate) fn kinds(&self, warnings: &mut Vec<Warning>) -> Vec<NewKind> {
        let daemons = daemons(self.snapshot);
        let types: Vec<(&crate::catalog::Priced, Labels)> = self
            .catalog
            .types(self.region)
            .filter(|priced| priced.offers.iter().any(|offer| offer.available))
            .map(|priced| (priced, pool::type_labels(&priced.instance_type, self.region)))
            .collect();
        let mut kinds = Vec::new();
        for (index, node_pool) in self.snapshot.node_pools.iter().enumerate() {
            let mut warn = |message: &str| {
                let object = format!("NodePool {}", node_pool.metadata.name);
                warnings.push(Warning { object, message: message.to_owned() });
            };
            if node_pool.metadata.deletion_timestamp.is_some() || node_pool.spec.replicas.is_some() {
                continue;
            }
            if node_pool.status.is_unready() {
                warn("is not Ready; nothing is bought in it");
                continue;
            }
            let Some(requirements) = pool::Requirements::of(node_pool) else {
                warn("has a requirement with an operator or bound that is not known; nothing is bought in it");
                continue;
            };
            let before = kinds.len();
            self.of_pool(index, node_pool, &requirements, &types, &daemons, &mut kinds);
            if kinds.len() == before {
                warn("no offering of the catalogue satisfies its requirements; nothing is bought in it");
            }
        }
        kinds
    }

    fn of_pool(
        &self,
        index: usize,
        node_pool: &NodePool,
        requirements: &pool::Requirements,
        types: &[(&crate::catalog::Priced, Labels)],
        daemons: &[Daemon],
        kinds: &mut Vec<NewKind>,
    ) {
        let base = pool::pool_labels(node_pool);
        let named: BTreeSet<&str> = requirements.named_zones().collect();
        let seen = self.zones.iter().map(String::as_str);
        // A zone that no node is in could bring a new domain of a spread, or have no subnet.
        let mut zones: Vec<&str> = seen.filter(|zone| requirements.admit_zone(zone)).collect();
        if zones.is_empty() {
            zones = named.into_iter().collect();
        }
        if zones.is_empty() && requirements.admit_zone("") {
            zones.push("");
        }
        // Startup taints are gone before a node counts as initialized; DaemonSets are charged in spite of them.
        let taints: Vec<Taint> = node_pool.spec.template.spec.taints.clone();
        let learned = self.learned.get(&node_pool.metadata.name).copied().unwrap_or_default();
        // Labels that nobody asks for tell no two offerings apart; they are added to those that are left.
        let mut asked: BTreeSet<&str> = self.keys.iter().map(String::as_str).collect();
        asked.extend(daemons.iter().flat_map(|daemon| daemon.needs.keys()));
        let of_zone = |labels: &mut Labels, zone: &str, capacity_type: &CapacityType| {
            labels.insert(pool::CAPACITY_TYPE.to_owned(), capacity_type.as_str().to_owned());
            if !zone.is_empty() {
                labels.insert(pool::ZONE.to_owned(), zone.to_owned());
            }
        };
        let mut found: BTreeMap<Labels, Vec<NewKind>> = BTreeMap::new();
        for (priced, type_labels) in types {
            if !requirements.admit_type(&|key| type_labels.get(key).or_else(|| base.get(key)).map(String::as_str)) {
                continue;
            }
            let it = &priced.instance_type;
            let mut allocatable = learned;
            allocatable[CPU] = it.allocatable_milli_cpu();
            allocatable[MEMORY] = it.allocatable_bytes();
            allocatable[PODS] = it.max_pods;
            for (dim, name) in self.dims.iter().enumerate().skip(PODS + 1) {
                if name == "nvidia.com/gpu" {
                    allocatable[dim] = it.gpu_count;
                } else if name == ATTACHMENTS {
                    allocatable[dim] = EBS_DEFAULT;
                }
            }
            let mut some: Labels = asked
                .iter()
                .filter_map(|key| {
                    type_labels.get(*key).or_else(|| base.get(*key)).map(|value| ((*key).to_owned(), value.clone()))
                })
                .collect();
            for capacity_type in [CapacityType::OnDemand, CapacityType::Spot] {
                if !requirements.admit_capacity_type(&capacity_type) {
                    continue;
                }
                for zone in &zones {
                    let Some(offer) = priced.offer(zone, &capacity_type).filter(|offer| offer.available) else {
                        continue;
                    };
                    of_zone(&mut some, zone, &capacity_type);
                    let place = Place {
                        name: String::new(),
                        labels: some.clone(),
                        taints: taints.clone(),
                        unschedulable: false,
                    };
                    let mut overhead = [0; crate::cluster::DIMS];
                    let mut daemon_ports = Vec::new();
                    for daemon in daemons {
                        if daemon.needs.admits(&place) != Some(false) {
                            add(&mut overhead, &vector(&daemon.request, self.dims).0, 1);
                            overhead[PODS] += 1;
                            daemon_ports.extend(daemon.ports.iter().cloned());
                        }
                    }
                    let mut room = allocatable;
                    add(&mut room, &overhead, -1);
                    if room[CPU] <= 0 || room[MEMORY] <= 0 || room[PODS] <= 0 {
                        continue;
                    }
                    let mut group = place.labels.clone();
                    if !self.keys.contains(pool::CAPACITY_TYPE) {
                        group.remove(pool::CAPACITY_TYPE);
                    }
                    found.entry(group).or_default().push(NewKind {
                        pool: index,
                        pool_name: node_pool.metadata.name.clone(),
                        instance_type: it.name.clone(),
                        zone: (*zone).to_owned(),
                        capacity_type: capacity_type.clone(),
                        price: offer.price,
                        allocatable,
                        daemons: overhead,
                        daemon_ports,
                        ties: Vec::new(),
                        place,
                        signature: 0,
                        capacity: (it.vcpu * 1000, it.memory_mib << 20),
                    });
                }
            }
        }
        let labels_of: BTreeMap<&str, &Labels> =
            types.iter().map(|(priced, labels)| (priced.instance_type.name.as_str(), labels)).collect();
        for mut kind in found.into_values().flat_map(undominated) {
            let mut labels = base.clone();
            if let Some(of_type) = labels_of.get(kind.instance_type.as_str()) {
                labels.extend(of_type.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            of_zone(&mut labels, &kind.zone, &kind.capacity_type);
            kind.place.labels = labels;
            kinds.push(kind);
        }
    }
}

/// Leaves out every kind that another of its group beats: not dearer, and at least as large in every dimension.
fn undominated(mut group: Vec<NewKind>) -> Vec<NewKind> {
    group.sort_by(|a, b| {
        let size = |kind: &NewKind| std::cmp::Reverse((kind.allocatable[CPU], kind.allocatable[MEMORY]));
        (a.price, size(a), &a.instance_type).cmp(&(b.price, size(b), &b.instance_type))
    });
    let mut kept: Vec<NewKind> = Vec::new();
    for kind in group {
        let room = |kind: &NewKind| {
            let mut room = kind.allocatable;
            add(&mut room, &kind.daemons, -1);
            room
        };
        let own = room(&kind);
        let beaten = kept.iter().any(|other| {
            room(other).iter().zip(&own).all(|(other, own)| other >= own)
                && other.daemon_ports.iter().all(|port| kind.daemon_ports.contains(port))
        });
        if !beaten {
            kept.push(kind);
        }
    }
    kept
}
