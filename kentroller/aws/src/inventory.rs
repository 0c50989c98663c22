//! The inventory of a region, read as a whole.

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileRegionProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use form_urlencoded::Serializer;
use jiff::Timestamp;
use kentroller_planner::{CapacityType, Catalog, Offer};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::call::Call;
use crate::catalogue::{Answers, catalogue};
use crate::connection::{Connection, tls};
use crate::error::Error;
use crate::{place, product};

/// Of the API of EC2.
const VERSION: &str = "2016-11-15";

/// What EC2 sells in one region, and what it costs.
///
/// It has a thread's own runtime and blocks: call it from a thread of its own, not from an async one.
#[derive(Debug)]
pub struct Inventory {
    region: String,
    runtime: Runtime,
}

/// What was read.
#[derive(Debug)]
pub struct Reading {
    /// Instance types of the region with their on-demand and spot prices.
    pub catalog: Catalog,
    /// What could not be used or may not be read, for people.
    pub warnings: Vec<String>,
    /// How many requests it took, those that were made again included.
    pub requests: u32,
}

impl Inventory {
    /// The inventory of a region: the one given, that of AWS_REGION, of the profile, or of the instance's metadata, in this
    /// order. AWS_DEFAULT_REGION does not count: charts set it for the price list, which knows four regions only.
    ///
    /// # Errors
    /// No region, or a text that is none.
    pub fn open(region: Option<&str>) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::System(error.to_string()))?;
        let told =
            region.map(str::to_owned).or_else(|| std::env::var("AWS_REGION").ok()).filter(|told| !told.is_empty());
        let region = match told {
            Some(told) => told,
            None => runtime.block_on(found()).ok_or(Error::NoRegion)?,
        };
        Ok(Self { region: place::region(&region)?, runtime })
    }

    /// The region that it is of.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Reads all of it: some fifty requests. `now` is the time that the catalogue is of.
    ///
    /// Without the right to read spot prices the catalogue has none, with a warning. Anything else that is missing is an error:
    /// a catalogue is whole, or the one before it counts on.
    ///
    /// # Errors
    /// The first call that has no answer.
    pub fn read(&self, now: Timestamp) -> Result<Reading, Error> {
        self.runtime.block_on(async {
            let connection = Connection::new(&self.region, self.credentials().await?);
            let answers = self.answers(&connection, now).await?;
            let (spot, mut warnings) = match self.spot(&connection, now).await {
                Ok(spot) => (spot, Vec::new()),
                Err(denied @ Error::Denied { .. }) => (Vec::new(), vec![format!("no spot prices: {denied}")]),
                Err(error) => return Err(error),
            };
            let (catalog, unusable) = catalogue(&Answers { spot, ..answers });
            if catalog.types(&self.region).all(|priced| priced.offers.iter().all(is_spot)) {
                return Err(Error::NoPrices { region: self.region.clone(), why: unusable.join("; ") });
            }
            warnings.extend(unusable);
            Ok(Reading { catalog, warnings, requests: connection.requests() })
        })
    }

    async fn credentials(&self) -> Result<Credentials, Error> {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .http_client(http_client())
            .load()
            .await;
        let none = || Error::NoCredentials("no provider is configured".to_owned());
        let provider = config.credentials_provider().ok_or_else(none)?;
        provider.provide_credentials().await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Error::NoCredentials(cause.unwrap_or_else(|| error.to_string()))
        })
    }

    async fn answers(&self, connection: &Connection, now: Timestamp) -> Result<Answers, Error> {
        let zones = connection.rows(Call::DescribeAvailabilityZones, |token| {
            form(Call::DescribeAvailabilityZones, &[("AllAvailabilityZones", "true")], token)
        });
        let zones = self.filled(Call::DescribeAvailabilityZones, zones.await?)?;
        let types = connection.rows(Call::DescribeInstanceTypes, |token| form(Call::DescribeInstanceTypes, &[], token));
        let types = self.filled(Call::DescribeInstanceTypes, types.await?)?;
        let offerings = connection.rows(Call::DescribeInstanceTypeOfferings, |token| {
            form(Call::DescribeInstanceTypeOfferings, &[("LocationType", "availability-zone")], token)
        });
        let offerings = self.filled(Call::DescribeInstanceTypeOfferings, offerings.await?)?;
        let products = connection.rows(Call::GetProducts, |token| {
            let mut ask = json!({"ServiceCode": "AmazonEC2", "FormatVersion": "aws_v1", "MaxResults": Call::GetProducts.page(),
                "Filters": product::filters(&self.region)});
            if !token.is_empty() {
                ask["NextToken"] = token.into();
            }
            ask.to_string()
        });
        let products = self.filled(Call::GetProducts, products.await?)?;
        let as_of = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Ok(Answers { region: self.region.clone(), as_of, zones, types, offerings, products, spot: Vec::new() })
    }

    /// The prices that count now. A zone in which nothing is sold on spot has none.
    async fn spot(&self, connection: &Connection, now: Timestamp) -> Result<Vec<crate::answer::SpotPrice>, Error> {
        let (call, since) = (Call::DescribeSpotPriceHistory, now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let fields = [
            ("StartTime", &*since),
            ("ProductDescription.1", "Linux/UNIX"),
            ("ProductDescription.2", "Linux/UNIX (Amazon VPC)"),
        ];
        connection.rows(call, |token| form(call, &fields, token)).await
    }

    /// An empty list is no answer: nothing would be on sale.
    fn filled<T>(&self, call: Call, rows: Vec<T>) -> Result<Vec<T>, Error> {
        let empty = || Error::Empty { action: call.action(), region: self.region.clone() };
        if rows.is_empty() { Err(empty()) } else { Ok(rows) }
    }
}

fn is_spot(offer: &Offer) -> bool {
    offer.capacity_type == CapacityType::Spot
}

/// What the request of a page says.
fn form(call: Call, fields: &[(&str, &str)], token: &str) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", call.word()).append_pair("Version", VERSION).extend_pairs(fields);
    if let Some(most) = call.page() {
        form.append_pair("MaxResults", &most.to_string());
    }
    if !token.is_empty() {
        form.append_pair("NextToken", token);
    }
    form.finish()
}

/// The region of the profile or of the instance, in this order.
async fn found() -> Option<String> {
    let config = aws_config::provider_config::ProviderConfig::without_region().with_http_client(http_client());
    if let Some(region) = ProfileFileRegionProvider::builder().configure(&config).build().region().await {
        return Some(region.to_string());
    }
    ImdsRegionProvider::builder().configure(&config).build().region().await.map(|region| region.to_string())
}

/// What the chain of credentials asks with.
fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(tls()).build_https()
}
