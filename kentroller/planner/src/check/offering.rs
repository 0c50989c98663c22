//! Nodes to buy: whether the pool and the catalogue allow them, and what they hold.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::board::{Board, Host, Origin, Role};
use super::disruption::is_initialized;
use super::labels::Bought;
use super::prices::Prices;
use super::requests::Amounts;
use super::selectors::{Known, and, holds, satisfies, untolerated};
use super::violation::{Fault, Faults};
use super::{fresh, labels, requests};
use crate::manifest::{Ec2NodeClass, NodePool, PodShape, Taint, marks};
use crate::value::labels::{Learned, foreign_key};
use crate::value::{CapacityType, InstanceType, Money, NewNode, Options, Priced, Snapshot};

/// Taints that the DaemonSet controller makes its pods tolerate.
const DAEMONS_TOLERATE: [&str; 7] = [
    marks::NOT_READY,
    marks::UNREACHABLE,
    marks::DISK_PRESSURE,
    marks::MEMORY_PRESSURE,
    marks::PID_PRESSURE,
    marks::NETWORK_UNAVAILABLE,
    marks::UNSCHEDULABLE,
];

/// What new nodes are judged against.
#[derive(Debug)]
pub(super) struct Offers<'a> {
    pub(super) prices: Prices<'a>,
    learned: Learned<'a>,
    snapshot: &'a Snapshot,
    pools: BTreeMap<&'a str, &'a NodePool>,
    daemons: Vec<Daemon<'a>>,
    /// The least that live nodes of a pool and type have.
    peers: BTreeMap<(&'a str, &'a str), Amounts<'a>>,
    /// The least ephemeral storage of a pool's live nodes that have no disks of their own.
    ephemeral: BTreeMap<&'a str, i128>,
    /// The network interfaces that pods of a pool's live nodes get no addresses of.
    lost: BTreeMap<&'a str, i128>,
    ignore_criteria: bool,
}

/// A DaemonSet: where its pods run, and what each of them takes.
#[derive(Debug)]
struct Daemon<'a> {
    shape: &'a PodShape,
    needs: Amounts<'a>,
    /// Those whose host ports it binds.
    shapes: Vec<&'a PodShape>,
}

/// An offering as a plan states it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated<'p> {
    pub(super) instance_type: &'p str,
    pub(super) zone: &'p str,
    pub(super) capacity_type: &'p CapacityType,
    pub(super) price: Money,
}

