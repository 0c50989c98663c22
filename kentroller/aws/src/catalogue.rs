//! From what AWS answers to the planner's catalogue: a pure function.

use std::collections::{BTreeMap, BTreeSet};

use kentroller_planner::{CapacityType, Catalog, InstanceType, Money, Offer, Priced};

use crate::answer::{Offering, SpotPrice, TypeInfo, Zone};
use crate::product::{Product, Told};

/// All that AWS has said about a region.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) region: String,
    /// When it was asked.
    pub(crate) as_of: String,
    pub(crate) zones: Vec<Zone>,
    pub(crate) types: Vec<TypeInfo>,
    pub(crate) offerings: Vec<Offering>,
    pub(crate) products: Vec<Product>,
    /// Empty where they may not be read.
    pub(crate) spot: Vec<SpotPrice>,
}

/// The catalogue of a region, and what of the answers could not be used.
///
/// A type is on sale in the zones of its offerings. It has the region's on-demand price there, but not in zones with a
/// price list of their own (local and wavelength zones). Without a price nothing is offered, and the size is told all the same.
pub(crate) fn catalogue(answers: &Answers) -> (Catalog, Vec<String>) {
    let mut unusable: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let on_demand = on_demand(answers, &mut unusable);
    let spot = spot(answers, &mut unusable);
    let zones: BTreeSet<&str> =
        answers.zones.iter().filter(|zone| is_of_the_region(zone)).map(|zone| &*zone.zone_name).collect();
    let mut sold: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for offering in &answers.offerings {
        sold.entry(&offering.instance_type).or_default().insert(&offering.location);
    }
    let mut catalog = Catalog::default();
    catalog.source = format!("EC2 and its price list, {}", answers.region);
    catalog.as_of.clone_from(&answers.as_of);
    for told in &answers.types {
        let name = &*told.instance_type;
        let instance_type = match size(told) {
            Ok(Some(size)) => size,
            Ok(None) => continue,
            Err(why) => {
                unusable.entry(why).or_default().push(name.to_owned());
                continue;
            }
        };
        let Some(sold) = sold.get(name) else { continue };
        let here: BTreeSet<&str> = sold.intersection(&zones).copied().collect();
        let mut offers = Vec::new();
        if let Some(price) = on_demand.get(name) {
            let offer = |zone| Offer { zone, capacity_type: CapacityType::OnDemand, price: *price, available: true };
            if here == zones {
                offers.push(offer(None));
            } else {
                offers.extend(here.iter().map(|zone| offer(Some((*zone).to_owned()))));
            }
        }
        for zone in sold {
            if let Some((_, price)) = spot.get(&(name, zone)) {
                let zone = Some((*zone).to_owned());
                offers.push(Offer { zone, capacity_type: CapacityType::Spot, price: *price, available: true });
            }
        }
        catalog.insert(&answers.region, Priced { instance_type, offers });
    }
    let told = unusable.into_iter().map(|(why, names)| {
        let first: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
        format!("{why}: {} types, such as {}", names.len(), first.join(", "))
    });
    (catalog, told.collect())
}

/// Whether a zone is one of the region itself, in which something can be bought.
fn is_of_the_region(zone: &Zone) -> bool {
    ["", "availability-zone"].contains(&&*zone.zone_type) && zone.opt_in_status != "not-opted-in"
}

/// On-demand prices by type. Where the list has two, the dearer one counts: a saving is not told too high.
fn on_demand(answers: &Answers, unusable: &mut BTreeMap<String, Vec<String>>) -> BTreeMap<String, Money> {
    let mut prices: BTreeMap<String, Money> = BTreeMap::new();
    for product in &answers.products {
        match product.told(&answers.region) {
            Told::Price(name, price) => {
                let known = prices.entry(name).or_insert(price);
                *known = price.max(*known);
            }
            Told::Unusable(name, why) => unusable.entry(why).or_default().push(name),
            Told::Nothing => {}
        }
    }
    prices
}

/// The newest spot price of each type and zone. Two products are asked for; at the same time the dearer one counts.
fn spot<'a>(
    answers: &'a Answers,
    unusable: &mut BTreeMap<String, Vec<String>>,
) -> BTreeMap<(&'a str, &'a str), (&'a str, Money)> {
    let mut prices: BTreeMap<(&str, &str), (&str, Money)> = BTreeMap::new();
    for told in &answers.spot {
        let Some(price) = Money::parse(&told.spot_price).filter(|price| *price > Money::ZERO) else {
            let why = format!("a spot price of {:?} USD", told.spot_price);
            unusable.entry(why).or_default().push(told.instance_type.clone());
            continue;
        };
        let of = (&*told.instance_type, &*told.availability_zone);
        let known = prices.entry(of).or_insert((&told.timestamp, price));
        *known = (*known).max((&told.timestamp, price));
    }
    prices
}

/// The size of a type; `None` for a machine that Kubernetes does not run on.
///
/// # Errors
/// What is missing in the answer.
fn size(told: &TypeInfo) -> Result<Option<InstanceType>, String> {
    let architectures = &told.processor_info.supported_architectures.item;
    let arch = if architectures.iter().any(|one| one == "arm64") {
        "arm64"
    } else if architectures.iter().any(|one| one == "x86_64") {
        "amd64"
    } else {
        return Ok(None);
    };
    let network = &told.network_info;
    let default = network.default_network_card_index;
    let card = network.network_cards.item.iter().find(|card| card.network_card_index == default);
    let interfaces = card.ok_or("no default network card")?.maximum_network_interfaces;
    let gpus = told.gpu_info.iter().flat_map(|info| &info.gpus.item).filter(|gpu| gpu.manufacturer == "NVIDIA");
    // A share of a GPU is none that a pod could ask for.
    let whole = gpus.clone().filter(|gpu| gpu.gpu_partition_size.unwrap_or(1.0) >= 1.0);
    Ok(Some(InstanceType {
        name: told.instance_type.clone(),
        vcpu: told.v_cpu_info.default_vcpus,
        memory_mib: told.memory_info.size_in_mib,
        arch: arch.to_owned(),
        // Each interface keeps one address to itself; two pods run on the host's network.
        max_pods: interfaces * (network.ipv4_addresses_per_interface - 1) + 2,
        gpu_count: whole.map(|gpu| gpu.count).sum(),
        gpu_name: gpus.clone().next().map(|gpu| gpu.name.to_lowercase().replace(' ', "-")).unwrap_or_default(),
        disk_gb: Some(told.instance_storage_info.as_ref().map_or(0, |disks| disks.total_size_in_gb)),
        interfaces: Some(interfaces),
    }))
}
