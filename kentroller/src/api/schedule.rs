//! A schedule: makes claims at the times of a cron expression.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kentroller_runtime::{Condition, Conditions, resource};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::RebalancePlanClaimSpec;

#[resource(
    group = "autoscaling.cast.ai",
    version = "v1alpha",
    kind = "RebalancePlanSchedule",
    shortname = "rps",
    category = "kentroller",
    status = ScheduleStatus,
    conditions = ScheduleCondition,
    column("Schedule", string, ".spec.schedule"),
    column("Suspend", boolean, ".spec.suspend"),
    column("Active", integer, ".status.activeCount"),
    column("Last Schedule", date, ".status.lastScheduleTime"),
    column("Age", date, ".metadata.creationTimestamp")
)]
/// Runs rebalancing on a cron schedule: at each of its times it makes one claim from its template.
///
/// ```yaml
/// apiVersion: autoscaling.cast.ai/v1alpha
/// kind: RebalancePlanSchedule
/// metadata: {name: nightly}
/// spec:
///   schedule: "0 2 * * *"
///   timeZone: Europe/Vilnius
///   startingDeadlineSeconds: 3600
///   rebalancePlanClaimTemplate:
///     spec:
///       autoExecute: true
///       minSavingsPercentage: 10
/// ```
pub struct RebalancePlanScheduleSpec {
    /// How many failed, skipped and cancelled claims are kept; the oldest go first. 0 keeps none.
    #[serde(default = "three")]
    #[garde(range(min = 0))]
    pub failed_jobs_history_limit: i32,
    /// Whether claims outlive their schedule.
    #[serde(default = "super::no")]
    pub preserve_history: bool,
    /// What each claim is made from.
    pub rebalance_plan_claim_template: ClaimTemplate,
    /// When to run, as a cron expression of five fields in UTC; macros such as @daily and names of months and weekdays may
    /// be used.
    #[garde(length(chars, min = 1))]
    pub schedule: String,
    /// How late a run may start, in seconds; a time that was missed by more is not caught up. Absent: the operator's
    /// setting, and without one there is no limit.
    #[garde(range(min = 1))]
    pub starting_deadline_seconds: Option<i64>,
    /// How many completed claims are kept; the oldest go first. 0 keeps none.
    #[serde(default = "three")]
    #[garde(range(min = 0))]
    pub successful_jobs_history_limit: i32,
    /// Pauses the schedule; what has started goes on, and the times of the pause are not caught up.
    #[serde(default = "super::no")]
    pub suspend: bool,
    /// The time zone of the schedule, as a name of the IANA database such as Europe/Vilnius. Absent: UTC.
    pub time_zone: Option<String>,
    /// How long after its scheduled time a run may begin new steps, such as 4h; then it ends at its next safe point.
    /// Absent: no limit.
    pub window: Option<String>,
}

fn three() -> i32 {
    3
}

#[resource(part)]
/// What a claim is made from.
#[derive(Default)]
pub struct ClaimTemplate {
    /// Labels and annotations of each claim.
    #[serde(default, skip_serializing_if = "TemplateMetadata::is_empty")]
    #[schemars(schema_with = "super::any_object")]
    #[garde(skip)]
    pub metadata: TemplateMetadata,
    /// The spec of each claim.
    pub spec: RebalancePlanClaimSpec,
}

/// Labels and annotations of each claim of a schedule. Other metadata may be given and means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateMetadata {
    #[serde(deserialize_with = "texts", skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "texts", skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

impl TemplateMetadata {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The CRD lets any value stand here, as the public one does: a number or a boolean is taken as it is written.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let map = match Value::deserialize(from)? {
        Value::Object(map) => map,
        _ => return Ok(None),
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(Some(map.into_iter().map(|(key, value)| (key, text(value))).collect()))
}

#[resource(status)]
/// What a schedule did and will do.
pub struct ScheduleStatus {
    /// The claims that have not ended.
    pub active: Vec<ActiveClaim>,
    /// How many claims have not ended.
    pub active_count: Option<i64>,
    /// What the schedule is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The newest claim.
    pub last_execution: Option<LastExecution>,
    /// The newest time that was dealt with: run, skipped or given up.
    pub last_schedule_time: Option<Timestamp>,
    /// When a claim of this schedule last completed.
    pub last_successful_time: Option<Timestamp>,
    /// When the schedule runs next; absent while it is suspended.
    pub next_schedule_time: Option<Timestamp>,
    /// The generation of the schedule that this status judges.
    pub observed_generation: Option<i64>,
    /// Whether the schedule was suspended when it was last looked at.
    pub suspended: Option<bool>,
}

#[resource(part)]
/// Refers to a claim that has not ended.
#[derive(Default, Eq)]
pub struct ActiveClaim {
    /// The group and version of the claim.
    pub api_version: Option<String>,
    /// A part of the claim, if only that is meant.
    pub field_path: Option<String>,
    /// The kind of the claim.
    pub kind: Option<String>,
    /// The name of the claim.
    pub name: Option<String>,
    /// Always absent: claims have no namespace.
    pub namespace: Option<String>,
    /// The version of the claim, if only that is meant.
    pub resource_version: Option<String>,
    /// The uid of the claim.
    pub uid: Option<String>,
}

#[resource(part)]
/// The newest claim of a schedule.
#[derive(Default, Eq)]
pub struct LastExecution {
    /// The name of the claim.
    pub name: String,
    /// Identifies the plan of the claim.
    pub plan_id: Option<String>,
    /// The state of the claim.
    pub status: Option<String>,
}

/// What `kubectl wait` may ask of a schedule besides the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Conditions)]
#[conditions(summary(
    Scheduled = "It waits for its next time.",
    Suspended = "It is suspended by `spec.suspend`.",
    FeatureDisabled = "The feature rebalancer is off: no claims are made.",
    Paused = "Everything is paused: no claims are made.",
    ScheduleInvalid = "The expression or the time zone cannot be read; the message names the position.",
))]
pub enum ScheduleCondition {
    /// The schedule has a next time.
    #[reasons(
        Scheduled = "The message has the time.",
        Suspended = "It is suspended by `spec.suspend`.",
        FeatureDisabled = "The feature rebalancer is off.",
        Paused = "Everything is paused.",
        ScheduleInvalid = "The expression or the time zone cannot be read; the message names the position."
    )]
    Scheduled,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn template_metadata_takes_what_the_crd_lets_through() {
        let read = |value| serde_json::from_value::<TemplateMetadata>(value).expect("read");
        let given = read(json!({"name": "x", "labels": {"a": "b", "n": 1, "t": true}, "annotations": null}));
        let labels = given.labels.expect("labels");
        assert_eq!(labels.values().collect::<Vec<_>>(), ["b", "1", "true"]);
        assert_eq!(given.annotations, None);
    }
}
