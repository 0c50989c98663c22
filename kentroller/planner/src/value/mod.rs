//! What goes in and what comes out, as plain values.

mod advice;
mod budget;
mod catalog;
pub(crate) mod labels;
mod money;
mod options;
mod plan;
mod resting;
mod rng;
mod snapshot;
mod words;

pub use self::advice::{Advice, Patch};
pub(crate) use self::budget::Pace;
pub use self::budget::{Budget, Steps};
pub use self::catalog::{CapacityType, Catalog, CatalogError, InstanceType, Offer, Priced};
pub use self::money::{HOURS_A_MONTH, Money, Percent};
pub use self::options::{
    Aggressive, EvictionRule, EvictionTarget, Flag, Headroom, Mode, MoveLimit, Options, Scope, SortBy, Strictness,
};
pub use self::plan::{
    Blocker, Cheapest, CurvePoint, Kept, KeptReason, LowerBound, Move, NewNode, Nothing, Offering, Plan, Rule, Wave,
};
pub use self::resting::Resting;
pub(crate) use self::rng::Rng;
pub use self::snapshot::{InputError, Snapshot, Warning};
pub(crate) use self::words::words;
