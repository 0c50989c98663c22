//! Disruption budgets of workloads.

use kentroller_planner::manifest::{PdbSpec, PdbStatus};
use kentroller_runtime::{Meta, resource};

#[resource(
    foreign,
    group = "policy",
    version = "v1",
    kind = "PodDisruptionBudget",
    plural = "poddisruptionbudgets",
    namespaced
)]
/// How many pods of a selection may be evicted now.
pub struct PodDisruptionBudget {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: PdbSpec,
    /// `None` until the disruption controller has counted: no eviction is allowed then.
    #[serde(default)]
    pub status: Option<PdbStatus>,
}
