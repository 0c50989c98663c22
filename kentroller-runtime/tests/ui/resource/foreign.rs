use kentroller_runtime::resource;

#[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", status = PodStatus)]
pub struct Pod {
    pub spec: String,
}

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
#[rule("true")]
pub struct Node {
    pub spec: String,
}

#[resource(part, status)]
/// Two things at once.
pub struct Part {
    /// A number.
    pub number: i32,
}

fn main() {}
