//! The cheapest set of nodes for a cluster, as plain values.
//!
//! In: a [`Snapshot`] of the cluster, a [`Catalog`] of what can be bought, [`Options`] of a claim and a [`Budget`].
//! Out: a [`Plan`] of waves. Nothing here reads a clock, a file or a network.

#![warn(missing_docs)]

// In layers: each may name itself and those that stand before it.
#[expect(missing_docs, reason = "fields mean what the API that they are read from says")]
pub mod manifest;
mod value;

pub mod rules;

mod model;

mod solution;

pub mod bound;
mod search;
mod waves;

pub mod consolidation;

mod solve;

mod planner;

mod judged;

mod advice;

// Beside them: the judge of a plan, which names `manifest` and `value` only, and clusters for tests.
pub mod check;
#[cfg(any(test, feature = "generate"))]
pub mod generate;

pub use advice::plan_advised;
pub use judged::{Judged, plan_judged};
pub use manifest::{Moment, Quantity, QuantityError, parse_span};
pub use model::standing::{Standing, standings};
pub use planner::plan;
pub use planner::reuse::{PreviousPlan, plan_again};
pub use value::{
    Advice, Aggressive, Blocker, Budget, CapacityType, Catalog, CatalogError, Cheapest, CurvePoint, EvictionRule,
    EvictionTarget, Flag, HOURS_A_MONTH, Headroom, InputError, InstanceType, Kept, KeptReason, LowerBound, Mode, Money,
    Move, MoveLimit, NewNode, Nothing, Offer, Offering, Options, Patch, Percent, Plan, Priced, Resting, Rule, Scope,
    Snapshot, SortBy, Steps, Strictness, Warning, Wave,
};
