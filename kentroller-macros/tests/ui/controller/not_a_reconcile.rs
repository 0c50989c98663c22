use kentroller_runtime::controller;

pub struct Lamps;

/// Another trait.
#[controller(reads())]
impl Default for Lamps {
    fn default() -> Self {
        Self
    }
}

/// No impl at all.
#[controller()]
pub struct Others;

fn main() {}
