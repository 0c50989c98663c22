/// Removes marks that no plan owns.
#[controller(of = Cluster, reads(RebalancePlan), writes(Node: patch), settings = crate::Settings)]
pub struct Sweeper;

impl Reconcile for Sweeper {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}
