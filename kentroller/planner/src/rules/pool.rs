//! What a NodePool may launch: the labels of an offering, and whether the pool's requirements admit it.

use std::collections::BTreeMap;

use crate::manifest::marks::{
    ARCH, AWS, AWS_TOPOLOGY, CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, KARPENTER, KWOK, NODE_POOL, OLD_ARCH,
    OLD_INSTANCE_TYPE, OLD_OS, OS, REGION, TOPOLOGY, ZONE, ZONE_ID,
};
use crate::manifest::{Expression, Labels, NodePool, Operator};
use crate::value::{CapacityType, InstanceType};

/// Label keys under these domains are facts of the cloud: a value that is not known is never assumed.
const FACTS: [&str; 5] = [AWS, KWOK, AWS_TOPOLOGY, TOPOLOGY, KARPENTER];

/// The labels that an instance type gives its nodes, as far as its row in the catalogue tells.
///
/// Names and meanings: `aws/karpenter-provider-aws`, `pkg/apis/v1/labels.go` and `pkg/providers/instancetype/types.go`, v1.14.1.
pub(crate) fn type_labels(instance_type: &InstanceType, region: &str) -> Labels {
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
    set(INSTANCE_TYPE, name);
    set(OLD_INSTANCE_TYPE, name);
    set(ARCH, &instance_type.arch);
    set(OLD_ARCH, &instance_type.arch);
    set(OS, "linux");
    set(OLD_OS, "linux");
    set(REGION, region);
    // The kwok provider writes amounts as its file of types has them. Live nodes tell those.
    for (prefix, full) in [(AWS, true), (KWOK, false)] {
        let mut set = |key: &str, value: &str| set(&format!("{prefix}{key}"), value);
        set("instance-family", family);
        set("instance-size", size);
        if full {
            set("instance-cpu", &instance_type.vcpu.to_string());
            set("instance-memory", &instance_type.memory_mib.to_string());
            set("instance-category", category);
            set("instance-generation", generation);
            set("instance-cpu-manufacturer", manufacturer);
            set("instance-capability-flex", if family.ends_with("-flex") { "true" } else { "false" });
            if !size.contains("metal") && !generation.is_empty() {
                set("instance-hypervisor", if OLD_XEN.contains(&family) { "xen" } else { "nitro" });
            }
            if instance_type.gpu_count > 0 {
                set("instance-gpu-count", &instance_type.gpu_count.to_string());
                set("instance-gpu-name", &instance_type.gpu_name);
                set("instance-gpu-manufacturer", "nvidia");
            }
        }
    }
    labels
}

/// Families of the Xen hypervisor. Source: "Instances built on Xen" in the EC2 user guide.
const OLD_XEN: [&str; 23] = [
    "c1", "c3", "c4", "d2", "f1", "g2", "g3", "g3s", "h1", "i2", "i3", "m1", "m2", "m3", "m4", "p2", "p3", "r3", "r4",
    "t1", "t2", "x1", "x1e",
];

/// Whether a new node may carry a label that the catalogue does not tell.
pub(crate) fn is_untold(key: &str) -> bool {
    if key == ZONE_ID {
        return true;
    }
    let Some(name) = key.strip_prefix(AWS) else { return false };
    let untold = [
        "instance-accelerator-",
        "instance-cpu-manufacturer",
        "instance-cpu-sustained-clock-speed-mhz",
        "instance-ebs-bandwidth",
        "instance-encryption-in-transit-supported",
        "instance-gpu-memory",
        "instance-hypervisor",
        "instance-local-nvme",
        "instance-network-bandwidth",
        "instance-tenancy",
        "nitro-sandbox",
        "placement-group-",
    ];
    untold.iter().any(|start| name.starts_with(start))
}

