use kentroller_runtime::prelude::*;

#[path = "../settings.rs"]
mod settings;

#[derive(Clone, Copy, Debug, Conditions)]
pub enum LampCondition {
    /// It gives light.
    Lit,
}

#[resource(group = "example.com", version = "v1", kind = "Lamp", status = LampStatus)]
/// A lamp, without its conditions.
pub struct LampSpec {
    /// The colour of its light.
    pub colour: String,
}

#[resource(status)]
/// What became of a lamp.
pub struct LampStatus {
    /// What it is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
}

/// Lights lamps.
#[controller(of = Lamp)]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(lamp: &Lamp, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(lamp);
        out.condition(LampCondition::Lit, true, "Lit", "");
        Ok(out)
    }
}

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

/// Would tell something on a kind that has no place for it.
#[controller(of = Node)]
pub struct Nodes;

impl Reconcile for Nodes {
    fn reconcile(node: &Node, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(node);
        out.ready(true, "Fine", "");
        Ok(out)
    }
}

fn main() {}
