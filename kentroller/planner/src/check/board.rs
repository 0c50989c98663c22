//! The cluster as it stands at one moment of a plan: hosts, pods, and what is counted over them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::facts::is_deleting;
use super::requests;
use super::requests::Amounts;
use super::selectors::{Known, node_wanted, untolerated};
use super::tally::{Hosts, Tally};
use crate::manifest::marks::{MIRROR, NODE_POOL, UNSCHEDULABLE};
use crate::manifest::{Effect, Labels, Node, NodeClaim, NodePool, Pod, PodShape, Taint};
use crate::value::labels::is_untold;
use crate::value::{NewNode, Snapshot};

/// What a pod is to its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Workload,
    Daemon,
    /// A static pod of the kubelet.
    Mirror,
    /// Waits for a node.
    Pending,
    /// Has ended, or is bound to a node that the cluster does not have.
    Absent,
}

/// Pods that the scheduler cannot tell apart but for their names.
#[derive(Debug)]
pub(super) struct PodClass<'a> {
    pub(super) namespace: &'a str,
    pub(super) labels: &'a Labels,
    pub(super) shape: &'a PodShape,
    pub(super) needs: Amounts<'a>,
}

/// One pod.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub(super) pod: &'a Pod,
    pub(super) role: Role,
    pub(super) class: usize,
    pub(super) host: Option<usize>,
    /// Set where the pod takes something else than its class.
    own_needs: Option<Amounts<'a>>,
}

/// Where a host comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    Live { node: &'a Node, claim: Option<&'a NodeClaim>, pool: Option<&'a NodePool> },
    Planned { planned: &'a NewNode, pool: Option<&'a NodePool> },
}

/// A node, live or planned.
#[derive(Debug)]
pub(super) struct Host<'a> {
    pub(super) name: &'a str,
    pub(super) origin: Origin<'a>,
    pub(super) labels: Arc<Labels>,
    /// Label keys (or prefixes that end in `/` or `-`) whose values nobody can tell yet.
    pub(super) untold: BTreeSet<String>,
    pub(super) taints: Vec<Taint>,
    pub(super) room: Amounts<'a>,
    pub(super) used: Amounts<'a>,
    pub(super) pods: BTreeSet<usize>,
    /// Templates of the DaemonSets that a planned host will run.
    pub(super) daemons: Vec<&'a PodShape>,
    /// Removed by a wave.
    pub(super) gone: bool,
}

impl<'a> Host<'a> {
    pub(super) fn label(&self, key: &str) -> Known<'_> {
        match self.labels.get(key) {
            Some(value) => Known::Is(value),
            None if matches!(self.origin, Origin::Planned { .. }) && self.may_carry(key) => Known::Untold,
            None => Known::Absent,
        }
    }

    /// Whether it may carry a label of which nobody can tell the value yet.
    fn may_carry(&self, key: &str) -> bool {
        let is_open = |open: &String| open == key || (open.ends_with(['/', '-']) && key.starts_with(open.as_str()));
        is_untold(key) || self.untold.iter().any(is_open)
    }

    pub(super) fn pool(&self) -> Option<&'a NodePool> {
        match self.origin {
            Origin::Live { pool, .. } | Origin::Planned { pool, .. } => pool,
        }
    }

    pub(super) fn take(&mut self, needs: &Amounts<'a>) {
        for (name, amount) in needs {
            *self.used.entry(name).or_default() += amount;
        }
    }

    pub(super) fn give_back(&mut self, needs: &Amounts<'a>) {
        for (name, amount) in needs {
            *self.used.entry(name).or_default() -= amount;
        }
    }

    /// What is left of a resource.
    pub(super) fn free(&self, resource: &str) -> i128 {
        self.room.get(resource).unwrap_or(&0) - self.used.get(resource).unwrap_or(&0)
    }

    fn cordon(&mut self) {
        let taint = Taint {
            key: UNSCHEDULABLE.to_owned(),
            value: String::new(),
            effect: Effect::NoSchedule,
            ..Taint::default()
        };
        if !self.taints.contains(&taint) {
            self.taints.push(taint);
        }
    }
}

/// The domains of one topology key.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) key: String,
    ids: BTreeMap<String, usize>,
    of_host: Vec<Option<usize>>,
}

impl Topology {
    fn learn(&mut self, host: &Host<'_>) {
        let next = self.ids.len();
        let domain = host.labels.get(&self.key).map(|value| *self.ids.entry(value.clone()).or_insert(next));
        self.of_host.push(domain);
    }
}

