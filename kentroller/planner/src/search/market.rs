//! What the search knows of prices: the worth of classes, and the offerings worth trying.

use std::collections::BTreeMap;

use typed_index_collections::{TiSlice, TiVec};

use crate::bound::Bound;
use crate::model::preferences::price;
use crate::model::{BinRef, ClassId, Counts, Numbers, OfferingId, put, shared_room, times};
use crate::solution::State;
use crate::value::{CapacityType, Money};

/// One type of one pool: its zones are variants of one price class.
#[derive(Debug)]
pub(crate) struct OfferingFamily {
    /// Offerings, one a zone.
    pub offerings: Vec<OfferingId>,
    /// Classes that some variant may take, the most tightly priced first.
    pub classes: Vec<ClassId>,
    pub component: usize,
    /// How close a full bin comes to being worth its price, at best; 1 is the bound.
    pub promise: f64,
}

/// Prices and reach.
#[derive(Debug)]
pub(crate) struct Market {
    pub worth: TiVec<ClassId, f64>,
    pub families: Vec<OfferingFamily>,
    /// By component: its bases, the most promising first.
    pub by_component: Vec<Vec<usize>>,
    /// By class.
    pub component: TiVec<ClassId, usize>,
    /// By offering: its family, if it is of any.
    family_of: TiVec<OfferingId, Option<usize>>,
    /// By offering: the number of its zone.
    zone_of: TiVec<OfferingId, usize>,
    /// By zone: its offerings, the cheapest first.
    by_zone: Vec<Vec<OfferingId>>,
}

impl Market {
    pub(crate) fn of(state: &State<'_>, bound: &Bound) -> Self {
        let model = state.model;
        let worth: TiVec<ClassId, f64> = bound.worth.iter().map(|worth| worth.max(1.0)).collect();
        let mut wanted: TiVec<ClassId, bool> = vec![false; model.classes.len()].into();
        for (_, own) in state.own.iter_enumerated().filter(|(node, _)| model.nodes[*node].held.is_none()) {
            own.iter().for_each(|(class, _)| wanted[*class] = true);
        }
        let mut families = families(state, &worth, &wanted);
        let (component, count) = components(&families, &wanted);
        let mut by_component = vec![Vec::new(); count];
        let mut family_of: TiVec<OfferingId, _> = vec![None; model.offerings.len()].into();
        for (index, family) in families.iter_mut().enumerate() {
            family.component = component[family.classes[0]];
            by_component[family.component].push(index);
            family.offerings.iter().for_each(|offering| family_of[*offering] = Some(index));
        }
        for list in &mut by_component {
            list.sort_by(|a: &usize, b: &usize| families[*b].promise.total_cmp(&families[*a].promise).then(a.cmp(b)));
        }
        let mut zones: Numbers<&str> = Numbers::new();
        let zone_of: TiVec<OfferingId, usize> =
            model.offerings.iter().map(|offering| zones.number(&offering.zone)).collect();
        let mut by_zone = vec![Vec::new(); zones.into_values().len()];
        for (offering, zone) in zone_of.iter_enumerated() {
            by_zone[*zone].push(offering);
        }
        for list in &mut by_zone {
            list.sort_by_key(|offering| (model.offerings[*offering].price, *offering));
        }
        Self { worth, families, by_component, component, family_of, zone_of, by_zone }
    }

    /// What a pod is worth in a bin, less the preferences that it would leave unmet there.
    pub(crate) fn worth_in(&self, state: &State<'_>, bin_ref: BinRef, class: ClassId) -> f64 {
        self.worth[class]
            - if state.counts_preferences { price(state.unmet_by(bin_ref, class, 1)).as_f64() } else { 0.0 }
    }

    /// What pods are worth together in a new node, less the preferences that they would leave unmet there.
    pub(crate) fn value_in(&self, state: &State<'_>, offering: OfferingId, content: &Counts) -> f64 {
        self.value(content)
            - if state.counts_preferences { price(unmet(state, offering, content)).as_f64() } else { 0.0 }
    }

    /// The variant of an offering, in another zone for the same price, that leaves fewest preferences of some content unmet.
    pub(crate) fn least_unmet_variant(&self, state: &State<'_>, offering: OfferingId, content: &Counts) -> OfferingId {
        let holds = |other: OfferingId| {
            content.iter().all(|(class, count)| {
                state.offering_admits(other, *class) && state.spread_room(BinRef::New(other), *class) >= *count
            })
        };
        let others = self.family_of[offering].into_iter().flat_map(|family| &self.families[family].offerings).copied();
        let others = others.filter(|other| *other != offering && holds(*other));
        others
            .chain([offering])
            .min_by_key(|one| (unmet(state, *one, content), *one != offering, *one))
            .unwrap_or(offering)
    }

