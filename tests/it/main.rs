//! One binary for all integration tests.

mod architecture;
mod builds;
mod configuration;
mod conformance;
mod crashes;
mod determinism;
mod features;
mod idle;
mod layers;
mod outlines;
mod pages;
mod protection;
mod rebalancing;
mod records;
mod rights;
mod schedules;
mod wrong_input;
