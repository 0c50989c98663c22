//! One pass of placing pods: what fits on existing nodes, and which claims the rest takes.
//!
//! First fit, as Karpenter does it: existing nodes (soft taints count as hard), claims just thought of, a new claim of the
//! first pool that works. Absent: preferences, NodeOverlays, minValues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kentroller_planner::manifest::{Labels, NodePool, ObjectName, Pod, PodSpec, Requirement, Taint};
use serde_json::{Value, json};

use super::launch::admits;
use super::{NODE_CLASS, NODE_POOL, resources};
use crate::catalogue::{CAPACITY_TYPE, Catalogue, HOSTNAME, INSTANCE_TYPE, Offer, Offering, Sold, ZONE};
use crate::entropy::Entropy;
use crate::room::{Amounts, Class, Room, Rooms};
use crate::scheduler::filter::{Rules, SoftTaints, meets_node_rules};
use crate::seen::{Known, uid};
use crate::workloads::daemon_belongs;

/// The most types that a claim lists.
const MOST_TYPES: usize = 600;

/// What the daemons take of a node with these labels and taints.
pub(super) fn overhead(daemons: &[PodSpec], name: &str, labels: &Labels, taints: &[Taint]) -> Amounts {
    let running = daemons.iter().filter(|spec| daemon_belongs(spec, name, labels, taints));
    running.fold(Amounts::default(), |sum, spec| sum.plus(Amounts::of_pod(&spec.shape)))
}

/// One pass of placing pods, with what it thinks of buying.
#[derive(Clone, Debug)]
pub(crate) struct Provisioning<'a> {
    pub(crate) rooms: Rooms,
    /// Names of rooms whose node is not there so far.
    pub(super) coming: BTreeSet<Arc<str>>,
    pools: Vec<&'a Known<NodePool>>,
    pub(super) daemons: Vec<PodSpec>,
    catalogue: &'a Catalogue,
    barred: BTreeSet<Offering>,
    /// What each pool may still launch: amounts and nodes.
    left: BTreeMap<&'a str, (Amounts, i64)>,
    claims: Vec<NewClaim<'a>>,
}

/// Where pods were placed.
#[derive(Debug)]
pub(crate) struct Placement<'a> {
    pub(crate) claims: Vec<NewClaim<'a>>,
    /// Those that found no place.
    pub(super) missed: BTreeSet<&'a ObjectName>,
    /// Whether a pod counts on a node that is not there so far.
    pub(super) leans_on_coming: bool,
}

/// A claim that is thought of.
#[derive(Clone, Debug)]
pub(crate) struct NewClaim<'a> {
    pub(super) pool: &'a Known<NodePool>,
    /// Types that hold everything so far, cheapest first.
    pub(crate) types: Vec<&'a Sold>,
    /// Zones and capacity types in which one of the types is to be had.
    pub(crate) places: Vec<&'a (String, String)>,
    /// Of its pods and of the daemons.
    pub(crate) requests: Amounts,
    room: usize,
}

impl<'a> Provisioning<'a> {
    pub(crate) fn new(
        catalogue: &'a Catalogue,
        mut pools: Vec<&'a Known<NodePool>>,
        daemons: Vec<PodSpec>,
        barred: BTreeSet<Offering>,
    ) -> Self {
        pools.sort_by_key(|pool| (-pool.object.spec.weight, pool.object.metadata.name.clone()));
        let left = pools.iter().map(|pool| (&*pool.object.metadata.name, headroom(&pool.object))).collect();
        Self {
            rooms: Rooms::default(),
            coming: BTreeSet::new(),
            pools,
            daemons,
            catalogue,
            barred,
            left,
            claims: Vec::new(),
        }
    }

    /// Takes nodes away, as if they were gone.
    pub(super) fn without(&mut self, names: &BTreeSet<&str>) {
        self.rooms.list.retain(|room| !names.contains(&*room.name));
    }

