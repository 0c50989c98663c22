//! Lowers the bill of clusters run by Karpenter.

pub mod api;
pub mod backend;
pub mod chart;
pub mod cli;
pub mod controllers;
pub mod cron;
pub mod prices;
pub mod report;
pub mod settings;
#[cfg(feature = "simulation")]
pub mod simulation;

/// The tutorial is a test.
#[cfg(all(doctest, feature = "simulation"))]
#[doc = include_str!("../docs/tutorial.md")]
pub struct Tutorial;
