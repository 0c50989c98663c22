//! A plan in steps: what one step did is settled, and the next one goes on from there.

use std::sync::Arc;

use typed_index_collections::TiVec;

use super::State;
use crate::model::{BinId, BinRef, Counts, give};

/// What earlier steps of a plan did.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    /// How many there are.
    count: usize,
    /// By bin that one of them touched: the step.
    of: Arc<TiVec<BinId, Option<usize>>>,
    /// By bin: the pods that settled ones were given. Empty once they may move again.
    given: Arc<TiVec<BinId, Counts>>,
}

impl State<'_> {
    /// Ends a step: nodes that went stay away, pods that were given stay where they are, and so do the bins that hold them.
    pub(crate) fn settle(&mut self) {
        let mut of = (*self.steps.of).clone();
        let mut settled = (*self.steps.given).clone();
        of.resize(self.bins.len(), None);
        settled.resize(self.bins.len(), Counts::new());
        for (at, bin) in self.bins.iter_mut_enumerated() {
            let is_touched = match bin.bin_ref {
                BinRef::Node(_) => !bin.open || !bin.given.is_empty(),
                BinRef::New(_) => bin.open,
            };
            if is_touched {
                of[at].get_or_insert(self.steps.count);
                for (class, count) in bin.given.drain(..) {
                    give(&mut settled[at], class, count);
                }
            }
        }
        self.steps = Steps { count: self.steps.count + 1, of: Arc::new(of), given: Arc::new(settled) };
    }

    /// Lets all pods move again. Which step touched a bin first is still known.
    pub(crate) fn unsettle(&mut self) {
        for (at, given) in std::mem::take(&mut self.steps.given).iter_enumerated() {
            for (class, count) in given {
                give(&mut self.bins[at].given, *class, *count);
            }
        }
    }

    /// Whether an earlier step touched a bin, which therefore stays as it is.
    #[inline]
    pub(crate) fn is_settled(&self, bin: BinId) -> bool {
        !self.steps.given.is_empty() && self.steps.of.get(bin).is_some_and(Option::is_some)
    }

    /// How many steps there are, the present one included.
    pub(crate) const fn steps(&self) -> usize {
        self.steps.count + 1
    }

    /// The step that touched a bin first.
    pub(crate) fn step_of(&self, bin: BinId) -> usize {
        self.steps.of.get(bin).copied().flatten().unwrap_or(self.steps.count)
    }
}
