//! All that the pools offer, also what another offering beats: what may come instead of a planned node.

use std::collections::{BTreeMap, BTreeSet};

use super::{CPU, Counts, DIMS, MEMORY, Model, OfferingId, Vector, add, fits};
use crate::rules::placement::Place;
use crate::value::{CapacityType, Money, Offering, Percent};

/// At most this many offerings are listed besides a planned on-demand one.
const ALTERNATIVES: usize = 8;
/// The least number of types, the planned one included, among which a spot node is chosen where the pool has as many.
///
/// Karpenter's own floor for moving a spot node to spot: fewer would take the choice from the fleet.
const SPOT_TYPES: usize = 15;

/// The offerings of all pools.
#[derive(Debug, Default, Hash)]
pub(crate) struct PriceList {
    pub groups: Vec<Group>,
    /// By pool, zone and capacity type: the cheapest first, once all are there.
    offered: BTreeMap<(usize, String, CapacityType), Vec<ListedOffering>>,
    /// By pool: for each key with `minValues`, how many values must be left to choose from.
    least: BTreeMap<usize, Vec<usize>>,
}

/// Offerings of a pool that no pod can tell apart but by their size.
#[derive(Debug, Hash)]
pub(crate) struct Group {
    pub place: Place,
    pub signature: usize,
    /// What the DaemonSets of such a node ask for.
    pub daemons: Vector,
    pub daemon_ports: Vec<(String, i32)>,
}

/// One offering.
#[derive(Clone, Debug, Hash)]
pub(crate) struct ListedOffering {
    pub instance_type: String,
    pub price: Money,
    pub allocatable: Vector,
    /// As bought: milli-cpu and bytes.
    pub capacity: (i64, i64),
    pub gpus: i64,
    pub group: usize,
    /// Which set of its pool's own labels it carries.
    pub base: usize,
    /// Its values of the keys with `minValues`.
    pub values: Vec<Option<String>>,
}

/// Prices beyond this are not tried: 1.2 times the planned one.
fn dearest(planned: Money) -> Money {
    planned * 12 / 10
}

impl PriceList {
    /// Makes a group of a pool's offerings and returns its number.
    pub(crate) fn open(&mut self, place: Place, daemons: Vector, daemon_ports: Vec<(String, i32)>) -> usize {
        self.groups.push(Group { place, signature: 0, daemons, daemon_ports });
        self.groups.len() - 1
    }

    pub(crate) fn put(&mut self, pool: usize, zone: &str, capacity_type: &CapacityType, offering: ListedOffering) {
        self.offered.entry((pool, zone.to_owned(), capacity_type.clone())).or_default().push(offering);
    }

    /// Ends a pool. `least`: its `minValues`.
    pub(crate) fn close(&mut self, pool: usize, least: Vec<usize>) {
        self.least.insert(pool, least);
        for list in self.offered.iter_mut().filter(|((of, _, _), _)| *of == pool).map(|(_, list)| list) {
            list.sort_by(|a, b| (a.price, &a.instance_type).cmp(&(b.price, &b.instance_type)));
        }
    }

    /// Whether an offering and those that may come instead of it satisfy the pool's `minValues`, whatever it will hold.
    pub(crate) fn leaves_a_choice(
        &self,
        pool: usize,
        zone: &str,
        capacity_type: &CapacityType,
        of: &ListedOffering,
    ) -> bool {
        let Some(least) = self.least.get(&pool).filter(|least| !least.is_empty()) else { return true };
        let list = self.offered.get(&(pool, zone.to_owned(), capacity_type.clone()));
        let others = list.into_iter().flatten().filter(|other| {
            other.group == of.group
                && other.price <= dearest(of.price)
                && other.allocatable.iter().zip(&of.allocatable).all(|(other, own)| other >= own)
        });
        let mut choice = Choice::of(least, of);
        others.for_each(|other| choice.add(other));
        choice.is_enough()
    }

    /// Other offerings that may come instead of a planned node and hold the same pods: the cheapest first, not dearer than
    /// 1.2 times the planned one.
    pub(crate) fn alternatives(
        &self,
        model: &Model,
        offering: OfferingId,
        given: &Counts,
        reserve: Percent,
    ) -> Vec<Offering> {
        let of = &model.offerings[offering];
        let mut wanted = [0; DIMS];
        for (class, count) in given {
            add(&mut wanted, &model.classes[*class].request, *count);
        }
        let limit = &model.limits[of.pool];
        let key = (of.pool, of.zone.clone(), of.capacity_type.clone());
        let list = self.offered.get(&key).map_or(&[][..], Vec::as_slice);
        let affordable = list.partition_point(|other| other.price <= dearest(of.price));
        let holds = |other: &&ListedOffering| {
            let group = &self.groups[other.group];
            let mut room = other.allocatable;
            add(&mut room, &group.daemons, -1);
            for dim in [CPU, MEMORY] {
                room[dim] -= reserve.of(other.allocatable[dim]);
            }
            other.instance_type != of.instance_type
                && other.base == of.base
                && fits(&wanted, &room)
                && given.iter().all(|(class, _)| model.admits.get(model.classes[*class].needs, group.signature))
                && group.daemon_ports == of.daemon_ports
                && model.domain_keys.iter().all(|key| group.place.labels.get(key) == of.place.labels.get(key))
                // A larger one would take more of the pool's limits than was reckoned with.
                && (limit.milli_cpu.is_none() || other.capacity.0 <= of.capacity.0)
                && (limit.bytes.is_none() || other.capacity.1 <= of.capacity.1)
                && (limit.nodes.is_none() || other.gpus <= of.gpus)
        };
        let listed = if of.capacity_type == CapacityType::Spot { SPOT_TYPES - 1 } else { ALTERNATIVES };
        let least = self.least.get(&of.pool).map_or(&[][..], Vec::as_slice);
        let planned = list.iter().find(|one| one.instance_type == of.instance_type && one.base == of.base);
        let mut choice = planned.map(|planned| Choice::of(least, planned));
        let mut found = Vec::new();
        for other in list[..affordable].iter().filter(holds) {
            let lacks = choice.as_ref().is_some_and(|choice| choice.lacks(other));
            if found.len() >= listed && !lacks {
                continue;
            }
            if let Some(choice) = &mut choice {
                choice.add(other);
            }
            found.push(Offering {
                instance_type: other.instance_type.clone(),
                zone: of.zone.clone(),
                capacity_type: of.capacity_type.clone(),
                price: other.price,
            });
        }
        found
    }
}

/// The values of the keys with `minValues` that an order leaves.
struct Choice<'a> {
    least: &'a [usize],
    values: Vec<BTreeSet<&'a str>>,
}

impl<'a> Choice<'a> {
    fn of(least: &'a [usize], first: &'a ListedOffering) -> Self {
        let mut choice = Self { least, values: vec![BTreeSet::new(); least.len()] };
        choice.add(first);
        choice
    }

    fn add(&mut self, other: &'a ListedOffering) {
        for (values, value) in self.values.iter_mut().zip(&other.values) {
            values.extend(value.as_deref());
        }
    }

    /// Whether an offering has a value that is still wanted.
    fn lacks(&self, other: &ListedOffering) -> bool {
        self.values.iter().zip(self.least).zip(&other.values).any(|((values, least), value)| {
            values.len() < *least && value.as_deref().is_some_and(|value| !values.contains(value))
        })
    }

    fn is_enough(&self) -> bool {
        self.values.iter().zip(self.least).all(|(values, least)| values.len() >= *least)
    }
}
