//! What Karpenter's own rule would do next, and how a plan makes it needless.

mod rule;
mod settle;

pub use self::rule::consolidate;
pub(crate) use self::settle::{SETTLING, extend, left};
