//! A plan as people and scripts read it.

mod document;
pub mod explain;
pub mod html;
pub mod table;

pub use self::document::{Report, Timing};
