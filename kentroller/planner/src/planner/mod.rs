//! The way from a snapshot to a plan.

pub(crate) mod reuse;

use crate::model::build::model;
use crate::solve::solve;
use crate::value::{Budget, Catalog, InputError, Options, Plan, Snapshot};

/// Finds the cheapest set of nodes for a cluster.
///
/// Pure and deterministic for a budget of steps. The plan may have no wave; [`Plan::nothing`] then says why.
///
/// # Errors
/// Input that contradicts itself, such as two nodes of one name.
pub fn plan(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    budget: &mut dyn Budget,
) -> Result<Plan, InputError> {
    Ok(solve(model(snapshot, catalog, options)?, options, budget))
}
