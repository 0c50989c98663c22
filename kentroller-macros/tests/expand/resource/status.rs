#[resource(status)]
/// What became of it.
pub struct ScheduleStatus {
    /// What it is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
    /// How many claims run.
    pub active_count: Option<u32>,
}
