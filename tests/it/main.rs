//! One binary for all integration tests.

mod outlines;
mod rebalancing;
mod schedules;
