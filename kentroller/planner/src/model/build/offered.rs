//! What can be bought: what existing nodes tell of it, and what limits and spreads leave.

use std::collections::{BTreeMap, BTreeSet};

use typed_index_collections::TiSlice;

use super::asked::attachments;
use super::classes::Ports;
use super::limits::limits_of;
use super::nodes::KnownNode;
use super::wide::Wide;
use crate::manifest::marks;
use crate::model::offerings::{Peers, Source};
use crate::model::price_list::PriceList;
use crate::model::{DIMS, NewNodeOption, NodeBin, NodeId, PoolLimit, TermCount, Vector};
use crate::rules::EBS_DEFAULT;
use crate::value::Warning;

/// What new nodes will have, as far as existing ones tell.
pub(super) fn peers<'a>(
    nodes: &TiSlice<NodeId, NodeBin>,
    known: &TiSlice<NodeId, KnownNode<'a>>,
    dims: &[String],
) -> Peers<'a> {
    let is_told = |name: &String| name == "ephemeral-storage" || name.starts_with("hugepages-");
    let mut of_pool: BTreeMap<usize, Vector> = BTreeMap::new();
    let mut of_type: BTreeMap<(usize, &str), Vector> = BTreeMap::new();
    for (bin, known) in nodes.iter().zip(known) {
        let Some(pool) = bin.pool else { continue };
        let least = of_pool.entry(pool).or_insert([i64::MAX; DIMS]);
        for (dim, least) in least.iter_mut().enumerate() {
            *least = if dims.get(dim).is_some_and(is_told) { (*least).min(bin.allocatable[dim]) } else { 0 };
        }
        let Some(instance_type) = known.observed.label(marks::INSTANCE_TYPE) else { continue };
        if known.observed.is_initialized() {
            let least = of_type.entry((pool, instance_type)).or_insert(bin.allocatable);
            for (least, here) in least.iter_mut().zip(&bin.allocatable) {
                *least = (*least).min(*here);
            }
        }
    }
    let zones: BTreeSet<String> = nodes.iter().map(|node| node.zone.clone()).filter(|zone| !zone.is_empty()).collect();
    let volumes = nodes.iter().map(|node| node.allocatable[attachments(dims)]);
    Peers { zones, of_pool, of_type, attachments: volumes.fold(EBS_DEFAULT, i64::min) }
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
