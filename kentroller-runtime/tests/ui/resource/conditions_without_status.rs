use kentroller_runtime::resource;

#[resource(group = "example.com", version = "v1", kind = "Lamp", conditions = LampCondition, states = LampState)]
/// A lamp.
pub struct LampSpec {
    /// Whether it is on.
    pub on: bool,
}

fn main() {}
