//! Which part of planning may use how much of the budget.

use crate::consolidation::SETTLING;

/// When each part of a search ends. Unit: thousandths of what the budget has left once the model is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// The search for the cheapest plan.
    pub search: u32,
    /// The second search, in which nodes with a broken spread stay; begun only before this.
    pub frozen_begins: u32,
    pub frozen: u32,
    /// Plans that grow with the pods that may move.
    pub growth: u32,
}

impl Shares {
    /// `spent`: the part of the whole budget that making the model took, below 1000. `broken`: a second search may follow.
    /// `grows`: plans that grow come after the search.
    pub(super) fn of(spent: u32, broken: bool, grows: bool) -> Self {
        // Making waves of a solution, some of them anew, takes up to one and a half times as long as making the model.
        let waves = (spent * 1500 / (1000 - spent)).min(250);
        // Two looks at what Karpenter would do come after each search: one extends the solution, one tells what is left.
        let settling = 2 * SETTLING;
        let whole = 1000 - waves - settling;
        // What is found by growing is as good as what a search from nothing finds, or nearly so, with fewer moves.
        let search = if grows { whole * 11 / 20 } else { whole };
        Self {
            search: if broken { search.saturating_sub(waves + 150) } else { search },
            frozen_begins: search.saturating_sub(2 * waves),
            frozen: search,
            growth: whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_a_model_takes_the_more_is_left_for_its_waves() {
        for (spent, broken, grows, search, frozen_begins, frozen, growth) in [
            (0, false, false, 940, 940, 940, 940),
            (0, true, false, 790, 940, 940, 940),
            (0, false, true, 517, 517, 517, 940),
            (0, true, true, 367, 517, 517, 940),
            (50, false, false, 862, 706, 862, 862),
            (50, true, true, 246, 318, 474, 862),
            // Waves never get more than a quarter.
            (150, true, true, 0, 0, 379, 690),
            (999, false, false, 690, 190, 690, 690),
        ] {
            let expected = Shares { search, frozen_begins, frozen, growth };
            assert_eq!(Shares::of(spent, broken, grows), expected, "spent {spent}, broken {broken}, grows {grows}");
        }
    }
}
