//! What pods are put into: nodes that exist and those that can be bought, and what limits both.

use super::{NodeId, OfferingId, TermCount, Vector};
use crate::manifest::Moment;
use crate::value::{Blocker, KeptReason, Money};

/// Which bin: a node that exists, or an offering that is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinRef {
    /// A node that exists.
    Node(NodeId),
    /// A new one, of this offering.
    New(OfferingId),
}

/// A node that exists.
#[derive(Debug, Default, Hash)]
pub(crate) struct NodeBin {
    pub name: String,
    pub signature: usize,
    pub zone: String,
    pub pool: Option<usize>,
    pub instance_type: String,
    pub allocatable: Vector,
    /// What all its pods ask for, DaemonSet pods included.
    pub used: Vector,
    pub price: Option<Money>,
    /// Why it stays whatever happens; `None` when it may go.
    pub held: Option<(KeptReason, String)>,
    pub blockers: Vec<Blocker>,
    /// Whether it may be given pods.
    pub receives: bool,
    /// Whether kube-scheduler may put pods on it: not on its way out, and not cordoned.
    pub is_open: bool,
    /// Workload pods that run on it, as indices of `Model::pods`.
    pub pods: Vec<usize>,
    pub term_counts: Vec<TermCount>,
    /// Of cpu or memory, whichever is used more. Unit: thousandths.
    pub utilization: i64,
    /// The cpu of the machine, what the system keeps included. Unit: thousandths.
    pub milli_cpu: i64,
    pub created: Moment,
}

/// Room that a pool keeps free.
#[derive(Clone, Debug, Hash)]
pub(crate) struct KeptFree {
    pub pool: String,
    /// The needs of a pod that may run on any node of the pool and nowhere else, by number.
    pub needs: usize,
    pub milli_cpu: i64,
    pub bytes: i64,
}

/// What a NodePool's limits leave.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct PoolLimit {
    pub milli_cpu: Option<i64>,
    pub bytes: Option<i64>,
    pub nodes: Option<i64>,
}
