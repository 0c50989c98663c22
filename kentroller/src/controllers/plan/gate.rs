//! Before anything is evicted for a wave: whether the nodes that really came save enough.

use kentroller_planner::{Money, Percent};

use super::outcome::price;
use super::{PlanStep, Progress};
use crate::api::{ExecutionPolicy, NodeClaimToAdd, NodeCost, Savings};

/// What a wave, or a whole plan, promised and what it comes to.
#[derive(Clone, Copy, Debug)]
struct Balance {
    /// What the nodes cost an hour that go.
    blue: Money,
    /// What the new nodes were to cost.
    promised: Money,
    /// What they cost. One that came in another offering counts at least as much as was promised for it.
    real: Money,
}

impl PlanStep<'_> {
    /// Holds the new nodes of the wave against the plan's execution policy, where it has one.
    pub(super) fn pass_gate(&mut self, index: u32) -> Progress {
        let policy = self.plan.spec.execution_policy.clone().unwrap_or_default();
        if policy == ExecutionPolicy::default() || self.greens(index).next().is_none() {
            return Progress::Done;
        }
        let came = self.greens(index).map(|add| self.came(add)).collect::<Result<Vec<(NodeCost, Money)>, String>>();
        let green = match came {
            Ok(green) => green,
            Err(unknown) => return Progress::Dear(unknown),
        };
        let blue = self.blue_costs(index);
        let wave = self.balance(&blue, self.greens(index));
        let achieved = wave.saved().percent_of(wave.blue - wave.promised);
        if let Some(wave) = self.wave_mut(index) {
            wave.achieved_savings_percent = Some(achieved.to_string());
        }
        self.status.validated_savings = Some(validated(blue, green.into_iter().map(|(node, _)| node).collect(), wave));
        let all = self.status.savings.as_ref().map(|savings| savings.blue_nodes.as_slice()).unwrap_or_default();
        let whole = self.balance(all, self.plan.spec.node_claims_to_add.iter());
        match judge(&policy, wave, whole) {
            Ok(()) => Progress::Done,
            Err(why) => Progress::Dear(format!("wave {}: {why}", index + 1)),
        }
    }

    /// The node that came, at its price.
    ///
    /// # Errors
    /// Its price is not known.
    fn came(&self, add: &NodeClaimToAdd) -> Result<(NodeCost, Money), String> {
        let name = &add.metadata.name;
        let (Some(last), Some(price)) = (self.last_attempt(add), self.price_of(add)) else {
            return Err(format!(
                "the price of the node that came for {name} is not known, and executionPolicy asks for it"
            ));
        };
        let node = NodeCost {
            instance_type: Some(last.instance_type.clone()),
            is_spot: last.capacity_type.as_deref() == Some("spot"),
            name: name.clone(),
            price_hourly: Some(price.hourly()),
            ..NodeCost::default()
        };
        Ok((node, price))
    }

    /// What the node that came costs an hour; `None`: that is not known.
    pub(super) fn price_of(&self, add: &NodeClaimToAdd) -> Option<Money> {
        let name = &add.metadata.name;
        let creation = self.status.nodes_creation.get(name)?;
        price(self.plan, name, creation.attempts.len().checked_sub(1)?, creation.attempts.last()?)
    }

    fn blue_costs(&self, index: u32) -> Vec<NodeCost> {
        let nodes: Vec<&str> = self.blues(index).map(|claim| claim.status.node_name.as_str()).collect();
        let known = self.status.savings.iter().flat_map(|savings| &savings.blue_nodes);
        known.filter(|node| nodes.contains(&node.name.as_str())).cloned().collect()
    }

    /// These nodes against those that come: what is there already at its own price, the rest at what was promised.
    fn balance<'b>(&self, blue: &[NodeCost], green: impl Iterator<Item = &'b NodeClaimToAdd>) -> Balance {
        let mut balance = Balance { blue: blue.iter().map(cost).sum(), promised: Money::ZERO, real: Money::ZERO };
        for add in green {
            let promised = promised(add);
            balance.promised += promised;
            balance.real += self.came(add).map_or(promised, |(_, price)| promised.max(price));
        }
        balance
    }
}

