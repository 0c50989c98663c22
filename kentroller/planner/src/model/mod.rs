//! The model of a cluster: integers, pods grouped into classes, nodes as bins.

mod bin;
pub(crate) mod build;
mod class;
mod company;
mod number;
mod offering;
mod offerings;
mod pending;
pub(crate) mod preferences;
mod price_list;
mod spread;
mod vector;

use std::collections::BTreeSet;

pub(crate) use self::bin::{KeptFree, NodeBin, PoolLimit, What};
pub(crate) use self::class::{Class, PodUnit};
pub(crate) use self::company::{Counts, Tie, company, give, put, room, share_left, shared_room, tie_of};
pub(crate) use self::number::{Matrix, Numbers};
pub(crate) use self::offering::NewKind;
use self::preferences::Wishes;
use self::price_list::Shelf;
pub(crate) use self::spread::{BrokenSpread, KeyDomains};
pub(crate) use self::vector::{
    ATTACHMENTS, CPU, DIMS, EBS_DEFAULT, MEMORY, PODS, Vector, add, fits, resources, times, vector,
};
use crate::value::Warning;

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
