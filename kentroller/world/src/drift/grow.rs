//! Growth and shrinking in memory: which pod ends on which node.

use std::collections::BTreeMap;
use std::sync::Arc;

use kentroller_planner::manifest::{ObjectName, Pod};
use serde_json::Value;

use super::objects;
use super::services::Service;
use crate::catalogue::{Catalogue, HOSTNAME, ON_DEMAND, Offering, ZONES};
use crate::entropy::Entropy;
use crate::hands::wide;
use crate::karpenter::{Provisioning, node_name};
use crate::room::{Amounts, Class, Room, Rooms};
use crate::scheduler::score::Chooser;
use crate::seen::Known;
use crate::workloads::daemon_spec;

/// How many pods of the peak stay, in percent: between these.
const STAYING: (usize, usize) = (45, 75);

/// A node of the grown cluster.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) instance_type: String,
    pub(super) zone: String,
    /// What the pods of its first wave asked for, as its claim says.
    pub(super) requests: Amounts,
    /// The services whose pods run here, one entry a pod.
    pub(super) pods: Vec<usize>,
}

/// Grows a cluster to so many nodes and shrinks its services again.
pub(super) fn grow(
    nodes: usize,
    services: &[Service],
    pool: &Value,
    catalogue: &Catalogue,
    entropy: &mut Entropy,
) -> Vec<Machine> {
    let pool = Known::of(Arc::new(pool.clone()));
    let mut chooser = Chooser::new(entropy.fork("places"));
    let mut rooms = Rooms::default();
    let mut machines: Vec<Machine> = Vec::new();
    let mut counts = vec![0_usize; services.len()];
    while machines.len() < nodes {
        let mut homeless: Vec<usize> = Vec::new();
        for service in wave(services, &mut counts, entropy) {
            match chooser.choose(&services[service].pod, &rooms) {
                Ok(at) => seat(&mut rooms, &mut machines, at, service, services),
                Err(_) => homeless.push(service),
            }
        }
        for claim in
            bought(&homeless, services, &pool, catalogue, &rooms, entropy).into_iter().take(nodes - machines.len())
        {
            let machine = Machine { name: unused_name(&machines, entropy), ..claim };
            rooms.list.push(room(&machine, catalogue));
            machines.push(machine);
        }
        for service in homeless {
            match chooser.choose(&services[service].pod, &rooms) {
                Ok(at) => seat(&mut rooms, &mut machines, at, service, services),
                Err(_) => counts[service] -= 1,
            }
        }
    }
    shrink(&mut machines, &counts, entropy);
    machines
}

/// Services that grow by some pods each, 20 to 100 in all; large applications grow faster.
fn wave(services: &[Service], counts: &mut [usize], entropy: &mut Entropy) -> Vec<usize> {
    let wanted = entropy.between(20, 100);
    let mut pods = Vec::new();
    while pods.len() < wanted {
        let service = entropy.below(services.len());
        let more = entropy.between(1, 3 + services[service].weight.isqrt() / 3);
        let more = more.min(services[service].most.saturating_sub(counts[service]));
        counts[service] += more;
        pods.extend(std::iter::repeat_n(service, more));
    }
    pods
}

fn seat(rooms: &mut Rooms, machines: &mut [Machine], at: usize, service: usize, services: &[Service]) {
    let pod = &services[service].pod;
    let class = rooms.class(Class::of(pod));
    rooms.seat(at, class, Amounts::of_pod(&pod.spec.shape), true);
    machines[at].pods.push(service);
}

/// What Karpenter would have launched, on a day on which half of the families were sold out.
fn bought(
    homeless: &[usize],
    services: &[Service],
    pool: &Known<kentroller_planner::manifest::NodePool>,
    catalogue: &Catalogue,
    rooms: &Rooms,
    entropy: &mut Entropy,
) -> Vec<Machine> {
    let mut sold_out: BTreeMap<&str, bool> = BTreeMap::new();
    for sold in catalogue.cheapest_first() {
        let family = sold.name().split('.').next().unwrap_or_default();
        sold_out.entry(family).or_insert_with(|| entropy.chance(60));
    }
    let barred =
        catalogue.cheapest_first().iter().filter(|sold| sold_out[sold.name().split('.').next().unwrap_or_default()]);
    let barred = barred.flat_map(|sold| {
        ZONES.map(|zone| Offering {
            instance_type: sold.name().into(),
            zone: zone.into(),
            capacity_type: ON_DEMAND.into(),
        })
    });
    let daemons = objects::daemons().iter().map(daemon_spec).collect();
    let mut provisioning = Provisioning::new(catalogue, vec![pool], daemons, barred.collect());
    provisioning.rooms = rooms.clone();
    let keys: Vec<ObjectName> = (0..homeless.len()).map(|number| wide(&format!("{number:06}"))).collect();
    let pods: Vec<(&ObjectName, &Pod)> =
        keys.iter().zip(homeless).map(|(key, service)| (key, &services[*service].pod)).collect();
    let claims = provisioning.place(pods).claims;
    claims
        .iter()
        .filter_map(|claim| {
            let zone = claim.places[entropy.below(claim.places.len())].0.clone();
            let instance_type = claim.types.first()?.name().to_owned();
            Some(Machine { name: String::new(), instance_type, zone, requests: claim.requests, pods: Vec::new() })
        })
        .collect()
}

fn unused_name(machines: &[Machine], entropy: &mut Entropy) -> String {
    loop {
        let name = node_name(entropy);
        if machines.iter().all(|machine| machine.name != name) {
            return name;
        }
    }
}

fn room(machine: &Machine, catalogue: &Catalogue) -> Room {
    let sold = catalogue.get(&machine.instance_type).expect("it was bought from this catalogue");
    let offer = sold.offer(&machine.zone, ON_DEMAND).expect("it was bought there");
    let mut labels = offer.labels.clone();
    labels.insert(HOSTNAME.into(), machine.name.clone());
    let mut used = Amounts::default();
    for daemon in objects::daemons() {
        used += Amounts::of_pod(&daemon_spec(&daemon).shape);
    }
    Room { name: machine.name.as_str().into(), labels, allocatable: sold.allocatable(), used, ..Room::default() }
}

/// Takes pods away by lot; every service keeps one at least.
fn shrink(machines: &mut [Machine], counts: &[usize], entropy: &mut Entropy) {
    for (service, count) in counts.iter().enumerate() {
        let staying = (count * entropy.between(STAYING.0, STAYING.1) / 100).max(1);
        let mut places: Vec<usize> = Vec::new();
        for (at, machine) in machines.iter().enumerate() {
            places.extend(machine.pods.iter().filter(|one| **one == service).map(|_| at));
        }
        entropy.shuffle(&mut places);
        for at in places.into_iter().skip(staying) {
            if let Some(index) = machines[at].pods.iter().position(|one| *one == service) {
                machines[at].pods.remove(index);
            }
        }
    }
}
