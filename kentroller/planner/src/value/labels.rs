//! The labels of nodes that do not exist yet, as far as catalogue and live nodes tell them, and which of them stay untold.
//!
//! Facts, not rules: planner and judge read the same ones.

use std::collections::{BTreeMap, BTreeSet};

use super::{InstanceType, Snapshot};
use crate::manifest::marks::{
    ARCH, AWS, AWS_INSTANCE, AWS_TOPOLOGY, INSTANCE_TYPE, KWOK, KWOK_INSTANCE, OLD_ARCH, OLD_INSTANCE_TYPE, OLD_OS,
    OLD_REGION, OS, REGION, ZONE_ID,
};
use crate::manifest::{Labels, NodePool};

/// Families of the Xen hypervisor. Source: "Instances built on Xen" in the EC2 user guide.
const XEN: [&str; 26] = [
    "c1", "c3", "c4", "cc2", "cr1", "d2", "f1", "g2", "g3", "g3s", "h1", "hs1", "i2", "i3", "m1", "m2", "m3", "m4",
    "p2", "p3", "r3", "r4", "t1", "t2", "x1", "x1e",
];

/// The labels that an instance type gives its nodes, as far as its row in the catalogue tells.
///
/// Names and meanings: `aws/karpenter-provider-aws`, `pkg/apis/v1/labels.go` and `pkg/providers/instancetype/types.go`, and
/// `kwok/cloudprovider/helpers.go` of `kubernetes-sigs/karpenter`, v1.14.1.
pub(crate) fn of_type(instance_type: &InstanceType, region: &str) -> Labels {
    let name = instance_type.name.as_str();
    let (family, size) = name.split_once('.').unwrap_or((name, ""));
    let letters = family.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(family.len());
    let category = &family[..letters];
    // `u-6tb1` has its generation after the size, all others right after the category.
    let after = family[letters..]
        .strip_prefix('-')
        .and_then(|rest| rest.split_once("tb"))
        .map_or(&family[letters..], |(_, g)| g);
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    let generation = &after[..digits];
    let traits = &after[digits..];
    let manufacturer = match category {
        "mac" => "",
        _ if instance_type.arch == "arm64" => "aws",
        _ if traits.starts_with('a') => "amd",
        "c" | "d" | "h" | "i" | "m" | "r" | "t" | "x" | "z" => "intel",
        // One letter of an accelerated family stands for several makers.
        _ => "",
    };
    let mut labels = Labels::new();
    let mut set = |key: &str, value: &str| {
        if !value.is_empty() {
            labels.insert(key.to_owned(), value.to_owned());
        }
    };
    for (keys, value) in [
        ([INSTANCE_TYPE, OLD_INSTANCE_TYPE], name),
        ([ARCH, OLD_ARCH], &instance_type.arch),
        ([OS, OLD_OS], "linux"),
        ([REGION, OLD_REGION], region),
    ] {
        keys.into_iter().for_each(|key| set(key, value));
    }
    let mut aws = |key: &str, value: &str| set(&format!("{AWS_INSTANCE}{key}"), value);
    aws("family", family);
    aws("size", size);
    aws("cpu", &instance_type.vcpu.to_string());
    aws("memory", &instance_type.memory_mib.to_string());
    aws("category", category);
    aws("generation", generation);
    aws("cpu-manufacturer", manufacturer);
    aws("capability-flex", if family.ends_with("-flex") { "true" } else { "false" });
    if !size.contains("metal") && !generation.is_empty() {
        aws("hypervisor", if XEN.contains(&family) { "xen" } else { "nitro" });
    }
    if instance_type.gpu_count > 0 {
        aws("gpu-count", &instance_type.gpu_count.to_string());
        aws("gpu-name", &instance_type.gpu_name);
        aws("gpu-manufacturer", "nvidia");
    }
    // The kwok provider writes amounts as its file of types has them. Live nodes tell those.
    let mut kwok = |key: &str, value: &str| set(&format!("{KWOK_INSTANCE}{key}"), value);
    kwok("family", name.split(['.', '-']).next().filter(|of| of.len() < name.len()).unwrap_or(""));
    let named = size.strip_suffix("xlarge").is_some_and(|times| times.bytes().all(|b| b.is_ascii_digit()));
    if named || ["nano", "micro", "small", "medium", "large", "metal"].contains(&size) {
        kwok("size", if family.contains('-') { "" } else { size });
    }
    labels
}

