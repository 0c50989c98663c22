//! What pods prefer, as a price. A plan may leave a preference unmet; of two plans at the same cost the one that leaves fewer
//! unmet wins.
//!
//! There are four sorts: nodes that a pod prefers; pods that it would have beside it or not; spreads that need not hold, also those
//! that kube-scheduler adds by itself; and the zone that it runs in. Zones stand for all preferences about domains wider than a
//! node: whoever keeps its domain changes no count there.

use super::{BinRef, KeyDomains, NodeId, TermCount};
use crate::rules::placement::FULL_WEIGHT;
use crate::value::Money;

/// What one unmet preference of full weight costs.
///
/// 0.2 dollars a month: what ten gigabytes cost from one zone to another and back, at 0.01 dollars a gigabyte and way.
/// Source: data transfer within a region, EC2 on-demand pricing. Other preferences have no bill and are put on a par with it.
pub(crate) const UNMET: Money = Money::micros(274);

/// The most pods of a service on a node before the scheduler's default spread counts it as uneven. Source: `maxSkew` of
/// `kubernetes.io/hostname` in the system defaults of the plugin PodTopologySpread.
pub(crate) const DEFAULT_SKEW: i64 = 3;

/// The preferences of all classes.
#[derive(Debug, Default, Hash)]
pub(crate) struct Preferences {
    /// By set of preferences and by signature of a node: the weight that is left unmet.
    pub nodes: Vec<Vec<i64>>,
    /// By term of a node's own domain: what pods prefer of it.
    pub beside: Vec<Option<PodPreference>>,
    /// Labels whose value pods prefer to keep.
    pub zone_affinity: Vec<ZoneAffinity>,
}

/// A label whose value pods prefer to keep.
#[derive(Debug, Default, Hash)]
pub(crate) struct ZoneAffinity {
    pub domains: KeyDomains,
    /// How many values there are.
    pub count: usize,
}

impl ZoneAffinity {
    /// Whether a pod of a node keeps its domain in a bin.
    pub(crate) fn keeps(&self, node: NodeId, bin_ref: BinRef) -> bool {
        self.of(BinRef::Node(node)) == self.of(bin_ref)
    }

    /// The domain of a place. Places without the label form a domain of their own.
    pub(crate) fn of(&self, bin_ref: BinRef) -> usize {
        self.domains.of(bin_ref).unwrap_or(self.count)
    }
}

/// A preference about the pods of one node.
#[derive(Clone, Debug, Hash)]
pub(crate) struct PodPreference {
    pub wanted: PreferredCompany,
    pub weight: i64,
}

/// How many pods that a term selects its owner prefers on its node. `itself`: whether the term selects its owner as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PreferredCompany {
    AtMost(i64),
    Nobody { itself: bool },
    Somebody { itself: bool },
}

impl PodPreference {
    /// What a node's count of the term leaves unmet, in hundredths of a preference.
    pub(crate) fn unmet(&self, counted: TermCount) -> i64 {
        let pods = match self.wanted {
            PreferredCompany::AtMost(most) => (counted.selected - most).max(0),
            PreferredCompany::Nobody { itself: true } => (counted.selected - 1).clamp(0, counted.owned.max(0)),
            PreferredCompany::Nobody { itself: false } => counted.owned.min(counted.selected).max(0),
            PreferredCompany::Somebody { itself } if counted.selected > i64::from(itself) => 0,
            PreferredCompany::Somebody { .. } => counted.owned.max(0),
        };
        pods * self.weight
    }
}

/// What a weight costs.
pub(crate) fn price(weight: i64) -> Money {
    UNMET * weight / FULL_WEIGHT
}
