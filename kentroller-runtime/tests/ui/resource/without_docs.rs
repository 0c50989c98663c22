use kentroller_runtime::resource;

#[resource(group = "example.com", version = "v1", kind = "Lamp")]
pub struct LampSpec {
    pub bright: bool,
    /// How warm its light is, in kelvin.
    pub warmth: i32,
}

fn main() {}
