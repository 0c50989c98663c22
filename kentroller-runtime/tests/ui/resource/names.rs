use kentroller_runtime::resource;

#[resource(group = "example.com", version = "v1", kind = "Policy")]
/// The spec is named as its kind, and the plural is irregular.
pub struct Policy<T> {
    /// Whether it is on.
    pub on: T,
}

#[resource(group = "example.com", version = "v1", kind = "Two Words")]
/// Not a name.
pub struct TwoSpec {
    /// Whether it is on.
    pub on: bool,
}

fn main() {}
