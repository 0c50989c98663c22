//! A small region as AWS answers it: two zones and a local one, five types, two rows a page.

use serde_json::{Value, json};

use super::stub::{Reply, Request};

/// Rows of one page.
const PAGE: usize = 2;
const ZONES: [(&str, &str, &str); 3] = [
    ("us-east-1a", "availability-zone", "opt-in-not-required"),
    ("us-east-1b", "availability-zone", "opt-in-not-required"),
    ("us-east-1-bos-1a", "local-zone", "opted-in"),
];
/// Name, architecture, cores, MiB, interfaces, addresses each, and whatever else there is, as EC2 writes it.
const TYPES: [(&str, &str, u32, u32, u32, u32, &str); 5] = [
    ("m5.large", "x86_64", 2, 8192, 3, 10, ""),
    (
        "m6gd.large",
        "arm64",
        2,
        8192,
        3,
        10,
        "<instanceStorageInfo><totalSizeInGB>118</totalSizeInGB></instanceStorageInfo>",
    ),
    (
        "g4dn.xlarge",
        "x86_64",
        4,
        16384,
        3,
        10,
        "<instanceStorageInfo><totalSizeInGB>125</totalSizeInGB></instanceStorageInfo><gpuInfo><gpus><item><name>T4</name>\
         <manufacturer>NVIDIA</manufacturer><count>1</count></item></gpus></gpuInfo>",
    ),
    ("mac1.metal", "x86_64_mac", 12, 32768, 8, 30, ""),
    ("c5.large", "x86_64", 2, 4096, 3, 10, ""),
];
const OFFERINGS: [(&str, &str); 8] = [
    ("m5.large", "us-east-1a"),
    ("m5.large", "us-east-1b"),
    ("m5.large", "us-east-1-bos-1a"),
    ("m6gd.large", "us-east-1b"),
    ("g4dn.xlarge", "us-east-1a"),
    ("g4dn.xlarge", "us-east-1b"),
    ("mac1.metal", "us-east-1a"),
    ("c5.large", "us-east-1a"),
];
/// Type, tenancy, unit, currency, price.
const PRODUCTS: [(&str, &str, &str, &str, &str); 6] = [
    ("m5.large", "Dedicated", "Hrs", "USD", "0.1020000000"),
    ("m5.large", "Shared", "Hrs", "USD", "0.0960000000"),
    ("m6gd.large", "Shared", "Hrs", "USD", "0.0904000000"),
    ("g4dn.xlarge", "Shared", "Hrs", "USD", "0.5260000000"),
    ("mac1.metal", "Shared", "Hrs", "USD", "1.0830000000"),
    ("c5.large", "Shared", "Hrs", "CNY", "0.6"),
];
/// Type, zone, price, minute of the last hour. Not in the order of time.
const SPOT: [(&str, &str, &str, u32); 5] = [
    ("m5.large", "us-east-1a", "0.041000", 50),
    ("m5.large", "us-east-1a", "0.030000", 10),
    ("m5.large", "us-east-1b", "0.035500", 20),
    ("m6gd.large", "us-east-1b", "0.000000", 20),
    ("g4dn.xlarge", "us-east-1a", "0.158000", 30),
];

/// What comes of it.
pub const CSV: &str = "\
region,instance_type,vcpu,memory_mib,arch,max_pods,gpu_count,gpu_name,disk_gb,interfaces,zone,capacity_type,available,price_usd_hour
us-east-1,c5.large,2,4096,amd64,29,0,,0,3,,,,
us-east-1,g4dn.xlarge,4,16384,amd64,29,1,t4,125,3,,on-demand,true,0.526000
us-east-1,g4dn.xlarge,4,16384,amd64,29,1,t4,125,3,us-east-1a,spot,true,0.158000
us-east-1,m5.large,2,8192,amd64,29,0,,0,3,,on-demand,true,0.096000
us-east-1,m5.large,2,8192,amd64,29,0,,0,3,us-east-1a,spot,true,0.041000
us-east-1,m5.large,2,8192,amd64,29,0,,0,3,us-east-1b,spot,true,0.035500
us-east-1,m6gd.large,2,8192,arm64,29,0,,118,3,us-east-1b,on-demand,true,0.090400
";
/// What is said of the rest.
pub const WARNINGS: &str = "\
a price in CNY, not in USD: 1 types, such as c5.large
a spot price of \"0.000000\" USD: 1 types, such as m6gd.large
";

/// The answer to a request.
pub fn answer(request: &Request) -> Reply {
    let call = request.call();
    match &*call {
        "DescribeAvailabilityZones" => ec2(&call, "availabilityZoneInfo", &zones(), "").into(),
        "DescribeInstanceTypes" => paged(request, "instanceTypeSet", &types()),
        "DescribeInstanceTypeOfferings" => paged(request, "instanceTypeOfferingSet", &offerings()),
        "DescribeSpotPriceHistory" => paged(request, "spotPriceHistorySet", &spot()),
        "GetProducts" => products(
            request,
            &PRODUCTS.map(|(name, tenancy, unit, currency, price)| product(name, tenancy, unit, currency, price)),
        ),
        other => panic!("nobody asks for {other:?}: {request:?}"),
    }
}

impl From<String> for Reply {
    fn from(body: String) -> Self {
        Self::ok(body)
    }
}

