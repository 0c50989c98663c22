use kentroller_runtime::{Cluster, Cut, Change, Failure, Meta, ObjectKey, Outcome, Reconcile, World, controller, resource};

#[path = "../settings.rs"]
mod settings;

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

/// Says the same more than once.
#[controller(
    of = Cluster,
    watches(Node => all),
    reads(Node),
    writes(Node: patch + patch),
    events(Seen = "It was seen.", warning(Seen = "It was seen."))
)]
pub struct Nodes;

impl Reconcile for Nodes {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(world.outcome(cluster))
    }
}

fn all(_: &Change<'_, Node>, _: &Cut) -> Vec<ObjectKey> {
    vec![ObjectKey::cluster(Cluster::NAME)]
}

fn main() {}
