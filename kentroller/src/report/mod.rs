//! A plan as people and scripts read it.

pub(crate) mod document;
pub mod explain;
pub mod html;
pub mod rehearsal;
pub mod table;

pub use self::document::{Report, Timing};
