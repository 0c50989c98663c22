//! What the bound looks at: classes over bins, with zones, most terms, limits and reserves left out.

use std::collections::{BTreeMap, BTreeSet};

use typed_index_collections::TiVec;

use crate::model::{ClassId, DIMS, Model, NodeId, OfferingId, PodUnit, Vector, add};
use crate::solution::State;
use crate::value::{CapacityType, KeptReason, Money};

/// The most sets of pods that keep apart for which the bound has a dimension. The largest ones count.
const SETS: usize = 16;
/// Dimensions of the bound: those of a bin, and then one for each set of which a bin holds one pod.
pub(super) const WIDE: usize = DIMS + SETS;
pub(super) type Wide = [i64; WIDE];

/// Bins of one size, price and reach.
pub(super) struct BinGroup {
    pub(super) capacity: Wide,
    /// Nothing for room on nodes that stay.
    pub(super) price: Money,
    /// `None`: as many as wanted.
    pub(super) count: Option<i64>,
    pub(super) admits: Vec<bool>,
}

/// Pods that the bound cannot tell apart.
pub(super) struct Demand {
    pub(super) request: Wide,
    pub(super) count: i64,
}

pub(super) struct Relaxed {
    pub(super) demands: Vec<Demand>,
    pub(super) groups: Vec<BinGroup>,
    /// By class: its demand.
    pub(super) of_class: TiVec<ClassId, Option<usize>>,
    /// Dimensions in use.
    pub(super) dims: usize,
    /// What the nodes cost that stay whatever happens.
    pub(super) fixed: Money,
}

/// What makes existing nodes one group: room, price and reach.
type Alike = (Wide, Money, Vec<bool>);

/// Whether pods of a class keep apart from all others of a set. The set is a term that they own and that selects them.
fn keeps_apart(model: &Model, class: ClassId, set: usize) -> bool {
    let of = &model.classes[class];
    of.apart.contains(&set) && of.selected.contains(&set)
}

/// The classes of pods that some plan may put elsewhere, although their node stays: room is only reserved for them, or
/// nothing but other pods holds the node.
fn leaving(model: &Model, node: NodeId) -> impl Iterator<Item = ClassId> {
    let of = &model.nodes[node];
    let others_hold_it = of.receives && matches!(of.held, Some((KeptReason::BlockedByPods, _)));
    let may_leave = move |pod: &&PodUnit| {
        pod.not_running || (others_hold_it && of.blockers.iter().all(|blocker| blocker.pod != pod.name))
    };
    of.pods.iter().map(|pod| &model.pods[*pod]).filter(may_leave).map(|pod| pod.class)
}

/// The largest sets of pods no two of which may share a node, as terms.
fn sets(model: &Model, wanted: &BTreeMap<ClassId, i64>) -> Vec<usize> {
    let mut sizes: BTreeMap<usize, i64> = BTreeMap::new();
    for (class, count) in wanted {
        for term in model.classes[*class].apart.iter().filter(|term| keeps_apart(model, *class, **term)) {
            *sizes.entry(*term).or_default() += count;
        }
    }
    let mut sets: Vec<(i64, usize)> = sizes.into_iter().map(|(term, count)| (-count, term)).collect();
    sets.sort_unstable();
    sets.into_iter().take(SETS).map(|(_, term)| term).collect()
}

/// Leaves out zones, terms, limits and reserves: what is left is classes over bins.
pub(super) fn relax(start: &State<'_>) -> Relaxed {
    let (wanted, fixed) = wanted(start);
    let mut relaxing = Relaxing::of(start, &wanted);
    relaxing.add_demands(wanted);
    let mut groups = relaxing.bought();
    groups.extend(relaxing.existing(&groups));
    let Relaxing { demands, of_class, sets, .. } = relaxing;
    Relaxed { demands, groups, of_class, dims: start.model.dims.len() + sets.len(), fixed }
}

