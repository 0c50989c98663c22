#[derive(Clone, Copy, Debug, Conditions)]
pub enum ScheduleCondition {
    /// The next time is known
    /// and will be kept.
    Scheduled,
    /// A claim is running.
    Active,
}
