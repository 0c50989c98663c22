//! The instance types that the simulated cloud sells: what a node of them gives, what it costs, and its labels.

use std::collections::{BTreeMap, BTreeSet};

use kentroller_planner::Money;
use kentroller_planner::manifest::Labels;

use crate::entropy::Entropy;
use crate::room::Amounts;

/// The rows as they are shipped, with their source in the first lines; the planner's catalogue reads the same text.
pub const CSV: &str = include_str!("catalogue.csv");

/// The simulated region and its zones.
pub const REGION: &str = "us-east-1";
pub const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

/// The only capacity type of the shipped list: there is none of spot prices that would hold for longer than an hour.
pub(crate) const ON_DEMAND: &str = "on-demand";
/// Bought before all others where a claim allows it.
pub(crate) const SPOT: &str = "spot";

pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";
pub(crate) const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";
pub(crate) const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";

/// A type in a zone under a capacity type: what can be bought.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offering {
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: String,
}

/// An instance type as somebody else's list tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub instance_type: String,
    pub cores: i64,
    /// As the maker names it; a machine finds less.
    pub memory_mib: i64,
    pub arch: String,
    pub most_pods: i64,
    /// How many GPUs, and their name.
    pub gpus: (i64, String),
    /// Zone, capacity type, and the price of an hour.
    pub prices: Vec<(String, String, Money)>,
}

/// Where a type is sold, and for how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) zone: String,
    pub(crate) capacity_type: String,
    /// An hour.
    pub(crate) price: Money,
    /// Of a machine that was bought so.
    pub(crate) labels: Labels,
}

/// An instance type on sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sold {
    name: String,
    cores: i64,
    /// As the maker names it; a machine finds less.
    nominal_mib: i64,
    arch: String,
    most_pods: i64,
    gpus: (i64, String),
    /// The lowest price of an hour.
    pub price: Money,
    pub(crate) offers: Vec<Offer>,
    /// Capacity and allocatable of the least machine of this type that was seen.
    measured: Option<(Amounts, Amounts)>,
}

/// All types on sale.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Cheapest first, then by name.
    sold: Vec<Sold>,
    by_name: BTreeMap<String, usize>,
    /// Zones and capacity types in which anything is sold.
    places: Vec<(String, String)>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::shipped()
    }
}

impl Catalogue {
    /// The shipped catalogue.
    pub fn shipped() -> Self {
        let rows = CSV.lines().skip_while(|line| line.starts_with('#')).skip(1);
        let rows = rows.map(|row| shipped_row(row).expect("the shipped rows are read by a test"));
        Self::of(REGION, rows.collect())
    }

    /// The catalogue of a region; types that are sold nowhere are left out.
    pub fn of(region: &str, rows: Vec<Row>) -> Self {
        let mut sold: Vec<Sold> = rows.into_iter().filter_map(|row| Sold::of(region, row)).collect();
        sold.sort_by(|one, other| one.price.cmp(&other.price).then_with(|| one.name().cmp(other.name())));
        let by_name = sold.iter().enumerate().map(|(at, one)| (one.name().to_owned(), at)).collect();
        let offers = sold.iter().flat_map(|one| &one.offers);
        let places: BTreeSet<_> = offers.map(|offer| (offer.zone.clone(), offer.capacity_type.clone())).collect();
        Self { sold, by_name, places: places.into_iter().collect() }
    }

    /// The type of this name.
    pub fn get(&self, name: &str) -> Option<&Sold> {
        self.by_name.get(name).map(|at| &self.sold[*at])
    }

    /// All types, cheapest first.
    pub fn cheapest_first(&self) -> &[Sold] {
        &self.sold
    }

    /// Zones and capacity types in which anything is sold.
    pub(crate) fn places(&self) -> &[(String, String)] {
        &self.places
    }

    /// What a node with these labels costs an hour; `None` for an unknown type, zone or capacity type.
    pub fn price_of(&self, labels: &Labels) -> Option<Money> {
        let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
        self.get(label(INSTANCE_TYPE))?.offer(label(ZONE), label(CAPACITY_TYPE)).map(|offer| offer.price)
    }

    /// Machines of a type are there, and this is what they have: new ones will have no less.
    pub(crate) fn measure(&mut self, name: &str, capacity: Amounts, allocatable: Amounts) {
        if let Some(at) = self.by_name.get(name) {
            let least = self.sold[*at].measured.map_or((capacity, allocatable), |(least, allocated)| {
                (least.min_of_each(capacity), allocated.min_of_each(allocatable))
            });
            self.sold[*at].measured = Some(least);
        }
    }
}

/// A row of the shipped catalogue: name, region, cores, MiB, architecture, pods, GPUs and their name, USD an hour.
fn shipped_row(row: &str) -> Option<Row> {
    let [name, _, cores, memory_mib, arch, most_pods, gpus, gpu_name, usd] =
        row.split(',').collect::<Vec<_>>().try_into().ok()?;
    let (dollars, fraction) = usd.split_once('.').unwrap_or((usd, ""));
    let price = Money::micros(format!("{dollars}{fraction:0<6}").parse().ok()?);
    Some(Row {
        instance_type: name.to_owned(),
        cores: cores.parse().ok()?,
        memory_mib: memory_mib.parse().ok()?,
        arch: arch.to_owned(),
        most_pods: most_pods.parse().ok()?,
        gpus: (gpus.parse().ok()?, gpu_name.to_owned()),
        prices: ZONES.map(|zone| (zone.to_owned(), ON_DEMAND.to_owned(), price)).into(),
    })
}