/// The pods that need a place, by class, and what the nodes cost that stay whatever happens.
fn wanted(start: &State<'_>) -> (BTreeMap<ClassId, i64>, Money) {
    let mut fixed = Money::ZERO;
    let mut wanted: BTreeMap<ClassId, i64> = BTreeMap::new();
    for (index, node) in start.model.nodes.iter_enumerated() {
        if node.held.is_some() {
            fixed += start.bins[index.bin()].price;
            if node.receives {
                leaving(start.model, index).for_each(|class| *wanted.entry(class).or_default() += 1);
            }
            continue;
        }
        for (class, count) in &start.own[index] {
            *wanted.entry(*class).or_default() += count;
        }
    }
    (wanted, fixed)
}

/// A relaxation while it is made.
struct Relaxing<'a, 'm> {
    start: &'a State<'m>,
    sets: Vec<usize>,
    /// Offerings of one pool, type and capacity type differ in zone only: one bin, at the lowest price.
    merged: Vec<Vec<OfferingId>>,
    demands: Vec<Demand>,
    /// By demand: its classes.
    members: Vec<Vec<ClassId>>,
    of_class: TiVec<ClassId, Option<usize>>,
}

impl<'a, 'm> Relaxing<'a, 'm> {
    fn of(start: &'a State<'m>, wanted: &BTreeMap<ClassId, i64>) -> Self {
        let model = start.model;
        let mut merged: BTreeMap<(usize, &str, &CapacityType), Vec<OfferingId>> = BTreeMap::new();
        for (index, offering) in model.offerings.iter_enumerated() {
            merged.entry((offering.pool, &offering.instance_type, &offering.capacity_type)).or_default().push(index);
        }
        Self {
            start,
            sets: sets(model, wanted),
            merged: merged.into_values().collect(),
            demands: Vec::new(),
            members: Vec::new(),
            of_class: vec![None; model.classes.len()].into(),
        }
    }

    /// A vector with a dimension for each set.
    fn wide(&self, of: &Vector, each: impl Fn(usize) -> i64) -> Wide {
        let mut wide = [0; WIDE];
        wide[..DIMS].copy_from_slice(of);
        for (at, set) in self.sets.iter().enumerate() {
            wide[self.start.model.dims.len() + at] = each(*set);
        }
        wide
    }

    fn is_of(&self, class: ClassId, set: usize) -> i64 {
        i64::from(keeps_apart(self.start.model, class, set))
    }

    /// Groups classes by what they ask for and by where they may go: to which merged offerings, and to which signatures of
    /// nodes that stay.
    fn add_demands(&mut self, wanted: BTreeMap<ClassId, i64>) {
        let (start, model) = (self.start, self.start.model);
        let with_room = model.nodes.iter().filter(|node| node.held.is_some() && node.receives);
        let staying: BTreeSet<usize> = with_room.map(|node| node.signature).collect();
        let mut by_reach: BTreeMap<(Wide, Vec<bool>), usize> = BTreeMap::new();
        for (class, count) in wanted {
            let bought = self.merged.iter().map(|zones| zones.iter().any(|one| start.offering_admits(*one, class)));
            let stays = staying.iter().map(|signature| model.admits.get(model.classes[class].needs, *signature));
            let reach: Vec<bool> = bought.chain(stays).collect();
            let request = self.wide(&model.classes[class].request, |set| self.is_of(class, set));
            let demand = *by_reach.entry((request, reach)).or_insert_with(|| {
                self.demands.push(Demand { request, count: 0 });
                self.members.push(Vec::new());
                self.demands.len() - 1
            });
            self.demands[demand].count += count;
            self.members[demand].push(class);
            self.of_class[class] = Some(demand);
        }
    }

    /// By demand: whether one of its classes may go to a place.
    fn reach(&self, admits: impl Fn(ClassId) -> bool) -> Vec<bool> {
        self.members.iter().map(|classes| classes.iter().any(|class| admits(*class))).collect()
    }

