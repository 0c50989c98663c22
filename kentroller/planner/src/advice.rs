//! What other settings would save. Each change is made to a copy of the input, and the lower bounds are compared.
//!
//! So an advice tells the most that a change could save. The search may find less. Advice uses time that the plan left.

use crate::bound::bound;
use crate::manifest::marks::{AWS_INSTANCE, CAPACITY_TYPE, INSTANCE_TYPE};
use crate::manifest::{NodePool, Operator, Requirement};
use crate::model::build::model;
use crate::solution::State;
use crate::value::{
    Advice, Aggressive, Budget, CapacityType, Catalog, KeptReason, Money, Options, Pace, Percent, Plan, Rule, Snapshot,
};

/// A change that saves a smaller share of the bound is not told, as the bound itself is hardly more exact. Unit: percent.
const LEAST: i64 = 2;
/// At most so many are told.
const MOST: usize = 5;
/// Thousandths of the budget that the first change is thought to take to judge.
const FIRST: u32 = 200;

/// A change of settings.
enum Change {
    /// A pool without its requirements on a label.
    Without { pool: usize, key: String },
    /// A pool that may buy spot capacity too.
    Spot { pool: usize },
    /// A flag of claims.
    Lifted { flag: &'static str, what: &'static str },
}

/// What a plan meets that a flag lifts.
enum Met {
    Kept(KeptReason),
    Blocks(Rule),
}

/// What is met, the flag that lifts it, and what could happen then.
const LIFTS: [(Met, &str, &str); 6] = [
    (Met::Blocks(Rule::Bare), "ignoreProblemPodsWithoutController", "pods without a controller could go"),
    (Met::Blocks(Rule::Job), "ignoreProblemJobPods", "Job pods could be moved"),
    (
        Met::Blocks(Rule::RemovalDisabled),
        "ignoreProblemRemovalDisabledPods",
        "pods marked removal-disabled could be moved",
    ),
    (
        Met::Kept(KeptReason::RemovalDisabled),
        "ignoreProblemRemovalDisabledNodes",
        "nodes marked removal-disabled could go",
    ),
    (
        Met::Kept(KeptReason::BudgetZero),
        "ignoreZeroNodePoolDisruptionBudgets",
        "NodePools with a budget of zero could be touched",
    ),
    (Met::Kept(KeptReason::NotConsolidatable), "ignoreConsolidatable", "nodes that are not Consolidatable could go"),
];

/// The changes that would save most, the best first.
pub(crate) fn advice(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    plan: &Plan,
    budget: &mut dyn Budget,
) -> Vec<Advice> {
    let Some(bound) = plan.lower_bound.as_ref().map(|bound| bound.hourly).filter(|_| !options.roll) else {
        return Vec::new();
    };
    let least = Percent::whole(LEAST).of_money(bound).max(Money::micros(1));
    let mut longest = FIRST;
    let mut found = Vec::new();
    for change in changes(snapshot, catalog, plan) {
        let began = budget.used(plan.steps);
        if began.saturating_add(longest) >= 1000 {
            break;
        }
        let saves = bound - change.bound(snapshot, catalog, options).unwrap_or(bound);
        if saves >= least {
            found.push(Advice { text: change.text(snapshot, bound - saves), saves });
        }
        longest = longest.max(budget.used(plan.steps).saturating_sub(began));
    }
    found.sort_by(|a, b| b.saves.cmp(&a.saves).then_with(|| a.text.cmp(&b.text)));
    found.truncate(MOST);
    found
}

fn changes(snapshot: &Snapshot, catalog: &Catalog, plan: &Plan) -> Vec<Change> {
    let mut changes = Vec::new();
    let has_spot = catalog
        .types(&plan.region)
        .any(|priced| priced.offers.iter().any(|offer| offer.capacity_type == CapacityType::Spot && offer.available));
    for (pool, of) in snapshot.node_pools.iter().enumerate() {
        let requirements = &of.spec.template.spec.requirements;
        let mut keys: Vec<&String> = requirements.iter().map(|one| &one.key).filter(|key| is_choice(key)).collect();
        keys.sort();
        keys.dedup();
        changes.extend(keys.into_iter().map(|key| Change::Without { pool, key: key.clone() }));
        if has_spot && !requirements.iter().any(|one| one.key == CAPACITY_TYPE && admits_spot(one)) {
            changes.push(Change::Spot { pool });
        }
    }
    let kept = |reason: KeptReason| plan.kept.iter().any(|kept| kept.reason == reason);
    let blocks = |rule: Rule| plan.kept.iter().flat_map(|kept| &kept.blockers).any(|blocker| blocker.rule == rule);
    let lifts = LIFTS.iter().filter(|(met, ..)| match met {
        Met::Kept(reason) => kept(*reason),
        Met::Blocks(rule) => blocks(*rule),
    });
    changes.extend(lifts.map(|(_, flag, what)| Change::Lifted { flag, what }));
    changes
}

