//! How a cluster grows and shrinks: pods come in bursts, Karpenter launches what they lack, then most of the load goes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::workloads::Group;
use super::{REGION, ZONES};
use crate::manifest::NodePool;
use crate::rules::pool;
use crate::value::labels::of_type;
use crate::value::{CapacityType, Catalog, Money, Priced, Rng};

/// How often pods come.
const BURSTS: usize = 6;
/// What DaemonSets ask for: milli-cpu, bytes, pods, GPUs.
const OVERHEAD: [i64; 4] = [355, 344 << 20, 3, 0];

/// A node with the pods that it runs, by group and replica.
pub(super) struct Grown {
    pub(super) name: String,
    pub(super) pool: &'static str,
    pub(super) arm: bool,
    pub(super) instance_type: String,
    pub(super) zone: usize,
    pub(super) capacity_type: CapacityType,
    free: [i64; 4],
    pub(super) allocatable: [i64; 4],
    pub(super) pods: Vec<(usize, usize)>,
}

impl Grown {
    fn count(&self, group: usize) -> usize {
        self.pods.iter().filter(|(of, _)| *of == group).count()
    }
}

/// What each pool may launch, by pool and whether it is arm64: the cheapest first.
pub(super) struct Offered<'a> {
    types: BTreeMap<(&'a str, bool), Vec<(&'a Priced, Money)>>,
}

impl<'a> Offered<'a> {
    pub(super) fn of(pools: &'a [NodePool], catalog: &'a Catalog) -> Self {
        let is_wanted = |of: &&Priced| of.instance_type.vcpu <= 48 && !of.instance_type.name.contains("metal");
        let types: Vec<&Priced> = catalog.types(REGION).filter(is_wanted).collect();
        let mut offered = BTreeMap::new();
        for node_pool in pools {
            let Some(requirements) = pool::Requirements::of(node_pool, false) else { continue };
            for arm in [false, true] {
                let fitting = types.iter().filter(|priced| {
                    let mut labels = pool::pool_labels(node_pool, &BTreeMap::new()).remove(0);
                    labels.extend(of_type(&priced.instance_type, REGION));
                    requirements.admit_type(&|key| labels.get(key).map(String::as_str))
                        && (priced.instance_type.arch == "arm64") == arm
                });
                let priced = |of: &&'a Priced| Some((*of, of.price(ZONES[0], &CapacityType::OnDemand)?));
                let mut list: Vec<(&Priced, Money)> = fitting.filter_map(priced).collect();
                list.sort_by_key(|(priced, price)| (*price, &priced.instance_type.name));
                offered.insert((&*node_pool.metadata.name, arm), list);
            }
        }
        Self { types: offered }
    }
}

/// A node that is about to be launched for some pods.
struct Opened {
    pool: &'static str,
    /// `None`: either architecture.
    arm: Option<bool>,
    zone: usize,
    pods: Vec<(usize, usize)>,
    used: [i64; 4],
    /// The cpu at which it is full.
    limit: i64,
}

struct Growth<'a> {
    groups: &'a [Group],
    nodes: Vec<Grown>,
    /// By group: its pods by zone.
    zone_counts: Vec<[usize; 3]>,
    /// By group: its pods by node and replica.
    alive: Vec<Vec<(usize, usize)>>,
}

/// The nodes of a cluster once most of its load is gone again.
pub(super) fn grow(groups: &[Group], offered: &Offered<'_>, rng: &mut Rng) -> Vec<Grown> {
    let (zone_counts, alive) = (vec![[0; 3]; groups.len()], vec![Vec::new(); groups.len()]);
    let mut growth = Growth { groups, nodes: Vec::new(), zone_counts, alive };
    for burst in 0..BURSTS {
        let unplaced = growth.schedule(burst, rng);
        for opened in growth.pack(unplaced, rng) {
            growth.launch(opened, offered);
        }
    }
    growth.shrink(rng);
    growth.nodes.retain(|node| !node.pods.is_empty());
    growth.nodes
}

