use std::time::Duration;

use kentroller_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub room: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Colour {
    Red,
}

#[resource(group = "example.com", version = "v1", kind = "Lamp")]
/// A lamp.
pub struct LampSpec {
    /// How long it burns.
    pub burns: Duration,
    /// Where it hangs.
    pub place: Place,
    /// The colour of its light.
    pub colour: Colour,
}

fn main() {}
