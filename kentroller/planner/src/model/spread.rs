//! Domains wider than a node: the values of a label, and the spreads over them that do not hold now.

use typed_index_collections::TiVec;

use super::{BinRef, NodeId, OfferingId};

/// A hard spread over zones or the like that does not hold now: whoever moves must land where it is allowed.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct BrokenSpread {
    /// The label whose values are the domains, as an index of `Model::keys`.
    pub key: usize,
    pub max_skew: i64,
    pub min_domains: i64,
    /// By value of the key: pods that are selected; `None` where the domain does not count.
    pub counts: Vec<Option<i64>>,
}

impl BrokenSpread {
    /// How many more pods a domain may be given before it is too far above the least.
    #[inline]
    pub(crate) fn room(&self, domain: Option<usize>, itself: i64) -> i64 {
        let Some(here) = domain.and_then(|domain| self.counts.get(domain).copied().flatten()) else { return 0 };
        if itself == 0 {
            return if here - self.least() <= self.max_skew { i64::MAX } else { 0 };
        }
        self.least() + self.max_skew - here
    }

    /// The least count over the domains.
    pub(crate) fn least(&self) -> i64 {
        let known = self.counts.iter().flatten();
        if i64::try_from(known.clone().count()).unwrap_or(i64::MAX) < self.min_domains {
            return 0;
        }
        known.min().copied().unwrap_or(0)
    }

    /// Adds to a domain's count.
    pub(crate) fn give(&mut self, domain: Option<usize>, count: i64) {
        if let Some(Some(here)) = domain.and_then(|domain| self.counts.get_mut(domain)) {
            *here += count;
        }
    }
}

/// The values of a label, and which of them each place has.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct KeyDomains {
    pub of_node: TiVec<NodeId, Option<usize>>,
    pub of_offering: TiVec<OfferingId, Option<usize>>,
}

impl KeyDomains {
    /// The value of a place.
    #[inline]
    pub(crate) fn of(&self, bin_ref: BinRef) -> Option<usize> {
        match bin_ref {
            BinRef::Node(node) => self.of_node[node],
            BinRef::New(offering) => self.of_offering[offering],
        }
    }
}
