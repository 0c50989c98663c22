//! What pods wish for, as a price: nothing forbids to leave a wish unmet, and of two plans that cost the same the kinder wins.
//!
//! Four kinds: nodes that a pod prefers; pods that it would have beside it or not; spreads that need not hold, also those
//! that kube-scheduler adds by itself; and the zone that it runs in. Zones stand for all wishes about domains wider than a
//! node: whoever keeps its domain changes no count there.

use super::{KeyDomains, Tie, What};
use crate::rules::placement::FULL;

/// What one unmet wish of full weight costs. Unit: millionths of a US dollar an hour.
///
/// 0.2 dollars a month: what ten gigabytes cost from one zone to another and back, at 0.01 dollars a gigabyte and way.
/// Source: data transfer within a region, EC2 on-demand pricing. Other wishes have no bill and are put on a par with it.
pub(crate) const UNMET: i64 = 274;

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
    pub(crate) fn of(&self, what: What) -> usize {
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
