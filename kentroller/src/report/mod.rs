//! A plan as people and scripts read it.

pub mod answer;
pub(crate) mod document;
pub mod explain;
pub mod html;
pub mod karpenter;
pub mod patch;
pub mod rehearsal;
pub mod table;
pub mod why;
pub mod width;

pub use self::document::{Report, Timing};