/// The cluster at one moment.
#[derive(Debug)]
pub(super) struct Board<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) hosts: Vec<Host<'a>>,
    pub(super) classes: Vec<PodClass<'a>>,
    pub(super) bodies: Vec<Body<'a>>,
    pub(super) tallies: Vec<Tally>,
    /// Tallies that no longer count a host once it is tainted.
    minding_taints: Vec<usize>,
    topologies: Vec<Topology>,
    topology_ids: BTreeMap<String, usize>,
    by_class: Vec<Vec<usize>>,
    /// By class: the tallies that count it.
    counting: Vec<Vec<usize>>,
    /// Hosts that stand and are not being deleted.
    alive: usize,
    host_ids: BTreeMap<&'a str, usize>,
    body_ids: BTreeMap<(&'a str, &'a str), usize>,
    ambiguous_hosts: BTreeSet<&'a str>,
    ambiguous_pods: BTreeSet<(&'a str, &'a str)>,
}

/// A name looked up.
pub(super) enum Found {
    One(usize),
    None,
    Several,
}

impl<'a> Board<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let mut board = Self {
            snapshot,
            hosts: Vec::new(),
            classes: Vec::new(),
            bodies: Vec::new(),
            tallies: Vec::new(),
            minding_taints: Vec::new(),
            topologies: Vec::new(),
            topology_ids: BTreeMap::new(),
            by_class: Vec::new(),
            counting: Vec::new(),
            alive: 0,
            host_ids: BTreeMap::new(),
            body_ids: BTreeMap::new(),
            ambiguous_hosts: BTreeSet::new(),
            ambiguous_pods: BTreeSet::new(),
        };
        let pools: BTreeMap<&str, &NodePool> =
            snapshot.node_pools.iter().map(|pool| (&*pool.metadata.name, pool)).collect();
        let mut claims: BTreeMap<&str, &NodeClaim> = BTreeMap::new();
        for claim in &snapshot.node_claims {
            for key in [&claim.status.node_name, &claim.status.provider_id] {
                if !key.is_empty() {
                    claims.insert(key, claim);
                }
            }
        }
        for node in &snapshot.nodes {
            board.seat_live(node, &claims, &pools);
        }
        let mut seen: BTreeMap<(usize, usize, &str), usize> = BTreeMap::new();
        let mut by_value: BTreeMap<(&str, &Labels, &PodShape), usize> = BTreeMap::new();
        for pod in &snapshot.pods {
            let shape = &pod.spec.shape;
            let address =
                (Arc::as_ptr(shape).addr(), Arc::as_ptr(&pod.metadata.labels).addr(), &*pod.metadata.namespace);
            let class = *seen.entry(address).or_insert_with(|| {
                let value = (&*pod.metadata.namespace, &*pod.metadata.labels, &**shape);
                *by_value.entry(value).or_insert_with(|| {
                    let (namespace, labels, shape) = value;
                    board.classes.push(PodClass { namespace, labels, shape, needs: requests::of_template(shape) });
                    board.classes.len() - 1
                })
            });
            board.seat_pod(pod, class);
        }
        board.counting = vec![Vec::new(); board.classes.len()];
        board.by_class = vec![Vec::new(); board.classes.len()];
        for (index, body) in board.bodies.iter().enumerate() {
            board.by_class[body.class].push(index);
        }
        board.alive = board.hosts.iter().filter(|host| !is_deleting(host)).count();
        board
    }

    fn seat_live(
        &mut self,
        node: &'a Node,
        claims: &BTreeMap<&str, &'a NodeClaim>,
        pools: &BTreeMap<&str, &'a NodePool>,
    ) {
        let name = &*node.metadata.name;
        let claim = claims.get(name).or_else(|| claims.get(node.spec.provider_id.as_str())).copied();
        let pool = node.metadata.labels.get(NODE_POOL).and_then(|pool| pools.get(pool.as_str())).copied();
        let mut host = Host {
            name,
            origin: Origin::Live { node, claim, pool },
            labels: Arc::clone(&node.metadata.labels),
            untold: BTreeSet::new(),
            taints: node.spec.taints.clone(),
            room: requests::amounts(&node.status.allocatable),
            used: Amounts::new(),
            pods: BTreeSet::new(),
            daemons: Vec::new(),
            gone: false,
        };
        if node.spec.unschedulable {
            host.cordon();
        }
        if self.host_ids.insert(name, self.hosts.len()).is_some() {
            self.ambiguous_hosts.insert(name);
        }
        self.hosts.push(host);
    }

    fn seat_pod(&mut self, pod: &'a Pod, class: usize) {
        let controlled_by = |kind: &str| pod.metadata.controller().is_some_and(|owner| owner.kind == kind);
        let bound = &*pod.spec.node_name;
        let host = self.host_ids.get(bound).copied();
        let role = match (pod.status.is_finished(), bound.is_empty(), host) {
            (true, _, _) | (false, false, None) => Role::Absent,
            (false, true, _) => Role::Pending,
            _ if pod.metadata.annotations.contains_key(MIRROR) || controlled_by("Node") => Role::Mirror,
            _ if controlled_by("DaemonSet") => Role::Daemon,
            _ => Role::Workload,
        };
        let index = self.bodies.len();
        let resized = !pod.status.container_statuses.is_empty();
        let own_needs = resized.then(|| requests::of_pod(&pod.spec.shape, &pod.status));
        let host = host.filter(|_| matches!(role, Role::Workload | Role::Daemon | Role::Mirror));
        let name = (&*pod.metadata.namespace, &*pod.metadata.name);
        if self.body_ids.insert(name, index).is_some() {
            self.ambiguous_pods.insert(name);
        }
        self.bodies.push(Body { pod, role, class, host, own_needs });
        if let Some(host) = host {
            let needs = self.needs(index).clone();
            self.hosts[host].take(&needs);
            self.hosts[host].pods.insert(index);
        }
    }

    pub(super) fn host(&self, name: &str) -> Found {
        match self.host_ids.get(name) {
            _ if self.ambiguous_hosts.contains(name) => Found::Several,
            Some(host) => Found::One(*host),
            None => Found::None,
        }
    }

    pub(super) fn body(&self, namespace: &str, name: &str) -> Found {
        match self.body_ids.get(&(namespace, name)) {
            _ if self.ambiguous_pods.contains(&(namespace, name)) => Found::Several,
            Some(body) => Found::One(*body),
            None => Found::None,
        }
    }

    /// What a pod takes.
    pub(super) fn needs(&self, body: usize) -> &Amounts<'a> {
        let body = &self.bodies[body];
        body.own_needs.as_ref().unwrap_or(&self.classes[body.class].needs)
    }

    pub(super) fn class_of(&self, body: usize) -> &PodClass<'a> {
        &self.classes[self.bodies[body].class]
    }

    /// How many hosts stand and are not being deleted.
    pub(super) const fn alive(&self) -> usize {
        self.alive
    }

    /// Hosts that stand.
    pub(super) fn standing(&self) -> impl Iterator<Item = (usize, &Host<'a>)> {
        self.hosts.iter().enumerate().filter(|(_, host)| !host.gone)
    }

    /// Adds a planned host; the name must be new.
    pub(super) fn add_host(&mut self, host: Host<'a>) -> usize {
        let index = self.hosts.len();
        self.host_ids.insert(host.name, index);
        for topology in &mut self.topologies {
            topology.learn(&host);
        }
        self.hosts.push(host);
        self.alive += 1;
        for tally in 0..self.tallies.len() {
            self.admit(tally, index);
        }
        index
    }

    /// Closes a host to new pods.
    pub(super) fn cordon(&mut self, host: usize) {
        self.hosts[host].cordon();
        for at in 0..self.minding_taints.len() {
            let tally = self.minding_taints[at];
            if self.tallies[tally].counts_host(host) && self.domain_seen(tally, host).is_none() {
                self.dismiss(tally, host);
            }
        }
    }

    /// Takes a host off the board, with whatever still runs on it.
    pub(super) fn remove_host(&mut self, host: usize) {
        for body in std::mem::take(&mut self.hosts[host].pods) {
            self.count(body, host, -1);
            self.bodies[body].host = None;
        }
        for tally in &mut self.tallies {
            tally.dismiss(host);
        }
        self.hosts[host].gone = true;
        self.alive -= usize::from(!is_deleting(&self.hosts[host]));
    }

    /// Lifts a pod off its host.
    pub(super) fn lift(&mut self, body: usize) {
        let Some(host) = self.bodies[body].host.take() else { return };
        let needs = self.needs(body).clone();
        self.hosts[host].give_back(&needs);
        self.hosts[host].pods.remove(&body);
        self.count(body, host, -1);
    }

    /// Puts a pod on a host.
    pub(super) fn put(&mut self, body: usize, host: usize) {
        let needs = self.needs(body).clone();
        self.hosts[host].take(&needs);
        self.hosts[host].pods.insert(body);
        self.bodies[body].host = Some(host);
        self.count(body, host, 1);
    }

    fn count(&mut self, body: usize, host: usize, by: i64) {
        let (class, terminating) = (self.bodies[body].class, self.is_terminating(body));
        for tally in &self.counting[class] {
            let tally = &mut self.tallies[*tally];
            if tally.counts_terminating || !terminating {
                tally.shift(host, by);
            }
        }
    }

    fn is_terminating(&self, body: usize) -> bool {
        self.bodies[body].pod.metadata.deletion_timestamp.is_some()
    }

    /// The place of a topology key on the board.
    pub(super) fn topology(&mut self, key: &str) -> usize {
        if let Some(topology) = self.topology_ids.get(key) {
            return *topology;
        }
        let mut topology = Topology { key: key.to_owned(), ids: BTreeMap::new(), of_host: Vec::new() };
        for host in &self.hosts {
            topology.learn(host);
        }
        self.topology_ids.insert(key.to_owned(), self.topologies.len());
        self.topologies.push(topology);
        self.topologies.len() - 1
    }

    /// The topology key that a tally counts by.
    pub(super) fn key(&self, tally: usize) -> &str {
        &self.topologies[self.tallies[tally].topology].key
    }

    /// The domain of a host under the key of a tally.
    pub(super) fn domain(&self, tally: usize, host: usize) -> Option<usize> {
        self.topologies[self.tallies[tally].topology].of_host[host]
    }

    /// The domain that a value of the key of a tally stands for.
    pub(super) fn domain_of(&self, tally: usize, labels: &Labels) -> Option<usize> {
        let topology = &self.topologies[self.tallies[tally].topology];
        topology.ids.get(labels.get(&topology.key)?).copied()
    }

    /// Starts counting.
    pub(super) fn add_tally(&mut self, tally: Tally) -> usize {
        let index = self.tallies.len();
        for (class, counting) in self.counting.iter_mut().enumerate() {
            if tally.members[class] {
                counting.push(index);
            }
        }
        if matches!(tally.hosts, Hosts::SeenBy { honor_taints: true, .. }) {
            self.minding_taints.push(index);
        }
        let members: Vec<usize> = (0..self.classes.len()).filter(|class| tally.members[*class]).collect();
        let counts_terminating = tally.counts_terminating;
        self.tallies.push(tally);
        for host in 0..self.hosts.len() {
            if !self.hosts[host].gone {
                self.admit(index, host);
            }
        }
        for body in members.iter().flat_map(|class| &self.by_class[*class]) {
            if let Some(host) = self.bodies[*body].host
                && (counts_terminating || !self.is_terminating(*body))
            {
                self.tallies[index].shift(host, 1);
            }
        }
        index
    }

    /// Lets a host without counted pods count.
    fn admit(&mut self, tally: usize, host: usize) {
        let domain = self.domain_seen(tally, host);
        self.tallies[tally].admit(host, domain);
    }

    fn dismiss(&mut self, tally: usize, host: usize) {
        if !self.tallies[tally].counts_host(host) {
            return;
        }
        let pods = self.counted(tally, host);
        if pods != 0 {
            self.tallies[tally].shift(host, -pods);
        }
        self.tallies[tally].dismiss(host);
    }

    fn counted(&self, tally: usize, host: usize) -> i64 {
        let tally = &self.tallies[tally];
        let counts = |body: &&usize| {
            tally.members[self.bodies[**body].class] && (tally.counts_terminating || !self.is_terminating(**body))
        };
        i64::try_from(self.hosts[host].pods.iter().filter(counts).count()).unwrap_or(i64::MAX)
    }

    /// The domain that a host counts for, if it counts.
    fn domain_seen(&self, tally: usize, at: usize) -> Option<usize> {
        let domain = self.domain(tally, at)?;
        if let Hosts::SeenBy { class, keys, honor_affinity, honor_taints } = &self.tallies[tally].hosts {
            let (shape, host) = (self.classes[*class].shape, &self.hosts[at]);
            let seen = keys.iter().all(|key| self.topologies[*key].of_host[at].is_some())
                && (!honor_affinity || node_wanted(shape, host.name, &|key| host.label(key)) == Some(true))
                && (!honor_taints || untolerated(&shape.tolerations, &host.taints).is_none());
            if !seen {
                return None;
            }
        }
        Some(domain)
    }
}
