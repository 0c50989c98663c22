//! The cheapest set of nodes for a cluster, as plain values.
//!
//! In: a [`Snapshot`] of the cluster, a [`Catalog`] of what can be bought, [`Options`] of a claim and a [`Budget`].
//! Out: a [`Plan`] of waves. Nothing here reads a clock, a file or a network.
mod advice;
mod bound;
mod budget;
mod build;
mod catalog;
pub mod check;
mod cluster;
mod construct;
mod dice;
mod eligibility;
mod fill;
#[cfg(any(test, feature = "generate"))]
pub mod floor;
mod former;
#[cfg(any(test, feature = "generate"))]
pub mod generate;
mod improve;
pub mod karpenter;
mod keep;
mod kinds;
pub mod manifest;
mod market;
mod moment;
mod money;
mod naming;
mod options;
mod plan;
mod planner;
mod quantity;
pub mod requests;
mod rules;
mod schedule;
mod search;
mod select;
mod shelf;
mod shrink;
mod snapshot;
mod stable;
mod state;
mod swap;
mod waiting;
mod waves;
mod wishes;
mod yard;

pub use budget::{Budget, Steps};
pub use catalog::{CapacityType, Catalog, CatalogError, InstanceType, Offer, Priced};
pub use former::{Former, plan_again};
pub use moment::{Moment, parse_span};
pub use money::{HOURS_A_MONTH, Money, Percent};
pub use options::{
    Aggressive, EvictionRule, EvictionTarget, Flag, Headroom, Mode, MoveLimit, Options, Scope, SortBy, Strictness,
};
pub use plan::{
    Advice, Blocker, CurvePoint, Kept, KeptReason, LowerBound, Move, NewNode, Nothing, Offering, Plan, Rule, Wave,
};
pub use planner::plan;
pub use quantity::{Quantity, QuantityError};
pub use snapshot::{InputError, Snapshot, Warning};
