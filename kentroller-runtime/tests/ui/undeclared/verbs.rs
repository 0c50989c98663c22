use kentroller_runtime::prelude::*;

#[path = "../settings.rs"]
mod settings;

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

#[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", namespaced)]
pub struct Pod {
    pub metadata: Meta,
}

/// May delete another kind, and nothing else.
#[controller(of = Cluster, writes(Pod: delete))]
pub struct Nodes;

impl Reconcile for Nodes {
    fn reconcile(cluster: &Cluster, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(cluster);
        for node in world.all::<Node>() {
            out.create(node);
            out.merge(node, Default::default());
            out.delete(node);
            out.evict(node);
            out.add_finalizer(node, "example.com/nodes");
        }
        Ok(out)
    }
}

fn main() {}
