//! What pods wish for, as a price: nothing forbids to leave a wish unmet, and of two plans that cost the same the kinder wins.
//!
//! Four kinds: nodes that a pod prefers; pods that it would have beside it or not; spreads that need not hold, also those
//! that kube-scheduler adds by itself; and the zone that it runs in. Zones stand for all wishes about domains wider than a
//! node: whoever keeps its domain changes no count there.
use std::sync::Arc;

use crate::{
    cluster::{KeyDomains, Model, Tie},
    state::What,
};

/// What one unmet wish of full weight costs. Unit: millionths of a US dollar an hour.
///
/// 0.2 dollars a month: what ten gigabytes cost from one zone to another and back, at 0.01 dollars a gigabyte and way.
/// Source: data transfer within a region, EC2 on-demand pricing. Other wishes have no bill and are put on a par with it.
pub(crate) const UNMET: i64 = 274;

/// The weight of a spread that need not hold and of the zone; preferences bring their own of 1 to 100.
pub(crate) const FULL: i64 = 100;

/// The most pods of a service on a node before the scheduler's default spread counts it as uneven. Source: `maxSkew` of
/// `kubernetes.io/hostname` in the system defaults of the plugin PodTopologySpread.
pub(crate) const DEFAULT_SKEW: i64 = 3;

/// The wishes of all classes.
#[derive(Debug, Default, Hash)]
pub(crate) struct Wishes {
    /// By set of preferences and by signature of a node: the weight that is left unmet.
    pub nodes: Vec<Vec<i64>>,
    /// By term of a node's own domain: what pods wish of it.
    pub beside: Vec<Option<Beside>>,
    /// Labels whose value pods would keep.
    pub homes: Vec<Home>,
}

/// A label whose value pods would keep.
#[derive(Debug, Default, Hash)]
pub(crate) struct Home {
    pub domains: KeyDomains,
    /// How many values there are.
    pub count: usize,
}

impl Home {
    /// Whether a pod of a node keeps its domain in a bin.
    pub(crate) fn keeps(&self, node: usize, what: What) -> bool {
        self.of(What::Node(node)) == self.of(what)
    }

    /// The domain of a place; those without the label are one more.
    fn of(&self, what: What) -> usize {
        self.domains.of(what).unwrap_or(self.count)
    }
}

/// A wish about the pods of one node.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Beside {
    pub wanted: Wanted,
    pub weight: i64,
}

/// Whom pods want beside them. `itself`: whether the term selects who owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wanted {
    AtMost(i64),
    Nobody { itself: bool },
    Somebody { itself: bool },
}

impl Beside {
    /// What a node's count of the term leaves unmet, in hundredths of a wish.
    pub(crate) fn unmet(&self, tie: Tie) -> i64 {
        let pods = match self.wanted {
            Wanted::AtMost(most) => (tie.selected - most).max(0),
            Wanted::Nobody { itself: true } => (tie.selected - 1).clamp(0, tie.owned.max(0)),
            Wanted::Nobody { itself: false } => tie.owned.min(tie.selected).max(0),
            Wanted::Somebody { itself } if tie.selected > i64::from(itself) => 0,
            Wanted::Somebody { .. } => tie.owned.max(0),
        };
        pods * self.weight
    }
}

/// What a weight costs, in millionths an hour.
pub(crate) const fn price(weight: i64) -> i64 {
    weight * UNMET / FULL
}

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
