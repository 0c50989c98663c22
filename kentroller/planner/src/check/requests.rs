//! What a pod asks for, counted as kube-scheduler counts (`k8s.io/component-helpers/resource`, `PodRequests`).

use std::collections::BTreeMap;

use crate::manifest::{Container, PodShape, PodStatus, Quantity, ResourceList, Resources};

/// Amounts by resource: milli-cpu for `cpu`, whole units for everything else.
pub(super) type Amounts<'a> = BTreeMap<&'a str, i128>;

/// What a pod takes from a node, by the larger of what it asks for and what it holds after an in-place resize.
pub(super) fn of_pod<'a>(shape: &'a PodShape, status: &PodStatus) -> Amounts<'a> {
    let infeasible = status.conditions.iter().any(|c| c.kind == "PodResizePending" && c.reason == "Infeasible");
    let exact = |container: &'a Container| -> BTreeMap<&'a str, Quantity> {
        let asked = requested(&container.resources);
        // An init container that ends holds nothing later.
        let ends = !is_sidecar(container) && shape.init_containers.iter().any(|one| one.name == container.name);
        let Some(state) = status.container_statuses.iter().find(|state| !ends && state.name == container.name) else {
            return asked;
        };
        // What cannot be granted here was not in its template either, from which its successor is made.
        // Unless nothing tells what is in force.
        let refused = infeasible && !state.resources.requests.is_empty();
        let mut held: BTreeMap<&'a str, Quantity> = if refused { BTreeMap::new() } else { asked.clone() };
        // Only resources that the container names: nothing else can be resized.
        for name in asked.keys() {
            for amount in
                [state.resources.requests.get(*name), state.allocated_resources.get(*name)].into_iter().flatten()
            {
                let entry = held.entry(name).or_default();
                *entry = (*entry).max(*amount);
            }
        }
        held
    };
    sum(shape, exact)
}

/// What a pod of a template would take.
pub(super) fn of_template(shape: &PodShape) -> Amounts<'_> {
    sum(shape, |container| requested(&container.resources))
}

/// Amounts that a node or a pool names, in the same units.
pub(super) fn amounts(resources: &Resources) -> Amounts<'_> {
    resources.iter().map(|(name, amount)| (name.as_str(), in_units(name, *amount))).collect()
}

/// The host ports that a pod binds, as (protocol, address, port); an empty address is every address.
pub(super) fn host_ports(shape: &PodShape) -> Vec<(&str, &str, i32)> {
    let sidecars = shape.init_containers.iter().filter(|container| is_sidecar(container));
    shape
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| shape.host_ports(container))
        .map(|(port, number)| {
            let protocol = if port.protocol.is_empty() { "TCP" } else { port.protocol.as_str() };
            let address = if port.host_ip == "0.0.0.0" { "" } else { port.host_ip.as_str() };
            (protocol, address, number)
        })
        .collect()
}

/// Whether two host ports exclude each other on one node.
pub(super) fn ports_clash(one: &(&str, &str, i32), other: &(&str, &str, i32)) -> bool {
    one.0 == other.0 && one.2 == other.2 && (one.1.is_empty() || other.1.is_empty() || one.1 == other.1)
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy == "Always"
}

/// Requests, a limit standing in for a request that is not given.
fn requested(list: &ResourceList) -> BTreeMap<&str, Quantity> {
    let mut all: BTreeMap<&str, Quantity> = list.limits.iter().map(|(name, amount)| (name.as_str(), *amount)).collect();
    all.extend(list.requests.iter().map(|(name, amount)| (name.as_str(), *amount)));
    all
}

fn sum<'a>(shape: &'a PodShape, of: impl Fn(&'a Container) -> BTreeMap<&'a str, Quantity>) -> Amounts<'a> {
    let mut total: BTreeMap<&str, Quantity> = BTreeMap::new();
    for container in &shape.containers {
        add(&mut total, &of(container));
    }
    // Init containers run one after the other, each beside the sidecars that started before it.
    let mut sidecars: BTreeMap<&str, Quantity> = BTreeMap::new();
    let mut peak: BTreeMap<&str, Quantity> = BTreeMap::new();
    for container in &shape.init_containers {
        let own = of(container);
        let mut running = sidecars.clone();
        add(&mut running, &own);
        if is_sidecar(container) {
            add(&mut total, &own);
            sidecars.clone_from(&running);
        }
        raise(&mut peak, &running);
    }
    raise(&mut total, &peak);
    let supported = |name: &str| name == "cpu" || name == "memory" || name.starts_with("hugepages-");
    for (name, limit) in shape.resources.limits.iter().filter(|(name, _)| supported(name)) {
        total.entry(name.as_str()).or_insert(*limit);
    }
    for (name, request) in shape.resources.requests.iter().filter(|(name, _)| supported(name)) {
        total.insert(name, *request);
    }
    add(&mut total, &shape.overhead.iter().map(|(name, amount)| (name.as_str(), *amount)).collect());
    let mut counted: Amounts<'a> = total.into_iter().map(|(name, amount)| (name, in_units(name, amount))).collect();
    // The pod itself: a node holds only so many.
    counted.insert("pods", 1);
    counted
}

fn in_units(name: &str, amount: Quantity) -> i128 {
    i128::from(if name == "cpu" { amount.milli() } else { amount.units() })
}

fn add<'a>(total: &mut BTreeMap<&'a str, Quantity>, more: &BTreeMap<&'a str, Quantity>) {
    for (name, amount) in more {
        let entry = total.entry(name).or_default();
        *entry = entry.plus(*amount);
    }
}

fn raise<'a>(total: &mut BTreeMap<&'a str, Quantity>, other: &BTreeMap<&'a str, Quantity>) {
    for (name, amount) in other {
        let entry = total.entry(name).or_default();
        *entry = (*entry).max(*amount);
    }
}

pub(super) fn largest<'a>(mut one: Amounts<'a>, other: &Amounts<'a>) -> Amounts<'a> {
    for (name, amount) in other {
        let entry = one.entry(name).or_default();
        *entry = (*entry).max(*amount);
    }
    one
}
