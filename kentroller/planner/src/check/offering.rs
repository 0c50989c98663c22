//! Nodes to buy: whether the pool and the catalogue allow them, and what they hold.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::board::{Board, Host, Origin, Role};
use super::disruption::is_initialized;
use super::labels::{Bought, Learned};
use super::prices::Prices;
use super::requests::Amounts;
use super::selectors::{Known, and, holds, satisfies, untolerated};
use super::violation::{Fault, Faults};
use super::{labels, requests};
use crate::manifest::{NodePool, PodShape, Taint, marks};
use crate::value::{CapacityType, InstanceType, Money, NewNode, Options};

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

/// Bytes of ephemeral storage of a node whose pool has no live node: Karpenter's 20 GiB root volume, less 1 GiB for the
/// kubelet and 10 % before eviction.
const EPHEMERAL: i128 = (20 << 30) - (1 << 30) - (2 << 30);

/// What new nodes are judged against.
#[derive(Debug)]
pub(super) struct Offers<'a> {
    pub(super) prices: Prices<'a>,
    learned: Learned,
    pools: BTreeMap<&'a str, &'a NodePool>,
    daemons: Vec<&'a PodShape>,
    /// The least that live nodes of a pool and type have.
    peers: BTreeMap<(&'a str, &'a str), Amounts<'a>>,
    /// The least ephemeral storage of a pool's live nodes.
    ephemeral: BTreeMap<&'a str, i128>,
    ignore_criteria: bool,
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
            learned: Learned::new(board.snapshot),
            pools: board.snapshot.node_pools.iter().map(|pool| (&*pool.metadata.name, pool)).collect(),
            daemons: daemons(board),
            peers: BTreeMap::new(),
            ephemeral: BTreeMap::new(),
            ignore_criteria: options.aggressive.ignore_instance_criteria,
        };
        for host in board.hosts.iter().filter(|host| is_initialized(host)) {
            let Origin::Live { node, pool: Some(pool), .. } = host.origin else { continue };
            let Some(of) = node.metadata.labels.get(marks::INSTANCE_TYPE) else { continue };
            let pool = &*pool.metadata.name;
            if let Some(has) = host.room.get("ephemeral-storage") {
                let least = offers.ephemeral.entry(pool).or_insert(*has);
                *least = (*least).min(*has);
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
        let named = priced.offers.iter().any(|offer| offer.zone.as_deref() == Some(stated.zone));
        let wanted = pool.spec.template.spec.requirements.iter().any(|requirement| {
            requirement.key == marks::ZONE && requirement.values.iter().any(|value| value == stated.zone)
        });
        let zone_known = if self.learned.zones().is_empty() && stated.zone.is_empty() {
            true
        } else {
            self.learned.zones().contains(stated.zone) || named || wanted
        };
        if !zone_known {
            offered.push((
                Fault::NotOffered,
                format!("{}: neither a node nor the pool nor the catalogue knows the zone", what()),
            ));
        }
        let bought = Bought {
            name: &planned.name,
            instance_type: it,
            zone: stated.zone,
            capacity_type: stated.capacity_type,
            region: self.prices.region,
            stated: &planned.labels,
        };
        let host = self.host(planned, pool, &bought);
        match priced.offer(stated.zone, stated.capacity_type) {
            None => offered.push((Fault::NotOffered, format!("{}: the catalogue has no such offering", what()))),
            Some(offer) => {
                if !offer.available {
                    offered.push((Fault::NotAvailable, format!("{}: is not to be had at present", what())));
                }
                match self.prices.overlaid(offer.price, &|key| host.label(key)) {
                    Some(price) if price.is(stated.price) && price.amount > Money::ZERO => {}
                    Some(price) => {
                        let text = format!(
                            "{}: price {} is stated, it costs {}",
                            what(),
                            micros(stated.price),
                            micros(price.amount)
                        );
                        offered.push((Fault::Price, text));
                    }
                    None => offered.push((Fault::PriceUnknown, format!("{}: a NodeOverlay cannot be read", what()))),
                }
            }
        }
        self.requirement_faults(pool, &host, offered);
        Some(host)
    }

    fn host(&self, planned: &'a NewNode, pool: &'a NodePool, bought: &Bought<'_>) -> Host<'a> {
        let (labels, untold) = labels::of_new(pool, bought, &self.learned);
        let mut host = Host {
            name: &planned.name,
            origin: Origin::Planned { planned, pool: Some(pool) },
            labels,
            untold,
            taints: pool.spec.template.spec.taints.clone(),
            room: self.room(pool, bought.instance_type),
            used: Amounts::new(),
            pods: BTreeSet::new(),
            daemons: Vec::new(),
            gone: false,
        };
        for shape in &self.daemons {
            if daemon_runs(shape, &host) {
                host.take(&requests::of_template(shape));
                host.daemons.push(shape);
            }
        }
        host
    }

    /// Allocatable of a node that does not exist yet: the provider's model, or less where live nodes of its pool have less.
    fn room(&self, pool: &'a NodePool, it: &InstanceType) -> Amounts<'a> {
        let pool = &*pool.metadata.name;
        let mut room = Amounts::from([
            ("cpu", milli_cpu(it)),
            ("memory", bytes(it)),
            ("pods", i128::from(it.max_pods)),
            ("ephemeral-storage", self.ephemeral.get(pool).copied().unwrap_or(EPHEMERAL)),
        ]);
        if it.gpu_count > 0 {
            room.insert(marks::GPU, i128::from(it.gpu_count));
        }
        let peers = self.peers.iter().find(|((of_pool, of), _)| *of_pool == pool && *of == it.name);
        for (name, least) in peers.map(|(_, room)| room).into_iter().flatten() {
            let entry = room.entry(name).or_insert(*least);
            *entry = (*entry).min(*least);
        }
        room
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

/// Milli-cpu left after the kubelet's share: 6 % of the first core, 1 % of the second, 0.5 % of the next two and 0.25 %
/// of the rest. Source: `aws/karpenter-provider-aws`, `pkg/providers/instancetype/types.go`.
fn milli_cpu(it: &InstanceType) -> i128 {
    let mut reserved = 0;
    for (first, last, share) in [(0, 1, 600), (1, 2, 100), (2, 4, 50), (4, i128::MAX, 25)] {
        let cores = (i128::from(it.vcpu).min(last) - first).max(0);
        reserved += cores * 1000 * share / 10_000;
    }
    i128::from(it.vcpu) * 1000 - reserved
}

/// Bytes left after hypervisor (7.5 %), kubelet (11 MiB a pod and 255 MiB) and eviction threshold (100 MiB). Same source.
fn bytes(it: &InstanceType) -> i128 {
    let mib = i128::from(it.memory_mib) - if it.arch == "arm64" { 64 } else { 0 };
    let hypervisor = (mib * 75 + 999) / 1000;
    let kubelet = 11 * i128::from(it.max_pods) + 255;
    (mib - hypervisor - kubelet - 100).max(0) << 20
}

/// The DaemonSets of the cluster. If they are not known, their running pods tell them, the largest of each.
fn daemons<'a>(board: &Board<'a>) -> Vec<&'a PodShape> {
    if let Some(sets) = &board.snapshot.daemon_sets {
        return sets.iter().map(|set| &*set.spec.template.spec.shape).collect();
    }
    let mut largest: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (index, body) in board.bodies.iter().enumerate().filter(|(_, body)| body.role == Role::Daemon) {
        let Some(owner) = body.pod.metadata.controller() else { continue };
        let size = |body: usize| {
            let needs = board.needs(body);
            (needs.get("cpu").copied(), needs.get("memory").copied())
        };
        let known = largest.entry((&*body.pod.metadata.namespace, owner.name.as_str())).or_insert(index);
        if size(index) > size(*known) {
            *known = index;
        }
    }
    largest.into_values().map(|body| board.class_of(body).shape).collect()
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
