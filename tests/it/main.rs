//! One binary for all integration tests.

mod architecture;
mod beside;
mod builds;
mod configuration;
mod conformance;
mod continuous;
mod crashes;
mod determinism;
mod drains;
mod features;
mod gate;
mod idle;
mod layers;
mod losses;
mod outlines;
mod pace;
mod pages;
mod pause;
mod protection;
mod readiness;
mod rebalancing;
mod records;
mod rights;
mod schedules;
mod turns;
mod wrong_input;
