//! Which part of planning may use how much of the budget.

use crate::consolidation::SETTLING;

/// When each part of a search ends. Unit: thousandths of what the budget has left once the model is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// The curve of costs by moved pods.
    pub curve: u32,
    /// The search for the plan itself.
    pub search: u32,
    /// The second search, in which nodes with a broken spread stay; begun only before this.
    pub frozen_begins: u32,
    pub frozen: u32,
}

impl Shares {
    /// `spent`: the part of the whole budget that making the model took, below 1000. `broken`: a second search may follow.
    pub(super) fn of(spent: u32, broken: bool) -> Self {
        // Making waves of a solution, some of them anew, takes up to one and a half times as long as making the model.
        let waves = (spent * 1500 / (1000 - spent)).min(250);
        // Two looks at what Karpenter would do come after each search: one extends the solution, one tells what is left.
        let settling = 2 * SETTLING;
        Self {
            curve: 400 - waves,
            search: if broken { 850 - 2 * waves } else { 1000 - waves } - settling,
            frozen_begins: 1000 - 3 * waves,
            frozen: 1000 - waves - settling,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_a_model_takes_the_more_is_left_for_its_waves() {
        for (spent, broken, curve, search, frozen_begins, frozen) in [
            (0, false, 400, 940, 1000, 940),
            (0, true, 400, 790, 1000, 940),
            (50, false, 322, 862, 766, 862),
            (50, true, 322, 634, 766, 862),
            // Waves never get more than a quarter.
            (150, true, 150, 290, 250, 690),
            (999, false, 150, 690, 250, 690),
        ] {
            let expected = Shares { curve, search, frozen_begins, frozen };
            assert_eq!(Shares::of(spent, broken), expected, "spent {spent}, broken {broken}");
        }
    }
}
