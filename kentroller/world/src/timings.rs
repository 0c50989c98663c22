//! How long things take in the simulated world, and what goes wrong there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::catalogue::Offering;

/// How long things take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From a write to what the world makes of it; also what a change in one actor takes to be seen by the next.
    pub reaction: Duration,
    /// From a NodeClaim to its instance (Launched).
    pub launch: Duration,
    /// From the instance to its Node object (Registered).
    pub boot: Duration,
    /// From the Node object to Ready (Initialized).
    pub node_ready: Duration,
    /// From binding to Ready, on average; a pod takes half to one and a half of it.
    pub pod_start: Duration,
    /// From the deletion of a running pod to its end; never longer than its grace period.
    pub pod_stop: Duration,
    /// By uid of an owner: what its pods take to start, where that is known.
    pub starts: BTreeMap<String, Duration>,
    /// From the order to terminate an instance to its end.
    pub terminate: Duration,
}

impl Default for Timings {
    /// A fast cloud: a node is there 40 s after it was asked for.
    fn default() -> Self {
        Self {
            reaction: Duration::from_millis(50),
            launch: Duration::from_secs(3),
            boot: Duration::from_secs(27),
            node_ready: Duration::from_secs(10),
            pod_start: Duration::from_secs(4),
            pod_stop: Duration::from_secs(2),
            terminate: Duration::from_secs(20),
            starts: BTreeMap::new(),
        }
    }
}

/// What goes wrong. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Offerings without capacity: a claim that leaves no other choice is deleted at once.
    pub exhausted: BTreeSet<Offering>,
    /// How many launches in a hundred take `slow_launch` instead of `Timings::launch`.
    pub slow_percent: usize,
    pub slow_launch: Duration,
    /// How many instances in a hundred never join the cluster.
    pub lost_percent: usize,
    /// Uids of owners whose pods start and are not Ready, as long as the uid is here. Those that are Ready already stay so.
    pub crashing: BTreeSet<String>,
}
