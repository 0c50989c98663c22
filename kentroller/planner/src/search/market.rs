//! What the search knows of prices: the worth of classes, and the kinds worth trying.

use std::collections::BTreeMap;

use crate::bound::Bound;
use crate::model::preferences::price;
use crate::model::{Counts, Numbers, What, put, shared_room};
use crate::solution::State;

/// One type of one pool: its zones are variants of one price class.
#[derive(Debug)]
pub(crate) struct Base {
    /// Kinds, one a zone.
    pub kinds: Vec<usize>,
    /// Classes that some variant may take, the most tightly priced first.
    pub classes: Vec<usize>,
    pub component: usize,
    /// How close a full bin comes to being worth its price, at best; 1 is the bound.
    pub promise: f64,
}

/// Prices and reach.
#[derive(Debug)]
pub(crate) struct Market {
    pub worth: Vec<f64>,
    pub bases: Vec<Base>,
    /// By component: its bases, the most promising first.
    pub by_component: Vec<Vec<usize>>,
    /// By class.
    pub component: Vec<usize>,
    /// By kind: its base, if it is of any.
    base_of: Vec<Option<usize>>,
    /// By kind: the number of its zone.
    zone_of: Vec<usize>,
    /// By zone: its kinds, the cheapest first.
    by_zone: Vec<Vec<usize>>,
}

impl Market {
    pub(crate) fn of(state: &State<'_>, bound: &Bound) -> Self {
        let model = state.model;
        let worth: Vec<f64> = bound.worth.iter().map(|worth| worth.max(1.0)).collect();
        let mut merged: BTreeMap<(usize, &str, &crate::value::CapacityType, i64), Vec<usize>> = BTreeMap::new();
        for (index, kind) in model.kinds.iter().enumerate() {
            let key = (kind.pool, kind.instance_type.as_str(), &kind.capacity_type, kind.price.as_micros());
            merged.entry(key).or_default().push(index);
        }
        let wanted: Vec<bool> = {
            let mut wanted = vec![false; model.classes.len()];
            for (node, own) in state.own.iter().enumerate() {
                if model.nodes[node].held.is_none() {
                    for (class, _) in own {
                        wanted[*class] = true;
                    }
                }
            }
            wanted
        };
        let mut bases: Vec<Base> = Vec::new();
        for kinds in merged.into_values() {
            let room = state.room_of_kind(kinds[0]);
            let price = model.kinds[kinds[0]].price.as_micros() as f64;
            let mut classes: Vec<(f64, usize)> = Vec::new();
            for class in (0..model.classes.len()).filter(|class| wanted[*class]) {
                let request = &model.classes[class].request;
                if !kinds.iter().any(|kind| state.kind_admits(*kind, class)) || crate::model::times(request, &room) == 0
                {
                    continue;
                }
                // At best the bin is full of this class alone in its tightest dimension, and others use what is left.
                let share: Vec<f64> =
                    request.iter().zip(&room).map(|(r, c)| if *r > 0 { *r as f64 / *c as f64 } else { 0.0 }).collect();
                let mean = share.iter().sum::<f64>() / 2.0;
                let most = share.iter().copied().fold(0.0f64, f64::max);
                classes.push((worth[class] / (price * mean.max(most * 0.6).max(1e-12)), class));
            }
            if classes.is_empty() {
                continue;
            }
            classes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let top = classes.iter().take(8).map(|(tight, _)| tight).sum::<f64>() / classes.len().min(8) as f64;
            bases.push(Base {
                kinds,
                classes: classes.into_iter().map(|(_, class)| class).collect(),
                component: 0,
                promise: top,
            });
        }
        // Components: classes that share a kind, directly or through others.
        let mut parent: Vec<usize> = (0..model.classes.len()).collect();
        fn root(parent: &mut [usize], mut at: usize) -> usize {
            while parent[at] != at {
                parent[at] = parent[parent[at]];
                at = parent[at];
            }
            at
        }
        for base in &bases {
            let first = root(&mut parent, base.classes[0]);
            for class in &base.classes[1..] {
                let other = root(&mut parent, *class);
                parent[other] = first;
            }
        }
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        let mut component = vec![usize::MAX; model.classes.len()];
        for class in 0..model.classes.len() {
            let root = root(&mut parent, class);
            if wanted[class] {
                let next = numbers.len();
                component[class] = *numbers.entry(root).or_insert(next);
            }
        }
        let mut by_component = vec![Vec::new(); numbers.len()];
        for (index, base) in bases.iter_mut().enumerate() {
            base.component = component[base.classes[0]];
            by_component[base.component].push(index);
        }
        for list in &mut by_component {
            list.sort_by(|a: &usize, b: &usize| bases[*b].promise.total_cmp(&bases[*a].promise).then(a.cmp(b)));
        }
        let mut base_of = vec![None; model.kinds.len()];
        for (index, base) in bases.iter().enumerate() {
            for kind in &base.kinds {
                base_of[*kind] = Some(index);
            }
        }
        let mut zones: Numbers<&str> = Numbers::new();
        let zone_of: Vec<usize> = model.kinds.iter().map(|kind| zones.number(&kind.zone)).collect();
        let mut by_zone = vec![Vec::new(); zones.into_values().len()];
        for (kind, zone) in zone_of.iter().enumerate() {
            by_zone[*zone].push(kind);
        }
        for list in &mut by_zone {
            list.sort_by_key(|kind| (model.kinds[*kind].price, *kind));
        }
        Self { worth, bases, by_component, component, base_of, zone_of, by_zone }
    }