impl<'a> Offers<'a> {
    pub(super) fn new(board: &Board<'a>, prices: Prices<'a>, options: &Options) -> Self {
        let mut offers = Self {
            prices,
            learned: Learned::of(board.snapshot),
            snapshot: board.snapshot,
            pools: board.snapshot.node_pools.iter().map(|pool| (&*pool.metadata.name, pool)).collect(),
            daemons: daemons(board),
            peers: BTreeMap::new(),
            ephemeral: BTreeMap::new(),
            lost: BTreeMap::new(),
            ignore_criteria: options.aggressive.ignore_instance_criteria,
        };
        for host in board.hosts.iter().filter(|host| is_initialized(host)) {
            let Origin::Live { node, pool: Some(pool), .. } = host.origin else { continue };
            let Some(of) = node.instance_type() else { continue };
            let pool = &*pool.metadata.name;
            let region = node.region().unwrap_or(offers.prices.region);
            if let Some(priced) = offers.prices.catalog.instance_type(region, of) {
                let it = &priced.instance_type;
                if let Some(has) = host.room.get("ephemeral-storage").filter(|_| it.disk_gb.is_none_or(|gb| gb == 0)) {
                    let least = offers.ephemeral.entry(pool).or_insert(*has);
                    *least = (*least).min(*has);
                }
                let lost = host.room.get("pods").map_or(0, |pods| fresh::lost(it, *pods));
                let most = offers.lost.entry(pool).or_default();
                *most = (*most).max(lost);
            }
            match offers.peers.entry((pool, of)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(host.room.clone());
                }
                Entry::Occupied(mut known) => {
                    known.get_mut().retain(|name, _| host.room.contains_key(name));
                    for (name, least) in known.get_mut() {
                        *least = (*least).min(host.room[name]);
                    }
                }
            }
        }
        offers
    }

    pub(super) fn pool(&self, name: &str) -> Option<&'a NodePool> {
        self.pools.get(name).copied()
    }

    /// What is wrong with a pool that is to launch a node.
    pub(super) fn pool_faults(&self, name: &str) -> Faults {
        let Some(pool) = self.pools.get(name) else {
            return vec![(Fault::UnknownName, format!("nodePool: there is no NodePool {name}"))];
        };
        let mut faults = Vec::new();
        let mut refuse = |wrong: bool, fault: Fault, text: &str| {
            if wrong {
                faults.push((fault, format!("nodePool {name}: {text}")));
            }
        };
        refuse(pool.metadata.deletion_timestamp.is_some(), Fault::PoolUnusable, "is being deleted");
        refuse(pool.status.is_unready(), Fault::PoolUnusable, "its condition Ready is False");
        refuse(
            pool.spec.replicas.is_some(),
            Fault::StaticPool,
            "is static (spec.replicas): Karpenter would delete the new node",
        );
        let foreign = foreign_key(pool);
        refuse(
            foreign.is_some(),
            Fault::PoolUnusable,
            &format!("asks for {}: what that admits is not known", foreign.unwrap_or_default()),
        );
        faults
    }

    /// Whether an offering exists, at the stated price, and its pool allows it; with the node that it would make.
    pub(super) fn judge(&self, planned: &'a NewNode, stated: Stated<'_>, offered: &mut Faults) -> Option<Host<'a>> {
        let pool = self.pool(&planned.node_pool)?;
        let what = || format!("{} in {:?} as {}", stated.instance_type, stated.zone, stated.capacity_type.as_str());
        if !matches!(stated.capacity_type, CapacityType::OnDemand | CapacityType::Spot) {
            offered.push((Fault::NotOffered, format!("{}: only on-demand and spot capacity is bought", what())));
        }
        let Some(priced) = self.prices.catalog.instance_type(self.prices.region, stated.instance_type) else {
            offered.push((Fault::NotOffered, format!("{}: region {:?} has no such type", what(), self.prices.region)));
            return None;
        };
        let it = &priced.instance_type;
        if let Some(why) = self.zone_fault(pool, priced, stated.zone) {
            offered.push((Fault::NotOffered, format!("{}: {why}", what())));
        }
        let bought = Bought {
            name: &planned.name,
            instance_type: it,
            zone: stated.zone,
            capacity_type: stated.capacity_type,
            region: self.prices.region,
            stated: &planned.labels,
        };
        let Some(host) = self.host(planned, pool, &bought) else {
            offered
                .push((Fault::NotOffered, format!("{}: what nodes of its EC2NodeClass have cannot be told", what())));
            return None;
        };
        if !has_image(self.snapshot.class_of(pool), &host) {
            offered.push((Fault::NotOffered, format!("{}: its EC2NodeClass has no image for it", what())));
        }
        let price = self.price_faults(priced, stated, &host);
        offered.extend(price.into_iter().map(|(fault, why)| (fault, format!("{}: {why}", what()))));
        self.requirement_faults(pool, &host, offered);
        Some(host)
    }

    /// Why nothing can be had in a zone.
    fn zone_fault(&self, pool: &NodePool, priced: &Priced, zone: &str) -> Option<String> {
        let subnets = self.snapshot.class_of(pool).map(Ec2NodeClass::zones).unwrap_or_default();
        if !subnets.is_empty() && !subnets.contains(&zone) {
            return Some(format!("its EC2NodeClass has subnets in {subnets:?}"));
        }
        let zones = self.learned.zones();
        let mut requirements = pool.spec.template.spec.requirements.iter();
        let is_known = zones.contains(zone)
            || (zones.is_empty() && zone.is_empty())
            || priced.offers.iter().any(|offer| offer.zone.as_deref() == Some(zone))
            || requirements.any(|one| one.key == marks::ZONE && one.values.iter().any(|value| value == zone));
        (!is_known).then(|| "neither a node nor the pool nor the catalogue knows the zone".to_owned())
    }

    /// What is wrong with the stated price, and whether it is to be had for it.
    fn price_faults(&self, priced: &Priced, stated: Stated<'_>, host: &Host<'_>) -> Faults {
        let Some(offer) = priced.offer(stated.zone, stated.capacity_type) else {
            return vec![(Fault::NotOffered, "the catalogue has no such offering".to_owned())];
        };
        let mut faults = Faults::new();
        if !offer.available {
            faults.push((Fault::NotAvailable, "is not to be had at present".to_owned()));
        }
        match self.prices.overlaid(offer.price, &|key| host.label(key)) {
            Some(price) if price.is(stated.price) && price.amount > Money::ZERO => {}
            Some(price) => {
                let text = format!("price {} is stated, it costs {}", micros(stated.price), micros(price.amount));
                faults.push((Fault::Price, text));
            }
            None => faults.push((Fault::PriceUnknown, "a NodeOverlay cannot be read".to_owned())),
        }
        faults
    }

    /// The node of an offering; `None`: what it has cannot be told.
    fn host(&self, planned: &'a NewNode, pool: &'a NodePool, bought: &Bought<'_>) -> Option<Host<'a>> {
        let (labels, untold) = labels::of_new(pool, bought, &self.learned);
        let mut host = Host {
            name: &planned.name,
            origin: Origin::Planned { planned, pool: Some(pool) },
            labels,
            untold,
            taints: pool.spec.template.spec.taints.clone(),
            room: self.room(pool, bought.instance_type)?,
            used: Amounts::new(),
            pods: BTreeSet::new(),
            daemons: Vec::new(),
            gone: false,
        };
        for daemon in &self.daemons {
            if daemon_runs(daemon.shape, &host) {
                host.take(&daemon.needs);
                host.daemons.extend(&daemon.shapes);
            }
        }
        Some(host)
    }

    /// Allocatable of a node that does not exist yet: by its class, or less where live nodes of its pool have less.
    fn room(&self, pool: &'a NodePool, it: &InstanceType) -> Option<Amounts<'a>> {
        let class = self.snapshot.class_of(pool);
        let pool = &*pool.metadata.name;
        let lost = self.lost.get(pool).copied().unwrap_or(0);
        let mut room: Amounts<'a> = fresh::room(class.map(|class| &class.spec), it, lost)?;
        if let (None, Some(has)) = (class, self.ephemeral.get(pool)) {
            let own = it.disk_gb.filter(|gb| *gb > 0).map_or(i128::MAX, |gb| i128::from(gb) * 1_000_000_000);
            room.insert("ephemeral-storage", (*has).min(own));
        }
        let peers = self.peers.iter().find(|((of_pool, of), _)| *of_pool == pool && *of == it.name);
        for (name, least) in peers.map(|(_, room)| room).into_iter().flatten() {
            let entry = room.entry(name).or_insert(*least);
            *entry = (*entry).min(*least);
        }
        Some(room)
    }

    fn requirement_faults(&self, pool: &NodePool, host: &Host<'_>, faults: &mut Faults) {
        let relaxed = self.ignore_criteria
            && pool.metadata.annotations.get(marks::IGNORE_INSTANCE_CRITERIA).is_some_and(|word| word == "allow");
        for requirement in &pool.spec.template.spec.requirements {
            let key = requirement.key.as_str();
            if relaxed && key.rsplit('/').next().is_some_and(|name| name.starts_with("instance-")) {
                continue;
            }
            let label = host.label(key);
            // A key of the pool's own, whose value is chosen at launch.
            if label == Known::Untold && !labels::is_well_known(key) {
                continue;
            }
            let shown = || format!("{key} {:?} {:?}", requirement.operator, requirement.values);
            match satisfies(&requirement.operator, &requirement.values, label) {
                Some(true) => {}
                Some(false) => {
                    faults.push((
                        Fault::Requirement,
                        format!("NodePool {} asks for {}, the node has {label:?}", pool.metadata.name, shown()),
                    ));
                }
                None => {
                    let text = format!(
                        "NodePool {} asks for {}, and that cannot be told of the node",
                        pool.metadata.name,
                        shown()
                    );
                    faults.push((Fault::Requirement, text));
                }
            }
        }
    }
}

/// Karpenter's `capacity` of a type, against which limits count.
pub(super) fn capacity(it: &InstanceType) -> BTreeMap<&'static str, i128> {
    let memory = i128::from(it.memory_mib) - if it.arch == "arm64" { 64 } else { 0 };
    let overhead = (memory * 75 + 999) / 1000;
    BTreeMap::from([
        ("cpu", i128::from(it.vcpu) * 1000),
        ("memory", (memory - overhead) << 20),
        ("pods", i128::from(it.max_pods)),
        (marks::GPU, i128::from(it.gpu_count)),
        ("ephemeral-storage", 20 << 30),
        ("nodes", 1),
    ])
}

