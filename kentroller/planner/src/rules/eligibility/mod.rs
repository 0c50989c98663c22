//! What may move: which rules hold a pod where it is, and which hold a node whatever its pods say.

mod nodes;
mod pdbs;
mod pods;
mod pools;
mod strictness;

pub(crate) use nodes::{is_initialized, node_reason, receives};
pub(crate) use pods::{Kind, PodRules, eviction_cost, kind_of, replicas};
pub(crate) use pools::is_consolidated;

const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";
const REMOVAL_DISABLED: &str = "autoscaling.cast.ai/removal-disabled";
/// A pool with `include` is ours to consolidate, whatever its own settings say to Karpenter; one with `exclude` is not.
const CONSOLIDATION: &str = "kentroller.cast.ai/consolidation";
