//! The model of a cluster: integers, pods grouped into classes, nodes as bins.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Blocker, KeptReason, Money, Warning,
    kinds::NewKind,
    manifest::{ObjectName, Resources},
    shelf::Shelf,
    state::What,
    wishes::Wishes,
};

/// Dimensions of a bin. Cpu, memory and pods always; the rest are the resources that pods ask for, in order of name.
pub(crate) const DIMS: usize = 8;
pub(crate) const CPU: usize = 0;
pub(crate) const MEMORY: usize = 1;
pub(crate) const PODS: usize = 2;

/// The dimension of EBS volumes that a node attaches.
pub(crate) const ATTACHMENTS: &str = "(attachments)";
/// Its size where no CSINode tells: 28 attachments of a Nitro instance less its root volume, a network interface and one
/// to spare. Source: the EBS volume limits page of the EC2 user guide.
pub(crate) const EBS_DEFAULT: i64 = 25;

/// Amounts by dimension. Units: milli-cpu, bytes, pieces.
pub(crate) type Vector = [i64; DIMS];

/// A cluster as the search sees it.
#[derive(Debug, Default, Hash)]
pub(crate) struct Model {
    pub region: String,
    /// The resource of each dimension in use.
    pub dims: Vec<String>,
    pub nodes: Vec<NodeBin>,
    pub classes: Vec<Class>,
    pub pods: Vec<PodUnit>,
    pub kinds: Vec<NewKind>,
    /// By needs and by signature of a place: whether it may go there.
    pub admits: Matrix,
    pub warnings: Vec<Warning>,
    pub workload_pods: usize,
    pub daemon_pods: usize,
    pub keys: Vec<KeyDomains>,
    pub broken: Vec<BrokenSpread>,
    /// How much of each pool's limits is left, by pool.
    pub limits: Vec<PoolLimit>,
    /// By pool: whether Karpenter removes its nodes for what that saves.
    pub consolidated: Vec<bool>,
    /// All that could be bought, [`Model::kinds`] and what they beat.
    pub shelf: Shelf,
    /// The keys of all wide terms.
    pub domain_keys: BTreeSet<String>,
    pub headroom: Vec<KeptFree>,
    pub wishes: Wishes,
}

impl Model {
    /// The signature of a place.
    pub(crate) fn signature(&self, what: What) -> usize {
        match what {
            What::Node(node) => self.nodes[node].signature,
            What::New(kind) => self.kinds[kind].signature,
        }
    }

    /// The domain of a broken spread that a place is in.
    pub(crate) fn domain(&self, spread: usize, what: What) -> Option<usize> {
        self.keys[self.broken[spread].key].of(what)
    }
}

/// A pod of the workload, running or waiting.
#[derive(Debug, Hash)]
pub(crate) struct PodUnit {
    pub name: ObjectName,
    pub class: usize,
    pub priority: i32,
    /// Where it runs; `None`: it waits for a node.
    pub node: Option<usize>,
    /// Where it runs or was given a seat.
    pub home: Option<usize>,
    /// Does not run here: it waits for a node, or will once its own is gone.
    pub ghost: bool,
    /// Takes the place of one whose node is going.
    pub succeeds: bool,
}

/// Pods that no rule can tell apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class {
    pub request: Vector,
    pub needs: usize,
    /// Terms of a node's own domain (also host ports) that the pod owns: none of the pods they select beside it.
    pub apart: Vec<usize>,
    /// Terms that select the pod, whoever owns them.
    pub selected: Vec<usize>,
    /// What the pod adds to on its node: [`Class::selected`], and what bars nobody, such as its service.
    pub counted: Vec<usize>,
    /// Terms that cap the selected pods of a node, with the cap.
    pub caps: Vec<(usize, i64)>,
    /// The term of its service, and the most pods of it that a node may hold to be given one more: a plan leaves no service to
    /// one node. No rule of the scheduler: what waits and what Karpenter would do is not bound by it.
    pub share: Option<(usize, i64)>,
    /// Spreads over wider domains that the pod owns and that do not hold now: by number, and whether it counts itself.
    pub spreads: Vec<(usize, i64)>,
    /// Its preferences among nodes, by number.
    pub likes: usize,
    /// Wishes about the pods of its node that the pod owns, by term.
    pub hopes: Vec<usize>,
    /// Those that its coming touches, whoever owns them.
    pub touches: Vec<usize>,
    /// Labels whose value it would keep, by number, and what leaving that weighs.
    pub homes: Vec<(usize, i64)>,
}

impl Class {
    /// Whether it asks who is on a node besides, or is asked about.
    pub(crate) const fn has_rules(&self) -> bool {
        !(self.apart.is_empty() && self.caps.is_empty() && self.selected.is_empty())
    }
}

/// A hard spread over zones or the like that does not hold now: whoever moves must land where it is allowed.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct BrokenSpread {
    /// The label whose values are the domains, as an index of [`Model::keys`].
    pub key: usize,
    pub max_skew: i64,
    pub min_domains: i64,
    /// By value of the key: pods that are selected; `None` where the domain does not count.
    pub counts: Vec<Option<i64>>,
}