/// What the new node costs in the first of its offerings, for which the plan was made.
pub(super) fn promised(add: &NodeClaimToAdd) -> Money {
    let first = add.alternatives.first().and_then(|first| first.price_hourly.as_deref());
    first.and_then(Money::parse).unwrap_or(Money::ZERO)
}

impl Balance {
    fn saved(self) -> Money {
        self.blue - self.real
    }
}

/// Whether the wave brings its share of what it promised, and the whole plan what it must.
///
/// # Errors
/// What is missing, with the figures.
fn judge(policy: &ExecutionPolicy, wave: Balance, whole: Balance) -> Result<(), String> {
    let promised = wave.blue - wave.promised;
    let threshold = policy.achieved_savings_percentage_threshold.filter(|threshold| *threshold > 0);
    if let Some(threshold) = threshold {
        // A wave that costs may not cost more than it was to.
        if wave.saved() < Percent::whole(i64::from(threshold)).of_money(promised).min(promised) {
            return Err(format!(
                "its new nodes save {} USD an hour of {} that were promised; achievedSavingsPercentageThreshold is {threshold}",
                wave.saved().hourly(),
                promised.hourly()
            ));
        }
    }
    let least = policy.min_achieved_savings_percentage.filter(|least| *least > 0);
    if let Some(least) = least {
        let achieved = whole.saved().percent_of(whole.blue);
        if achieved < Percent::whole(i64::from(least)) {
            return Err(format!("the plan saves {achieved} % with it; minAchievedSavingsPercentage is {least}"));
        }
    }
    Ok(())
}

/// What a node costs an hour; nothing where that is not known.
pub(super) fn cost(node: &NodeCost) -> Money {
    node.price_hourly.as_deref().and_then(Money::parse).unwrap_or(Money::ZERO)
}

/// What went into the judgement of a wave.
fn validated(blue: Vec<NodeCost>, green: Vec<NodeCost>, wave: Balance) -> Savings {
    Savings {
        current_hourly_cost: Some(wave.blue.hourly()),
        current_monthly_cost: Some(wave.blue.monthly()),
        currency: "USD".to_owned(),
        projected_green_nodes: i32::try_from(green.len()).ok(),
        projected_hourly_cost: Some(wave.real.hourly()),
        projected_monthly_cost: Some(wave.real.monthly()),
        projected_savings_cost_hourly: Some(wave.saved().hourly()),
        projected_savings_cost_monthly: Some(wave.saved().monthly()),
        projected_savings_percent: Some(wave.saved().percent_of(wave.blue).to_string()),
        blue_nodes: blue,
        green_nodes: green,
        ..Savings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_brings_its_share_of_what_it_promised_and_the_plan_what_it_must() {
        let money = |cents: i64| Money::micros(cents * 10_000);
        let balance =
            |blue, promised, real| Balance { blue: money(blue), promised: money(promised), real: money(real) };
        let policy = |share: i32, least: i32| ExecutionPolicy {
            achieved_savings_percentage_threshold: Some(share),
            min_achieved_savings_percentage: Some(least),
        };
        let whole = balance(1_000, 500, 600);
        let cases = [
            (policy(0, 0), balance(100, 20, 100), whole, true),
            (policy(80, 0), balance(100, 50, 60), whole, true),
            (policy(80, 0), balance(100, 50, 61), whole, false),
            (policy(100, 0), balance(100, 50, 50), whole, true),
            (policy(80, 0), balance(100, 120, 120), whole, true),
            (policy(80, 0), balance(100, 120, 121), whole, false),
            (policy(0, 40), balance(100, 50, 50), whole, true),
            (policy(0, 41), balance(100, 50, 50), whole, false),
        ];
        for (policy, wave, whole, passes) in cases {
            assert_eq!(judge(&policy, wave, whole).is_ok(), passes, "{policy:?} {wave:?}");
        }
    }
}
