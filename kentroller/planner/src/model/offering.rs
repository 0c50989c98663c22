//! What can be bought, as a bin.

use super::{TermCount, Vector};
use crate::rules::placement::Place;
use crate::value::{CapacityType, Money};

/// An offering as a bin.
#[derive(Clone, Debug, Hash)]
pub(crate) struct NewNodeOption {
    pub pool: usize,
    pub pool_name: String,
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: CapacityType,
    pub price: Money,
    pub allocatable: Vector,
    /// What the DaemonSets of such a node ask for.
    pub daemons: Vector,
    /// Host ports of those DaemonSets, as protocol and port.
    pub daemon_ports: Vec<(String, i32)>,
    /// The same as counts of the terms that host ports are.
    pub term_counts: Vec<TermCount>,
    pub place: Place,
    pub signature: usize,
    /// What it takes of its pool's limits: milli-cpu and bytes as bought.
    pub capacity: (i64, i64),
    pub gpus: i64,
    /// Which set of its pool's own labels it carries.
    pub base: usize,
}