/// Whether a node that does not exist yet may carry a label of this key although nothing here tells its value.
///
/// That is what a known provider says of its machines beyond what the catalogue has. In a pool that asks for what an unknown
/// one says nothing is bought: see [`foreign_key`].
pub(crate) fn is_untold(key: &str) -> bool {
    const TOLD: [&str; 11] = [
        "instance-family",
        "instance-size",
        "instance-cpu",
        "instance-memory",
        "instance-category",
        "instance-generation",
        "instance-capability-flex",
        "instance-gpu-count",
        "instance-gpu-name",
        "instance-gpu-manufacturer",
        // The class, which its NodePool tells.
        "ec2nodeclass",
    ];
    match key.strip_prefix(AWS) {
        // What is bought is never reserved.
        Some(name) => !TOLD.contains(&name) && !name.starts_with("capacity-reservation-"),
        None => key == ZONE_ID || key.starts_with(AWS_TOPOLOGY) || key.starts_with(KWOK_INSTANCE),
    }
}

/// Whether a label is of a provider that is not known here, such as `eks.amazonaws.com/instance-category`.
fn is_foreign(key: &str) -> bool {
    const CLOUDS: [&str; 5] = ["amazonaws.com", "azure.com", "cloud.google.com", "alibabacloud.com", "oraclecloud.com"];
    if [AWS, KWOK, "karpenter.sh/"].iter().any(|known| key.starts_with(known)) {
        return false;
    }
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let is_of = |cloud: &str| domain.strip_suffix(cloud).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    domain.starts_with("karpenter.") || CLOUDS.into_iter().any(is_of)
}

/// The first key of a pool's requirements that is of a provider which is not known: what it admits cannot be told.
///
/// Besides [known clouds](is_foreign) that is the group of the pool's own node class, if it is not known.
pub(crate) fn foreign_key(pool: &NodePool) -> Option<&str> {
    let group = pool.spec.template.spec.node_class_ref.group.as_str();
    let is_known = group.is_empty() || ["karpenter.k8s.aws", "karpenter.kwok.sh"].contains(&group);
    let of_class = |key: &str| !is_known && key.split_once('/').is_some_and(|(domain, _)| domain == group);
    let keys = pool.spec.template.spec.requirements.iter().map(|one| one.key.as_str());
    keys.into_iter().find(|key| is_foreign(key) || of_class(key))
}

/// What live nodes tell of types and zones that the catalogue does not.
#[derive(Debug, Default)]
pub(crate) struct Learned<'a> {
    by_type: BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
    zone_ids: BTreeMap<&'a str, &'a str>,
    zones: BTreeSet<&'a str>,
}

