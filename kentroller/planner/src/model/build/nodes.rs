//! Nodes as they are: what each belongs to, what it has, what it costs, and what selectors see of it.

use typed_index_collections::TiVec;

use super::asked::{Asked, drivers};
use super::index_of;
use crate::manifest::{Node, marks};
use crate::model::{NodeBin, NodeId, vector};
use crate::rules::ObservedNode;
use crate::rules::Volumes;
use crate::rules::overlay::Overlays;
use crate::rules::placement::Place;
use crate::value::{CapacityType, Catalog, InputError, Money, Snapshot};

/// How many volumes a node attaches that has no limit.
pub(super) const UNLIMITED: i64 = 1 << 30;

/// A node with its NodeClaim and its NodePool, if they are there.
pub(super) struct KnownNode<'a> {
    pub(super) observed: ObservedNode<'a>,
    /// The place of its NodePool among all of them.
    index: Option<usize>,
}

impl<'a> KnownNode<'a> {
    pub(super) fn all(snapshot: &'a Snapshot) -> Result<TiVec<NodeId, Self>, InputError> {
        let claims = snapshot.claims_by_node();
        let pools = index_of(snapshot.node_pools.iter().map(|pool| &pool.metadata.name), "NodePool")?;
        let known = snapshot.nodes.iter().map(|node| {
            let claim = claims.get(&*node.metadata.name).copied();
            let index = node.metadata.labels.get(marks::NODE_POOL).and_then(|name| pools.get(name.as_str())).copied();
            let pool = index.map(|index| &snapshot.node_pools[index]);
            KnownNode { observed: ObservedNode { node, claim, pool }, index }
        });
        Ok(known.collect())
    }

    /// As a bin that holds nothing yet.
    pub(super) fn bin(&self, dims: &[String], volumes: &Volumes<'_>, price: Option<Money>) -> NodeBin {
        let (mut allocatable, _) = vector(&self.observed.node.status.allocatable, dims);
        for (dim, driver) in drivers(dims) {
            allocatable[dim] = volumes.limit(&self.observed.node.metadata.name, driver).unwrap_or(UNLIMITED);
        }
        NodeBin {
            name: (*self.observed.node.metadata.name).to_owned(),
            zone: self.observed.node.zone().unwrap_or_default().to_owned(),
            pool: self.index,
            instance_type: self.observed.node.instance_type().unwrap_or_default().to_owned(),
            allocatable,
            price,
            milli_cpu: milli_cpu(self.observed.node),
            created: self.observed.node.metadata.creation_timestamp.unwrap_or_default(),
            ..NodeBin::default()
        }
    }

    /// What it costs, as far as that can be told.
    pub(super) fn price(&self, catalog: &Catalog, region: &str, overlays: &Overlays<'_>) -> Option<Money> {
        // Nodes of others say nothing of it; they are bought on demand.
        let of_others = self.observed.claim.is_none() && self.observed.pool.is_none();
        let told = self.observed.label(marks::CAPACITY_TYPE).map(CapacityType::of);
        match told.or(of_others.then_some(CapacityType::OnDemand))? {
            // Paid for already, whether it runs or not.
            CapacityType::Reserved => Some(Money::ZERO),
            other => {
                let node = self.observed.node;
                let (region, zone) = (node.region().unwrap_or(region), node.zone().unwrap_or_default());
                let instance_type = node.instance_type().unwrap_or_default();
                let listed = catalog.price(region, instance_type, zone, &other)?;
                overlays.price(listed, &|one| one.admits(self.observed.label(&one.key)))
            }
        }
    }
}

/// The cpu of the machine; of one that does not tell it, what pods may have.
fn milli_cpu(node: &Node) -> i64 {
    let capacity = node.status.capacity.get("cpu").or(node.status.allocatable.get("cpu"));
    capacity.map_or(0, |cpu| cpu.milli())
}

/// Nodes as selectors see them.
pub(super) fn places(nodes: &[Node], asked: &Asked<'_>) -> Vec<Place> {
    // Labels that nobody asks for tell no two nodes apart.
    let keys = asked.keys();
    let place = |node: &Node| {
        let labels = keys.iter().filter_map(|key| node.metadata.labels.get_key_value(*key));
        Place::of(node, labels.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    nodes.iter().map(place).collect()
}
