use kentroller_runtime::prelude::*;

words! {
    /// Of a door, without arrows.
    pub enum DoorState {
        /// One can go through.
        Open,
        /// One cannot.
        Shut,
    }
}

#[resource(
    group = "example.com", version = "v1", kind = "Door", status = DoorStatus, states = DoorState,
    column("Colour", string, ".spec.color"), column("State", string, ".status.stat")
)]
/// A door.
pub struct DoorSpec {
    /// What it is painted with.
    pub colour: String,
}

#[resource(group = "example.com", version = "v1", kind = "Gate", status = DoorStatus)]
/// A gate, whose states nobody said.
pub struct GateSpec {
    /// What it is painted with.
    pub colour: String,
}

#[resource(status)]
/// What became of it.
pub struct DoorStatus {
    /// Whether one can go through.
    pub state: Option<DoorState>,
    /// What it is and is not, for machines.
    pub conditions: Vec<Condition>,
    /// The generation that this status judges.
    pub observed_generation: Option<i64>,
}

fn main() {}
