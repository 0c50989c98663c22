//! What AWS answers, as far as it is read.

use quick_xml::events::Event;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::call::{Call, Service};
use crate::error::Refusal;

/// A zone, as DescribeAvailabilityZones tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Zone {
    pub(crate) zone_name: String,
    /// `availability-zone`, `local-zone` or `wavelength-zone`.
    #[serde(default)]
    pub(crate) zone_type: String,
    /// `not-opted-in` where nothing can be bought.
    #[serde(default)]
    pub(crate) opt_in_status: String,
}

/// An instance type, as DescribeInstanceTypes tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TypeInfo {
    pub(crate) instance_type: String,
    pub(crate) processor_info: ProcessorInfo,
    pub(crate) v_cpu_info: VCpuInfo,
    pub(crate) memory_info: MemoryInfo,
    pub(crate) network_info: NetworkInfo,
    pub(crate) instance_storage_info: Option<InstanceStorageInfo>,
    pub(crate) gpu_info: Option<GpuInfo>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessorInfo {
    pub(crate) supported_architectures: Set<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct VCpuInfo {
    #[serde(rename = "defaultVCpus")]
    pub(crate) default_vcpus: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MemoryInfo {
    #[serde(rename = "sizeInMiB")]
    pub(crate) size_in_mib: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkInfo {
    #[serde(default)]
    pub(crate) default_network_card_index: i64,
    pub(crate) network_cards: Set<NetworkCard>,
    pub(crate) ipv4_addresses_per_interface: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkCard {
    #[serde(default)]
    pub(crate) network_card_index: i64,
    pub(crate) maximum_network_interfaces: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct InstanceStorageInfo {
    #[serde(rename = "totalSizeInGB")]
    pub(crate) total_size_in_gb: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GpuInfo {
    pub(crate) gpus: Set<Gpu>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gpu {
    pub(crate) name: String,
    pub(crate) manufacturer: String,
    pub(crate) count: i64,
    /// Below 1: a share of one.
    pub(crate) gpu_partition_size: Option<f64>,
}

/// Where a type can be bought, as DescribeInstanceTypeOfferings tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Offering {
    pub(crate) instance_type: String,
    /// A zone.
    pub(crate) location: String,
}

/// A price of spot capacity, as DescribeSpotPriceHistory tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpotPrice {
    pub(crate) availability_zone: String,
    pub(crate) instance_type: String,
    pub(crate) spot_price: String,
    /// From when on it counts; of the same form everywhere, so that texts compare as times do.
    pub(crate) timestamp: String,
}

/// A list in an answer of EC2.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(crate) struct Set<T> {
    #[serde(default)]
    pub(crate) item: Vec<T>,
}

/// A page of an answer of EC2.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Ec2Page<T> {
    #[serde(
        alias = "availabilityZoneInfo",
        alias = "instanceTypeSet",
        alias = "instanceTypeOfferingSet",
        alias = "spotPriceHistorySet"
    )]
    rows: Set<T>,
    #[serde(default, rename = "nextToken")]
    next: String,
}

/// A page of GetProducts; each row is a document of its own.
#[derive(Deserialize)]
struct PricingPage {
    #[serde(rename = "PriceList")]
    rows: Vec<String>,
    #[serde(default, rename = "NextToken")]
    next: String,
}

#[derive(Deserialize)]
struct Ec2Refusals {
    #[serde(rename = "Errors")]
    errors: Ec2Errors,
}

#[derive(Deserialize)]
struct Ec2Errors {
    #[serde(rename = "Error")]
    error: Ec2Refusal,
}

#[derive(Deserialize)]
struct Ec2Refusal {
    #[serde(rename = "Code")]
    code: String,
    #[serde(default, rename = "Message")]
    message: String,
}

#[derive(Deserialize)]
struct PricingRefusal {
    #[serde(rename = "__type")]
    code: String,
    #[serde(default, alias = "Message")]
    message: String,
}

/// The rows of a page, and the token of the next one; empty after the last.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn page<T: DeserializeOwned>(call: Call, text: &str) -> Result<(Vec<T>, String), String> {
    match call.service() {
        Service::Ec2 => {
            let (wanted, root) = (format!("{}Response", call.word()), root(text)?);
            if root != wanted {
                return Err(format!("it begins with <{root}>, not with <{wanted}>"));
            }
            let page: Ec2Page<T> = quick_xml::de::from_str(text).map_err(|error| error.to_string())?;
            Ok((page.rows.item, page.next))
        }
        Service::Pricing => {
            let page: PricingPage = serde_json::from_str(text).map_err(|error| error.to_string())?;
            let rows = page.rows.iter().map(|row| serde_json::from_str(row)).collect::<Result<_, _>>();
            Ok((rows.map_err(|error| error.to_string())?, page.next))
        }
    }
}

/// What an answer with an error says; `None` if it is none of AWS.
pub(crate) fn refusal(service: Service, text: &str) -> Option<Refusal> {
    match service {
        Service::Ec2 => {
            let is_refusal = root(text).is_ok_and(|root| root == "Response");
            let read: Ec2Refusals = is_refusal.then(|| quick_xml::de::from_str(text).ok())??;
            let Ec2Refusal { code, message } = read.errors.error;
            Some(Refusal { code, message })
        }
        Service::Pricing => {
            let PricingRefusal { code, message } = serde_json::from_str(text).ok()?;
            let code = code.rsplit('#').next().unwrap_or_default().to_owned();
            Some(Refusal { code, message })
        }
    }
}

/// The name of the outermost element.
fn root(text: &str) -> Result<String, String> {
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) | Event::Empty(start) => {
                return Ok(start.local_name().as_ref().to_owned());
            }
            Event::DocType(_) => return Err("it is a page for browsers, not an answer".to_owned()),
            Event::Eof => return Err("it is no XML".to_owned()),
            _ => {}
        }
    }
}
