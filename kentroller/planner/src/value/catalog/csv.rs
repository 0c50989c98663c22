//! A catalogue as comma-separated values: what people write, and what is kept between two runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{CapacityType, Catalog, InstanceType, Offer, Priced};
use crate::value::Money;

/// Why a CSV text is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A column that is needed.
    #[error("the catalogue has no column `{0}`: its first line names the columns")]
    MissingColumn(&'static str),
    /// A cell that cannot be read.
    #[error("line {line} of the catalogue, column `{column}`: `{value}` is not {expected}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// The name of the column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// A price that another row tells as well.
    #[error(
        "line {line} of the catalogue: another row has the price of {instance_type} for the same region, zone and capacity type"
    )]
    Twice {
        /// Counted from 1.
        line: usize,
        /// What it is a price of.
        instance_type: String,
    },
    /// No row has a price.
    #[error("the catalogue holds no price")]
    Empty,
}

/// What is written; other columns are read for people who write by hand.
const COLUMNS: [&str; 14] = [
    "region",
    "instance_type",
    "vcpu",
    "memory_mib",
    "arch",
    "max_pods",
    "gpu_count",
    "gpu_name",
    "disk_gb",
    "interfaces",
    "zone",
    "capacity_type",
    "available",
    "price_usd_hour",
];

impl Catalog {
    /// Reads comma-separated values whose first line names the columns.
    ///
    /// Needed: `instance_type`, `vcpu`, `memory_mib`, `arch`, `max_pods` and `on_demand_usd_hour` (or `price_usd_hour`).
    /// Read when there: `region`, `zone` (empty: every zone), `capacity_type` (default `on-demand`), `gpu_count`,
    /// `gpu_name`, `disk_gb` (of the machine itself), `interfaces`, `available` (`false`: not to be bought). An empty price is an unknown one: the row gives the size only.
    ///
    /// # Errors
    /// A missing column, or a value that does not parse, with its line.
    pub fn from_csv(text: &str, source: &str, as_of: &str) -> Result<Self, CatalogError> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let header: Vec<&str> =
            lines.next().map(|(_, line)| line.split(',').map(str::trim).collect()).unwrap_or_default();
        let price = if header.contains(&"price_usd_hour") { "price_usd_hour" } else { "on_demand_usd_hour" };
        let needed = ["instance_type", "vcpu", "memory_mib", "arch", "max_pods", price];
        if let Some(missing) = needed.into_iter().find(|column| !header.contains(column)) {
            return Err(CatalogError::MissingColumn(missing));
        }
        let mut catalog = Self { source: source.to_owned(), as_of: as_of.to_owned(), regions: BTreeMap::new() };
        for (index, line) in lines {
            let row = Row { line: index + 1, header: &header, cells: line.split(',').map(str::trim).collect() };
            let (instance_type, offer) = (row.instance_type()?, row.offer(price)?);
            let of_region = catalog.regions.entry(row.cell("region").to_owned()).or_default();
            let priced = of_region
                .entry(instance_type.name.clone())
                .or_insert_with(|| Priced { instance_type, offers: Vec::new() });
            if let Some(offer) = offer {
                let is_same = |other: &Offer| other.zone == offer.zone && other.capacity_type == offer.capacity_type;
                if priced.offers.iter().any(is_same) {
                    let instance_type = priced.instance_type.name.clone();
                    return Err(CatalogError::Twice { line: index + 1, instance_type });
                }
                priced.offers.push(offer);
            }
        }
        if catalog.regions.values().flat_map(BTreeMap::values).all(|priced| priced.offers.is_empty()) {
            return Err(CatalogError::Empty);
        }
        Ok(catalog)
    }

    /// All of it as comma-separated values: what [`Catalog::from_csv`] reads. A type without a price has a row without one.
    pub fn to_csv(&self) -> String {
        let mut text = COLUMNS.join(",") + "\n";
        for (region, types) in &self.regions {
            for Priced { instance_type: of, offers } in types.values() {
                let InstanceType { name, vcpu, memory_mib, arch, max_pods, gpu_count, gpu_name, .. } = of;
                let told = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
                let (disk, interfaces) = (told(of.disk_gb), told(of.interfaces));
                let size = format!(
                    "{region},{name},{vcpu},{memory_mib},{arch},{max_pods},{gpu_count},{gpu_name},{disk},{interfaces}"
                );
                for Offer { zone, capacity_type, price, available } in offers {
                    let (zone, capacity) = (zone.as_deref().unwrap_or_default(), capacity_type.as_str());
                    let _ = writeln!(text, "{size},{zone},{capacity},{available},{}", price.exact());
                }
                if offers.is_empty() {
                    let _ = writeln!(text, "{size},,,,");
                }
            }
        }
        text
    }
}

/// A line of a catalogue in comma-separated values.
struct Row<'a> {
    /// Counted from 1.
    line: usize,
    header: &'a [&'a str],
    cells: Vec<&'a str>,
}

