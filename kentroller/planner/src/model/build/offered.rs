//! What can be bought: what existing nodes tell of it, and what limits and spreads leave.

use typed_index_collections::TiSlice;

use super::asked::drivers;
use super::classes::Ports;
use super::limits::limits_of;
use super::nodes::{KnownNode, UNLIMITED};
use super::wide::Wide;
use crate::manifest::Node;
use crate::model::offerings::{Peers, Source, lost_interfaces};
use crate::model::price_list::PriceList;
use crate::model::{DIMS, NewNodeOption, NodeBin, NodeId, PODS, PoolLimit, TermCount};
use crate::rules::Volumes;
use crate::value::{Priced, Warning};

/// What new nodes will have, as far as existing ones tell. `type_of`: the type of a node.
pub(super) fn peers<'a, 'c>(
    nodes: &TiSlice<NodeId, NodeBin>,
    known: &TiSlice<NodeId, KnownNode<'a>>,
    dims: &[String],
    type_of: impl Fn(&Node) -> Option<&'c Priced>,
) -> Peers<'a> {
    let mut peers = Peers { attachments: [UNLIMITED; DIMS], ..Peers::default() };
    for (bin, known) in nodes.iter().zip(known) {
        if !bin.zone.is_empty() {
            peers.zones.insert(bin.zone.clone());
        }
        let Some(pool) = bin.pool else { continue };
        let least = peers.of_pool.entry(pool).or_insert([i64::MAX; DIMS]);
        for (dim, least) in least.iter_mut().enumerate() {
            let is_told = dims.get(dim).is_some_and(|name| name.starts_with("hugepages-"));
            *least = if is_told { (*least).min(bin.allocatable[dim]) } else { 0 };
        }
        let node = known.observed.node;
        if let Some(name) = node.instance_type().filter(|_| known.observed.is_initialized()) {
            let least = peers.of_type.entry((pool, name)).or_insert(bin.allocatable);
            for (least, here) in least.iter_mut().zip(&bin.allocatable) {
                *least = (*least).min(*here);
            }
        }
        let Some(it) = type_of(node).map(|priced| &priced.instance_type) else { continue };
        let lost = peers.lost_interfaces.entry(pool).or_default();
        *lost = (*lost).max(lost_interfaces(it, bin.allocatable[PODS]));
        let ephemeral = dims.iter().position(|name| name == "ephemeral-storage");
        if let Some(dim) = ephemeral.filter(|_| it.disk_gb.is_none_or(|gb| gb == 0)) {
            let least = peers.ephemeral.entry(pool).or_insert(i64::MAX);
            *least = (*least).min(bin.allocatable[dim]);
        }
    }
    for (dim, driver) in drivers(dims) {
        let told = nodes.iter().map(|node| node.allocatable[dim]);
        peers.attachments[dim] = told.chain(Volumes::untold_limit(driver)).min().unwrap_or(UNLIMITED);
    }
    peers
}

/// The offerings that limits and spreads leave, all in a price list, and what limits leave of them.
pub(super) fn offered(
    source: &Source<'_>,
    wide: &Wide<'_>,
    ports: &Ports,
    warnings: &mut Vec<Warning>,
) -> (Vec<NewNodeOption>, PriceList, Vec<PoolLimit>) {
    let (mut offerings, mut price_list) = source.offered(warnings);
    let limits = limits_of(source.snapshot, &mut offerings, source.dims);
    offerings.retain(|offering| !wide.brings_a_domain(offering));
    // Ports that no pod asks for cannot collide.
    for group in &mut price_list.groups {
        group.daemon_ports.retain(|port| ports.contains_key(port));
    }
    for offering in &mut offerings {
        offering.daemon_ports.retain(|port| ports.contains_key(port));
        offering.term_counts =
            offering.daemon_ports.iter().map(|port| TermCount { term: ports[port], selected: 1, owned: 1 }).collect();
    }
    (offerings, price_list, limits)
}
