use kentroller_runtime::resource;

#[resource(group = 5, version = v1, kind = true, plural = lamps::all(), namespaced = "yes", status = 3)]
/// A lamp.
pub struct LampSpec {
    /// Whether it is on.
    pub on: bool,
}

fn main() {}
