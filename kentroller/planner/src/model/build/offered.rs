//! What can be bought: what existing nodes tell of it, and what limits and spreads leave.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::attachments;
use super::limits::limits_of;
use super::nodes::Known;
use super::wide::Wide;
use crate::model::offerings::{Peers, Source};
use crate::model::price_list::Shelf;
use crate::model::{DIMS, EBS_DEFAULT, NewKind, NodeBin, PoolLimit, Tie, Vector};
use crate::rules::eligibility::is_initialized;
use crate::rules::pool;
use crate::value::Warning;

/// What new nodes will have, as far as existing ones tell.
pub(super) fn peers<'a>(nodes: &[NodeBin], known: &[Known<'a>], dims: &[String]) -> Peers<'a> {
    let is_told = |name: &String| name == "ephemeral-storage" || name.starts_with("hugepages-");
    let mut of_pool: BTreeMap<usize, Vector> = BTreeMap::new();
    let mut of_type: BTreeMap<(usize, &str), Vector> = BTreeMap::new();
    for (bin, known) in nodes.iter().zip(known) {
        let Some(pool) = bin.pool else { continue };
        let least = of_pool.entry(pool).or_insert([i64::MAX; DIMS]);
        for (dim, least) in least.iter_mut().enumerate() {
            *least = if dims.get(dim).is_some_and(is_told) { (*least).min(bin.allocatable[dim]) } else { 0 };
        }
        let Some(instance_type) = known.label(pool::INSTANCE_TYPE) else { continue };
        if is_initialized(known.node, known.claim) {
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

/// The offerings that limits and spreads leave, all on a shelf, and what limits leave of them.
pub(super) fn offered(
    source: &Source<'_>,
    wide: &Wide<'_>,
    ports: &BTreeMap<(String, i32), usize>,
    warnings: &mut Vec<Warning>,
) -> (Vec<NewKind>, Shelf, Vec<PoolLimit>) {
    let (mut kinds, mut shelf) = source.kinds(warnings);
    let limits = limits_of(source.snapshot, &mut kinds, source.dims);
    kinds.retain(|kind| !wide.brings_a_domain(kind));
    // Ports that no pod asks for cannot collide.
    for group in &mut shelf.groups {
        group.daemon_ports.retain(|port| ports.contains_key(port));
    }
    for kind in &mut kinds {
        kind.daemon_ports.retain(|port| ports.contains_key(port));
        kind.ties = kind.daemon_ports.iter().map(|port| Tie { term: ports[port], selected: 1, owned: 1 }).collect();
    }
    (kinds, shelf, limits)
}
