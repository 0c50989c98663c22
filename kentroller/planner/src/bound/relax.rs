//! What the bound looks at: classes over bins, with zones, most terms, limits and reserves left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{DIMS, Model, Vector, add};
use crate::solution::State;

/// At most so many sets of pods that keep apart are told from others: the largest ones.
const SETS: usize = 16;
/// Dimensions of the bound: those of a bin, and then one for each set of which a bin holds one pod.
pub(super) const WIDE: usize = DIMS + SETS;
pub(super) type Wide = [i64; WIDE];

/// Bins of one size, price and reach.
pub(super) struct BinGroup {
    pub(super) capacity: Wide,
    /// Millionths an hour; 0 for room on nodes that stay.
    pub(super) price: i64,
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
    pub(super) of_class: Vec<Option<usize>>,
    /// Dimensions in use.
    pub(super) dims: usize,
    /// What stays whatever happens costs, in millionths.
    pub(super) fixed: i64,
}

/// What makes existing nodes one group: room (`None` where it is pooled), price and reach.
type Alike = (Option<Wide>, i64, Vec<bool>);

/// Whether pods of a class keep apart from all others of a set: it is a term that they own and that selects them.
fn keeps_apart(model: &Model, class: usize, set: usize) -> bool {
    let of = &model.classes[class];
    of.apart.contains(&set) && of.selected.contains(&set)
}

/// The classes of pods that only have a seat on a node: another plan may seat them elsewhere.
fn seated(model: &Model, node: usize) -> impl Iterator<Item = usize> {
    model.nodes[node].pods.iter().map(|pod| &model.pods[*pod]).filter(|pod| pod.ghost).map(|pod| pod.class)
}

/// The largest sets of pods no two of which may share a node, as terms.
fn sets(model: &Model, wanted: &BTreeMap<usize, i64>) -> Vec<usize> {
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
    let model = start.model;
    let mut fixed = 0;
    let mut wanted: BTreeMap<usize, i64> = BTreeMap::new();
    for (index, node) in model.nodes.iter().enumerate() {
        if node.held.is_some() {
            fixed += start.bins[index].price;
            if node.receives {
                seated(model, index).for_each(|class| *wanted.entry(class).or_default() += 1);
            }
            continue;
        }
        for (class, count) in &start.own[index] {
            *wanted.entry(*class).or_default() += count;
        }
    }
    let sets = sets(model, &wanted);
    let wide = |of: &Vector, each: &dyn Fn(usize) -> i64| -> Wide {
        let mut wide = [0; WIDE];
        wide[..DIMS].copy_from_slice(of);
        for (at, set) in sets.iter().enumerate() {
            wide[model.dims.len() + at] = each(*set);
        }
        wide
    };
    let is_of = |class: usize, set: usize| i64::from(keeps_apart(model, class, set));
    // Kinds of one pool, type and capacity type differ in zone only: one bin, at the lowest price.
    let mut merged: BTreeMap<(usize, &str, &crate::value::CapacityType), Vec<usize>> = BTreeMap::new();
    for (index, kind) in model.kinds.iter().enumerate() {
        merged.entry((kind.pool, &kind.instance_type, &kind.capacity_type)).or_default().push(index);
    }
    let merged: Vec<Vec<usize>> = merged.into_values().collect();
    // A class's reach: the merged kinds that may take it, and whether nodes of each signature that stay may.
    let with_room = model.nodes.iter().filter(|node| node.held.is_some() && node.receives);
    let staying: BTreeSet<usize> = with_room.map(|node| node.signature).collect();
    let mut demands: Vec<Demand> = Vec::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut of_class: Vec<Option<usize>> = vec![None; model.classes.len()];
    let mut by_reach: BTreeMap<(Wide, Vec<bool>), usize> = BTreeMap::new();
    for (class, count) in wanted {
        let bought = merged.iter().map(|zones| zones.iter().any(|kind| start.kind_admits(*kind, class)));
        let stays = staying.iter().map(|signature| model.admits.get(model.classes[class].needs, *signature));
        let reach: Vec<bool> = bought.chain(stays).collect();
        let request = wide(&model.classes[class].request, &|set| is_of(class, set));
        let demand = *by_reach.entry((request, reach)).or_insert_with(|| {
            demands.push(Demand { request, count: 0 });
            members.push(Vec::new());
            demands.len() - 1
        });
        demands[demand].count += count;
        members[demand].push(class);
        of_class[class] = Some(demand);
    }
    let mut groups: Vec<BinGroup> = merged
        .iter()
        .map(|zones| {
            let cheapest = zones.iter().min_by_key(|kind| model.kinds[**kind].price).copied().unwrap_or_default();
            let kind = &model.kinds[cheapest];
            let mut capacity = kind.allocatable;
            add(&mut capacity, &kind.daemons, -1);
            BinGroup {
                capacity: wide(&capacity, &|_| 1),
                price: kind.price.as_micros(),
                count: None,
                admits: members
                    .iter()
                    .map(|classes| {
                        classes.iter().any(|class| zones.iter().any(|kind| start.kind_admits(*kind, *class)))
                    })
                    .collect(),
            }
        })
        .filter(|group| group.admits.iter().any(|admits| *admits))
        .collect();
    let bought = groups.len();
    let own_of = |node: usize, set: usize| -> i64 {
        start.own[node].iter().map(|(class, count)| count * is_of(*class, set)).sum()
    };
    let mut reach_of: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
    let mut existing: BTreeMap<Alike, (Wide, i64)> = BTreeMap::new();
    for (index, node) in model.nodes.iter().enumerate() {
        if node.held.is_some() && !node.receives {
            continue;
        }
        let reach = reach_of
            .entry(node.signature)
            .or_insert_with(|| {
                let admits = |class: &usize| model.admits.get(model.classes[*class].needs, node.signature);
                members.iter().map(|classes| classes.iter().any(admits)).collect()
            })
            .clone();
        let mut room = node.allocatable;
        add(&mut room, &node.used, -1);
        if node.held.is_some() {
            seated(model, index).for_each(|class| add(&mut room, &model.classes[class].request, 1));
            let runs = |set| own_of(index, set) - seated(model, index).map(|class| is_of(class, set)).sum::<i64>();
            let mut room = wide(&room, &|set| 1 - runs(set));
            room.iter_mut().for_each(|room| *room = (*room).max(0));
            existing.entry((Some(room), 0, reach)).or_insert((room, 0)).1 += 1;
            continue;
        }
        let mut reach = reach;
        for (class, count) in &start.own[index] {
            add(&mut room, &model.classes[*class].request, *count);
            // Its own pods may stay whatever it says to others: cordoned, tainted, relabelled.
            if let Some(demand) = of_class[*class] {
                reach[demand] = true;
            }
        }
        let room = wide(&room, &|set| own_of(index, set).max(1));
        let price = start.bins[index].price;
        let beaten = groups[..bought].iter().any(|group| {
            group.price <= price
                && group.capacity.iter().zip(&room).all(|(new, old)| new >= old)
                && group.admits.iter().zip(&reach).all(|(new, old)| *new || !*old)
        });
        if !beaten {
            existing.entry((Some(room), price, reach)).or_insert((room, 0)).1 += 1;
        }
    }
    groups.extend(existing.into_iter().map(|((_, price, admits), (capacity, count))| BinGroup {
        capacity,
        price,
        count: Some(count),
        admits,
    }));
    Relaxed { demands, groups, of_class, dims: model.dims.len() + sets.len(), fixed }
}