/// Whether a class has an image for a node. What cannot be told of the node speaks not against it.
fn has_image(class: Option<&Ec2NodeClass>, host: &Host<'_>) -> bool {
    let Some(class) = class.filter(|class| !class.status.amis.is_empty()) else { return true };
    class.status.amis.iter().any(|image| {
        image.requirements.iter().all(|one| satisfies(&one.operator, &one.values, host.label(&one.key)) != Some(false))
    })
}

/// The DaemonSets of the cluster, each with the most that its template or its newest pod asks for. If they are not known,
/// their running pods tell them, the largest of each.
fn daemons<'a>(board: &Board<'a>) -> Vec<Daemon<'a>> {
    let owned = || {
        let bodies = board.bodies.iter().enumerate();
        bodies.filter_map(|(index, body)| {
            let owner = body.pod.metadata.controller().filter(|owner| owner.kind == "DaemonSet")?;
            Some(((&*body.pod.metadata.namespace, owner.name.as_str()), index))
        })
    };
    let Some(sets) = &board.snapshot.daemon_sets else {
        let mut largest: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (set, index) in owned().filter(|(_, index)| board.bodies[*index].role == Role::Daemon) {
            let size = |body: usize| {
                let needs = board.needs(body);
                (needs.get("cpu").copied(), needs.get("memory").copied())
            };
            let known = largest.entry(set).or_insert(index);
            if size(index) > size(*known) {
                *known = index;
            }
        }
        let daemon = |shape: &'a PodShape| Daemon { shape, needs: requests::of_template(shape), shapes: vec![shape] };
        return largest.into_values().map(|body| daemon(board.class_of(body).shape)).collect();
    };
    let mut newest: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (set, index) in owned() {
        let created = |body: usize| board.bodies[body].pod.metadata.creation_timestamp;
        let known = newest.entry(set).or_insert(index);
        if created(index) > created(*known) {
            *known = index;
        }
    }
    let told = sets.iter().map(|set| {
        let template = &*set.spec.template.spec.shape;
        let mut needs = requests::of_template(template);
        let mut shapes = vec![template];
        if let Some(body) = newest.get(&(&*set.metadata.namespace, &*set.metadata.name)) {
            let shape = board.class_of(*body).shape;
            needs = requests::largest(needs, &requests::of_template(shape));
            shapes.push(shape);
        }
        Daemon { shape: template, needs, shapes }
    });
    told.collect()
}

/// Whether a DaemonSet runs a pod on a host; also when that cannot be told.
fn daemon_runs(shape: &PodShape, host: &Host<'_>) -> bool {
    let taints = host.taints.iter().filter(|taint: &&Taint| !DAEMONS_TOLERATE.contains(&taint.key.as_str()));
    if untolerated(&shape.tolerations, taints).is_some() {
        return false;
    }
    let mut wanted = Some(true);
    for (key, value) in &shape.node_selector {
        let one = match host.label(key) {
            Known::Is(has) => Some(has == value),
            Known::Absent => Some(false),
            Known::Untold => None,
        };
        wanted = and(wanted, one);
    }
    if let Some(required) = &shape.affinity.node_affinity.required {
        // The pods of a DaemonSet name their node in matchFields: that is not asked of a new node.
        let any = required
            .node_selector_terms
            .iter()
            .any(|term| !term.match_expressions.iter().any(|e| holds(e, host.label(&e.key)) == Some(false)));
        wanted = and(wanted, Some(any));
    }
    wanted != Some(false)
}

fn micros(money: Money) -> String {
    format!("{}e-6", money.as_micros())
}
