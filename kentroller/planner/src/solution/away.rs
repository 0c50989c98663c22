//! Pods that left the zone or the like that they would keep.

use std::sync::Arc;

use crate::model::{Model, What};

/// By class and domain: pods that came less pods that went.
#[derive(Clone, Debug)]
pub(crate) struct Away {
    counts: Vec<i64>,
    /// Where each class begins.
    starts: Arc<Vec<usize>>,
}

impl Away {
    pub(crate) fn none(model: &Model) -> Self {
        let mut starts = Vec::with_capacity(model.classes.len());
        let mut next = 0;
        for class in &model.classes {
            starts.push(next);
            next += class.homes.iter().map(|(home, _)| model.wishes.homes[*home].count + 1).sum::<usize>();
        }
        Self { counts: vec![0; next], starts: Arc::new(starts) }
    }

    /// Counts pods that come to a place (or leave it) and returns the weight that this leaves unmet besides.
    pub(crate) fn come(&mut self, model: &Model, what: What, class: usize, count: i64) -> i64 {
        let mut more = 0;
        for (at, weight) in places(model, self.starts[class], what, class) {
            let was = self.counts[at];
            self.counts[at] += count;
            more += weight * (self.counts[at].max(0) - was.max(0));
        }
        more
    }

    /// The weight that pods coming to a place would leave unmet.
    pub(crate) fn would(&self, model: &Model, what: What, class: usize, count: i64) -> i64 {
        let of = places(model, self.starts[class], what, class);
        of.map(|(at, weight)| weight * ((self.counts[at] + count).max(0) - self.counts[at].max(0))).sum()
    }
}

/// Where the domains of a place are counted for a class, and what leaving them weighs.
fn places(model: &Model, mut start: usize, what: What, class: usize) -> impl Iterator<Item = (usize, i64)> {
    model.classes[class].homes.iter().map(move |(home, weight)| {
        let home = &model.wishes.homes[*home];
        let at = start + home.of(what);
        start += home.count + 1;
        (at, *weight)
    })
}