    /// The cheapest offering of the same zone that could hold some content for less.
    pub(crate) fn cheapest_holder(
        &self,
        state: &State<'_>,
        offering: OfferingId,
        content: &Counts,
    ) -> Option<OfferingId> {
        let model = state.model;
        let holds = |other: &OfferingId| {
            let mut free = state.room_of_offering(*other);
            let mut term_counts = model.offerings[*other].term_counts.clone();
            state.may_buy(*other)
                && content.iter().all(|(class, count)| {
                    let ok = state.offering_admits(*other, *class)
                        && shared_room(model, *class, &free, &term_counts) >= *count;
                    put(model, *class, *count, &mut free, &mut term_counts);
                    ok
                })
        };
        let price = model.offerings[offering].price;
        let cheaper =
            self.by_zone[self.zone_of[offering]].iter().take_while(|other| model.offerings[**other].price < price);
        cheaper.copied().find(holds)
    }

    /// What pods are worth together, in millionths an hour.
    pub(crate) fn value(&self, counts: &Counts) -> f64 {
        counts.iter().map(|(class, count)| self.worth[*class] * *count as f64).sum()
    }

    /// The component of pods that belong together; `None` of none.
    pub(crate) fn component_of(&self, counts: &Counts) -> Option<usize> {
        counts.iter().map(|(class, _)| self.component[*class]).find(|component| *component != usize::MAX)
    }
}

/// The weight of preferences that some content would leave unmet in a new node.
fn unmet(state: &State<'_>, offering: OfferingId, content: &Counts) -> i64 {
    content.iter().map(|(class, count)| state.unmet_by(BinRef::New(offering), *class, *count)).sum()
}

/// Offerings that differ in zone only, with the classes that they may take; those that no wanted class could use are left out.
fn families(state: &State<'_>, worth: &TiSlice<ClassId, f64>, wanted: &TiSlice<ClassId, bool>) -> Vec<OfferingFamily> {
    let model = state.model;
    let mut merged: BTreeMap<(usize, &str, &CapacityType, Money), Vec<OfferingId>> = BTreeMap::new();
    for (index, of) in model.offerings.iter_enumerated() {
        let key = (of.pool, of.instance_type.as_str(), &of.capacity_type, of.price);
        merged.entry(key).or_default().push(index);
    }
    let mut families = Vec::new();
    for offerings in merged.into_values() {
        let room = state.room_of_offering(offerings[0]);
        let price = model.offerings[offerings[0]].price.as_f64();
        let fits = |class: &ClassId| {
            offerings.iter().any(|offering| state.offering_admits(*offering, *class))
                && times(&model.classes[*class].request, &room) != 0
        };
        let tightness = |class: ClassId| {
            // At best the bin is full of this class alone in its tightest dimension, and others use what is left.
            let request = model.classes[class].request.iter().zip(&room);
            let share: Vec<f64> = request.map(|(r, c)| if *r > 0 { *r as f64 / *c as f64 } else { 0.0 }).collect();
            let mean = share.iter().sum::<f64>() / 2.0;
            let most = share.iter().copied().fold(0.0f64, f64::max);
            worth[class] / (price * mean.max(most * 0.6).max(1e-12))
        };
        let useful = model.classes.keys().filter(|class| wanted[*class]).filter(fits);
        let mut classes: Vec<(f64, ClassId)> = useful.map(|class| (tightness(class), class)).collect();
        if classes.is_empty() {
            continue;
        }
        classes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let promise = classes.iter().take(8).map(|(tight, _)| tight).sum::<f64>() / classes.len().min(8) as f64;
        let classes = classes.into_iter().map(|(_, class)| class).collect();
        families.push(OfferingFamily { offerings, classes, component: 0, promise });
    }
    families
}

/// By class: the number of its component, and how many there are. Classes belong together that share an offering, directly
/// or through others.
fn components(families: &[OfferingFamily], wanted: &TiSlice<ClassId, bool>) -> (TiVec<ClassId, usize>, usize) {
    fn root(parent: &mut TiSlice<ClassId, ClassId>, mut at: ClassId) -> ClassId {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    let mut parent: TiVec<ClassId, ClassId> = wanted.keys().collect();
    for family in families {
        let first = root(&mut parent, family.classes[0]);
        for class in &family.classes[1..] {
            let other = root(&mut parent, *class);
            parent[other] = first;
        }
    }
    let mut numbers: BTreeMap<ClassId, usize> = BTreeMap::new();
    let mut component: TiVec<ClassId, usize> = vec![usize::MAX; wanted.len()].into();
    for class in wanted.keys().filter(|class| wanted[*class]) {
        let next = numbers.len();
        component[class] = *numbers.entry(root(&mut parent, class)).or_insert(next);
    }
    (component, numbers.len())
}