/// The labels of a pool's nodes before the offering is chosen: its template's, and those that its requirements make.
///
/// A requirement on a label of the user's own gives nodes that label: the first value that all requirements on it admit.
pub(crate) fn pool_labels(pool: &NodePool) -> Labels {
    let mut labels = pool.spec.template.metadata.labels.clone();
    labels.insert(NODE_POOL.to_owned(), (*pool.metadata.name).to_owned());
    let class = &pool.spec.template.spec.node_class_ref;
    if !class.kind.is_empty() {
        labels.insert(format!("{}/{}", class.group, class.kind.to_lowercase()), class.name.clone());
    }
    let requirements = &pool.spec.template.spec.requirements;
    for requirement in requirements.iter().filter(|requirement| !is_fact(&requirement.key)) {
        let of_key: Vec<Expression> =
            requirements.iter().filter(|one| one.key == requirement.key).map(|one| one.expression()).collect();
        let all = |value: Option<&str>| of_key.iter().all(|expression| expression.admits(value) == Some(true));
        if !labels.contains_key(&requirement.key)
            && let Some(value) = of_key.iter().flat_map(values_of).find(|value| all(Some(value)))
        {
            labels.insert(requirement.key.clone(), value);
        }
    }
    labels
}

/// Values that a comparison admits.
fn values_of(expression: &Expression) -> Vec<String> {
    let beside = |by: i64| {
        let bound = expression.values.first().and_then(|text| text.parse::<i64>().ok());
        bound.and_then(|bound| bound.checked_add(by)).map(|value| value.to_string()).into_iter().collect()
    };
    match expression.operator {
        Operator::In => expression.values.clone(),
        Operator::Exists | Operator::NotIn => vec!["any".to_owned()],
        Operator::Gt => beside(1),
        Operator::Lt => beside(-1),
        Operator::Gte | Operator::Lte => beside(0),
        Operator::DoesNotExist | Operator::Unknown(_) => Vec::new(),
    }
}

/// Whether a label's value is the cloud's to say, not the user's.
pub(crate) fn is_fact(key: &str) -> bool {
    matches!(key, ARCH | OS | INSTANCE_TYPE | OLD_INSTANCE_TYPE | HOSTNAME)
        || FACTS.iter().any(|domain| key.starts_with(domain))
}

/// A pool's requirements, merged by key.
pub(crate) struct Requirements(BTreeMap<String, Vec<Expression>>);

impl Requirements {
    /// `None` when an operator is not known. `relaxed`: what is asked of instances themselves is left out.
    pub(crate) fn of(pool: &NodePool, relaxed: bool) -> Option<Self> {
        let mut by_key: BTreeMap<String, Vec<Expression>> = BTreeMap::new();
        let of_instance = |key: &str| key.rsplit('/').next().is_some_and(|name| name.starts_with("instance-"));
        let requirements = &pool.spec.template.spec.requirements;
        for requirement in requirements.iter().filter(|one| !(relaxed && of_instance(&one.key))) {
            let expression = requirement.expression();
            expression.admits(Some("0"))?;
            by_key.entry(expression.key.clone()).or_default().push(expression);
        }
        for (key, value) in &pool.spec.template.metadata.labels {
            by_key.entry(key.clone()).or_default().push(Expression {
                key: key.clone(),
                operator: Operator::In,
                values: vec![value.clone()],
            });
        }
        Some(Self(by_key))
    }

