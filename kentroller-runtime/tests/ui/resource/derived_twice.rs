use kentroller_runtime::resource;

#[resource(part)]
/// A part.
#[derive(Clone, Default, serde::Serialize)]
pub struct Part {
    /// A number.
    pub number: i32,
}

fn main() {}
