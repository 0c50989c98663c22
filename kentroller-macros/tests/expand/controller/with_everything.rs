/// Makes a claim at each time of a schedule. It keeps its history too.
#[controller(
    of = RebalancePlanSchedule,
    feature = "rebalancer",
    least_interval = "5s",
    owns(RebalancePlanClaim: create + delete),
    reads(Node, NodePool),
    watches(Pod => wake_for_pod),
    writes(NodeClaim: create + delete, Pod: evict, Node: patch),
    asks(Plans),
    finalizes,
    counters(claims(mode, reason) = "Claims that were made"),
    histograms(late_seconds in [0.5, 60] = "How late a claim was made, in seconds"),
    events(ScheduleCreated = "The schedule was first seen.", warning(ScheduleMissed = "A time was missed.")),
)]
pub struct SpotSchedules;

impl Reconcile for SpotSchedules {
    fn reconcile(schedule: &RebalancePlanSchedule, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(schedule))
    }
}
