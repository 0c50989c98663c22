//! On-demand prices, as GetProducts tells them.

use std::collections::BTreeMap;

use kentroller_planner::Money;
use serde::Deserialize;
use serde_json::json;

/// Of a product what tells one price from another.
#[derive(Debug, Deserialize)]
pub(crate) struct Product {
    product: About,
    #[serde(default)]
    terms: Terms,
}

#[derive(Debug, Deserialize)]
struct About {
    attributes: Attributes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    #[serde(default)]
    instance_type: String,
    #[serde(default)]
    region_code: String,
    #[serde(default)]
    tenancy: String,
    #[serde(default)]
    operating_system: String,
}

#[derive(Debug, Default, Deserialize)]
struct Terms {
    #[serde(default, rename = "OnDemand")]
    on_demand: BTreeMap<String, Term>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term {
    #[serde(default)]
    price_dimensions: BTreeMap<String, Dimension>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dimension {
    #[serde(default)]
    unit: String,
    #[serde(default)]
    price_per_unit: BTreeMap<String, String>,
}

/// What is asked for. Tenancy is asked for by name: the list has machines of their own (dedicated) under the same types, 6 to
/// 10 % above, and those of `metal` types come first.
pub(crate) fn filters(region: &str) -> serde_json::Value {
    let fields = [
        ("regionCode", region),
        ("operatingSystem", "Linux"),
        ("tenancy", "Shared"),
        ("preInstalledSw", "NA"),
        ("capacitystatus", "Used"),
        ("marketoption", "OnDemand"),
    ];
    fields.map(|(field, value)| json!({"Type": "TERM_MATCH", "Field": field, "Value": value})).into_iter().collect()
}

/// What a product tells about the price of an instance type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// An hour of it.
    Price(String, Money),
    /// A price that cannot be used, and why.
    Unusable(String, String),
    /// It is about something else.
    Nothing,
}

impl Product {
    /// What it tells about a region.
    pub(crate) fn told(&self, region: &str) -> Told {
        let about = &self.product.attributes;
        let is_it = about.region_code == region && about.tenancy == "Shared" && about.operating_system == "Linux";
        if !is_it || about.instance_type.is_empty() {
            return Told::Nothing;
        }
        let name = about.instance_type.clone();
        let dimensions = self.terms.on_demand.values().flat_map(|term| term.price_dimensions.values());
        let mut unusable = None;
        for dimension in dimensions.filter(|dimension| dimension.unit == "Hrs") {
            match dimension.price_per_unit.get("USD").map(|text| (text, Money::parse(text))) {
                Some((_, Some(price))) if price > Money::ZERO => return Told::Price(name, price),
                // A reservation that is paid for already costs nothing an hour.
                Some((_, Some(Money::ZERO))) => {}
                Some((text, _)) => unusable = Some(format!("a price of {text:?} USD")),
                None => {
                    let currencies: Vec<&str> = dimension.price_per_unit.keys().map(String::as_str).collect();
                    unusable = Some(format!("a price in {}, not in USD", currencies.join(", ")));
                }
            }
        }
        unusable.map_or(Told::Nothing, |why| Told::Unusable(name, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_hour_of_shared_linux_in_usd_above_zero_is_a_price() {
        let check = |tenancy: &str, unit: &str, price: serde_json::Value, wanted: Told| {
            let product: Product = serde_json::from_value(json!({
                "product": {"productFamily": "Compute Instance", "sku": "A", "attributes": {"instanceType": "m5.large",
                    "regionCode": "us-east-1", "tenancy": tenancy, "operatingSystem": "Linux", "vcpu": "2"}},
                "serviceCode": "AmazonEC2",
                "terms": {"OnDemand": {"A.B": {"sku": "A", "priceDimensions": {"A.B.C": {"unit": unit, "pricePerUnit": price}}}}},
            }))
            .expect("a product");
            assert_eq!(product.told("us-east-1"), wanted, "{tenancy} {unit}");
            assert_eq!(product.told("eu-west-1"), Told::Nothing);
        };
        let unusable = |why: &str| Told::Unusable("m5.large".to_owned(), why.to_owned());
        let price = Money::parse("0.096").expect("a price");
        check("Shared", "Hrs", json!({"USD": "0.0960000000"}), Told::Price("m5.large".to_owned(), price));
        check("Dedicated", "Hrs", json!({"USD": "0.1020000000"}), Told::Nothing);
        check("Shared", "Quantity", json!({"USD": "500"}), Told::Nothing);
        check("Shared", "Hrs", json!({"USD": "0.0000000000"}), Told::Nothing);
        check("Shared", "Hrs", json!({"USD": "-1"}), unusable("a price of \"-1\" USD"));
        check("Shared", "Hrs", json!({"USD": "NaN"}), unusable("a price of \"NaN\" USD"));
        check("Shared", "Hrs", json!({"CNY": "0.6"}), unusable("a price in CNY, not in USD"));
    }
}
