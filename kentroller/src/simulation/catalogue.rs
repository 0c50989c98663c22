//! The instance types that the simulated cloud sells: what a node of them gives, what it costs, and its labels.

use std::collections::BTreeMap;

use kentroller_planner::manifest::Labels;
use kentroller_planner::{CapacityType, Catalog, InstanceType, Money};

use super::room::Amounts;
pub(crate) use crate::api::{CAPACITY_TYPE, INSTANCE_TYPE, ZONE};

/// The rows as they are shipped, with their source in the first lines; the planner's catalogue reads the same text.
pub const CSV: &str = include_str!("catalogue.csv");

/// The simulated region and its zones.
pub const REGION: &str = "us-east-1";
pub const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

/// The only capacity type sold: there is no list of spot prices that would hold for longer than an hour.
pub(crate) const ON_DEMAND: &str = "on-demand";

pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";

/// A type in a zone under a capacity type: what can be bought.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offering {
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: String,
}

/// An instance type on sale; it costs the same in every zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sold {
    pub instance_type: InstanceType,
    /// An hour, on demand.
    pub price: Money,
    /// By zone.
    labels: BTreeMap<&'static str, Labels>,
}

/// All types on sale.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Cheapest first, then by name.
    sold: Vec<Sold>,
    by_name: BTreeMap<String, usize>,
}

impl Catalogue {
    /// The shipped catalogue.
    pub fn shipped() -> Self {
        let rows = Catalog::from_csv(CSV, "catalogue.csv", "2026-07").expect("the shipped rows are read by a test");
        let priced = rows.types(REGION).filter_map(|priced| {
            let price = priced.price(ZONES[0], &CapacityType::OnDemand)?;
            let labels = ZONES.into_iter().map(|zone| (zone, labels(&priced.instance_type, zone))).collect();
            Some(Sold { instance_type: priced.instance_type.clone(), price, labels })
        });
        let mut sold: Vec<Sold> = priced.collect();
        sold.sort_by(|one, other| one.price.cmp(&other.price).then_with(|| one.name().cmp(other.name())));
        let by_name = sold.iter().enumerate().map(|(at, one)| (one.name().to_owned(), at)).collect();
        Self { sold, by_name }
    }

    /// The type of this name.
    pub fn get(&self, name: &str) -> Option<&Sold> {
        self.by_name.get(name).map(|at| &self.sold[*at])
    }

    /// All types, cheapest first.
    pub fn cheapest_first(&self) -> &[Sold] {
        &self.sold
    }

    /// What a node with these labels costs an hour; `None` for an unknown type or a capacity type that is not sold.
    pub fn price_of(&self, labels: &Labels) -> Option<Money> {
        let label = |key: &str| labels.get(key).map(String::as_str);
        (label(CAPACITY_TYPE) == Some(ON_DEMAND)).then_some(())?;
        self.get(label(INSTANCE_TYPE)?).map(|one| one.price)
    }
}

impl Sold {
    pub fn name(&self) -> &str {
        &self.instance_type.name
    }

    /// The labels of a machine in one of the [`ZONES`].
    pub fn labels(&self, zone: &str) -> &Labels {
        &self.labels[zone]
    }

    /// The whole machine, less the 7.5 % of memory that Karpenter takes off for virtualisation.
    pub fn capacity(&self) -> Amounts {
        let InstanceType { vcpu, memory_mib, max_pods, .. } = self.instance_type;
        Amounts {
            cpu_milli: vcpu * 1_000,
            memory: (memory_mib - (memory_mib * 75 + 999) / 1_000) << 20,
            pods: max_pods,
        }
    }

    /// What pods can request, by Karpenter's formula for AL2023.
    pub fn allocatable(&self) -> Amounts {
        Amounts {
            cpu_milli: self.instance_type.allocatable_milli_cpu(),
            memory: self.instance_type.allocatable_bytes(),
            pods: self.instance_type.max_pods,
        }
    }
}

/// The labels that the AWS provider gives to NodeClaim and Node. `m6i.2xlarge` is category `m`, generation `6`,
/// family `m6i`, size `2xlarge`.
fn labels(instance_type: &InstanceType, zone: &str) -> Labels {
    let InstanceType { name, vcpu, memory_mib, arch, .. } = instance_type;
    let (family, size) = name.split_once('.').unwrap_or((name, ""));
    let (category, rest) = family.split_at(family.find(|c: char| c.is_ascii_digit()).unwrap_or(family.len()));
    let generation: String = rest.chars().take_while(char::is_ascii_digit).collect();
    [
        (INSTANCE_TYPE, name.as_str()),
        (ZONE, zone),
        ("topology.kubernetes.io/region", REGION),
        (CAPACITY_TYPE, ON_DEMAND),
        ("kubernetes.io/arch", arch.as_str()),
        ("kubernetes.io/os", "linux"),
        ("karpenter.k8s.aws/instance-category", category),
        ("karpenter.k8s.aws/instance-generation", &generation),
        ("karpenter.k8s.aws/instance-family", family),
        ("karpenter.k8s.aws/instance-size", size),
        ("karpenter.k8s.aws/instance-cpu", &vcpu.to_string()),
        ("karpenter.k8s.aws/instance-memory", &memory_mib.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_is_sorted_by_price() {
        let catalogue = Catalogue::shipped();
        let prices: Vec<Money> = catalogue.cheapest_first().iter().map(|one| one.price).collect();
        assert_eq!(prices.len(), 60);
        assert!(prices.is_sorted());
    }

    #[test]
    fn a_node_costs_what_its_labels_say_and_nothing_is_made_up() {
        let catalogue = Catalogue::shipped();
        let mut labels = catalogue.get("m6i.2xlarge").unwrap().labels("us-east-1b").clone();
        let told = |key: &str| labels[&format!("karpenter.k8s.aws/instance-{key}")].as_str();
        assert_eq!(
            [told("category"), told("generation"), told("family"), told("size"), told("cpu")],
            ["m", "6", "m6i", "2xlarge", "8"]
        );
        assert_eq!(catalogue.price_of(&labels), Some(Money::micros(384_000)));
        labels.insert(CAPACITY_TYPE.into(), "spot".into());
        assert_eq!(catalogue.price_of(&labels), None);
    }
}
