//! The labels that a node of an offering will carry, told from the type's name, the catalogue and live nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::selectors::{Known, satisfies};
use crate::manifest::marks::{
    AWS_INSTANCE, CAPACITY_TYPE, EBS_ZONE, HOSTNAME, INITIALIZED, NODE_POOL, OLD_ZONE, REGISTERED, ZONE, ZONE_ID,
};
use crate::manifest::{Labels, NodePool, Operator};
use crate::value::labels::Learned;
use crate::value::{CapacityType, InstanceType};

/// What is bought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bought<'a> {
    pub(super) name: &'a str,
    pub(super) instance_type: &'a InstanceType,
    pub(super) zone: &'a str,
    pub(super) capacity_type: &'a CapacityType,
    pub(super) region: &'a str,
    /// Labels that the plan states. They count only where the pool leaves the choice.
    pub(super) stated: &'a Labels,
}

/// The labels, and the keys whose values cannot be told.
pub(super) fn of_new(pool: &NodePool, bought: &Bought<'_>, learned: &Learned<'_>) -> (Arc<Labels>, BTreeSet<String>) {
    let it = bought.instance_type;
    let mut untold = BTreeSet::new();
    let mut labels = pool.spec.template.metadata.labels.clone();
    let mut set = |key: &str, value: &str| {
        labels.insert(key.to_owned(), value.to_owned());
    };
    set(NODE_POOL, &pool.metadata.name);
    set(CAPACITY_TYPE, bought.capacity_type.as_str());
    set(REGISTERED, "true");
    set(INITIALIZED, "true");
    let class = &pool.spec.template.spec.node_class_ref;
    if !class.kind.is_empty() {
        set(&format!("{}/{}", class.group, class.kind.to_lowercase()), &class.name);
    }
    set(HOSTNAME, bought.name);
    if !bought.zone.is_empty() {
        for key in [ZONE, OLD_ZONE, EBS_ZONE] {
            set(key, bought.zone);
        }
        if let Some(id) = learned.zone_id(bought.zone) {
            set(ZONE_ID, id);
        }
    }
    for (key, value) in learned.type_labels(it, bought.region) {
        labels.entry(key).or_insert(value);
    }
    let category: String = it.name.chars().take_while(char::is_ascii_lowercase).collect();
    // Its GPUs are none of those that the catalogue counts.
    if it.gpu_count == 0 && ["g", "p"].contains(&category.as_str()) {
        untold.insert(format!("{AWS_INSTANCE}gpu-"));
    }
    choose_at_launch(pool, bought, &mut labels, &mut untold);
    (Arc::new(labels), untold)
}

/// Adds the labels that the pool's requirements make. Keys whose value is chosen at launch go to `untold`.
fn choose_at_launch(pool: &NodePool, bought: &Bought<'_>, labels: &mut Labels, untold: &mut BTreeSet<String>) {
    for requirement in &pool.spec.template.spec.requirements {
        let key = &requirement.key;
        if labels.contains_key(key) || is_well_known(key) {
            continue;
        }
        match (bought.stated.get(key), requirement.values.as_slice()) {
            (Some(value), _)
                if satisfies(&requirement.operator, &requirement.values, Known::Is(value)) == Some(true) =>
            {
                labels.insert(key.clone(), value.clone());
            }
            (_, [value]) if requirement.operator == Operator::In => {
                labels.insert(key.clone(), value.clone());
            }
            _ if requirement.operator == Operator::DoesNotExist => {}
            _ => {
                untold.insert(key.clone());
            }
        }
    }
}

/// Whether a key is set by the provider, so that a pool's requirement restricts it and does not create it.
pub(super) fn is_well_known(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let standard = ["kubernetes.io", "karpenter.sh", "karpenter.k8s.aws", "karpenter.kwok.sh", "k8s.aws"];
    standard.iter().any(|known| domain == *known || domain.ends_with(&format!(".{known}")))
        && !domain.starts_with("node-restriction.")
}