/// Whether a label is about the machines of a pool. A requirement on it is somebody's choice, not a need of a pod.
fn is_choice(key: &str) -> bool {
    key == INSTANCE_TYPE || key.starts_with(AWS_INSTANCE)
}

fn admits_spot(requirement: &Requirement) -> bool {
    requirement.expression().admits(Some(CapacityType::Spot.as_str())) == Some(true)
}

impl Change {
    /// What no plan could be below with this change.
    fn bound(&self, snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Option<Money> {
        let (mut snapshot, mut options) = (snapshot.clone(), options.clone());
        match self {
            Self::Without { pool, key } => requirements(&mut snapshot.node_pools[*pool]).retain(|one| one.key != *key),
            Self::Spot { pool } => {
                let all = requirements(&mut snapshot.node_pools[*pool]);
                all.retain(|one| one.key != CAPACITY_TYPE);
                all.push(Requirement {
                    key: CAPACITY_TYPE.to_owned(),
                    operator: Operator::In,
                    values: [CapacityType::OnDemand, CapacityType::Spot].map(|one| one.as_str().to_owned()).to_vec(),
                    min_values: None,
                });
            }
            Self::Lifted { flag, .. } => Aggressive::flag(flag)?(&mut options.aggressive),
        }
        let model = model(&snapshot, catalog, &options).ok()?;
        let unhurried = &mut |_| 0;
        Some(bound(&State::of(&model, options.reserve), &mut Pace::of(unhurried)).hourly)
    }

    fn text(&self, snapshot: &Snapshot, could_cost: Money) -> String {
        let name = |pool: usize| &snapshot.node_pools[pool].metadata.name;
        let (who, condition) = match self {
            Self::Without { pool, key } => {
                let told: Vec<String> = snapshot.node_pools[*pool]
                    .spec
                    .template
                    .spec
                    .requirements
                    .iter()
                    .filter(|one| one.key == *key)
                    .map(|one| format!("{key} {:?} {}", one.operator, one.values.join(",")))
                    .collect();
                (format!("NodePool {}", name(*pool)), format!("it did not require {}", told.join(" and ")))
            }
            Self::Spot { pool } => (format!("NodePool {}", name(*pool)), "it allowed spot capacity".to_owned()),
            Self::Lifted { flag, what } => (format!("aggressive {flag}"), (*what).to_owned()),
        };
        format!("{who}: if {condition}, the cluster could cost as little as {could_cost} USD/h")
    }
}

fn requirements(pool: &mut NodePool) -> &mut Vec<Requirement> {
    &mut pool.spec.template.spec.requirements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Recipe, generate};
    use crate::plan;
    use crate::value::Steps;

    #[test]
    fn every_flag_that_is_told_of_is_one_of_claims() {
        assert!(LIFTS.iter().all(|(_, flag, _)| Aggressive::flag(flag).is_some()));
    }

    #[test]
    fn a_requirement_that_costs_is_told_with_what_it_costs_and_nothing_else_is() {
        let catalog = Catalog::embedded();
        let mut snapshot = generate(Recipe { nodes: 20, seed: 3, constrained: false, held: false }, &catalog);
        for node in &mut snapshot.nodes {
            // Whatever can be bought is cheaper than what is there.
            std::sync::Arc::make_mut(&mut node.metadata.labels).insert(INSTANCE_TYPE.to_owned(), "m5.metal".to_owned());
        }
        let asked = Options::default();
        let told = |snapshot: &Snapshot| {
            let plan = plan(snapshot, &catalog, &asked, &mut Steps(100)).expect("sound");
            let advice = advice(snapshot, &catalog, &asked, &plan, &mut |_: u64| 0);
            (plan.lower_bound.expect("a bound").hourly, advice)
        };
        let dear = "karpenter.k8s.aws/instance-family";
        let all =
            requirements(snapshot.node_pools.iter_mut().find(|pool| &*pool.metadata.name == "general").expect("it"));
        all.push(Requirement {
            key: dear.to_owned(),
            operator: Operator::In,
            values: vec!["m5".to_owned(), "m6g".to_owned()],
            min_values: None,
        });
        let (bound_with, with) = told(&snapshot);
        let first = with.first().expect("an advice");
        assert!(first.text.contains(dear) && first.text.contains("m5,m6g"), "{first:?}");
        requirements(snapshot.node_pools.iter_mut().find(|pool| &*pool.metadata.name == "general").expect("it")).pop();
        let (bound_without, without) = told(&snapshot);
        let lower = bound_with - bound_without;
        assert!((first.saves - lower).as_micros().abs() * 100 <= lower.as_micros(), "{first:?}: {lower}");
        assert!(without.iter().all(|advice| !advice.text.contains(dear)));
        let late = |_: u64| 900;
        let plan = plan(&snapshot, &catalog, &asked, &mut Steps(100)).expect("sound");
        assert_eq!(
            advice(&snapshot, &catalog, &asked, &plan, &mut { late }),
            [],
            "what takes longer than there is time"
        );
        assert_eq!(told(&Snapshot { node_pools: Vec::new(), ..snapshot }).1, []);
    }
}
