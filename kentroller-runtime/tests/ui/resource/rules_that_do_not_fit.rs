use std::collections::BTreeMap;

use kentroller_runtime::resource;

#[resource(part)]
/// Rules on fields of another type.
pub struct Bounds {
    /// A text.
    #[garde(length(min = 1))]
    pub bytes: String,
    /// A text.
    #[garde(range(min = 1))]
    pub text: String,
    /// A number.
    #[garde(length(max = 3))]
    pub number: Option<i32>,
    /// A list.
    #[garde(length(chars, max = 3))]
    pub list: Vec<String>,
    /// A list.
    #[garde(inner(length(min = 1)))]
    pub texts: Vec<String>,
    /// A map.
    #[garde(length(max = 3))]
    pub map: BTreeMap<String, i32>,
    /// A number.
    #[garde(rnage(max = 3))]
    pub misspelled: i32,
}

fn main() {}
