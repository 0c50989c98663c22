//! The labels that a node of an offering will carry, told from the type's name, the catalogue and live nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::selectors::{Known, satisfies};
use crate::manifest::marks::{
    ARCH, AWS, AWS_INSTANCE, CAPACITY_TYPE, EBS_ZONE, HOSTNAME, INITIALIZED, INSTANCE_TYPE, KWOK_INSTANCE, NODE_POOL,
    OLD_ARCH, OLD_INSTANCE_TYPE, OLD_OS, OLD_REGION, OLD_ZONE, OS, REGION, REGISTERED, ZONE, ZONE_ID,
};
use crate::manifest::{Labels, NodePool, Operator};
use crate::value::{CapacityType, InstanceType, Snapshot};

/// Families whose hypervisor is Xen. Source: "Instances built on Xen" in the EC2 user guide.
const XEN: [&str; 26] = [
    "c1", "c3", "c4", "cc2", "cr1", "d2", "f1", "g2", "g3", "g3s", "h1", "hs1", "i2", "i3", "m1", "m2", "m3", "m4",
    "p2", "p3", "r3", "r4", "t1", "t2", "x1", "x1e",
];

/// What live nodes say about types and zones.
#[derive(Debug, Default)]
pub(super) struct Learned {
    by_type: BTreeMap<String, Labels>,
    zone_ids: BTreeMap<String, String>,
    zones: BTreeSet<String>,
}

impl Learned {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let mut learned = Self::default();
        for labels in snapshot.nodes.iter().map(|node| &*node.metadata.labels) {
            if let Some(of) = labels.get(INSTANCE_TYPE) {
                let known = learned.by_type.entry(of.clone()).or_insert_with(|| {
                    let told = labels.iter().filter(|(key, _)| is_of_type(key));
                    told.map(|(key, value)| (key.clone(), value.clone())).collect()
                });
                // Nodes that contradict each other tell nothing.
                known.retain(|key, value| labels.get(key) == Some(value));
            }
            if let Some(zone) = labels.get(ZONE) {
                learned.zones.insert(zone.clone());
                if let Some(id) = labels.get(ZONE_ID) {
                    learned.zone_ids.insert(zone.clone(), id.clone());
                }
            }
        }
        learned
    }

    /// The zones of live nodes.
    pub(super) const fn zones(&self) -> &BTreeSet<String> {
        &self.zones
    }
}

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

/// The keys whose values cannot be told of any node before it runs.
fn untold(pool: &NodePool) -> BTreeSet<String> {
    let mut untold = BTreeSet::from(
        [
            "ebs-bandwidth",
            "network-bandwidth",
            "local-nvme",
            "encryption-in-transit-supported",
            "cpu-sustained-clock-speed-mhz",
        ]
        .map(|key| format!("{AWS_INSTANCE}{key}")),
    );
    for key in ["instance-tenancy", "nitro-sandbox", "placement-group-"] {
        untold.insert(format!("{AWS}{key}"));
    }
    if pool.spec.template.spec.node_class_ref.group == "karpenter.kwok.sh" {
        untold.insert(KWOK_INSTANCE.to_owned());
    }
    untold
}

/// The labels, and the keys whose values cannot be told.
pub(super) fn of_new(pool: &NodePool, bought: &Bought<'_>, learned: &Learned) -> (Arc<Labels>, BTreeSet<String>) {
    let it = bought.instance_type;
    let mut untold = untold(pool);
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
    set(OS, "linux");
    set(OLD_OS, "linux");
    set(ARCH, &it.arch);
    set(OLD_ARCH, &it.arch);
    set(HOSTNAME, bought.name);
    set(INSTANCE_TYPE, &it.name);
    set(OLD_INSTANCE_TYPE, &it.name);
    if !bought.region.is_empty() {
        set(REGION, bought.region);
        set(OLD_REGION, bought.region);
    }
    if !bought.zone.is_empty() {
        for key in [ZONE, OLD_ZONE, EBS_ZONE] {
            set(key, bought.zone);
        }
        match learned.zone_ids.get(bought.zone) {
            Some(id) => set(ZONE_ID, id),
            None => {
                untold.insert(ZONE_ID.to_owned());
            }
        }
    }
    let of_type = of_type(it, &mut untold);
    labels.extend(of_type);
    if let Some(known) = learned.by_type.get(&it.name) {
        for (key, value) in known {
            untold.remove(key);
            labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
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

/// Whether a label says something about the type, whatever node carries it.
fn is_of_type(key: &str) -> bool {
    [AWS_INSTANCE, KWOK_INSTANCE].iter().any(|prefix| key.starts_with(prefix))
}

/// Whether a key is set by the provider, so that a pool's requirement restricts it and does not create it.
pub(super) fn is_well_known(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let standard = ["kubernetes.io", "karpenter.sh", "karpenter.k8s.aws", "karpenter.kwok.sh", "k8s.aws"];
    standard.iter().any(|known| domain == *known || domain.ends_with(&format!(".{known}")))
        && !domain.starts_with("node-restriction.")
}

/// Labels of the type itself; keys that the name does not tell go to `untold`.
fn of_type(it: &InstanceType, untold: &mut BTreeSet<String>) -> Labels {
    let mut labels = Labels::new();
    let mut set = |key: &str, value: String| {
        labels.insert(format!("{AWS_INSTANCE}{key}"), value);
    };
    set("cpu", it.vcpu.to_string());
    set("memory", it.memory_mib.to_string());
    let Some((family, size)) = it.name.split_once('.') else {
        untold.insert(AWS_INSTANCE.to_owned());
        return labels;
    };
    set("family", family.to_owned());
    set("size", size.to_owned());
    // `u-6tb1` is of category u and generation 1.
    let category: String = family.chars().take_while(char::is_ascii_lowercase).collect();
    let rest = &family[category.len()..];
    let rest = rest.split_once("tb").filter(|_| rest.starts_with('-')).map_or(rest, |(_, generation)| generation);
    let generation: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let suffix = rest[generation.len()..].split('-').next().unwrap_or_default();
    if !generation.is_empty() {
        set("generation", generation);
    }
    set("capability-flex", family.ends_with("-flex").to_string());
    if it.gpu_count > 0 {
        set("gpu-count", it.gpu_count.to_string());
        set("gpu-name", it.gpu_name.clone());
        set("gpu-manufacturer", "nvidia".to_owned());
        untold.insert(format!("{AWS}instance-gpu-memory"));
    } else if ["g", "p"].contains(&category.as_str()) {
        untold.insert(format!("{AWS}instance-gpu-"));
    }
    if ["inf", "trn", "dl", "vt"].contains(&category.as_str()) {
        untold.insert(format!("{AWS}instance-accelerator-"));
    }
    match (it.arch.as_str(), category.as_str()) {
        (_, "mac") => {
            untold.insert(format!("{AWS}instance-cpu-manufacturer"));
        }
        ("arm64", _) => set("cpu-manufacturer", "aws".to_owned()),
        (_, _) if suffix.contains('a') => set("cpu-manufacturer", "amd".to_owned()),
        (_, "c" | "m" | "r" | "t" | "i" | "d" | "x" | "z" | "h") => set("cpu-manufacturer", "intel".to_owned()),
        _ => {
            untold.insert(format!("{AWS}instance-cpu-manufacturer"));
        }
    }
    if size.starts_with("metal") {
        untold.insert(format!("{AWS}instance-hypervisor"));
    } else {
        set("hypervisor", if XEN.contains(&family) { "xen" } else { "nitro" }.to_owned());
    }
    set("category", category);
    labels
}
