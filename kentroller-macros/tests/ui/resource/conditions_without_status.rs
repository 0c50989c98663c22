use kentroller_runtime::{SummaryOnly, resource};

#[resource(group = "example.com", version = "v1", kind = "Lamp", conditions = SummaryOnly)]
/// A lamp.
pub struct LampSpec {
    /// Whether it is on.
    pub on: bool,
}

fn main() {}
