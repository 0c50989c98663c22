//! New nodes: every offering of every pool that some pod could use and that no other offering beats.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    CapacityType, Catalog, InstanceType, Money, Snapshot, Warning,
    catalog::Priced,
    cluster::{ATTACHMENTS, CPU, MEMORY, PODS, Vector, add, vector},
    manifest::{DaemonSet, Expression, Labels, NodePool, PodShape, RequiredNodeTerms, Taint, Toleration},
    requests,
    rules::{
        overlay::Overlays,
        placement::{Needs, Place},
        pool,
    },
    shelf::{Shelf, Shelved},
};

/// A pool that carries this with `allow` lets claims leave its instance criteria aside.
const IGNORE_CRITERIA: &str = "kentroller.cast.ai/ignore-instance-criteria";

/// An offering as a bin.
#[derive(Clone, Debug, Hash)]
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
    pub gpus: i64,
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
    // Room is kept for it even where its pods might not start.
    needs.os.clear();
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

/// What existing nodes tell of what new ones will have.
pub(crate) struct Peers<'a> {
    pub zones: BTreeSet<String>,
    /// The least allocatable of a pool in dimensions that the catalogue does not tell.
    pub of_pool: BTreeMap<usize, Vector>,
    /// The least allocatable of a pool and type.
    pub of_type: BTreeMap<(usize, &'a str), Vector>,
    /// The least EBS volumes that any of them attaches.
    pub attachments: i64,
}

/// What the new nodes of a cluster are made from.
pub(crate) struct Source<'a> {
    pub snapshot: &'a Snapshot,
    pub catalog: &'a Catalog,
    pub region: &'a str,
    pub dims: &'a [String],
    /// Label keys that some pod or DaemonSet asks for.
    pub keys: &'a BTreeSet<&'a str>,
    pub peers: &'a Peers<'a>,
    pub overlays: &'a Overlays<'a>,
    pub ignore_instance_criteria: bool,
}

