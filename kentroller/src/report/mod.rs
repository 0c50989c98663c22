//! A plan as people and scripts read it.
pub mod explain;
pub mod html;
mod json;
pub mod table;

pub use json::{Report, Timing};
