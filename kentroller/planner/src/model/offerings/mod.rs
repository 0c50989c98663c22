//! New nodes: every offering of every pool that some pod could use and that no other offering beats.

mod daemons;
mod fresh;

use std::collections::{BTreeMap, BTreeSet};

use self::daemons::{Daemon, daemons, overhead};
use self::fresh::Fresh;
pub(crate) use self::fresh::lost_interfaces;
use super::price_list::{ListedOffering, PriceList};
use super::{CPU, MEMORY, NewNodeOption, PODS, VOLUMES, Vector, add};
use crate::manifest::{Ec2NodeClass, Ec2NodeClassSpec, Expression, Labels, NodePool, Requirement, marks};
use crate::rules::overlay::Overlays;
use crate::rules::placement::Place;
use crate::rules::pool;
use crate::value::labels::{Learned, foreign_key, is_untold};
use crate::value::{CapacityType, Catalog, InstanceType, Money, Priced, Snapshot, Warning};

/// What existing nodes tell of what new ones will have.
#[derive(Default)]
pub(crate) struct Peers<'a> {
    pub zones: BTreeSet<String>,
    /// The least allocatable of a pool in dimensions that the catalogue does not tell.
    pub of_pool: BTreeMap<usize, Vector>,
    /// The least ephemeral storage of a pool's nodes that have no disks of their own. Unit: bytes.
    pub ephemeral: BTreeMap<usize, i64>,
    /// The least allocatable of a pool and type.
    pub of_type: BTreeMap<(usize, &'a str), Vector>,
    /// By dimension: the least volumes of its driver that any node attaches.
    pub attachments: Vector,
    /// By pool: the network interfaces that pods of its nodes get no addresses of.
    pub lost_interfaces: BTreeMap<usize, i64>,
}

