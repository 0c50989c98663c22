//! A whole region: sizes, zones and offerings from moto, prices from a list like that of AWS.

use std::collections::BTreeSet;

use kentroller_planner::{CapacityType, Catalog, Priced};

use super::moto::Moto;
use super::region::{self, product, products};
use super::stub::Stub;
use super::{KEYS, inventory};

/// They have several network cards: EC2 tells of the default one; the list has what Karpenter counts, which is another one.
const OTHER_CARD: [&str; 4] = ["i7ie.48xlarge", "i7ie.metal-48xl", "i8ge.48xlarge", "i8ge.metal-48xl"];

#[test]
fn every_size_and_price_of_us_east_1_is_that_of_the_embedded_list() {
    let listed = Catalog::embedded();
    let on_demand = |priced: &Priced| priced.price("us-east-1a", &CapacityType::OnDemand);
    // Beside each price the dearer one of a machine of its own.
    let rows: Vec<_> = listed
        .types("us-east-1")
        .filter_map(|priced| Some((&priced.instance_type.name, on_demand(priced)?)))
        .flat_map(|(name, price)| {
            let row = |tenancy, price: &str| product(name, tenancy, "Hrs", "USD", price);
            [row("Dedicated", "99.0000000000"), row("Shared", &format!("{}0000", price.exact()))]
        })
        .collect();
    let (moto, prices) = (Moto::start(), Stub::start(move |request, _| products(request, &rows)));
    let addresses = [("AWS_ENDPOINT_URL_EC2", &*moto.address), ("AWS_ENDPOINT_URL_PRICING", &*prices.address)];
    let ran = inventory("us-east-1", &[&KEYS[..], &addresses].concat());
    assert!(ran.is_right, "{}", ran.told);
    let read = Catalog::from_csv(&ran.out, "", "").expect("what is written is read");
    let (mut compared, mut differing) = (0, BTreeSet::new());
    for wanted in listed.types("us-east-1") {
        let name = &*wanted.instance_type.name;
        let found = read.instance_type("us-east-1", name).unwrap_or_else(|| panic!("{name} is missing"));
        let zone = found.offers.iter().find(|offer| offer.capacity_type == CapacityType::OnDemand);
        let zone = zone.unwrap_or_else(|| panic!("{name} has no price")).zone.as_deref().unwrap_or("us-east-1a");
        assert_eq!(found.price(zone, &CapacityType::OnDemand), on_demand(wanted), "{name}");
        if found.instance_type != wanted.instance_type {
            differing.insert(name);
        }
        compared += 1;
    }
    assert!(compared > 1300, "{compared} types");
    assert_eq!(Vec::from_iter(differing), OTHER_CARD);
    // moto tells a spot price of every offering.
    let spot = |priced: &&Priced| priced.offers.iter().any(|offer| offer.capacity_type == CapacityType::Spot);
    assert!(read.types("us-east-1").filter(spot).count() > 1300);
}

#[test]
fn a_region_as_large_as_us_east_1_takes_at_most_sixty_requests() {
    let full = |rows: usize, page: usize, from: usize, call: &str, set: &str, row: &dyn Fn(usize) -> String| {
        let to = (from + page).min(rows);
        let page: Vec<String> = (from..to).map(row).collect();
        region::ec2(call, set, &page, &if to < rows { to.to_string() } else { String::new() })
    };
    let size = "<processorInfo><supportedArchitectures><item>x86_64</item></supportedArchitectures></processorInfo><vCpuInfo>\
        <defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo><networkInfo><networkCards><item>\
        <maximumNetworkInterfaces>3</maximumNetworkInterfaces></item></networkCards><ipv4AddressesPerInterface>10\
        </ipv4AddressesPerInterface></networkInfo>";
    let listed: Vec<_> =
        (0..1375).map(|of| product(&format!("m{of}.large"), "Shared", "Hrs", "USD", "0.0960000000")).collect();
    let stub = Stub::start(move |request, _| {
        let call = request.call();
        let (from, page) =
            (request.field("NextToken").parse().unwrap_or(0), request.field("MaxResults").parse().unwrap_or(0));
        let name = |at: usize| format!("<instanceType>m{}.large</instanceType>", at % 1375);
        let zone = |at: usize| ["a", "b", "c", "d", "f"][at / 1375];
        match &*call {
            "DescribeInstanceTypes" => full(1375, page, from, &call, "instanceTypeSet", &|at| name(at) + size).into(),
            "DescribeInstanceTypeOfferings" => full(6436, page, from, &call, "instanceTypeOfferingSet", &|at| {
                format!("{}<location>us-east-1{}</location>", name(at), zone(at))
            })
            .into(),
            // Both products of each offering.
            "DescribeSpotPriceHistory" => full(2 * 6436, page, from, &call, "spotPriceHistorySet", &|at| {
                format!(
                    "{}<spotPrice>0.0300</spotPrice><timestamp>2026-10-27T11:00:00.000Z</timestamp><availabilityZone>us-east-1{}\
                     </availabilityZone>",
                    name(at % 6436),
                    zone(at % 6436)
                )
            })
            .into(),
            "GetProducts" => products(request, &listed),
            _ => region::answer(request),
        }
    });
    let ran = inventory("us-east-1", &[&KEYS[..], &[("AWS_ENDPOINT_URL", &*stub.address)]].concat());
    assert!(ran.is_right, "{}", ran.told);
    let asked = stub.asked().len();
    assert_eq!(asked, 1 + 14 + 7 + 13 + 14);
    assert!(asked <= 60 && ran.told.contains(&format!("{asked} requests")), "{}", ran.told);
}
