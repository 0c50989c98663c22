//! How long the planner may think, without a clock in it.

/// How much of the planner's time is used. The planner tells it how many steps the search has taken.
pub trait Budget {
    /// The share of the budget that is used, in thousandths; 1000 and more ends the search with the best plan so far.
    fn used(&mut self, steps: u64) -> u32;
}

/// A budget counted in steps of the search: the same input and seed give the same plan.
#[derive(Clone, Copy, Debug)]
pub struct Steps(pub u64);

impl Budget for Steps {
    fn used(&mut self, steps: u64) -> u32 {
        if self.0 == 0 {
            return 1000;
        }
        u32::try_from(steps.saturating_mul(1000) / self.0).unwrap_or(u32::MAX)
    }
}

impl<F: FnMut(u64) -> u32> Budget for F {
    fn used(&mut self, steps: u64) -> u32 {
        self(steps)
    }
}

/// A budget with the steps taken so far.
pub(crate) struct Pace<'b> {
    budget: &'b mut dyn Budget,
    pub(crate) steps: u64,
}

impl<'b> Pace<'b> {
    pub(crate) fn of(budget: &'b mut dyn Budget) -> Self {
        Self { budget, steps: 0 }
    }

    /// The share of the budget that is used, in thousandths.
    pub(crate) fn used(&mut self) -> u32 {
        self.budget.used(self.steps)
    }

    /// Counts a step; every so many of them, whether more than a share of the budget is used.
    pub(crate) fn is_past(&mut self, share: u32, every: u64) -> bool {
        self.steps += 1;
        self.steps.is_multiple_of(every) && self.used() >= share
    }
}
