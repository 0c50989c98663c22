use std::time::Duration;

use kentroller_runtime::Settings;

#[derive(Settings)]
pub struct Lamps {
    /// A number.
    #[setting(env = "LAMPS", default = -3)]
    pub lamps: u16,
    /// A duration.
    #[setting(env = "PERIOD", default = 30)]
    pub period: Duration,
    /// A switch.
    #[setting(env = "ON", default = "yes", range(0, 1))]
    pub on: bool,
    /// A number.
    #[setting(env = "WARMTH", default = WARMTH, range(1))]
    pub warmth: u16,
}

fn main() {}
