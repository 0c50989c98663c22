//! Settings that switch nothing, for the controllers of these cases.

use kentroller_runtime::Switches;

#[derive(Debug)]
pub struct Settings;

impl Switches for Settings {}
