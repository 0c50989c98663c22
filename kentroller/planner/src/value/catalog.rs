//! What can be bought: instance types, and what they cost where.

mod csv;

use std::collections::BTreeMap;

pub use self::csv::CatalogError;
use super::{Money, Percent};
use crate::manifest::has_own_prices;

/// The capacity type that a node was bought as.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityType {
    /// Paid for while it runs.
    OnDemand,
    /// Cheaper, and taken back when others pay more.
    Spot,
    /// Paid for already, whether it runs or not.
    Reserved,
    /// A word that this build does not know; never bought and never removed.
    #[serde(untagged)]
    Unknown(String),
}

impl CapacityType {
    /// Reads the value of the label `karpenter.sh/capacity-type`.
    pub fn of(word: &str) -> Self {
        match word {
            "on-demand" => Self::OnDemand,
            "spot" => Self::Spot,
            "reserved" => Self::Reserved,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// The value of the label `karpenter.sh/capacity-type`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
            Self::Reserved => "reserved",
            Self::Unknown(word) => word,
        }
    }
}

/// An instance type's size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceType {
    /// Its name, such as `m5.large`.
    pub name: String,
    /// Cores.
    pub vcpu: i64,
    /// The nominal size in MiB.
    pub memory_mib: i64,
    /// `amd64` or `arm64`.
    pub arch: String,
    /// The most pods that the type's network allows.
    pub max_pods: i64,
    /// Whole NVIDIA GPUs.
    pub gpu_count: i64,
    /// Empty without one.
    pub gpu_name: String,
    /// All disks of the machine itself together, in units of 10^9 bytes. `None`: not known.
    pub disk_gb: Option<i64>,
    /// Network interfaces that pods have addresses of. `None`: not known.
    pub interfaces: Option<i64>,
}

/// A price of an instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// `None`: every zone of the region.
    pub zone: Option<String>,
    /// What it is a price of.
    pub capacity_type: CapacityType,
    /// An hour.
    pub price: Money,
    /// `false`: not to be bought now.
    pub available: bool,
}

/// An instance type with its prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The type.
    pub instance_type: InstanceType,
    /// Its prices by zone and capacity type.
    pub offers: Vec<Offer>,
}

/// The prices of one or several regions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Where the prices come from, for the report.
    pub source: String,
    /// Their date, for the report.
    pub as_of: String,
    regions: BTreeMap<String, BTreeMap<String, Priced>>,
}

impl Catalog {
    /// The catalogue that ships with the program: EC2 on-demand prices of three regions; its head says where they are from.
    pub fn embedded() -> Self {
        let text = include_str!("../../catalog/ec2.csv");
        Self::from_csv(text, "embedded EC2 on-demand list prices", "2026-10-27").expect("a test reads the same text")
    }

    /// Adds an instance type with its prices.
    pub fn insert(&mut self, region: &str, priced: Priced) {
        self.regions.entry(region.to_owned()).or_default().insert(priced.instance_type.name.clone(), priced);
    }

    /// The names of the regions it holds; the empty name stands for any region.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }

    /// The instance types of a region, by name; those without a region count for every region.
    pub fn types(&self, region: &str) -> impl Iterator<Item = &Priced> {
        self.regions.get(region).or_else(|| self.regions.get("")).into_iter().flat_map(BTreeMap::values)
    }

    /// One instance type of a region.
    pub fn instance_type(&self, region: &str, name: &str) -> Option<&Priced> {
        self.regions.get(region).or_else(|| self.regions.get(""))?.get(name)
    }

    /// What a node costs an hour; `None` when that is not known.
    pub fn price(&self, region: &str, name: &str, zone: &str, capacity_type: &CapacityType) -> Option<Money> {
        self.instance_type(region, name)?.price(zone, capacity_type)
    }

    /// Takes a percentage off every on-demand price, for those who do not pay the list.
    #[must_use]
    pub fn with_discount(mut self, off: Percent) -> Self {
        for priced in self.regions.values_mut().flat_map(BTreeMap::values_mut) {
            for offer in priced.offers.iter_mut().filter(|offer| offer.capacity_type == CapacityType::OnDemand) {
                offer.price -= off.of_money(offer.price);
            }
        }
        self
    }

