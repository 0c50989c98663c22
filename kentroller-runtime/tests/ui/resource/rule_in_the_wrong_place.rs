use kentroller_runtime::resource;

#[resource(part)]
/// A part.
#[rule("self.least <= self.greatest", text = "wrong way round")]
pub struct Part {
    /// A number.
    #[rule("self > 0")]
    pub least: i32,
    /// A number.
    #[required]
    pub greatest: i32,
}

fn main() {}