impl Sold {
    fn of(region: &str, row: Row) -> Option<Self> {
        let Row { instance_type: name, cores, memory_mib: nominal_mib, arch, most_pods, gpus, prices } = row;
        let price = prices.iter().map(|(_, _, price)| *price).min()?;
        let mut sold =
            Self { name, cores, nominal_mib, arch, most_pods, gpus, price, offers: Vec::new(), measured: None };
        let offers = prices.into_iter().map(|(zone, capacity_type, price)| {
            let labels = labels(&sold, region, &zone, &capacity_type);
            Offer { zone, capacity_type, price, labels }
        });
        sold.offers = offers.collect();
        Some(sold)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is sold in a zone under a capacity type.
    pub(crate) fn offer(&self, zone: &str, capacity_type: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.zone == zone && offer.capacity_type == capacity_type)
    }

    /// The labels of an on-demand machine in one of the [`ZONES`].
    #[cfg(test)]
    pub(crate) fn labels(&self, zone: &str) -> &Labels {
        &self.offer(zone, ON_DEMAND).expect("it is sold there").labels
    }

    /// What Karpenter takes the machine to have before one of its type was seen: 7.5 % of the memory, and 64 MiB on arm64,
    /// are taken off for the hypervisor. What it has is in `Sold::memory_beyond`.
    pub fn capacity(&self) -> Amounts {
        if let Some((capacity, _)) = self.measured {
            return capacity;
        }
        let found = if self.arch == "arm64" { self.nominal_mib - 64 } else { self.nominal_mib };
        let hypervisor = (found * 3).div_euclid(40) + i64::from((found * 3).rem_euclid(40) > 0);
        Amounts { cpu_milli: self.cores * 1_000, memory: (found - hypervisor) << 20, pods: self.most_pods }
    }

    /// What pods can request of that: less what AL2023 keeps for the kubelet and free of eviction.
    ///
    /// Kept are 6 % of the first core, 1 % of the second, 0.5 % of the next two and 0.25 % of the others; 255 MiB and 11 MiB
    /// a pod; and the eviction threshold of 100 MiB.
    pub fn allocatable(&self) -> Amounts {
        if let Some((_, allocatable)) = self.measured {
            return allocatable;
        }
        // Ten-thousandths of each core.
        let kept_of = |core: i64| match core {
            0 => 600,
            1 => 100,
            2 | 3 => 50,
            _ => 25,
        };
        // Each class of cores is rounded by itself; only the last can be uneven.
        let kept_milli: i64 = (0..self.cores).map(kept_of).sum::<i64>() / 10;
        let kept_mib = 255 + 11 * self.most_pods + 100;
        let Amounts { cpu_milli, memory, pods } = self.capacity();
        Amounts { cpu_milli: cpu_milli - kept_milli, memory: (memory - (kept_mib << 20)).max(0), pods }
    }

    /// By how many bytes a machine has more memory than was promised: what the hypervisor takes is estimated, and no two
    /// machines are alike to the byte. From 1 MiB less to 96 MiB more, in steps of 4 KiB.
    pub(crate) fn memory_beyond(luck: &mut Entropy) -> i64 {
        let pages = i64::try_from(luck.between(0, 97 << 8)).unwrap_or(0) - (1 << 8);
        pages << 12
    }
}

/// The keys of labels by which AWS's types differ and that a type here tells, where it has them.
pub(crate) const TOLD: [&str; 9] = [
    "karpenter.k8s.aws/instance-category",
    "karpenter.k8s.aws/instance-generation",
    "karpenter.k8s.aws/instance-family",
    "karpenter.k8s.aws/instance-size",
    "karpenter.k8s.aws/instance-cpu",
    "karpenter.k8s.aws/instance-memory",
    "karpenter.k8s.aws/instance-gpu-count",
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.aws/instance-gpu-manufacturer",
];

/// The labels that the AWS provider gives to NodeClaim and Node. `m6i.2xlarge` is category `m`, generation `6`,
/// family `m6i`, size `2xlarge`.
fn labels(sold: &Sold, region: &str, zone: &str, capacity_type: &str) -> Labels {
    let Sold { name, cores, nominal_mib, arch, gpus: (gpus, gpu_name), .. } = sold;
    let (family, size) = name.split_once('.').unwrap_or((name, ""));
    let (category, rest) = family.split_at(family.find(|c: char| c.is_ascii_digit()).unwrap_or(family.len()));
    let generation: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let all = [
        (INSTANCE_TYPE, name.as_str()),
        (ZONE, zone),
        ("topology.kubernetes.io/region", region),
        (CAPACITY_TYPE, capacity_type),
        ("kubernetes.io/arch", arch.as_str()),
        ("kubernetes.io/os", "linux"),
        ("karpenter.k8s.aws/instance-category", category),
        ("karpenter.k8s.aws/instance-generation", &generation),
        ("karpenter.k8s.aws/instance-family", family),
        ("karpenter.k8s.aws/instance-size", size),
        ("karpenter.k8s.aws/instance-cpu", &cores.to_string()),
        ("karpenter.k8s.aws/instance-memory", &nominal_mib.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let gpu = [("count", gpus.to_string()), ("name", gpu_name.clone()), ("manufacturer", "nvidia".to_owned())];
    let gpu = gpu.map(|(key, value)| (format!("karpenter.k8s.aws/instance-gpu-{key}"), value));
    all.into_iter().chain(gpu.into_iter().filter(|_| *gpus > 0)).collect()
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
