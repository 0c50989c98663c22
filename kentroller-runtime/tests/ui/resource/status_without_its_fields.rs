use kentroller_runtime::resource;

#[resource(status)]
/// What became of it.
pub struct LampStatus {
    /// Since when it is on.
    #[garde(length(chars, max = 30))]
    pub since: Option<String>,
}

fn main() {}