impl Source<'_> {
    /// All offerings that may be bought: as kinds those that no other beats, and all on a shelf.
    pub(crate) fn kinds(&self, warnings: &mut Vec<Warning>) -> (Vec<NewKind>, Shelf) {
        let daemons = daemons(self.snapshot);
        let learned = Learned::of(self.snapshot);
        let types: Vec<(&Priced, Labels)> = self
            .catalog
            .types(self.region)
            .filter(|priced| priced.offers.iter().any(|offer| offer.available))
            .map(|priced| (priced, learned.type_labels(&priced.instance_type, self.region)))
            .collect();
        let mut kinds = Vec::new();
        let mut shelf = Shelf::default();
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
            let allowed = node_pool.metadata.annotations.get(IGNORE_CRITERIA).is_some_and(|word| word == "allow");
            if self.ignore_instance_criteria && !allowed {
                warn(
                    "WouldDrift: Karpenter would replace nodes that its requirements do not admit; they stand (annotate it kentroller.cast.ai/ignore-instance-criteria: allow)",
                );
            }
            let relaxed = self.ignore_instance_criteria && allowed;
            let Some(requirements) = pool::Requirements::of(node_pool, relaxed) else {
                warn("has a requirement with an operator or bound that is not known; nothing is bought in it");
                continue;
            };
            let before = kinds.len();
            let pool = Pool { index, node_pool, requirements: &requirements };
            let (offered, left) = self.of_pool(&pool, &types, &daemons, &learned, &mut shelf, &mut kinds);
            if offered == 0 {
                warn("no offering of the catalogue satisfies its requirements; nothing is bought in it");
            } else if left == 0 {
                warn(
                    "no offering leaves as many others to choose from as its minValues ask for; nothing is bought in it",
                );
            } else if kinds.len() == before {
                warn("no offering has room for more than its DaemonSets; nothing is bought in it");
            }
        }
        (kinds, shelf)
    }

    /// Adds a pool's offerings; how many it has, and how many of them its `minValues` leave.
    fn of_pool(
        &self,
        pool: &Pool<'_>,
        types: &[(&Priced, Labels)],
        daemons: &[Daemon],
        learned: &Learned<'_>,
        shelf: &mut Shelf,
        kinds: &mut Vec<NewKind>,
    ) -> (usize, usize) {
        let Pool { index, node_pool, requirements } = *pool;
        let base = pool::pool_labels(node_pool);
        let seen = self.peers.zones.iter().map(String::as_str);
        // A zone that no node is in could bring a new domain of a spread, or have no subnet.
        let mut zones: Vec<&str> = seen.filter(|zone| requirements.admit_zone(zone)).collect();
        if zones.is_empty() {
            let named: BTreeSet<&str> = requirements.named_zones().collect();
            zones = named.into_iter().filter(|zone| requirements.admit_zone(zone)).collect();
        }
        if zones.is_empty() && requirements.admit_zone("") {
            zones.push("");
        }
        // Startup taints are gone before a node counts as initialized; DaemonSets are charged in spite of them.
        let taints: Vec<Taint> = node_pool.spec.template.spec.taints.clone();
        let least_of_pool = self.peers.of_pool.get(&index).copied().unwrap_or_default();
        // Labels that nobody asks for tell no two offerings apart; they are added to those that are left.
        let mut asked: BTreeSet<&str> = self.keys.clone();
        asked.extend(daemons.iter().flat_map(|daemon| daemon.needs.keys()));
        asked.extend([pool::ZONE, pool::CAPACITY_TYPE]);
        let scarce: Vec<(&str, usize)> = node_pool
            .spec
            .template
            .spec
            .requirements
            .iter()
            .filter_map(|one| Some((one.key.as_str(), one.min_values? as usize)))
            .collect();
        let places: Vec<(CapacityType, &str, Labels)> = [CapacityType::OnDemand, CapacityType::Spot]
            .into_iter()
            .filter(|capacity_type| requirements.admit_capacity_type(capacity_type))
            .flat_map(|one| zones.iter().map(move |zone| (one.clone(), *zone, learned.place_labels(zone, &one))))
            .collect();
        let mut groups: BTreeMap<Vec<Option<&str>>, usize> = BTreeMap::new();
        let mut found: Vec<Found> = Vec::new();
        let mut offered = 0;
        for (of_type, (priced, type_labels)) in types.iter().enumerate() {
            let type_label = |key: &str| type_labels.get(key).or_else(|| base.get(key)).map(String::as_str);
            if !requirements.admit_type(&type_label) {
                continue;
            }
            let it = &priced.instance_type;
            let allocatable = self.allocatable(index, it, least_of_pool);
            for (of_place, (capacity_type, zone, place_labels)) in places.iter().enumerate() {
                let offer = priced.offer(zone, capacity_type).filter(|offer| offer.available);
                let Some(offer) = offer else { continue };
                let label = |key: &str| place_labels.get(key).map(String::as_str).or_else(|| type_label(key));
                // What an overlay makes of a price may not be known; and nothing is to be had for nothing.
                let price = self.overlays.price(offer.price, &|one: &Expression| {
                    let value = label(&one.key);
                    if value.is_none() && pool::is_untold(&one.key) { None } else { one.admits(value) }
                });
                let Some(price) = price.filter(|price| *price > Money::ZERO) else { continue };
                offered += 1;
                let some: Vec<Option<&str>> = asked.iter().map(|key| label(key)).collect();
                let group = *groups.entry(some).or_insert_with_key(|values| {
                    let told = asked.iter().zip(values);
                    let labels = told.filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned())));
                    let place = Place {
                        name: String::new(),
                        labels: labels.collect(),
                        taints: taints.clone(),
                        unschedulable: false,
                        is_new: true,
                    };
                    let (overhead, ports) = self.overhead(daemons, &place);
                    shelf.open(place, overhead, ports)
                });
                let mut room = allocatable;
                add(&mut room, &shelf.groups[group].daemons, -1);
                if room[CPU] <= 0 || room[MEMORY] <= 0 || room[PODS] <= 0 {
                    continue;
                }
                let shelved = Shelved {
                    instance_type: it.name.clone(),
                    price,
                    allocatable,
                    capacity: (it.vcpu * 1000, it.memory_mib << 20),
                    gpus: it.gpu_count,
                    group,
                    values: scarce.iter().map(|(key, _)| label(key).map(str::to_owned)).collect(),
                };
                shelf.put(index, zone, capacity_type, shelved.clone());
                found.push(Found { shelved, room, of_type, of_place });
            }
        }
        shelf.close(index, scarce.iter().map(|(_, least)| *least).collect());
        found.retain(|one| {
            let (capacity_type, zone, _) = &places[one.of_place];
            shelf.leaves_a_choice(index, zone, capacity_type, &one.shelved)
        });
        let left = found.len();
        // Offerings that no pod can tell apart, whatever their groups, are rivals.
        let mut alike: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
        for group in groups.into_values() {
            let mut labels = shelf.groups[group].place.labels.clone();
            if !self.keys.contains(pool::CAPACITY_TYPE) {
                labels.remove(pool::CAPACITY_TYPE);
            }
            alike.entry(labels).or_default().push(group);
        }
        let ranks = alike.into_values().enumerate();
        let rank: BTreeMap<usize, usize> =
            ranks.flat_map(|(rank, groups)| groups.into_iter().map(move |group| (group, rank))).collect();
        let mut rivals: BTreeMap<usize, Vec<Found>> = BTreeMap::new();
        for one in found {
            rivals.entry(rank[&one.shelved.group]).or_default().push(one);
        }
        for one in rivals.into_values().flat_map(|rivals| undominated(rivals, shelf)) {
            let (capacity_type, zone, place_labels) = &places[one.of_place];
            let group = &shelf.groups[one.shelved.group];
            let mut labels = base.clone();
            for more in [&types[one.of_type].1, place_labels] {
                labels.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            kinds.push(NewKind {
                pool: index,
                pool_name: (*node_pool.metadata.name).to_owned(),
                instance_type: one.shelved.instance_type,
                zone: (*zone).to_owned(),
                capacity_type: capacity_type.clone(),
                price: one.shelved.price,
                allocatable: one.shelved.allocatable,
                daemons: group.daemons,
                daemon_ports: group.daemon_ports.clone(),
                ties: Vec::new(),
                place: Place { labels, ..group.place.clone() },
                signature: 0,
                capacity: one.shelved.capacity,
                gpus: one.shelved.gpus,
            });
        }
        (offered, left)
    }

    /// What a new node will have: what Karpenter reckons, and no more than nodes of the pool and type turned out to have.
    fn allocatable(&self, pool: usize, it: &InstanceType, least_of_pool: Vector) -> Vector {
        let mut allocatable = least_of_pool;
        allocatable[CPU] = it.allocatable_milli_cpu();
        allocatable[MEMORY] = it.allocatable_bytes();
        allocatable[PODS] = it.max_pods;
        let peers = self.peers.of_type.get(&(pool, it.name.as_str()));
        for (dim, name) in self.dims.iter().enumerate() {
            let told = match name.as_str() {
                "nvidia.com/gpu" => Some(it.gpu_count),
                ATTACHMENTS => Some(self.peers.attachments),
                _ if dim <= PODS => Some(allocatable[dim]),
                _ => None,
            };
            let seen = peers.map(|peers| peers[dim]);
            allocatable[dim] = match (told, seen) {
                (Some(told), Some(seen)) => told.min(seen),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => allocatable[dim],
            };
        }
        allocatable
    }

    /// What the DaemonSets of a place ask for, and their host ports.
    fn overhead(&self, daemons: &[Daemon], place: &Place) -> (Vector, Vec<(String, i32)>) {
        let mut overhead = [0; crate::cluster::DIMS];
        let mut ports = Vec::new();
        for daemon in daemons.iter().filter(|daemon| daemon.needs.admits(place) != Some(false)) {
            add(&mut overhead, &vector(&daemon.request, self.dims).0, 1);
            overhead[PODS] += 1;
            ports.extend(daemon.ports.iter().cloned());
        }
        (overhead, ports)
    }
}

