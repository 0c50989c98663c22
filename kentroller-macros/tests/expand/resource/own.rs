#[resource(
    group = "autoscaling.cast.ai",
    version = "v1alpha",
    kind = "RebalancePlanSchedule",
    shortname = "rps",
    category = "kentroller",
    status = ScheduleStatus,
    conditions = ScheduleCondition,
    states = ScheduleState,
    column("Schedule", string, ".spec.schedule"),
    column("Age", date, ".metadata.creationTimestamp", priority = 1)
)]
/// Runs rebalancing on a cron schedule.
#[rule("size(self.schedule) > 0", message = "say when")]
#[derive(Default)]
pub struct RebalancePlanScheduleSpec {
    /// When to run.
    #[garde(length(chars, min = 1))]
    pub schedule: String,
    /// How many failed claims are kept.
    #[serde(default = "three")]
    pub failed_jobs_history_limit: i32,
    /// Which nodes.
    pub scope: Option<Scope>,
    /// Whether it rests.
    pub suspend: bool,
}