    /// Marks an offering as not to be had (a recent failure to buy it); `None` for the zone means every zone.
    pub fn set_unavailable(&mut self, region: &str, name: &str, zone: Option<&str>, capacity_type: &CapacityType) {
        let region = if self.regions.contains_key(region) { region } else { "" };
        let Some(priced) = self.regions.get_mut(region).and_then(|types| types.get_mut(name)) else { return };
        let mut narrowed = Vec::new();
        for offer in priced.offers.iter_mut().filter(|offer| offer.capacity_type == *capacity_type) {
            match (zone, &offer.zone) {
                (None, _) => offer.available = false,
                (Some(zone), Some(of)) if of == zone => offer.available = false,
                // A price of every zone, unavailable in one: that zone gets an offer of its own.
                (Some(zone), None) => {
                    narrowed.push(Offer { zone: Some(zone.to_owned()), available: false, ..offer.clone() });
                }
                _ => {}
            }
        }
        priced.offers.extend(narrowed);
    }
}

impl Priced {
    /// The offer of a zone and capacity type: one that names the zone wins over one of every zone, which does not count in
    /// zones with a price list of their own (local and wavelength zones of AWS).
    pub fn offer(&self, zone: &str, capacity_type: &CapacityType) -> Option<&Offer> {
        let of_type = || self.offers.iter().filter(|offer| offer.capacity_type == *capacity_type);
        of_type()
            .filter(|offer| offer.zone.as_deref() == Some(zone))
            .min_by_key(|offer| (offer.available, offer.price))
            .or_else(|| {
                let of_every_zone = of_type().filter(|offer| offer.zone.is_none() && !has_own_prices(zone));
                of_every_zone.min_by_key(|offer| offer.price)
            })
    }

    /// The price in a zone.
    pub fn price(&self, zone: &str, capacity_type: &CapacityType) -> Option<Money> {
        self.offer(zone, capacity_type).map(|offer| offer.price)
    }
}

impl InstanceType {
    /// Allocatable milli-cpu, as Karpenter's model for AL2023 gives it.
    ///
    /// 6 % of the first core, 1 % of the second, 0.5 % of the third and fourth and 0.25 % of the rest are reserved,
    /// each part rounded down. Source: `aws/karpenter-provider-aws`, `pkg/providers/instancetype/types.go`, v1.14.1.
    pub fn allocatable_milli_cpu(&self) -> i64 {
        let cores = self.vcpu;
        let part = |cores: i64, per_mille_tenth: i64| cores.max(0) * 1000 * per_mille_tenth / 10_000;
        cores * 1000
            - part(cores.min(1), 600)
            - part((cores - 1).min(1), 100)
            - part((cores - 2).min(2), 50)
            - part(cores - 4, 25)
    }

    /// Allocatable bytes of memory, as Karpenter's model for AL2023 gives them.
    ///
    /// The nominal size (arm64: less 64 MiB) less 7.5 % for the hypervisor, 11 MiB a pod plus 255 MiB for the kubelet
    /// and 100 MiB before eviction. Same source; exact for the 1,363 types of its documentation.
    pub fn allocatable_bytes(&self) -> i64 {
        let memory = self.memory_mib - if self.arch == "arm64" { 64 } else { 0 };
        let overhead = (memory * 75 + 999) / 1000;
        ((memory - overhead - (11 * self.max_pods + 255) - 100) << 20).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocatable_is_what_karpenter_prints_for_the_type() {
        // Columns: vcpu, MiB, arch, pods; then milli-cpu and MiB of the page `instance-types.md` at v1.14.1.
        for (vcpu, memory, arch, pods, milli, mib) in [
            (2, 8192, "amd64", 29, 1930, 6903),
            (4, 16384, "amd64", 58, 3920, 14162),
            (8, 32768, "arm64", 58, 7910, 29258),
        ] {
            let it = InstanceType {
                name: "t".into(),
                vcpu,
                memory_mib: memory,
                arch: arch.into(),
                max_pods: pods,
                ..InstanceType::default()
            };
            assert_eq!(
                (it.allocatable_milli_cpu(), it.allocatable_bytes() >> 20),
                (milli, mib),
                "{vcpu} {memory} {arch}"
            );
        }
    }

    #[test]
    fn the_embedded_catalogue_reads_and_knows_three_regions() {
        let embedded = Catalog::embedded();
        assert_eq!(embedded.regions().collect::<Vec<_>>(), ["eu-west-1", "us-east-1", "us-west-2"]);
        let price = embedded.price("us-east-1", "m5.large", "us-east-1a", &CapacityType::OnDemand);
        assert_eq!(price, Some(Money::micros(96_000)));
    }
}
