/// Removes marks that no plan owns.
#[controller(reads(RebalancePlan), writes(Node: patch), settings = crate::Settings)]
impl Reconcile for Sweeper {
    type Of = Cluster;

    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}
