//! The model of a cluster: integers, pods grouped into classes, nodes as bins.

mod bin;
pub(crate) mod build;
mod class;
mod company;
mod id;
mod number;
mod offering;
mod offerings;
mod pending;
pub(crate) mod preferences;
mod price_list;
mod spread;
pub(crate) mod standing;
mod vector;

use std::collections::BTreeSet;

use typed_index_collections::TiVec;

pub(crate) use self::bin::{BinRef, KeptFree, NodeBin, PoolLimit};
pub(crate) use self::class::{Class, PodUnit};
pub(crate) use self::company::{Counts, TermCount, company, count_of_term, give, put, room, share_left, shared_room};
pub(crate) use self::id::{BinId, ClassId, NodeId, OfferingId};
pub(crate) use self::number::{Matrix, Numbers};
pub(crate) use self::offering::NewNodeOption;
use self::preferences::Preferences;
use self::price_list::PriceList;
pub(crate) use self::spread::{BrokenSpread, KeyDomains};
pub(crate) use self::vector::{CPU, DIMS, MEMORY, PODS, VOLUMES, Vector, add, fits, resources, times, vector};
use crate::value::Warning;

/// A cluster as the search sees it.
#[derive(Debug, Default, Hash)]
pub(crate) struct Model {
    pub region: String,
    /// The resource of each dimension in use.
    pub dims: Vec<String>,
    pub nodes: TiVec<NodeId, NodeBin>,
    pub classes: TiVec<ClassId, Class>,
    pub pods: Vec<PodUnit>,
    pub offerings: TiVec<OfferingId, NewNodeOption>,
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
    /// All that could be bought, [`Model::offerings`] and what they beat.
    pub price_list: PriceList,
    /// The keys of all wide terms.
    pub domain_keys: BTreeSet<String>,
    pub headroom: Vec<KeptFree>,
    pub preferences: Preferences,
}

impl Model {
    /// The signature of a place.
    #[inline]
    pub(crate) fn signature(&self, bin_ref: BinRef) -> usize {
        match bin_ref {
            BinRef::Node(node) => self.nodes[node].signature,
            BinRef::New(offering) => self.offerings[offering].signature,
        }
    }

    /// The domain of a broken spread that a place is in.
    #[inline]
    pub(crate) fn domain(&self, spread: usize, bin_ref: BinRef) -> Option<usize> {
        self.keys[self.broken[spread].key].of(bin_ref)
    }
}
