//! The shipped program on a real control plane: API server, scheduler, controllers and Karpenter, with fake machines.
//! `cargo e2e` builds all of that the first time; see `controlplane/README.md`.
#![allow(clippy::print_stdout, reason = "whoever runs the suite follows it on a terminal")]

mod cluster;
mod conformance;
mod install;
mod look;
mod operator;
mod rebalancing;
mod refusals;
mod shadow;
mod wait;
mod witness;
