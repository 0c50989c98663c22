use kentroller_runtime::resource;

#[resource(part)]
/// Words that garde would check and the API server would not.
pub struct Texts {
    /// A text.
    #[garde(prefix("a"), suffix("z"))]
    pub framed: String,
    /// A text.
    #[garde(ascii)]
    pub plain: Option<String>,
    /// A text.
    #[garde(custom(check))]
    pub checked: String,
    /// Texts.
    #[garde(inner(alphanumeric))]
    pub letters: Vec<String>,
    /// An address.
    #[garde(ip)]
    pub address: String,
    /// The same again.
    #[garde(matches(address), if(cond = true, skip))]
    pub again: String,
}

fn main() {}
