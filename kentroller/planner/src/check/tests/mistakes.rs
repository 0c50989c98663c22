//! Mistakes seeded into plans that hold: every one must be found.
use super::{
    Scene, judged, Case,
    scene::{labels, read, step},
};
use crate::{CapacityType, Kept, KeptReason, Money, Quantity, Wave};

const MISTAKES: [Case; 2] = [
    ("x", |_| {}, &[]),
    ("x", |_| {}, &[]),
];