    /// Finds a place for each pod, largest first, and answers the claims that this takes.
    pub(crate) fn place(mut self, mut pods: Vec<(&'a ObjectName, &'a Pod)>) -> Placement<'a> {
        let (mut missed, mut leans_on_coming) = (BTreeSet::new(), false);
        pods.sort_by_key(|(key, pod)| {
            let asked = Amounts::of_pod(&pod.spec.shape);
            (-asked.cpu_milli, -asked.memory, *key)
        });
        for (key, pod) in pods {
            let class = self.rooms.class(Class::of(pod));
            let rules = Rules::of(pod, &self.rooms, SoftTaints::Scored);
            let place = self.fit_existing(pod).or_else(|| self.fit_thought(pod, &rules));
            let Some(at) = place.or_else(|| self.fit_new(pod, &rules)) else {
                missed.insert(key);
                continue;
            };
            leans_on_coming |= self.coming.contains(&self.rooms.list[at].name);
            self.rooms.seat(at, class, Amounts::of_pod(&pod.spec.shape), true);
        }
        Placement { claims: self.claims, missed, leans_on_coming }
    }

    fn fit_existing(&self, pod: &Pod) -> Option<usize> {
        let rules = Rules::of(pod, &self.rooms, SoftTaints::Hard);
        let thought: Vec<usize> = self.claims.iter().map(|claim| claim.room).collect();
        (0..self.rooms.list.len()).find(|at| !thought.contains(at) && rules.miss(&self.rooms.list[*at]).is_none())
    }

    /// The claim with the fewest pods first.
    fn fit_thought(&mut self, pod: &Pod, rules: &Rules<'_>) -> Option<usize> {
        let mut order: Vec<usize> = (0..self.claims.len()).collect();
        order.sort_by_key(|at| self.rooms.list[self.claims[*at].room].used.pods);
        order.into_iter().find_map(|at| {
            let mut claim = self.claims[at].clone();
            self.narrow(&mut claim, pod, rules).then(|| {
                let room = claim.room;
                self.claims[at] = claim;
                room
            })
        })
    }

    fn fit_new(&mut self, pod: &Pod, rules: &Rules<'_>) -> Option<usize> {
        for pool in self.pools.clone() {
            let template = &pool.object.spec.template;
            let name = format!("thought-{}", self.rooms.list.len());
            let mut labels = template.metadata.labels.clone();
            labels.insert(NODE_POOL.into(), (*pool.object.metadata.name).to_owned());
            labels.insert(HOSTNAME.into(), name.clone());
            let (amounts, nodes) = self.left[&*pool.object.metadata.name];
            let types: Vec<&Sold> = self
                .catalogue
                .cheapest_first()
                .iter()
                .filter(|sold| {
                    nodes > 0
                        && sold.capacity().cpu_milli <= amounts.cpu_milli
                        && sold.capacity().memory <= amounts.memory
                })
                .collect();
            let taints = template.spec.taints.clone();
            let requests = overhead(&self.daemons, &name, &labels, &taints);
            let boundless = Amounts { cpu_milli: i64::MAX / 4, memory: i64::MAX / 4, pods: i64::MAX / 4 };
            let room =
                Room { name: name.into(), labels, taints, allocatable: boundless, used: requests, ..Room::default() };
            self.rooms.list.push(room);
            let at = self.rooms.list.len() - 1;
            let places = self.catalogue.places().iter().collect();
            let mut claim = NewClaim { pool, types, places, requests, room: at };
            if self.narrow(&mut claim, pod, rules) {
                let largest =
                    claim.types.iter().fold(Amounts::default(), |most, sold| most.max_of_each(sold.capacity()));
                self.left.insert(&pool.object.metadata.name, (amounts.minus(largest), nodes - 1));
                self.claims.push(claim);
                return Some(at);
            }
            self.rooms.list.pop();
        }
        None
    }

    /// The offer of a type in a place, where a pool may buy it.
    fn open<'s>(&self, sold: &'s Sold, place: &(String, String), requirements: &[Requirement]) -> Option<&'s Offer> {
        let (zone, capacity_type) = (place.0.clone(), place.1.clone());
        let offer = sold.offer(&zone, &capacity_type)?;
        let offering = Offering { instance_type: sold.name().to_owned(), zone, capacity_type };
        (!self.barred.contains(&offering) && admits(requirements, &offer.labels)).then_some(offer)
    }

    /// Leaves a claim those types and places that also take this pod; `false` when there are none.
    fn narrow(&mut self, claim: &mut NewClaim<'a>, pod: &Pod, rules: &Rules<'_>) -> bool {
        let requirements = &claim.pool.object.spec.template.spec.requirements;
        let requests = claim.requests.plus(Amounts::of_pod(&pod.spec.shape));
        let template = &self.rooms.list[claim.room];
        let mut places = Vec::new();
        let mut types = Vec::new();
        for place in &claim.places {
            let mut room = template.clone();
            room.labels.insert(ZONE.into(), place.0.clone());
            let fitting: Vec<(&Sold, &Offer)> = claim
                .types
                .iter()
                .filter(|sold| requests.fits(sold.allocatable()))
                .filter_map(|sold| Some((*sold, self.open(sold, place, requirements)?)))
                .filter(|(_, offer)| takes(pod, offer, &room))
                .collect();
            // The rules about the node's labels hold for each fitting type; those about other pods are left.
            if let Some((_, first)) = fitting.first() {
                room.labels.extend(first.labels.clone());
                if rules.miss(&room).is_none() {
                    places.push(*place);
                    types = merged(types, fitting.into_iter().map(|(sold, _)| sold).collect());
                }
            }
        }
        let Some((first, _)) = places.first() else { return false };
        if has_zonal_rules(pod) {
            places.retain(|(zone, _)| zone == first);
        }
        if places.iter().all(|(zone, _)| zone == first) {
            self.rooms.list[claim.room].labels.insert(ZONE.into(), first.clone());
        }
        *claim = NewClaim { types, places, requests, ..claim.clone() };
        true
    }
}