impl BrokenSpread {
    /// How many more pods a domain may be given before it is too far above the least.
    pub(crate) fn room(&self, domain: Option<usize>, itself: i64) -> i64 {
        let Some(here) = domain.and_then(|domain| self.counts.get(domain).copied().flatten()) else { return 0 };
        if itself == 0 {
            return if here - self.least() <= self.max_skew { i64::MAX } else { 0 };
        }
        self.least() + self.max_skew - here
    }

    /// The least count over the domains.
    pub(crate) fn least(&self) -> i64 {
        let known = self.counts.iter().flatten();
        if i64::try_from(known.clone().count()).unwrap_or(i64::MAX) < self.min_domains {
            return 0;
        }
        known.min().copied().unwrap_or(0)
    }

    /// Adds to a domain's count.
    pub(crate) fn give(&mut self, domain: Option<usize>, count: i64) {
        if let Some(Some(here)) = domain.and_then(|domain| self.counts.get_mut(domain)) {
            *here += count;
        }
    }
}

/// The values of a label, and which of them each place has.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct KeyDomains {
    pub of_node: Vec<Option<usize>>,
    pub of_kind: Vec<Option<usize>>,
}

impl KeyDomains {
    /// The value of a place.
    pub(crate) fn of(&self, what: What) -> Option<usize> {
        match what {
            What::Node(node) => self.of_node[node],
            What::New(kind) => self.of_kind[kind],
        }
    }
}

/// Counts of one term on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tie {
    pub term: usize,
    pub selected: i64,
    pub owned: i64,
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
    /// Workload pods that run on it, as indices of [`Model::pods`].
    pub pods: Vec<usize>,
    pub ties: Vec<Tie>,
    pub eviction_cost: i64,
    pub utilization: i64,
    pub created: i64,
}

/// Room that a pool keeps free.
#[derive(Clone, Debug, Hash)]
pub(crate) struct KeptFree {
    pub pool: String,
    /// Of a pod that runs on the pool's nodes only.
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

/// A dense matrix of bits.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Matrix {
    columns: usize,
    bits: Vec<u64>,
}

impl Matrix {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self { columns, bits: vec![0; (rows * columns).div_ceil(64)] }
    }

    pub(crate) fn set(&mut self, row: usize, column: usize) {
        let at = row * self.columns + column;
        self.bits[at / 64] |= 1 << (at % 64);
    }

    pub(crate) fn get(&self, row: usize, column: usize) -> bool {
        let at = row * self.columns + column;
        self.bits[at / 64] & (1 << (at % 64)) != 0
    }
}

pub(crate) fn fits(request: &Vector, free: &Vector) -> bool {
    request.iter().zip(free).all(|(request, free)| *request == 0 || request <= free)
}

pub(crate) fn add(to: &mut Vector, request: &Vector, times: i64) {
    for (sum, request) in to.iter_mut().zip(request) {
        *sum += request * times;
    }
}

/// How many of a request a bin still takes.
pub(crate) fn times(request: &Vector, free: &Vector) -> i64 {
    let mut most = i64::MAX;
    for (request, free) in request.iter().zip(free) {
        if *request > 0 {
            if free < request {
                return 0;
            }
            most = most.min(free / request);
        }
    }
    most
}

/// No node has more of anything, and no sum over the largest cluster of as much leaves 64 bits.
const MOST: i64 = 1 << 45;

/// Resource amounts as a vector, between nothing and 2^45; what has no dimension is returned by name.
pub(crate) fn vector(resources: &Resources, dims: &[String]) -> (Vector, Vec<String>) {
    let mut vector = [0; DIMS];
    let mut rest = Vec::new();
    for (name, quantity) in resources {
        match dims.iter().position(|dim| dim == name) {
            Some(CPU) => vector[CPU] = quantity.milli().clamp(0, MOST),
            Some(dim) => vector[dim] = quantity.units().clamp(0, MOST),
            None if quantity.units() > 0 => rest.push(name.clone()),
            None => {}
        }
    }
    (vector, rest)
}

/// A vector as resource amounts.
pub(crate) fn resources(vector: &Vector, dims: &[String]) -> Resources {
    // Attachments are counted by the scheduler, not requested.
    let amounts = dims.iter().enumerate().filter(|(dim, name)| vector[*dim] > 0 && *name != ATTACHMENTS);
    amounts
        .map(|(dim, name)| {
            let amount = vector[dim];
            (
                name.clone(),
                if dim == CPU { crate::Quantity::thousandths(amount) } else { crate::Quantity::whole(amount) },
            )
        })
        .collect()
}

/// Numbers values in the order in which they come.
#[derive(Clone, Debug)]
pub(crate) struct Numbers<T> {
    by_value: BTreeMap<T, usize>,
}

impl<T: Ord + Clone> Numbers<T> {
    pub(crate) const fn new() -> Self {
        Self { by_value: BTreeMap::new() }
    }

    /// Values that have their numbers already.
    pub(crate) fn of(values: &[T]) -> Self {
        Self { by_value: values.iter().cloned().zip(0..).collect() }
    }

    pub(crate) fn number(&mut self, value: T) -> usize {
        let next = self.by_value.len();
        *self.by_value.entry(value).or_insert(next)
    }

    pub(crate) fn into_values(self) -> Vec<T> {
        let mut values: Vec<(usize, T)> = self.by_value.into_iter().map(|(value, number)| (number, value)).collect();
        values.sort_by_key(|(number, _)| *number);
        values.into_iter().map(|(_, value)| value).collect()
    }
}