/// What the new nodes of a cluster are made from.
pub(crate) struct Source<'a> {
    pub snapshot: &'a Snapshot,
    pub catalog: &'a Catalog,
    pub region: &'a str,
    pub dims: &'a [String],
    /// Label keys that some pod or DaemonSet asks for.
    pub keys: &'a BTreeSet<&'a str>,
    /// By key: the values that they ask for.
    pub wanted: &'a BTreeMap<&'a str, BTreeSet<String>>,
    pub peers: &'a Peers<'a>,
    pub overlays: &'a Overlays<'a>,
    pub ignore_instance_criteria: bool,
    /// Pools and types that are not to be bought; an empty type stands for all.
    pub objected: &'a BTreeSet<(String, String)>,
    /// Instance types, each in a zone and as a capacity type, that are not bought for a while.
    pub resting: &'a BTreeSet<(String, String, CapacityType)>,
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
    ) -> Result<(), String> {
        if node_pool.status.is_unready() {
            return Err("is not Ready".to_owned());
        }
        if let Some(key) = foreign_key(node_pool) {
            return Err(format!("asks for {key}, a label of a provider that is not known here"));
        }
        let class = self.snapshot.class_of(node_pool);
        if let Some(why) = class.and_then(|class| fresh::untold(&class.spec)) {
            return Err(format!("{why}: what its nodes have cannot be told"));
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
            let odd = node_pool.spec.template.spec.requirements.iter();
            let odd = odd.filter(|one| one.expression().admits(Some("0")).is_none());
            let odd = odd.map(|one| format!("{} {} {}", one.key, one.operator, one.values.join(",")));
            let odd = odd.collect::<Vec<_>>().join("; ");
            return Err(format!("has a requirement with an operator or bound that is not known: {odd}"));
        };
        let scarce = node_pool.spec.template.spec.requirements.iter();
        let pool = Pool {
            index,
            node_pool,
            class,
            lost_interfaces: self.peers.lost_interfaces.get(&index).copied().unwrap_or(0),
            places: self.places(&requirements, class, &assortment.learned),
            requirements,
            scarce: scarce.filter_map(|one| Some((one.key.as_str(), one.min_values? as usize))).collect(),
            bases: pool::pool_labels(node_pool, self.wanted),
        };
        let (offered, mut candidates) = self.of_every_place(&pool, assortment, price_list);
        if offered == 0 {
            return Err("no offering of the catalogue satisfies its requirements".to_owned());
        }
        if candidates.is_empty() {
            return Err("no offering has room for more than its DaemonSets".to_owned());
        }
        price_list.close(index, pool.scarce.iter().map(|(_, least)| *least).collect());
        candidates.retain(|one| {
            let (capacity_type, zone, _) = &pool.places[one.of_place];
            price_list.leaves_a_choice(index, zone, capacity_type, &one.listed)
        });
        if candidates.is_empty() {
            return Err("no offering leaves as many others to choose from as its minValues ask for".to_owned());
        }
        offerings.extend(
            self.unbeaten(candidates, price_list).into_iter().map(|one| pool.offering(one, assortment, price_list)),
        );
        Ok(())
    }

    /// Where a pool may launch nodes: capacity types and zones, with the labels of each.
    fn places(
        &self,
        requirements: &pool::Requirements,
        class: Option<&Ec2NodeClass>,
        learned: &Learned<'_>,
    ) -> Vec<(CapacityType, String, Labels)> {
        let subnets: Vec<&str> = class.map(Ec2NodeClass::zones).unwrap_or_default();
        let is_open = |zone: &&str| requirements.admit_zone(zone) && (subnets.is_empty() || subnets.contains(zone));
        let seen = self.peers.zones.iter().map(String::as_str);
        // A zone that no node is in could bring a new domain of a spread, or have no subnet.
        let mut zones: Vec<&str> = seen.filter(is_open).collect();
        if zones.is_empty() {
            let named: BTreeSet<&str> = requirements.named_zones().collect();
            zones = named.into_iter().filter(is_open).collect();
        }
        let names_none = self.peers.zones.is_empty() && subnets.is_empty();
        if zones.is_empty() && names_none && requirements.admit_zone("") {
            zones.push("");
        }
        let types = [CapacityType::OnDemand, CapacityType::Spot];
        let types = types.into_iter().filter(|one| requirements.admit_capacity_type(one));
        let place = |one: CapacityType, zone: &str| (one.clone(), zone.to_owned(), place_labels(learned, zone, &one));
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
        let types = assortment.types.iter().enumerate();
        let of_each = pool.bases.iter().enumerate().flat_map(|base| types.clone().map(move |of_type| (base, of_type)));
        for ((of_base, base), (of_type, (priced, type_labels))) in of_each {
            let type_label = |key: &str| type_labels.get(key).or_else(|| base.get(key)).map(String::as_str);
            let it = &priced.instance_type;
            let is_objected = || self.is_objected(pool.node_pool, &it.name);
            if !pool.requirements.admit_type(&type_label) || !pool.has_image(&type_label) || is_objected() {
                continue;
            }
            let allocatable = self.allocatable(pool, it, least_of_pool);
            for (of_place, (capacity_type, zone, place_labels)) in pool.places.iter().enumerate() {
                let rests = || self.rests(&it.name, zone, capacity_type);
                let offer = priced.offer(zone, capacity_type).filter(|offer| offer.available && !rests());
                let Some(offer) = offer else { continue };
                let label = |key: &str| place_labels.get(key).map(String::as_str).or_else(|| type_label(key));
                // It may be unknown what an overlay makes of a price. A price of nothing is a mistake.
                let price = self.overlays.price(offer.price, &|one: &Expression| {
                    let value = label(&one.key);
                    if value.is_none() && is_untold(&one.key) { None } else { one.admits(value) }
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
                    base: of_base,
                    values: pool.scarce.iter().map(|(key, _)| label(key).map(str::to_owned)).collect(),
                };
                price_list.put(pool.index, zone, capacity_type, listed.clone());
                candidates.push(Candidate { listed, room, of_type, of_place });
            }
        }
        (offered, candidates)
    }

    /// Whether the judge of plans objects to a type in a pool.
    fn is_objected(&self, pool: &NodePool, name: &str) -> bool {
        let has = |name: &str| self.objected.contains(&((*pool.metadata.name).to_owned(), name.to_owned()));
        !self.objected.is_empty() && (has(name) || has(""))
    }

    fn rests(&self, name: &str, zone: &str, capacity_type: &CapacityType) -> bool {
        let offering = || (name.to_owned(), zone.to_owned(), capacity_type.clone());
        !self.resting.is_empty() && self.resting.contains(&offering())
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

    /// What a new node will have: by its class and Karpenter's model, but never more than existing nodes of the pool and
    /// type have.
    fn allocatable(&self, pool: &Pool<'_>, it: &InstanceType, least_of_pool: Vector) -> Vector {
        let usual = Ec2NodeClassSpec { ami_family: "AL2023".to_owned(), ..Ec2NodeClassSpec::default() };
        let fresh = Fresh::of(pool.class.map_or(&usual, |class| &class.spec), it, pool.lost_interfaces);
        // Without a class its root volume is told by nodes that have no other disk.
        let of_peers = self.peers.ephemeral.get(&pool.index).filter(|_| pool.class.is_none());
        let own_disk = it.disk_gb.filter(|gb| *gb > 0).map_or(i64::MAX, |gb| gb * 1_000_000_000);
        let ephemeral = of_peers.map_or(fresh.ephemeral_bytes, |of_peers| (*of_peers).min(own_disk));
        let peers = self.peers.of_type.get(&(pool.index, it.name.as_str()));
        let mut allocatable = least_of_pool;
        for (dim, name) in self.dims.iter().enumerate() {
            let told = match name.as_str() {
                "cpu" => Some(fresh.milli_cpu),
                "memory" => Some(fresh.bytes),
                "pods" => Some(fresh.pods),
                "ephemeral-storage" => Some(ephemeral),
                marks::GPU => Some(it.gpu_count),
                name if name.starts_with(VOLUMES) => Some(self.peers.attachments[dim]),
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

/// The labels that a place gives its nodes.
fn place_labels(learned: &Learned<'_>, zone: &str, capacity_type: &CapacityType) -> Labels {
    let mut labels = Labels::from([(marks::CAPACITY_TYPE.to_owned(), capacity_type.as_str().to_owned())]);
    if !zone.is_empty() {
        for key in [marks::ZONE, marks::OLD_ZONE, marks::EBS_ZONE] {
            labels.insert(key.to_owned(), zone.to_owned());
        }
        if let Some(id) = learned.zone_id(zone) {
            labels.insert(marks::ZONE_ID.to_owned(), id.to_owned());
        }
    }
    labels
}

/// A pool that may launch nodes.
struct Pool<'a> {
    index: usize,
    node_pool: &'a NodePool,
    /// What its nodes are made with, where that is known.
    class: Option<&'a Ec2NodeClass>,
    /// The network interfaces that pods of its nodes get no addresses of.
    lost_interfaces: i64,
    requirements: pool::Requirements,
    /// Capacity type, zone, and the labels of both.
    places: Vec<(CapacityType, String, Labels)>,
    /// Keys with `minValues`, and how many values an order must leave to choose from.
    scarce: Vec<(&'a str, usize)>,
    /// Its own labels: one set for each value of a label that it leaves open and pods ask for.
    bases: Vec<Labels>,
}

impl Pool<'_> {
    /// A new node as a place for pods.
    ///
    /// Startup taints are left out: they are gone before the node counts as initialized, and DaemonSets run in spite of them.
    fn place(&self, labels: Labels) -> Place {
        let taints = self.node_pool.spec.template.spec.taints.clone();
        Place { name: String::new(), labels, taints, unschedulable: false, is_new: true }
    }

    /// Whether its class has an image for a type. What cannot be told of the type does not count.
    fn has_image<'v>(&self, label: &dyn Fn(&str) -> Option<&'v str>) -> bool {
        let images = self.class.map_or(&[][..], |class| &class.status.amis);
        let holds = |one: &Requirement| {
            let value = label(&one.key);
            (value.is_none() && is_untold(&one.key)) || one.expression().admits(value) != Some(false)
        };
        images.is_empty() || images.iter().any(|image| image.requirements.iter().all(holds))
    }

    fn offering(&self, one: Candidate, assortment: &Assortment<'_>, price_list: &PriceList) -> NewNodeOption {
        let (capacity_type, zone, place_labels) = &self.places[one.of_place];
        let group = &price_list.groups[one.listed.group];
        let mut labels = self.bases[one.listed.base].clone();
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
            base: one.listed.base,
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