/// Whether a pod's rules about node labels hold on a machine that is bought so.
fn takes(pod: &Pod, offer: &Offer, room: &Room) -> bool {
    let shape = &pod.spec.shape;
    if shape.node_selector.is_empty() && shape.affinity.node_affinity.required.is_none() {
        return true;
    }
    let mut labels = offer.labels.clone();
    labels.extend(room.labels.clone());
    meets_node_rules(shape, &room.name, &labels)
}

/// Both lists, cheapest first, each type once.
fn merged<'a>(mut one: Vec<&'a Sold>, other: Vec<&'a Sold>) -> Vec<&'a Sold> {
    one.extend(other);
    one.sort_by(|a, b| a.price.cmp(&b.price).then_with(|| a.name().cmp(b.name())));
    one.dedup_by(|a, b| a.name() == b.name());
    one
}

/// Whether a pod cares about the zone of other pods.
fn has_zonal_rules(pod: &Pod) -> bool {
    let shape = &pod.spec.shape;
    let spread = shape
        .topology_spread_constraints
        .iter()
        .any(|one| one.topology_key == ZONE && one.when_unsatisfiable == "DoNotSchedule");
    let terms = shape.affinity.pod_affinity.required.iter().chain(&shape.affinity.pod_anti_affinity.required);
    spread || terms.into_iter().any(|term| term.topology_key == ZONE)
}

/// What a pool's limits leave.
fn headroom(pool: &NodePool) -> (Amounts, i64) {
    let (limits, used) = (&pool.spec.limits, &pool.status.resources);
    let left = |name: &str, value: fn(&kentroller_planner::Quantity) -> i64| match limits.get(name) {
        Some(limit) => value(limit) - used.get(name).map_or(0, value),
        None => i64::MAX / 4,
    };
    let amounts = Amounts { cpu_milli: left("cpu", |q| q.milli()), memory: left("memory", |q| q.units()), pods: 0 };
    (amounts, left("nodes", |q| q.units()))
}

impl NewClaim<'_> {
    pub(super) fn object(&self, luck: &mut Entropy) -> Value {
        let types = self.types.iter().take(MOST_TYPES).map(|sold| sold.name().to_owned()).collect();
        claim_of_pool(&self.pool.raw, types, &self.places, self.requests, luck)
    }
}

/// A claim as Karpenter makes it from a pool's template.
pub(crate) fn claim_of_pool(
    pool: &Value,
    types: Vec<String>,
    places: &[&(String, String)],
    requests: Amounts,
    luck: &mut Entropy,
) -> Value {
    let (name, template) = (pool["metadata"]["name"].as_str().unwrap_or_default(), &pool["spec"]["template"]);
    let once = |words: BTreeSet<&String>| words.into_iter().cloned().collect();
    let zones = once(places.iter().map(|(zone, _)| zone).collect());
    let capacity_types = once(places.iter().map(|(_, capacity_type)| capacity_type).collect());
    let narrowed = [(INSTANCE_TYPE, types), (ZONE, zones), (CAPACITY_TYPE, capacity_types)];
    let mut requirements: Vec<Value> = template["spec"]["requirements"].as_array().cloned().unwrap_or_default();
    requirements.retain(|one| narrowed.iter().all(|(key, _)| one["key"] != *key));
    requirements
        .extend(narrowed.into_iter().map(|(key, values)| json!({"key": key, "operator": "In", "values": values})));
    requirements.push(json!({"key": NODE_POOL, "operator": "In", "values": [name]}));
    let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(NODE_POOL.into(), json!(name));
    labels.insert(NODE_CLASS.into(), template["spec"]["nodeClassRef"]["name"].clone());
    let mut annotations = template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    for key in [super::HASH, super::HASH_VERSION] {
        annotations.insert(key.into(), pool["metadata"]["annotations"][key].clone());
    }
    let mut spec = json!({
        "requirements": requirements, "nodeClassRef": template["spec"]["nodeClassRef"],
        "resources": {"requests": resources_of_requests(requests)},
    });
    for field in ["taints", "startupTaints", "expireAfter", "terminationGracePeriod"] {
        if !template["spec"][field].is_null() {
            spec[field] = template["spec"][field].clone();
        }
    }
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {
            "name": format!("{name}-{}", luck.suffix(5)), "labels": labels, "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "name": name, "uid": uid(pool),
                "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    })
}

fn resources_of_requests(amounts: Amounts) -> Value {
    let mut list = resources(amounts);
    list.as_object_mut().map(|list| list.remove("ephemeral-storage"));
    list
}
