//! The world around the operator, simulated: Karpenter, kube-scheduler, kubelets and the controllers of workloads, acting on the
//! in-process API server under virtual time.
//!
//! Data flow: every committed write goes to `seen`; the actors (`workloads`, `scheduler`, `kubelet`, `karpenter`) look at it
//! in rounds that `world` drives, and write with `hands`.

mod actor;
mod catalogue;
mod conditions;
mod copy;
mod drift;
mod entropy;
mod hands;
mod karpenter;
mod kubelet;
mod ledger;
mod oracle;
mod readings;
mod room;
mod scheduler;
mod seen;
#[cfg(test)]
mod stage;
mod timings;
mod workloads;
mod world;

pub use catalogue::{CSV, Catalogue, Offering, REGION, Row, Sold, ZONES};
pub use copy::{Dumped, Measured, Uncopied};
pub use drift::{Drift, Drifted};
pub use entropy::Entropy;
pub use ledger::{Ledger, Tally};
pub use oracle::{Oracle, Violation};
pub use room::Amounts;
pub use timings::{Faults, Timings};
pub use world::{Setup, World, kinds, pods_not_running, price_per_hour};
