use kentroller_runtime::resource;

#[resource(part)]
/// One or the other.
pub enum Either {
    Names(Vec<String>),
    Labels(Vec<String>),
}

#[resource(group = "example.com", version = "v1", kind = "Lamp")]
/// A lamp.
pub struct LampSpec(bool);

fn main() {}
