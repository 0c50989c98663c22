//! Settings that switch nothing, for the controllers of these cases.

use kentroller_runtime::{Mode, Switches};

#[derive(Debug)]
pub struct Settings;

impl Switches for Settings {
    fn mode(&self) -> Mode {
        Mode::Act
    }
    fn enabled(&self, _: &str) -> bool {
        true
    }
    fn workers(&self) -> usize {
        1
    }
}
