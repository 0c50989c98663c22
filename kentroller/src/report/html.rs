//! Reports as pages of one file each: no script, font or picture comes from elsewhere, and all is there without a script.

mod chart;
mod fill;
mod page;
mod plan;
mod rehearsal;
#[cfg(test)]
mod tests;

pub use self::fill::{Fill, fills};
pub use self::plan::plan;
pub use self::rehearsal::rehearsal;
