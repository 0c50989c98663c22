use kentroller_runtime::resource;

#[resource(
    group = "example.com", version = "v1", kind = "Lamp",
    column("On", bool, ".spec.on"),
    column("Warmth", integer, "spec.warmth"),
    column("Age")
)]
/// A lamp.
pub struct LampSpec {
    /// Whether it is on.
    pub on: bool,
}

fn main() {}
