//! Pods that left the zone, or another domain, that they prefer to keep.

use std::sync::Arc;

use typed_index_collections::TiVec;

use crate::model::{BinRef, ClassId, Model};

/// By class and domain: pods that came less pods that went.
#[derive(Clone, Debug)]
pub(crate) struct ZoneMoves {
    counts: Vec<i64>,
    /// Where each class begins.
    starts: Arc<TiVec<ClassId, usize>>,
}

impl ZoneMoves {
    pub(crate) fn none(model: &Model) -> Self {
        let mut starts = TiVec::with_capacity(model.classes.len());
        let mut next = 0;
        for class in &model.classes {
            starts.push(next);
            next += class
                .zone_affinity
                .iter()
                .map(|(home, _)| model.preferences.zone_affinity[*home].count + 1)
                .sum::<usize>();
        }
        Self { counts: vec![0; next], starts: Arc::new(starts) }
    }

    /// Counts pods that come to a place, or leave it, and returns by how much the unmet weight rises.
    pub(crate) fn come(&mut self, model: &Model, bin_ref: BinRef, class: ClassId, count: i64) -> i64 {
        let mut more = 0;
        for (at, weight) in places(model, self.starts[class], bin_ref, class) {
            let was = self.counts[at];
            self.counts[at] += count;
            more += weight * (self.counts[at].max(0) - was.max(0));
        }
        more
    }

    /// The weight that pods coming to a place would leave unmet.
    pub(crate) fn would(&self, model: &Model, bin_ref: BinRef, class: ClassId, count: i64) -> i64 {
        let of = places(model, self.starts[class], bin_ref, class);
        of.map(|(at, weight)| weight * ((self.counts[at] + count).max(0) - self.counts[at].max(0))).sum()
    }
}

/// Where the domains of a place are counted for a class, and what leaving them weighs.
fn places(model: &Model, mut start: usize, bin_ref: BinRef, class: ClassId) -> impl Iterator<Item = (usize, i64)> {
    model.classes[class].zone_affinity.iter().map(move |(home, weight)| {
        let home = &model.preferences.zone_affinity[*home];
        let at = start + home.of(bin_ref);
        start += home.count + 1;
        (at, *weight)
    })
}
