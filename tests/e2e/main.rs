//! The shipped program on a real control plane: API server, scheduler, controllers and Karpenter, with fake machines.
//! `cargo e2e` builds all of that the first time; see `controlplane/README.md`. The tests take turns on one cluster, some
//! ten minutes together; logs are in `target/tmp/e2e`.
//!
//! | variable | what it does |
//! | --- | --- |
//! | `KENTROLLER_E2E_KUBECONFIG` | names a fresh cluster with Karpenter and its kwok provider, to be used instead of an own one |
//! | `KENTROLLER_CONTROLPLANE_DIR` | names the folder of the built control plane |
//! | `KENTROLLER_E2E_NODES` | how many nodes the cluster grows to; default 30 |
//! | `KENTROLLER_E2E_BESIDE=1` | Karpenter consolidates while the drifted cluster is rebalanced: what it undoes is told, not asserted |
//! | `KENTROLLER_E2E_RECORD=1` | writes `e2e/recorded/answers.json` anew |
#![allow(clippy::print_stdout, reason = "whoever runs the suite follows it on a terminal")]

mod chart;
mod cluster;
mod commands;
mod conformance;
mod install;
mod look;
mod operator;
mod rebalancing;
mod refusals;
mod shadow;
mod wait;
mod witness;
