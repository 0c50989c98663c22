//! What Karpenter's own rule would do next, and how a plan makes it needless.

mod course;
mod rule;
mod settle;
mod stability;

pub use self::course::{Consolidation, Course, consolidate, settle_as_karpenter};
pub(crate) use self::settle::{SETTLING, extend, left};
pub use self::stability::{NodeStability, PoolStability, stability};