impl<'a> Row<'a> {
    /// The value of a column; empty where there is none.
    fn cell(&self, column: &str) -> &'a str {
        let at = self.header.iter().position(|name| *name == column);
        at.and_then(|at| self.cells.get(at)).copied().unwrap_or_default()
    }

    fn mistake(&self, column: &'static str, value: &str, expected: &'static str) -> CatalogError {
        CatalogError::Value { line: self.line, column, value: value.to_owned(), expected }
    }

    fn integer(&self, column: &'static str) -> Result<i64, CatalogError> {
        let value = self.cell(column);
        let number = value.parse::<i64>().ok().filter(|number| (0..=1 << 40).contains(number));
        number.ok_or_else(|| self.mistake(column, value, "a whole number"))
    }

    fn integer_if_told(&self, column: &'static str) -> Result<Option<i64>, CatalogError> {
        if self.cell(column).is_empty() { Ok(None) } else { self.integer(column).map(Some) }
    }

    fn instance_type(&self) -> Result<InstanceType, CatalogError> {
        let name = self.cell("instance_type");
        if name.is_empty() {
            return Err(self.mistake("instance_type", name, "a name"));
        }
        Ok(InstanceType {
            name: name.to_owned(),
            vcpu: self.integer("vcpu")?,
            memory_mib: self.integer("memory_mib")?,
            arch: self.cell("arch").to_owned(),
            max_pods: self.integer("max_pods")?,
            gpu_count: self.integer_if_told("gpu_count")?.unwrap_or(0),
            gpu_name: self.cell("gpu_name").to_owned(),
            disk_gb: self.integer_if_told("disk_gb")?,
            interfaces: self.integer_if_told("interfaces")?,
        })
    }

    /// What it costs; `None` where the row leaves the price out.
    fn offer(&self, price: &str) -> Result<Option<Offer>, CatalogError> {
        let text = self.cell(price);
        if text.is_empty() {
            return Ok(None);
        }
        let price = Money::parse(text).filter(|price| *price > Money::ZERO);
        let expected = "a price above zero such as 0.096 (leave it empty when it is not known)";
        Ok(Some(Offer {
            zone: Some(self.cell("zone")).filter(|zone| !zone.is_empty()).map(str::to_owned),
            capacity_type: match self.cell("capacity_type") {
                "" => CapacityType::OnDemand,
                word => CapacityType::of(word),
            },
            price: price.ok_or_else(|| self.mistake("price", text, expected))?,
            available: !matches!(self.cell("available"), "false" | "0" | "no"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(text: &str) -> Result<Catalog, CatalogError> {
        Catalog::from_csv(text, "test", "2026-10-27")
    }

    #[test]
    fn an_unknown_price_is_none_and_a_zero_price_is_refused() {
        let head = "instance_type,region,vcpu,memory_mib,arch,max_pods,on_demand_usd_hour,zone,capacity_type";
        let known = catalog(&format!(
            "{head}\nm5.large,us-east-1,2,8192,amd64,29,0.096,,\nm5.large,us-east-1,2,8192,amd64,29,0.03,us-east-1a,spot\nm5.xlarge,us-east-1,4,16384,amd64,58,,,\n"
        ))
        .expect("reads");
        let price = |name: &str, zone: &str, capacity: CapacityType| known.price("us-east-1", name, zone, &capacity);
        assert_eq!(price("m5.large", "us-east-1c", CapacityType::OnDemand), Some(Money::micros(96_000)));
        assert_eq!(price("m5.large", "us-east-1a", CapacityType::Spot), Some(Money::micros(30_000)));
        assert_eq!(price("m5.large", "us-east-1b", CapacityType::Spot), None);
        assert_eq!(price("m5.xlarge", "us-east-1a", CapacityType::OnDemand), None);
        assert_eq!(known.price("eu-west-1", "m5.large", "eu-west-1a", &CapacityType::OnDemand), None);
        for wrong in [
            format!("{head}\nm5.large,us-east-1,2,8192,amd64,29,0,,\n"),
            format!("{head}\nm5.large,us-east-1,2,8192,amd64,29,NaN,,\n"),
            format!("{head}\nm5.large,us-east-1,two,8192,amd64,29,0.1,,\n"),
            format!("{head}\nm5.large,us-east-1,2,8192,amd64,29,-0.1,,\n"),
            format!("{head}\nm5.large,us-east-1,2,8192,amd64,29,0.1,,\nm5.large,us-east-1,2,8192,amd64,29,0.2,,\n"),
            "vcpu\n1\n".to_owned(),
            String::new(),
        ] {
            assert!(catalog(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_whole() {
        let mut whole = Catalog::embedded();
        whole.set_unavailable("us-east-1", "m5.large", Some("us-east-1b"), &CapacityType::OnDemand);
        let spot = Offer {
            zone: Some("us-east-1a".to_owned()),
            capacity_type: CapacityType::Spot,
            price: Money::micros(10),
            available: true,
        };
        let of =
            |name: &str| InstanceType { name: name.to_owned(), gpu_name: "t4".to_owned(), ..InstanceType::default() };
        whole.insert("mars-1", Priced { instance_type: of("a"), offers: vec![spot] });
        whole.insert("mars-1", Priced { instance_type: of("b"), offers: Vec::new() });
        let read = Catalog::from_csv(&whole.to_csv(), &whole.source, &whole.as_of);
        assert_eq!(read, Ok(whole));
    }
}
