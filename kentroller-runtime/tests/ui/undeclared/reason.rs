use kentroller_runtime::prelude::*;

#[path = "../settings.rs"]
mod settings;

#[resource(group = "example.com", version = "v1", kind = "Lamp", status = LampStatus, conditions = LampCondition)]
/// A lamp.
pub struct LampSpec {
    /// Whether it is to give light.
    pub wanted: bool,
}

#[resource(status)]
/// What became of a lamp.
pub struct LampStatus {
    /// What it is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
}

#[derive(Clone, Copy, Conditions)]
#[conditions(summary(Switched = "Somebody switched it."))]
pub enum LampCondition {
    /// It gives light.
    #[reasons(Switched = "Somebody switched it.")]
    Lit,
}

/// Says why in words that are not declared.
#[controller(of = Lamp)]
pub struct Lamps;

impl Reconcile for Lamps {
    fn reconcile(lamp: &Lamp, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
        let mut out = world.outcome(lamp);
        out.condition(LampCondition::Lit, true, LampReason::Swiched, "It is on.");
        out.ready(true, "Switched", "It is on.");
        Ok(out)
    }
}

fn main() {}