impl Growth<'_> {
    /// Puts the pods of a burst on nodes that have room; those that fit nowhere.
    fn schedule(&mut self, burst: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
        let groups = self.groups;
        let coming = |of: &Group| of.replicas * burst / BURSTS..of.replicas * (burst + 1) / BURSTS;
        let mut waiting: Vec<(usize, usize)> =
            groups.iter().enumerate().flat_map(|(group, of)| coming(of).map(move |replica| (group, replica))).collect();
        // Karpenter's order: cpu, then memory, descending.
        waiting
            .sort_by_key(|(group, replica)| (Reverse((groups[*group].cpu, groups[*group].memory)), *group, *replica));
        let mut unplaced = Vec::new();
        for (group, replica) in waiting {
            match self.best(group, rng) {
                Some(at) => self.place(at, group, replica),
                None => unplaced.push((group, replica)),
            }
        }
        unplaced
    }

    /// The node that the scheduler chooses for a pod.
    fn best(&self, group: usize, rng: &mut Rng) -> Option<usize> {
        let (of, nodes) = (&self.groups[group], &self.nodes);
        let request = of.request();
        let least = self.zone_counts[group].iter().min().copied().unwrap_or(0);
        // A sample of the nodes, as the scheduler of a large cluster takes.
        let start = rng.below(nodes.len());
        let sample = (0..nodes.len().min(400)).map(|step| (start + step) % nodes.len());
        let fitting = sample.filter(|at| {
            let node: &Grown = &nodes[*at];
            node.pool == of.pool
                && of.arm.is_none_or(|arm| arm == node.arm)
                && request.iter().zip(&node.free).all(|(request, free)| request <= free)
                && (!of.zone_spread || self.zone_counts[group][node.zone] <= least)
                && (of.per_node == 0 || node.count(group) < of.per_node)
        });
        fitting.min_by_key(|at| {
            let node = &nodes[*at];
            let used = 100 - node.free[0] * 50 / node.allocatable[0] - node.free[1] * 50 / node.allocatable[1];
            (node.count(group) as i64 * 60 + used, *at)
        })
    }

    fn place(&mut self, at: usize, group: usize, replica: usize) {
        let node = &mut self.nodes[at];
        for (free, request) in node.free.iter_mut().zip(self.groups[group].request()) {
            *free -= request;
        }
        node.pods.push((group, replica));
        self.zone_counts[group][node.zone] += 1;
        self.alive[group].push((at, replica));
    }

    /// What fits nowhere makes Karpenter launch: pods that go together are packed until the largest offered type is full.
    fn pack(&mut self, unplaced: Vec<(usize, usize)>, rng: &mut Rng) -> Vec<Opened> {
        let mut open: Vec<Opened> = Vec::new();
        for (group, replica) in unplaced {
            let of = &self.groups[group];
            let request = of.request();
            let zone = if of.zone_spread || of.zonal_volume {
                (0..3).min_by_key(|zone| self.zone_counts[group][*zone]).unwrap_or(0)
            } else {
                rng.below(3)
            };
            self.zone_counts[group][zone] += 1;
            let largest = [30_000, 120 << 30, 110, 4];
            let found = open.iter_mut().find(|opened| {
                let same = opened.pods.iter().filter(|(other, _)| *other == group).count();
                (opened.pool, opened.arm, opened.zone) == (of.pool, of.arm, zone)
                    && opened.used[0] + request[0] <= opened.limit.max(request[0])
                    && (0..4).all(|dim| opened.used[dim] + request[dim] <= largest[dim].max(request[dim]))
                    && (of.per_node == 0 || same < of.per_node)
            });
            if let Some(opened) = found {
                opened.pods.push((group, replica));
                for (used, more) in opened.used.iter_mut().zip(request) {
                    *used += more;
                }
            } else {
                let limit = [7_500, 15_000, 30_000][rng.below(3)];
                let pods = vec![(group, replica)];
                open.push(Opened { pool: of.pool, arm: of.arm, zone, pods, used: request, limit });
            }
        }
        open
    }

    /// Launches the cheapest type that holds some pods, and puts them there.
    fn launch(&mut self, opened: Opened, offered: &Offered<'_>) {
        let Opened { pool, arm, zone, pods, used, .. } = opened;
        let arm = arm.unwrap_or(false);
        let chosen = offered.types.get(&(pool, arm)).into_iter().flatten().find(|(priced, _)| {
            let it = &priced.instance_type;
            used[0] + OVERHEAD[0] <= it.allocatable_milli_cpu()
                && used[1] + OVERHEAD[1] <= it.allocatable_bytes()
                && used[2] + OVERHEAD[2] <= it.max_pods
                && used[3] <= it.gpu_count
        });
        let Some((priced, _)) = chosen else { return };
        let it = &priced.instance_type;
        let allocatable = [it.allocatable_milli_cpu(), it.allocatable_bytes(), it.max_pods, it.gpu_count];
        let at = self.nodes.len();
        let mut node = Grown {
            name: format!("ip-10-0-{}-{}", at / 250, at % 250),
            pool,
            arm,
            instance_type: it.name.clone(),
            zone,
            capacity_type: CapacityType::OnDemand,
            free: allocatable,
            allocatable,
            pods: Vec::new(),
        };
        for (free, overhead) in node.free.iter_mut().zip(OVERHEAD) {
            *free -= overhead;
        }
        self.nodes.push(node);
        for (group, replica) in pods {
            self.zone_counts[group][zone] -= 1;
            self.place(at, group, replica);
        }
    }

    /// The load goes: a third to two thirds of most groups, at random places.
    fn shrink(&mut self, rng: &mut Rng) {
        for (group, alive) in self.alive.iter_mut().enumerate() {
            let keep = if rng.chance(25) { 100 } else { 30 + rng.below(40) };
            let mut gone = alive.len() - (alive.len() * keep / 100).max(1).min(alive.len());
            while gone > 0 && !alive.is_empty() {
                let (node, replica) = alive.swap_remove(rng.below(alive.len()));
                let node = &mut self.nodes[node];
                node.pods.retain(|pod| *pod != (group, replica));
                for (free, amount) in node.free.iter_mut().zip(self.groups[group].request()) {
                    *free += amount;
                }
                gone -= 1;
            }
        }
    }
}
