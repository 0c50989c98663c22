use kentroller_runtime::{Cluster, Failure, Outcome, Reconcile, World, controller};

mod settings {
    #[derive(Debug)]
    pub struct Settings {
        pub search: bool,
        pub limit: u32,
    }

    impl kentroller_runtime::Switches for Settings {}
}

/// Misspells its feature.
#[controller(of = Cluster, feature = "serch")]
pub struct Searcher;

/// Names a setting that is no switch.
#[controller(of = Cluster, feature = "limit")]
pub struct Limiter;

impl Reconcile for Searcher {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

impl Reconcile for Limiter {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn main() {}
