use kentroller_runtime::resource;

#[resource(group = "example.com", kind = "Lamp")]
/// A lamp.
pub struct LampSpec {
    /// Whether it is on.
    pub on: bool,
}

fn main() {}