    /// What a pod is worth in a bin, less the wishes that it would leave unmet there.
    pub(crate) fn worth_in(&self, state: &State<'_>, what: What, class: usize) -> f64 {
        self.worth[class] - if state.is_kind { price(state.unmet_by(what, class, 1)) as f64 } else { 0.0 }
    }

    /// What pods are worth together in a new node, less the wishes that they would leave unmet there.
    pub(crate) fn value_in(&self, state: &State<'_>, kind: usize, content: &Counts) -> f64 {
        self.value(content) - if state.is_kind { price(unmet(state, kind, content)) as f64 } else { 0.0 }
    }

    /// The variant of a kind, in another zone for the same price, that leaves fewest wishes of some content unmet.
    pub(crate) fn kindest(&self, state: &State<'_>, kind: usize, content: &Counts) -> usize {
        let holds = |other: usize| {
            content.iter().all(|(class, count)| {
                state.kind_admits(other, *class) && state.spread_room(What::New(other), *class) >= *count
            })
        };
        let others = self.base_of[kind].into_iter().flat_map(|base| &self.bases[base].kinds).copied();
        let others = others.filter(|other| *other != kind && holds(*other));
        others.chain([kind]).min_by_key(|one| (unmet(state, *one, content), *one != kind, *one)).unwrap_or(kind)
    }

    /// The cheapest kind of the same zone that could hold some content for less.
    pub(crate) fn cheapest_holder(&self, state: &State<'_>, kind: usize, content: &Counts) -> Option<usize> {
        let model = state.model;
        let holds = |other: &usize| {
            let mut free = state.room_of_kind(*other);
            let mut ties = model.kinds[*other].ties.clone();
            state.may_buy(*other)
                && content.iter().all(|(class, count)| {
                    let ok = state.kind_admits(*other, *class) && shared_room(model, *class, &free, &ties) >= *count;
                    put(model, *class, *count, &mut free, &mut ties);
                    ok
                })
        };
        let price = model.kinds[kind].price;
        let cheaper = self.by_zone[self.zone_of[kind]].iter().take_while(|other| model.kinds[**other].price < price);
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

/// The weight of wishes that some content would leave unmet in a new node.
fn unmet(state: &State<'_>, kind: usize, content: &Counts) -> i64 {
    content.iter().map(|(class, count)| state.unmet_by(What::New(kind), *class, *count)).sum()
}
