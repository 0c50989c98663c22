//! The one reading of the rules by which we decide: kube-scheduler's, Karpenter's, and those of our own marks.
//!
//! Pure functions over objects as they come over the wire, for whoever plans or acts on what is planned:
//!
//! | question | answer |
//! | --- | --- |
//! | What holds a pod where it runs, and by which field of which object? | [`PodRules::holds`], [`PodRules::verdict`] |
//! | What holds a node, whatever its pods say? May it be given pods? | [`ObservedNode::holds`], [`ObservedNode::receives`] |
//! | How many nodes of a pool may be disrupted now? | [`budget()`] |
//! | Has a pod a place on a node? | [`fits()`] |
//!
//! Terms between pods (affinity, spread) are in `terms`; what they leave depends on the whole cluster, so the model counts it.
//! [`check`](crate::check) is a second reading, on purpose.

mod budget;
mod fits;
mod node;
pub(crate) mod overlay;
mod pdb;
pub(crate) mod placement;
mod pod;
pub(crate) mod pool;
pub(crate) mod ports;
pub mod requests;
mod strictness;
pub(crate) mod terms;
mod verdict;
mod volumes;
pub(crate) mod window;

pub(crate) use self::budget::is_consolidated;
pub use self::budget::{Allowance, DisruptionReason, budget};
pub use self::fits::{Misfit, fits};
pub use self::node::{ObservedNode, expires_at};
pub(crate) use self::pod::replicas;
pub use self::pod::{PodRole, PodRules, Surroundings};
pub use self::verdict::{Fact, Verdict};
pub use self::volumes::Volumes;
