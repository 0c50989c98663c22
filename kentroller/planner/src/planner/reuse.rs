//! From one cycle to the next: a cluster that the planner sees unchanged has its previous plan.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::Model;
use crate::model::build::model;
use crate::solve::solve;
use crate::value::{Budget, Catalog, InputError, Options, Plan, Snapshot};

/// A plan, and what it was made from.
#[derive(Clone, Debug)]
pub struct PreviousPlan {
    /// The plan.
    pub plan: Plan,
    digest: u64,
}

/// Finds a plan as [`plan`](crate::plan()) does, or returns the previous one where nothing has changed that it depends on.
///
/// A plan depends on the model, not on the snapshot. Time goes on and statuses are written, and neither need change what may
/// go, what must stay or what things cost. The same search with the same budget would end where it did.
///
/// # Errors
/// Input that contradicts itself, such as two nodes of one name.
pub fn plan_again(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    budget: &mut dyn Budget,
    previous: Option<PreviousPlan>,
) -> Result<PreviousPlan, InputError> {
    let model = model(snapshot, catalog, options)?;
    let digest = digest(&model, options);
    match previous.filter(|previous| previous.digest == digest) {
        Some(previous) => Ok(previous),
        None => Ok(PreviousPlan { plan: solve(model, options, budget), digest }),
    }
}

fn digest(model: &Model, options: &Options) -> u64 {
    let mut hasher = DefaultHasher::new();
    (model, options).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Recipe, generate};

    #[test]
    fn a_cluster_that_is_seen_unchanged_is_not_searched_again_and_any_other_is() {
        let catalog = Catalog::embedded();
        let snapshot = generate(Recipe { nodes: 30, seed: 7, constrained: true, held: true }, &catalog);
        let (now, asked) = (snapshot.now, Options::default());
        let first = plan_again(&snapshot, &catalog, &asked, &mut crate::value::Steps(100), None).expect("sound");
        let searched = |snapshot: &Snapshot, catalog: &Catalog, options: &Options| {
            let mut questions = 0;
            let mut budget = |steps: u64| {
                questions += 1;
                u32::try_from(steps * 10).unwrap_or(u32::MAX)
            };
            let again = plan_again(snapshot, catalog, options, &mut budget, Some(first.clone())).expect("sound");
            assert!(questions > 0 || again.plan == first.plan);
            questions > 0
        };
        let changed = |change: &dyn Fn(&mut Snapshot)| {
            let mut changed = snapshot.clone();
            change(&mut changed);
            changed
        };
        let later = changed(&|snapshot| snapshot.now.0 += 600);
        let heard = changed(&|snapshot| {
            for node in &mut snapshot.nodes {
                std::sync::Arc::make_mut(&mut node.status)
                    .conditions
                    .iter_mut()
                    .for_each(|one| one.last_transition_time = Some(now));
            }
        });
        for same in [&snapshot, &later, &heard] {
            assert!(!searched(same, &catalog, &asked));
        }
        let busier = changed(&|snapshot| drop(snapshot.pods.pop()));
        let held = changed(&|snapshot| snapshot.nodes[0].spec.unschedulable = true);
        for other in [&busier, &held] {
            assert!(searched(other, &catalog, &asked));
        }
        assert!(searched(&snapshot, &catalog, &Options { roll: true, ..asked.clone() }));
        assert!(searched(&snapshot, &catalog.clone().with_discount(crate::value::Percent::whole(5)), &asked));
    }
}
