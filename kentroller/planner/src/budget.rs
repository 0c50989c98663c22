//! How long the planner may think, without a clock in it.

/// Told after each step of the search how many steps were taken; says how much of the budget is used.
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