    /// Whether the labels of an instance type (and of the pool itself) satisfy all but zone and capacity type.
    pub(crate) fn admit_type<'v>(&self, label: &dyn Fn(&str) -> Option<&'v str>) -> bool {
        self.0.iter().filter(|(key, _)| !matches!(key.as_str(), ZONE | CAPACITY_TYPE)).all(|(key, expressions)| {
            let value = label(key);
            (value.is_some() || !is_untold(key)) && Self::all(expressions, value)
        })
    }

    /// Whether a zone is admitted; the empty zone stands for a cluster that names none.
    pub(crate) fn admit_zone(&self, zone: &str) -> bool {
        self.0.get(ZONE).is_none_or(|expressions| Self::all(expressions, Some(zone).filter(|zone| !zone.is_empty())))
    }

    /// Whether a capacity type is admitted; without a requirement Karpenter buys on-demand only.
    pub(crate) fn admit_capacity_type(&self, capacity_type: &CapacityType) -> bool {
        match self.0.get(CAPACITY_TYPE) {
            None => *capacity_type == CapacityType::OnDemand,
            Some(expressions) => Self::all(expressions, Some(capacity_type.as_str())),
        }
    }

    /// The zones that the requirements name.
    pub(crate) fn named_zones(&self) -> impl Iterator<Item = &str> {
        let zones = self.0.get(ZONE).into_iter().flatten().filter(|expression| expression.operator == Operator::In);
        zones.flat_map(|expression| expression.values.iter().map(String::as_str))
    }

    fn all(expressions: &[Expression], value: Option<&str>) -> bool {
        expressions.iter().all(|expression| expression.admits(value) == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(name: &str, arch: &str) -> InstanceType {
        InstanceType {
            name: name.into(),
            vcpu: 4,
            memory_mib: 16384,
            arch: arch.into(),
            max_pods: 58,
            gpu_count: 0,
            gpu_name: String::new(),
        }
    }

    #[test]
    fn a_types_name_tells_its_family_category_generation_and_maker() {
        for (name, arch, family, category, generation, maker) in [
            ("m5.xlarge", "amd64", "m5", "m", "5", "intel"),
            ("c6a.xlarge", "amd64", "c6a", "c", "6", "amd"),
            ("im4gn.xlarge", "arm64", "im4gn", "im", "4", "aws"),
            ("c7i-flex.xlarge", "amd64", "c7i-flex", "c", "7", "intel"),
            ("u-6tb1.112xlarge", "amd64", "u-6tb1", "u", "1", ""),
            ("m5.metal", "amd64", "m5", "m", "5", "intel"),
        ] {
            let labels = type_labels(&instance(name, arch), "us-east-1");
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
        }
    }

    #[test]
    fn a_requirement_on_a_fact_that_is_not_known_admits_nothing() {
        let pool = |requirements: serde_json::Value| -> NodePool {
            serde_json::from_value(serde_json::json!({"metadata": {"name": "p"}, "spec": {"template": {"spec": {"requirements": requirements}}}}))
                .expect("a pool")
        };
        for (requirements, admitted) in [
            (serde_json::json!([]), true),
            (
                serde_json::json!([{"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m5", "m6i"]}]),
                true,
            ),
            (serde_json::json!([{"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["4"]}]), false),
            (serde_json::json!([{"key": "karpenter.k8s.aws/instance-cpu", "operator": "Gte", "values": ["4"]}]), true),
            (
                serde_json::json!([{"key": "karpenter.k8s.aws/instance-network-bandwidth", "operator": "Gt", "values": ["1"]}]),
                false,
            ),
            (serde_json::json!([{"key": "karpenter.k8s.aws/instance-local-nvme", "operator": "DoesNotExist"}]), false),
            (serde_json::json!([{"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "DoesNotExist"}]), true),
            (serde_json::json!([{"key": "team", "operator": "In", "values": ["blue"]}]), true),
            (serde_json::json!([{"key": "team", "operator": "Exists"}]), true),
            (
                serde_json::json!([{"key": "tier", "operator": "Gt", "values": ["4"]}, {"key": "tier", "operator": "Lt", "values": ["6"]}]),
                true,
            ),
            (
                serde_json::json!([{"key": "tier", "operator": "Gt", "values": ["4"]}, {"key": "tier", "operator": "Lt", "values": ["5"]}]),
                false,
            ),
            (
                serde_json::json!([{"key": "team", "operator": "In", "values": ["a", "b"]}, {"key": "team", "operator": "NotIn", "values": ["a"]}]),
                true,
            ),
            (serde_json::json!([{"key": "team", "operator": "DoesNotExist"}]), true),
            (serde_json::json!([{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]), false),
            (
                serde_json::json!([{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                    {"key": "kubernetes.io/arch", "operator": "NotIn", "values": ["amd64"]}]),
                false,
            ),
        ] {
            let pool = pool(requirements.clone());
            let mut labels = pool_labels(&pool);
            labels.extend(type_labels(&instance("m5.xlarge", "amd64"), "us-east-1"));
            let requirements_read = Requirements::of(&pool, false).expect("known operators");
            assert_eq!(
                requirements_read.admit_type(&|key| labels.get(key).map(String::as_str)),
                admitted,
                "{requirements}"
            );
            assert!(requirements_read.admit_capacity_type(&CapacityType::OnDemand));
            assert!(!requirements_read.admit_capacity_type(&CapacityType::Spot));
        }
    }
}
