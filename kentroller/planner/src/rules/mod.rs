//! The scheduler's and Karpenter's rules, one file a family.

pub(crate) mod eligibility;
pub(crate) mod overlay;
pub(crate) mod placement;
pub(crate) mod pool;
pub(crate) mod ports;
pub mod requests;
pub(crate) mod terms;
pub(crate) mod window;
