//! What a plan saves, in the words of `status.savings`.

use std::collections::BTreeSet;

use kentroller_planner::{CapacityType, Catalog, Money, Plan, Snapshot, manifest};

use crate::api::marks::{CAPACITY_TYPE, INSTANCE_TYPE, REGION, ZONE};
use crate::api::{NodeCost, Savings};

/// The savings of a plan, and the amounts that they are made of.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    pub(super) savings: Savings,
    /// What the nodes that go cost an hour.
    pub(super) blue: Money,
    /// What is saved an hour; negative if the plan is dearer.
    pub(super) saved: Money,
}

/// What a node costs an hour, as far as that is known.
pub(super) fn price(node: &manifest::Node, catalog: &Catalog) -> Option<Money> {
    let label = |key: &str| node.metadata.labels.get(key).map(String::as_str).unwrap_or_default();
    let capacity = CapacityType::of(label(CAPACITY_TYPE));
    catalog.price(label(REGION), label(INSTANCE_TYPE), label(ZONE), &capacity)
}

/// The sum of what the nodes cost; nodes without a known price count nothing.
pub(super) fn sum<'a>(nodes: impl Iterator<Item = &'a manifest::Node>, catalog: &Catalog) -> Money {
    nodes.filter_map(|node| price(node, catalog)).fold(Money::ZERO, |sum, price| sum + price)
}

pub(super) fn savings(plan: &Plan, snapshot: &Snapshot, catalog: &Catalog) -> Costs {
    let removed: BTreeSet<&str> = plan.removed().collect();
    let blue_nodes: Vec<&manifest::Node> =
        snapshot.nodes.iter().filter(|node| removed.contains(&*node.metadata.name)).collect();
    let added = plan.added();
    let blue = sum(blue_nodes.iter().copied(), catalog);
    let green = added.values().fold(Money::ZERO, |sum, node| sum + node.price);
    let cluster = sum(snapshot.nodes.iter(), catalog);
    let is_known = snapshot.nodes.iter().all(|node| price(node, catalog).is_some());
    let (saved, cluster_after) = (blue - green, cluster - blue + green);
    let count = |count: usize| Some(i32::try_from(count).unwrap_or(i32::MAX));
    let moving = plan.moves();
    let held = plan.kept.iter().map(|kept| kept.blockers.len()).sum();
    let savings = Savings {
        blue_nodes: blue_nodes.iter().map(|node| blue_cost(node, catalog)).collect(),
        currency: "USD".to_owned(),
        current_cluster_hourly_cost: Some(cluster.hourly()),
        current_cluster_monthly_cost: Some(cluster.monthly()),
        current_cluster_nodes: count(snapshot.nodes.len()),
        current_hourly_cost: Some(blue.hourly()),
        current_migratable_pods: count(moving),
        current_monthly_cost: Some(blue.monthly()),
        current_problematic_pods: count(held),
        current_replaceable_nodes: count(blue_nodes.len()),
        green_nodes: added.values().map(|node| green_cost(node, &plan.region, catalog)).collect(),
        projected_cluster_hourly_cost: Some(cluster_after.hourly()),
        projected_cluster_monthly_cost: Some(cluster_after.monthly()),
        projected_cluster_nodes: count(snapshot.nodes.len() + added.len() - blue_nodes.len()),
        // A part of an unknown whole is no share.
        projected_cluster_savings_percent: is_known.then(|| saved.percent_of(cluster).to_string()),
        projected_green_nodes: count(added.len()),
        projected_hourly_cost: Some(green.hourly()),
        projected_monthly_cost: Some(green.monthly()),
        projected_savings_cost_hourly: Some(saved.hourly()),
        projected_savings_cost_monthly: Some(saved.monthly()),
        projected_savings_percent: Some(saved.percent_of(blue).to_string()),
    };
    Costs { savings, blue, saved }
}

fn blue_cost(node: &manifest::Node, catalog: &Catalog) -> NodeCost {
    let label = |key: &str| node.metadata.labels.get(key).cloned();
    let capacity = |resource: &str| node.status.capacity.get(resource);
    NodeCost {
        instance_type: label(INSTANCE_TYPE),
        is_spot: label(CAPACITY_TYPE).as_deref() == Some("spot"),
        memory_mib: capacity("memory").map(|memory| memory.units() >> 20),
        milli_cpu: capacity("cpu").map(|cpu| cpu.milli()),
        name: (*node.metadata.name).to_owned(),
        price_hourly: price(node, catalog).map(Money::hourly),
    }
}

fn green_cost(node: &kentroller_planner::NewNode, region: &str, catalog: &Catalog) -> NodeCost {
    let size = catalog.instance_type(region, &node.instance_type);
    NodeCost {
        instance_type: Some(node.instance_type.clone()),
        is_spot: node.capacity_type == CapacityType::Spot,
        memory_mib: size.map(|size| size.instance_type.memory_mib),
        milli_cpu: size.map(|size| size.instance_type.vcpu * 1000),
        name: node.name.clone(),
        price_hourly: Some(node.price.hourly()),
    }
}
