use std::time::{Duration, Instant};

use kentroller_runtime::prelude::*;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    pub room: String,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Colour {
    Red,
}

#[resource(group = "example.com", version = "v1", kind = "Lamp")]
/// A lamp.
pub struct LampSpec {
    /// How long it burns.
    pub burns: Duration,
    /// Since when.
    pub since: Instant,
    /// Where it hangs.
    pub place: Place,
    /// The colour of its light.
    pub colour: Colour,
}

fn main() {}