/// A pool that may launch nodes.
#[derive(Clone, Copy)]
struct Pool<'a> {
    index: usize,
    node_pool: &'a NodePool,
    requirements: &'a pool::Requirements,
}

/// What existing nodes tell of types and zones that the catalogue does not.
struct Learned<'a> {
    by_type: BTreeMap<&'a str, Vec<(&'a String, &'a String)>>,
    zone_ids: BTreeMap<&'a str, &'a String>,
}

impl<'a> Learned<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let mut learned = Self { by_type: BTreeMap::new(), zone_ids: BTreeMap::new() };
        for labels in snapshot.nodes.iter().map(|node| &node.metadata.labels) {
            if let Some(of) = labels.get(pool::INSTANCE_TYPE) {
                let told = labels.iter().filter(|(key, _)| {
                    ["karpenter.k8s.aws/instance-", "karpenter.kwok.sh/instance-"].iter().any(|of| key.starts_with(of))
                });
                // What nodes of one type tell differently says nothing of the type.
                let known = learned.by_type.entry(of).or_insert_with(|| told.collect());
                known.retain(|(key, value)| labels.get(*key) == Some(*value));
            }
            if let (Some(zone), Some(id)) = (labels.get(pool::ZONE), labels.get("topology.k8s.aws/zone-id")) {
                learned.zone_ids.insert(zone, id);
            }
        }
        learned
    }

    fn type_labels(&self, it: &InstanceType, region: &str) -> Labels {
        let mut labels = pool::type_labels(it, region);
        for (key, value) in self.by_type.get(it.name.as_str()).into_iter().flatten() {
            labels.entry((*key).clone()).or_insert_with(|| (*value).clone());
        }
        labels
    }

    fn place_labels(&self, zone: &str, capacity_type: &CapacityType) -> Labels {
        let mut labels = Labels::from([(pool::CAPACITY_TYPE.to_owned(), capacity_type.as_str().to_owned())]);
        if !zone.is_empty() {
            for key in [pool::ZONE, "failure-domain.beta.kubernetes.io/zone", "topology.ebs.csi.aws.com/zone"] {
                labels.insert(key.to_owned(), zone.to_owned());
            }
            if let Some(id) = self.zone_ids.get(zone) {
                labels.insert("topology.k8s.aws/zone-id".to_owned(), (*id).clone());
            }
        }
        labels
    }
}

/// An offering of a pool.
struct Found {
    shelved: Shelved,
    /// Beside its DaemonSets.
    room: Vector,
    /// Its type and its place, by their numbers.
    of_type: usize,
    of_place: usize,
}

/// Leaves out every offering that a rival beats: not dearer, and at least as large in every dimension.
fn undominated(mut rivals: Vec<Found>, shelf: &Shelf) -> Vec<Found> {
    rivals.sort_by(|a, b| {
        let (a, b) = (&a.shelved, &b.shelved);
        let size = |of: &Shelved| std::cmp::Reverse((of.allocatable[CPU], of.allocatable[MEMORY]));
        (a.price, size(a), &a.instance_type).cmp(&(b.price, size(b), &b.instance_type))
    });
    let ports = |of: &Found| &shelf.groups[of.shelved.group].daemon_ports;
    let mut kept: Vec<Found> = Vec::new();
    for one in rivals {
        let beaten = kept.iter().any(|other| {
            other.room.iter().zip(&one.room).all(|(other, own)| other >= own)
                && ports(other).iter().all(|port| ports(&one).contains(port))
        });
        if !beaten {
            kept.push(one);
        }
    }
    kept
}
