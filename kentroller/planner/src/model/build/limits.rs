//! What the limits of NodePools leave.

use std::collections::BTreeMap;

use crate::manifest::marks;
use crate::model::{NewNodeOption, PoolLimit};
use crate::value::Snapshot;

/// What each pool's limits leave. What is used is what its nodes amount to, or what the pool itself reports if that is more,
/// because of nodes under way.
///
/// A limit on anything but cpu, memory and nodes becomes one on nodes: as many as the largest offering allows. Offerings
/// that alone exceed the limit are left out.
pub(super) fn limits_of(snapshot: &Snapshot, offerings: &mut Vec<NewNodeOption>, dims: &[String]) -> Vec<PoolLimit> {
    let mut used: BTreeMap<&str, BTreeMap<&str, i128>> = BTreeMap::new();
    for node in snapshot.nodes.iter().filter(|node| node.metadata.deletion_timestamp.is_none()) {
        let Some(pool) = node.metadata.labels.get(marks::NODE_POOL) else { continue };
        let of = used.entry(pool).or_default();
        let capacity = if node.status.capacity.is_empty() { &node.status.allocatable } else { &node.status.capacity };
        for (name, quantity) in capacity {
            *of.entry(name).or_default() += amount(name, *quantity);
        }
        *of.entry("nodes").or_default() += 1;
    }
    let pools = snapshot.node_pools.iter().enumerate();
    pools
        .map(|(index, pool)| {
            let seen = used.get(&*pool.metadata.name);
            let told = &pool.status.resources;
            let left = |name: &str| {
                let limit = amount(name, *pool.spec.limits.get(name)?);
                let seen = seen.and_then(|of| of.get(name)).copied().unwrap_or(0);
                let used = told.get(name).map_or(seen, |told| seen.max(amount(name, *told)));
                Some(i64::try_from(limit - used).unwrap_or(if limit > used { i64::MAX } else { i64::MIN }))
            };
            let mut nodes = left("nodes");
            for name in pool.spec.limits.keys().filter(|name| !matches!(name.as_str(), "cpu" | "memory" | "nodes")) {
                let of_offering = |offering: &NewNodeOption| match dims.iter().position(|dim| dim == name) {
                    _ if name == marks::GPU => offering.gpus,
                    Some(dim) => offering.allocatable[dim],
                    // Nobody asks for it; how much of it a node has is not known.
                    None => i64::MAX,
                };
                let left = left(name).unwrap_or(0);
                offerings.retain(|offering| offering.pool != index || of_offering(offering) <= left);
                let most =
                    offerings.iter().filter(|offering| offering.pool == index).map(of_offering).max().unwrap_or(0);
                if most > 0 {
                    nodes = Some(nodes.unwrap_or(i64::MAX).min(left / most));
                }
            }
            PoolLimit { milli_cpu: left("cpu"), bytes: left("memory"), nodes }
        })
        .collect()
}

/// Thousandths of cpu, whole units of anything else.
pub(super) fn amount(name: &str, quantity: crate::manifest::Quantity) -> i128 {
    i128::from(if name == "cpu" { quantity.milli() } else { quantity.units() })
}
