//! NodePool limits, old and new nodes together.

use std::collections::BTreeMap;

use super::board::{Board, Host, Origin};
use super::facts::is_deleting;
use super::offering::capacity;
use super::requests::amounts;
use super::violation::Fault;
use crate::manifest::NodePool;
use crate::value::InstanceType;

/// What the nodes of each pool amount to.
#[derive(Debug, Default)]
pub(super) struct Limits<'a> {
    used: BTreeMap<&'a str, BTreeMap<String, i128>>,
}

impl<'a> Limits<'a> {
    /// Counts the live nodes. If the pool itself reports more, because of nodes under way, that counts.
    pub(super) fn new(board: &Board<'a>) -> Self {
        let mut limits = Self::default();
        for host in board.hosts.iter().filter(|host| !is_deleting(host)) {
            let Some(pool) = host.pool() else { continue };
            let used = limits.used.entry(&pool.metadata.name).or_default();
            for (name, amount) in of_live(host) {
                *used.entry(name).or_default() += amount;
            }
        }
        for pool in &board.snapshot.node_pools {
            let used = limits.used.entry(&pool.metadata.name).or_default();
            for (name, amount) in amounts(&pool.status.resources) {
                let entry = used.entry(name.to_owned()).or_default();
                *entry = (*entry).max(amount);
            }
        }
        limits
    }

    /// Adds a node, as large as the largest type that it may become.
    pub(super) fn add<'t>(
        &mut self,
        pool: &'a NodePool,
        types: impl Iterator<Item = &'t InstanceType>,
    ) -> Vec<(Fault, String)> {
        let mut largest: BTreeMap<&str, i128> = BTreeMap::new();
        for it in types {
            for (name, amount) in capacity(it) {
                let entry = largest.entry(name).or_default();
                *entry = (*entry).max(amount);
            }
        }
        let used = self.used.entry(&pool.metadata.name).or_default();
        for (name, amount) in largest {
            *used.entry(name.to_owned()).or_default() += amount;
        }
        let mut faults = Vec::new();
        for (name, limit) in amounts(&pool.spec.limits) {
            let used = used.get(name).copied().unwrap_or(0);
            if used > limit {
                let text = format!(
                    "NodePool {}: limits.{name} is {limit}, old and new nodes together have {used}",
                    pool.metadata.name
                );
                faults.push((Fault::PoolLimit, text));
            }
        }
        faults
    }

    /// Takes a removed node off.
    pub(super) fn remove(&mut self, host: &Host<'a>) {
        let Some(pool) = host.pool().filter(|_| !is_deleting(host)) else { return };
        let used = self.used.entry(&pool.metadata.name).or_default();
        for (name, amount) in of_live(host) {
            *used.entry(name).or_default() -= amount;
        }
    }
}

fn of_live(host: &Host<'_>) -> BTreeMap<String, i128> {
    let Origin::Live { node, .. } = host.origin else { return BTreeMap::new() };
    let mut all: BTreeMap<String, i128> =
        amounts(&node.status.capacity).into_iter().map(|(name, amount)| (name.to_owned(), amount)).collect();
    all.insert("nodes".to_owned(), 1);
    all
}
