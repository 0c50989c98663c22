//! Pods counted by topology domain, kept up move by move.

use std::collections::BTreeMap;

/// Which hosts count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hosts {
    /// All that carry the key.
    WithKey,
    /// Those that a spread constraint of this kind of pod looks at.
    SeenBy { class: usize, keys: Vec<usize>, honor_affinity: bool, honor_taints: bool },
}

/// How many pods of some kinds each domain of a topology key holds.
#[derive(Debug)]
pub(super) struct Tally {
    /// Which topology key, by its place on the board.
    pub(super) topology: usize,
    pub(super) hosts: Hosts,
    /// Whether pods that are being deleted count. They do for affinity, and do not for spread.
    pub(super) counts_terminating: bool,
    /// By class of pod.
    pub(super) members: Vec<bool>,
    /// By host: the domain that it counts for, plus one. 0: none. Small numbers, as there is one for each node and spread.
    domains: Vec<u32>,
    /// By domain: hosts and pods.
    counts: Vec<(usize, i64)>,
    /// Domains with a host.
    alive: usize,
    /// How many domains hold how many pods.
    levels: BTreeMap<i64, usize>,
    total: i64,
}

impl Tally {
    pub(super) fn new(topology: usize, hosts: Hosts, counts_terminating: bool, members: Vec<bool>) -> Self {
        Self {
            topology,
            hosts,
            counts_terminating,
            members,
            domains: Vec::new(),
            counts: Vec::new(),
            alive: 0,
            levels: BTreeMap::new(),
            total: 0,
        }
    }

    /// Lets a host count for a domain, without its pods.
    pub(super) fn admit(&mut self, host: usize, domain: Option<usize>) {
        if self.domains.len() <= host {
            self.domains.resize(host + 1, 0);
        }
        if let Some(domain) = domain {
            self.domains[host] = u32::try_from(domain + 1).unwrap_or(0);
            if self.counts.len() <= domain {
                self.counts.resize(domain + 1, (0, 0));
            }
            self.counts[domain].0 += 1;
            if self.counts[domain].0 == 1 {
                self.alive += 1;
                *self.levels.entry(0).or_default() += 1;
            }
        }
    }

    /// Counts pods in or out.
    pub(super) fn shift(&mut self, host: usize, by: i64) {
        let Some(domain) = self.domain(host) else { return };
        let entry = &mut self.counts[domain];
        leave(&mut self.levels, entry.1);
        entry.1 += by;
        *self.levels.entry(entry.1).or_default() += 1;
        self.total += by;
    }

    /// Takes a host out, after its pods.
    pub(super) fn dismiss(&mut self, host: usize) {
        let Some(domain) = self.domain(host) else { return };
        self.domains[host] = 0;
        let entry = &mut self.counts[domain];
        entry.0 -= 1;
        if entry.0 == 0 {
            self.alive -= 1;
            leave(&mut self.levels, entry.1);
        }
    }

    pub(super) fn counts_host(&self, host: usize) -> bool {
        self.domain(host).is_some()
    }

    fn domain(&self, host: usize) -> Option<usize> {
        self.domains.get(host).and_then(|domain| (*domain as usize).checked_sub(1))
    }

    /// Pods in a domain.
    pub(super) fn count(&self, domain: usize) -> i64 {
        self.counts.get(domain).map_or(0, |(_, pods)| *pods)
    }

    /// Pods in all domains.
    pub(super) const fn total(&self) -> i64 {
        self.total
    }

    /// Domains with a host.
    pub(super) const fn domains(&self) -> usize {
        self.alive
    }

    /// Pods in the domain that holds fewest.
    pub(super) fn least(&self) -> i64 {
        self.levels.first_key_value().map_or(0, |(level, _)| *level)
    }
}

fn leave(levels: &mut BTreeMap<i64, usize>, level: i64) {
    if let Some(domains) = levels.get_mut(&level) {
        *domains -= 1;
        if *domains == 0 {
            levels.remove(&level);
        }
    }
}