    /// What can be bought, where it is of use.
    fn bought(&self) -> Vec<BinGroup> {
        let model = self.start.model;
        let group = |zones: &Vec<OfferingId>| {
            let offering = zones.iter().map(|one| &model.offerings[*one]).min_by_key(|offering| offering.price)?;
            let mut capacity = offering.allocatable;
            add(&mut capacity, &offering.daemons, -1);
            Some(BinGroup {
                capacity: self.wide(&capacity, |_| 1),
                price: offering.price,
                count: None,
                admits: self.reach(|class| zones.iter().any(|one| self.start.offering_admits(*one, class))),
            })
        };
        self.merged.iter().filter_map(group).filter(|group| group.admits.iter().any(|admits| *admits)).collect()
    }

    /// Nodes that exist. Left out are those that some offering beats: it is no dearer, no smaller, and takes the same pods.
    fn existing(&self, bought: &[BinGroup]) -> Vec<BinGroup> {
        let (start, model) = (self.start, self.start.model);
        let mut reach_of: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
        let mut existing: BTreeMap<Alike, i64> = BTreeMap::new();
        for (index, node) in model.nodes.iter_enumerated() {
            if node.held.is_some() && !node.receives {
                continue;
            }
            let admits = |class: ClassId| model.admits.get(model.classes[class].needs, node.signature);
            let mut reach = reach_of.entry(node.signature).or_insert_with(|| self.reach(admits)).clone();
            if node.held.is_some() {
                // Where they are they may stay, even if they would be refused today.
                for demand in leaving(model, index).filter_map(|class| self.of_class[class]) {
                    reach[demand] = true;
                }
                *existing.entry((self.room_beside(index), Money::ZERO, reach)).or_default() += 1;
                continue;
            }
            // Its own pods may stay there, even if it would refuse them today: cordoned, tainted, relabelled.
            for demand in start.own[index].iter().filter_map(|(class, _)| self.of_class[*class]) {
                reach[demand] = true;
            }
            let (room, price) = (self.room_emptied(index), start.bins[index.bin()].price);
            let beaten = bought.iter().any(|group| {
                group.price <= price
                    && group.capacity.iter().zip(&room).all(|(new, old)| new >= old)
                    && group.admits.iter().zip(&reach).all(|(new, old)| *new || !*old)
            });
            if !beaten {
                *existing.entry((room, price, reach)).or_default() += 1;
            }
        }
        let group = |((capacity, price, admits), count)| BinGroup { capacity, price, count: Some(count), admits };
        existing.into_iter().map(group).collect()
    }

    /// What a node that stays has left beside the pods that stay on it.
    fn room_beside(&self, node: NodeId) -> Wide {
        let model = self.start.model;
        let mut room = model.nodes[node].allocatable;
        add(&mut room, &model.nodes[node].used, -1);
        leaving(model, node).for_each(|class| add(&mut room, &model.classes[class].request, 1));
        let leave = |set| leaving(model, node).map(|class| self.is_of(class, set)).sum::<i64>();
        let stay = |set| self.own_of(node, set) - leave(set);
        self.wide(&room, |set| (1 - stay(set)).max(leave(set))).map(|room| room.max(0))
    }

    /// What a node that may go has once its own pods are off it.
    fn room_emptied(&self, node: NodeId) -> Wide {
        let model = self.start.model;
        let mut room = model.nodes[node].allocatable;
        add(&mut room, &model.nodes[node].used, -1);
        for (class, count) in &self.start.own[node] {
            add(&mut room, &model.classes[*class].request, *count);
        }
        self.wide(&room, |set| self.own_of(node, set).max(1))
    }

    /// A node's own pods of a set.
    fn own_of(&self, node: NodeId, set: usize) -> i64 {
        self.start.own[node].iter().map(|(class, count)| count * self.is_of(*class, set)).sum()
    }
}
