//! New nodes: every offering of every pool that some pod could use and that no other offering beats.

mod daemons;

mod learned;

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{Expression, Labels, NodePool, marks};

use crate::rules::overlay::Overlays;

use crate::rules::placement::Place;

use crate::rules::pool;

use crate::value::{CapacityType, Catalog, InstanceType, Money, Priced, Snapshot, Warning};

use self::daemons::{Daemon, daemons, overhead};

use self::learned::Learned;

use super::price_list::{ListedOffering, PriceList};

use super::{ATTACHMENTS, CPU, MEMORY, NewNodeOption, PODS, Vector, add};

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

/// What is offered in every pool.
struct Assortment<'a> {
    types: Vec<(&'a Priced, Labels)>,
    daemons: Vec<Daemon>,
    learned: Learned<'a>,
}

impl Source<'_> {
    /// All offerings that may be bought: those that no other beats, and all in a price list.
    pub(crate) fn offered(&self, warnings: &mut Vec<Warning>) -> (Vec<NewNodeOption>, PriceList) {
        let learned = Learned::of(self.snapshot);
        let types = self.catalog.types(self.region);
        let types = types.filter(|priced| priced.offers.iter().any(|offer| offer.available));
        let types = types.map(|priced| (priced, learned.type_labels(&priced.instance_type, self.region))).collect();
        let assortment = Assortment { types, daemons: daemons(self.snapshot), learned };
        let mut offerings = Vec::new();
        let mut price_list = PriceList::default();
        for (index, node_pool) in self.snapshot.node_pools.iter().enumerate() {
            if node_pool.metadata.deletion_timestamp.is_some() || node_pool.spec.replicas.is_some() {
                continue;
            }
            let mut warn = |message: &str| {
                let object = format!("NodePool {}", node_pool.metadata.name);
                warnings.push(Warning { object, message: message.to_owned() });
            };
            if let Err(why) = self.of_pool(index, node_pool, &assortment, &mut price_list, &mut offerings, &mut warn) {
                warn(&format!("{why}; nothing is bought in it"));
            }
        }
        (offerings, price_list)
    }

    /// Adds a pool's offerings, or tells why there are none.
    fn of_pool(
        &self,
        index: usize,
        node_pool: &NodePool,
        assortment: &Assortment<'_>,
        price_list: &mut PriceList,
        offerings: &mut Vec<NewNodeOption>,
        warn: &mut impl FnMut(&str),
    ) -> Result<(), &'static str> {
        if node_pool.status.is_unready() {
            return Err("is not Ready");
        }
        let allowed =
            node_pool.metadata.annotations.get(marks::IGNORE_INSTANCE_CRITERIA).is_some_and(|word| word == "allow");
        if self.ignore_instance_criteria && !allowed {
            warn(&format!(
                "WouldDrift: Karpenter would replace nodes that its requirements do not admit; they stand (annotate it {}: allow)",
                marks::IGNORE_INSTANCE_CRITERIA
            ));
        }
        let relaxed = self.ignore_instance_criteria && allowed;
        let Some(requirements) = pool::Requirements::of(node_pool, relaxed) else {
            return Err("has a requirement with an operator or bound that is not known");
        };
        let scarce = node_pool.spec.template.spec.requirements.iter();
        let pool = Pool {
            index,
            node_pool,
            places: self.places(&requirements, &assortment.learned),
            requirements,
            scarce: scarce.filter_map(|one| Some((one.key.as_str(), one.min_values? as usize))).collect(),
            base: pool::pool_labels(node_pool),
        };
        let (offered, mut candidates) = self.of_every_place(&pool, assortment, price_list);
        if offered == 0 {
            return Err("no offering of the catalogue satisfies its requirements");
        }
        if candidates.is_empty() {
            return Err("no offering has room for more than its DaemonSets");
        }
        price_list.close(index, pool.scarce.iter().map(|(_, least)| *least).collect());
        candidates.retain(|one| {
            let (capacity_type, zone, _) = &pool.places[one.of_place];
            price_list.leaves_a_choice(index, zone, capacity_type, &one.listed)
        });
        if candidates.is_empty() {
            return Err("no offering leaves as many others to choose from as its minValues ask for");
        }
        offerings.extend(
            self.unbeaten(candidates, price_list).into_iter().map(|one| pool.offering(one, assortment, price_list)),
        );
        Ok(())
    }

    /// Where a pool may launch nodes: capacity types and zones, with the labels of each.
    fn places(&self, requirements: &pool::Requirements, learned: &Learned<'_>) -> Vec<(CapacityType, String, Labels)> {
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
        let types = [CapacityType::OnDemand, CapacityType::Spot];
        let types = types.into_iter().filter(|one| requirements.admit_capacity_type(one));
        let place = |one: CapacityType, zone: &str| (one.clone(), zone.to_owned(), learned.place_labels(zone, &one));
        types.flat_map(|one| zones.iter().map(move |zone| place(one.clone(), zone))).collect()
    }

    /// Puts all that a pool may buy in the price list. Returns how many offerings that were, and those with room for pods.
    fn of_every_place(
        &self,
        pool: &Pool<'_>,
        assortment: &Assortment<'_>,
        price_list: &mut PriceList,
    ) -> (usize, Vec<Candidate>) {
        let least_of_pool = self.peers.of_pool.get(&pool.index).copied().unwrap_or_default();
        // Labels that nobody asks for tell no two offerings apart; they are added to those that are left.
        let mut asked: BTreeSet<&str> = self.keys.clone();
        asked.extend(assortment.daemons.iter().flat_map(|daemon| daemon.needs.keys()));
        asked.extend([marks::ZONE, marks::CAPACITY_TYPE]);
        let mut groups: BTreeMap<Vec<Option<&str>>, usize> = BTreeMap::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut offered = 0;
        for (of_type, (priced, type_labels)) in assortment.types.iter().enumerate() {
            let type_label = |key: &str| type_labels.get(key).or_else(|| pool.base.get(key)).map(String::as_str);
            if !pool.requirements.admit_type(&type_label) {
                continue;
            }
            let it = &priced.instance_type;
            let allocatable = self.allocatable(pool.index, it, least_of_pool);
            for (of_place, (capacity_type, zone, place_labels)) in pool.places.iter().enumerate() {
                let offer = priced.offer(zone, capacity_type).filter(|offer| offer.available);
                let Some(offer) = offer else { continue };
                let label = |key: &str| place_labels.get(key).map(String::as_str).or_else(|| type_label(key));
                // It may be unknown what an overlay makes of a price. A price of nothing is a mistake.
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
                    let place = pool.place(labels.collect());
                    let (overhead, ports) = overhead(&assortment.daemons, &place, self.dims);
                    price_list.open(place, overhead, ports)
                });
                let mut room = allocatable;
                add(&mut room, &price_list.groups[group].daemons, -1);
                if room[CPU] <= 0 || room[MEMORY] <= 0 || room[PODS] <= 0 {
                    continue;
                }
                let listed = ListedOffering {
                    instance_type: it.name.clone(),
                    price,
                    allocatable,
                    capacity: (it.vcpu * 1000, it.memory_mib << 20),
                    gpus: it.gpu_count,
                    group,
                    values: pool.scarce.iter().map(|(key, _)| label(key).map(str::to_owned)).collect(),
                };
                price_list.put(pool.index, zone, capacity_type, listed.clone());
                candidates.push(Candidate { listed, room, of_type, of_place });
            }
        }
        (offered, candidates)
    }

    /// Leaves out offerings that another one beats, where no pod can tell the two apart.
    fn unbeaten(&self, candidates: Vec<Candidate>, price_list: &PriceList) -> Vec<Candidate> {
        let mut by_group: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
        for one in candidates {
            by_group.entry(one.listed.group).or_default().push(one);
        }
        let mut rivals: BTreeMap<Labels, Vec<Candidate>> = BTreeMap::new();
        for (group, candidates) in by_group {
            let mut labels = price_list.groups[group].place.labels.clone();
            if !self.keys.contains(marks::CAPACITY_TYPE) {
                labels.remove(marks::CAPACITY_TYPE);
            }
            rivals.entry(labels).or_default().extend(candidates);
        }
        rivals.into_values().flat_map(|rivals| undominated(rivals, price_list)).collect()
    }

    /// What a new node will have, by Karpenter's model. Never more than existing nodes of the pool and type have.
    fn allocatable(&self, pool: usize, it: &InstanceType, least_of_pool: Vector) -> Vector {
        let mut allocatable = least_of_pool;
        allocatable[CPU] = it.allocatable_milli_cpu();
        allocatable[MEMORY] = it.allocatable_bytes();
        allocatable[PODS] = it.max_pods;
        let peers = self.peers.of_type.get(&(pool, it.name.as_str()));
        for (dim, name) in self.dims.iter().enumerate() {
            let told = match name.as_str() {
                marks::GPU => Some(it.gpu_count),
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
}

/// A pool that may launch nodes.
struct Pool<'a> {
    index: usize,
    node_pool: &'a NodePool,
    requirements: pool::Requirements,
    /// Capacity type, zone, and the labels of both.
    places: Vec<(CapacityType, String, Labels)>,
    /// Keys with `minValues`, and how many values an order must leave to choose from.
    scarce: Vec<(&'a str, usize)>,
    base: Labels,
}

impl Pool<'_> {
    /// A new node as a place for pods.
    ///
    /// Startup taints are left out: they are gone before the node counts as initialized, and DaemonSets run in spite of them.
    fn place(&self, labels: Labels) -> Place {
        let taints = self.node_pool.spec.template.spec.taints.clone();
        Place { name: String::new(), labels, taints, unschedulable: false, is_new: true }
    }

    fn offering(&self, one: Candidate, assortment: &Assortment<'_>, price_list: &PriceList) -> NewNodeOption {
        let (capacity_type, zone, place_labels) = &self.places[one.of_place];
        let group = &price_list.groups[one.listed.group];
        let mut labels = self.base.clone();
        for more in [&assortment.types[one.of_type].1, place_labels] {
            labels.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        NewNodeOption {
            pool: self.index,
            pool_name: (*self.node_pool.metadata.name).to_owned(),
            instance_type: one.listed.instance_type,
            zone: zone.clone(),
            capacity_type: capacity_type.clone(),
            price: one.listed.price,
            allocatable: one.listed.allocatable,
            daemons: group.daemons,
            daemon_ports: group.daemon_ports.clone(),
            term_counts: Vec::new(),
            place: self.place(labels),
            signature: 0,
            capacity: one.listed.capacity,
            gpus: one.listed.gpus,
        }
    }
}

/// An offering of a pool.
struct Candidate {
    listed: ListedOffering,
    /// Beside its DaemonSets.
    room: Vector,
    /// Its type and its place, by their numbers.
    of_type: usize,
    of_place: usize,
}

/// Leaves out every offering that a rival beats: not dearer, and at least as large in every dimension.
fn undominated(mut rivals: Vec<Candidate>, price_list: &PriceList) -> Vec<Candidate> {
    rivals.sort_by(|a, b| {
        let (a, b) = (&a.listed, &b.listed);
        let size = |of: &ListedOffering| std::cmp::Reverse((of.allocatable[CPU], of.allocatable[MEMORY]));
        (a.price, size(a), &a.instance_type).cmp(&(b.price, size(b), &b.instance_type))
    });
    let ports = |of: &Candidate| &price_list.groups[of.listed.group].daemon_ports;
    let mut kept: Vec<Candidate> = Vec::new();
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
