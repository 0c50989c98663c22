//! The kinds: six of ours, and under [`foreign`] what is read of other people's.

mod aggressive;
mod budget;
mod claim;
mod eviction;
pub mod failures;
pub mod foreign;
pub mod marks;
mod migration;
mod node_claim;
mod offering;
mod plan;
mod plan_status;
mod savings;
mod schedule;
mod scope;
#[cfg(test)]
pub(crate) mod sources;
pub mod unread;
mod words;

use kentroller_runtime::generate::OwnKind;
use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) use self::aggressive::DRAIN_TIMEOUT;
pub use self::aggressive::{AggressiveMode, AggressiveModeConfig};
pub use self::budget::{
    BudgetCondition, BudgetStatus, CommitmentBudget, CommitmentBudgetSpec, CommitmentType, ComputeSavingsPlan,
    FamilyPrice, InstanceSavingsPlan, ReservedInstance,
};
pub use self::claim::{
    CapacityChoice, ClaimCondition, ClaimMode, ClaimReason, ClaimState, ClaimStatus, ExecutionPolicy, NodeConstraints,
    RebalancePlanClaim, RebalancePlanClaimSpec, SkippedNode, SortBy, Timeouts, Warning,
};
pub use self::eviction::EvictionConfig;
pub use self::migration::{
    DumpGoal, MigrationEntry, MigrationOptions, MigrationPhase, MigrationProgress, MigrationState, MigrationStatus,
    RebalanceMigrationPlan, RebalanceMigrationPlanSpec,
};
pub use self::node_claim::{NodeClaimResources, NodeClaimSpec, NodeClassRef, NodeRequirement, NodeTaint};
pub use self::offering::{OfferingCapacity, OfferingReason, UnavailableOffering, UnavailableOfferingSpec};
pub use self::plan::{
    Alternative, CompressedData, CompressionAlgorithm, MigrationPolicy, NodeClaimMetadata, NodeClaimToAdd,
    NodeClaimToDelete, PlanCondition, PlanReason, PlanTimeouts, PodToMigrate, RebalancePlan, RebalancePlanSpec,
};
pub use self::plan_status::{
    AchievedOutcome, AttemptStatus, ConsolidationStability, CreationAttempt, DeletionEvent, DeletionPhase,
    DeletionStatus, FailedAttempt, FailedNode, FailurePhase, MeasuredSavings, NodeCreation, NodeDeletion,
    NodePoolBudget, NodeStability, OutcomeDiff, PlanState, PlanStatus, PoolStability, Totals, WavePhase, WaveSavings,
    WaveStatus,
};
pub use self::savings::{NodeCost, Savings};
pub use self::schedule::{
    ActiveClaim, ClaimTemplate, LastExecution, RebalancePlanSchedule, RebalancePlanScheduleSpec, ScheduleCondition,
    ScheduleReason, ScheduleStatus, TemplateMetadata,
};
pub use self::scope::{NodeSelector, NodeSelectorTerm, Scope, SelectorRequirement};
pub use self::words::{FailureReason, SkippedReason};

/// The kinds that no controller reconciles; the others follow from the list of controllers.
pub fn without_controller() -> impl Iterator<Item = OwnKind> {
    unread().chain(OwnKind::of::<UnavailableOffering>())
}

/// The kinds that nothing reads.
fn unread() -> impl Iterator<Item = OwnKind> {
    [OwnKind::of::<RebalanceMigrationPlan>(), OwnKind::of::<CommitmentBudget>()].into_iter().flatten()
}

/// A default that the CRD states, so that printer columns show `false` and not an empty cell.
fn no() -> bool {
    false
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An object that may hold anything.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A Kubernetes quantity: a text or a whole number.
fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "integer" }, { "type": "string" }], "pattern": QUANTITY, "x-kubernetes-int-or-string": true })
}

/// Quantities by name.
fn quantities(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": quantity(generator) })
}

/// The pattern that Kubernetes' own CRDs have for quantities.
const QUANTITY: &str = concat!(
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))",
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
);

#[cfg(test)]
mod tests {
    use super::sources::code_of;
    use crate::controllers::kinds;

    /// What stands after `start` in each line of `api` that has it, up to `end`.
    fn declared(start: &str, end: char) -> Vec<String> {
        let lines = code_of(&["api"]).into_iter().filter(|(file, _)| !file.contains("/foreign/"));
        let found = lines.filter_map(|(_, line)| Some(line.split_once(start)?.1.split(end).next()?.trim().to_owned()));
        found.collect()
    }

    #[test]
    fn no_kind_is_forgotten() {
        let mut declared = declared("    kind = \"", '"');
        let mut known: Vec<String> = kinds().iter().map(|kind| kind.info.kind.to_owned()).collect();
        declared.sort();
        known.sort();
        assert!(kinds().iter().all(|kind| kind.sample.is_some()), "an example stands in the doc comment of each spec");
        assert_eq!(known, declared, "a kind that no controller reconciles is listed in without_controller()");
    }

    #[test]
    fn every_enum_of_words_stands_in_a_field_of_a_kind() {
        let found: Vec<_> = kinds().iter().flat_map(|kind| (kind.words)()).collect();
        let lists: std::collections::BTreeSet<_> = found.iter().map(|words| words.meanings).collect();
        let declared = code_of(&["api"]).iter().filter(|(_, line)| line == "words! {").count();
        assert_eq!((lists.len(), declared > 15), (declared, true), "{found:#?}");
    }
}