impl<'a> Learned<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        let mut learned = Self::default();
        for node in &snapshot.nodes {
            let labels = &node.metadata.labels;
            if let Some(of) = node.instance_type() {
                let known = learned.by_type.entry(of).or_insert_with(|| {
                    let of_type = |key: &str| [AWS_INSTANCE, KWOK_INSTANCE].iter().any(|of| key.starts_with(of));
                    let told = labels.iter().filter(|(key, _)| of_type(key));
                    told.map(|(key, value)| (key.as_str(), value.as_str())).collect()
                });
                // Nodes of one type that contradict each other tell nothing of it.
                known.retain(|key, value| labels.get(*key).is_some_and(|own| own == value));
            }
            if let Some(zone) = node.zone() {
                learned.zones.insert(zone);
                if let Some(id) = labels.get(ZONE_ID) {
                    learned.zone_ids.insert(zone, id);
                }
            }
        }
        learned
    }

    /// The labels of a type: what the catalogue tells, and what its nodes tell besides.
    pub(crate) fn type_labels(&self, instance_type: &InstanceType, region: &str) -> Labels {
        let mut labels = of_type(instance_type, region);
        for (key, value) in self.by_type.get(instance_type.name.as_str()).into_iter().flatten() {
            labels.entry((*key).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        labels
    }

    /// The id of a zone.
    pub(crate) fn zone_id(&self, zone: &str) -> Option<&'a str> {
        self.zone_ids.get(zone).copied()
    }

    /// The zones of live nodes.
    pub(crate) const fn zones(&self) -> &BTreeSet<&'a str> {
        &self.zones
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_types_name_tells_its_family_category_generation_and_maker() {
        for (name, arch, family, category, generation, maker, kwok) in [
            ("m5.xlarge", "amd64", "m5", "m", "5", "intel", Some(("m5", "xlarge"))),
            ("c6a.12xlarge", "amd64", "c6a", "c", "6", "amd", Some(("c6a", "12xlarge"))),
            ("im4gn.xlarge", "arm64", "im4gn", "im", "4", "aws", Some(("im4gn", "xlarge"))),
            ("c7i-flex.xlarge", "amd64", "c7i-flex", "c", "7", "intel", None),
            ("u-6tb1.112xlarge", "amd64", "u-6tb1", "u", "1", "", None),
            ("m5.metal", "amd64", "m5", "m", "5", "intel", Some(("m5", "metal"))),
            ("m7i.metal-24xl", "amd64", "m7i", "m", "7", "intel", None),
        ] {
            let it = InstanceType { name: name.into(), arch: arch.into(), vcpu: 4, ..InstanceType::default() };
            let labels = of_type(&it, "us-east-1");
            let label = |key: &str| labels.get(&format!("karpenter.k8s.aws/instance-{key}")).map(String::as_str);
            assert_eq!(
                (
                    label("family"),
                    label("category"),
                    label("generation"),
                    label("cpu-manufacturer").unwrap_or_default()
                ),
                (Some(family), Some(category), Some(generation), maker),
                "{name}"
            );
            let label = |key: &str| labels.get(&format!("karpenter.kwok.sh/instance-{key}")).map(String::as_str);
            assert_eq!(label("family").zip(label("size")), kwok, "{name}");
        }
    }

    #[test]
    fn labels_of_machines_that_nobody_tells_are_known_to_be_unknown() {
        for (key, untold) in [
            ("karpenter.k8s.aws/instance-family", false),
            ("karpenter.k8s.aws/instance-local-nvme", true),
            ("karpenter.k8s.aws/instance-that-comes-later", true),
            ("karpenter.k8s.aws/capacity-reservation-id", false),
            ("karpenter.k8s.aws/ec2nodeclass", false),
            ("karpenter.kwok.sh/instance-memory", true),
            ("topology.k8s.aws/zone-id", true),
            ("karpenter.sh/nodepool", false),
            ("topology.kubernetes.io/zone", false),
            ("team", false),
            ("example.com/team", false),
        ] {
            assert_eq!(is_untold(key), untold, "{key}");
        }
    }

    #[test]
    fn a_requirement_of_a_provider_that_is_not_known_is_found() {
        let pool = |group: &str, key: &str| -> NodePool {
            serde_json::from_value(serde_json::json!({"spec": {"template": {"spec": {"nodeClassRef": {"group": group},
                "requirements": [{"key": "kubernetes.io/arch", "operator": "Exists"}, {"key": key, "operator": "Exists"}]}}}}))
            .expect("a pool")
        };
        for (group, key, found) in [
            ("eks.amazonaws.com", "eks.amazonaws.com/instance-category", true),
            ("karpenter.k8s.aws", "eks.amazonaws.com/instance-category", true),
            ("karpenter.azure.com", "karpenter.azure.com/sku-family", true),
            ("karpenter.example.com", "karpenter.example.com/size", true),
            ("nodes.example.com", "nodes.example.com/size", true),
            ("karpenter.k8s.aws", "karpenter.k8s.gcp/instance-family", true),
            ("karpenter.k8s.aws", "cloud.google.com/machine-family", true),
            ("karpenter.k8s.aws", "notamazonaws.com/size", false),
            ("karpenter.k8s.aws", "example.com/size", false),
            ("karpenter.k8s.aws", "karpenter.k8s.aws/instance-size", false),
            ("karpenter.kwok.sh", "karpenter.kwok.sh/instance-size", false),
            ("", "karpenter.k8s.aws/instance-size", false),
        ] {
            assert_eq!(foreign_key(&pool(group, key)), found.then_some(key), "{group} {key}");
        }
    }
}