/// One page of an answer of EC2.
pub fn ec2(call: &str, set: &str, rows: &[String], next: &str) -> String {
    let next = if next.is_empty() { String::new() } else { format!("<nextToken>{next}</nextToken>") };
    let rows: String = rows.iter().map(|row| format!("<item>{row}</item>")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{call}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n    \
         <requestId>1</requestId>\n    <{set}>{rows}</{set}>{next}</{call}Response>"
    )
}

/// The page that a request asks for; its token is the number of its first row.
fn paged(request: &Request, set: &str, rows: &[String]) -> Reply {
    let from: usize = request.field("NextToken").parse().unwrap_or(0);
    let to = (from + PAGE).min(rows.len());
    let next = if to < rows.len() { to.to_string() } else { String::new() };
    ec2(&request.call(), set, &rows[from..to], &next).into()
}

/// The page of products that a request asks for, of as many rows as it says.
pub fn products(request: &Request, rows: &[Value]) -> Reply {
    let ask: Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!(ask["ServiceCode"], "AmazonEC2");
    let from: usize = ask["NextToken"].as_str().map_or(0, |token| token.parse().expect("a token of ours"));
    let most = ask["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok()).expect("a page size");
    let to = (from + most).min(rows.len());
    let page: Vec<String> = rows[from..to].iter().map(Value::to_string).collect();
    let mut answer = json!({"FormatVersion": "aws_v1", "PriceList": page});
    if to < rows.len() {
        answer["NextToken"] = to.to_string().into();
    }
    answer.to_string().into()
}

/// A product as the price list has it, with what nothing here reads.
pub fn product(name: &str, tenancy: &str, unit: &str, currency: &str, price: &str) -> Value {
    json!({
        "product": {"productFamily": "Compute Instance", "sku": "SKU", "attributes": {
            "instanceType": name, "regionCode": "us-east-1", "tenancy": tenancy, "operatingSystem": "Linux",
            "capacitystatus": "Used", "preInstalledSw": "NA", "location": "US East (N. Virginia)", "locationType": "AWS Region"}},
        "serviceCode": "AmazonEC2", "version": "20261027000000", "publicationDate": "2026-10-27T00:00:00Z",
        "terms": {
            "OnDemand": {"SKU.JRTCKXETXF": {"sku": "SKU", "offerTermCode": "JRTCKXETXF", "termAttributes": {}, "priceDimensions": {
                "SKU.JRTCKXETXF.6YS6EN2CT7": {"unit": unit, "beginRange": "0", "endRange": "Inf", "rateCode": "SKU.JRTCKXETXF.6YS6EN2CT7",
                    "description": "per On Demand Linux Instance Hour", "appliesTo": [], "pricePerUnit": {currency: price}}}}},
            "Reserved": {"SKU.4NA7Y494T4": {"sku": "SKU", "priceDimensions": {
                "SKU.4NA7Y494T4.6YS6EN2CT7": {"unit": "Hrs", "pricePerUnit": {"USD": "0.0410000000"}}}}},
        },
    })
}

fn zones() -> Vec<String> {
    let row = |(name, kind, opt_in): (&str, &str, &str)| {
        format!(
            "<zoneState>available</zoneState><optInStatus>{opt_in}</optInStatus><regionName>us-east-1</regionName><messageSet/>\
             <zoneName>{name}</zoneName><zoneId>use1-x</zoneId><zoneType>{kind}</zoneType>"
        )
    };
    ZONES.map(row).to_vec()
}

fn types() -> Vec<String> {
    let row = |(name, arch, cores, memory, interfaces, addresses, more): (&str, &str, u32, u32, u32, u32, &str)| {
        format!(
            "<instanceType>{name}</instanceType><processorInfo><supportedArchitectures><item>{arch}</item></supportedArchitectures>\
             </processorInfo><vCpuInfo><defaultVCpus>{cores}</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>{memory}</sizeInMiB>\
             </memoryInfo><networkInfo><maximumNetworkInterfaces>99</maximumNetworkInterfaces><defaultNetworkCardIndex>0\
             </defaultNetworkCardIndex><networkCards><item><networkCardIndex>1</networkCardIndex><maximumNetworkInterfaces>96\
             </maximumNetworkInterfaces></item><item><networkCardIndex>0</networkCardIndex><maximumNetworkInterfaces>{interfaces}\
             </maximumNetworkInterfaces></item></networkCards><ipv4AddressesPerInterface>{addresses}</ipv4AddressesPerInterface>\
             </networkInfo>{more}"
        )
    };
    TYPES.map(row).to_vec()
}

fn offerings() -> Vec<String> {
    let row = |(name, zone): (&str, &str)| {
        format!(
            "<instanceType>{name}</instanceType><locationType>availability-zone</locationType><location>{zone}</location>"
        )
    };
    OFFERINGS.map(row).to_vec()
}

fn spot() -> Vec<String> {
    let row = |(name, zone, price, minute): (&str, &str, &str, u32)| {
        format!(
            "<instanceType>{name}</instanceType><productDescription>Linux/UNIX</productDescription><spotPrice>{price}</spotPrice>\
             <timestamp>2026-10-27T11:{minute:02}:00.000Z</timestamp><availabilityZone>{zone}</availabilityZone>"
        )
    };
    SPOT.map(row).to_vec()
}
