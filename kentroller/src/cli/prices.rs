//! `kentroller prices`: what instance types cost, as a plan counts. Reads only.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use kentroller_planner::{CapacityType, Catalog, Money, Offer, Priced};
use serde::Serialize;

use super::catalog::CatalogArguments;
use super::output::Output;
use super::plan::Trouble;

/// Arguments of `kentroller prices`.
#[derive(Args, Debug)]
pub(super) struct PricesArguments {
    /// Instance types, such as m5.large, or families, such as m5. Without: all.
    of: Vec<String>,
    /// The region. Without: all that are known; of AWS that of AWS_REGION, of the profile or of the instance.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    #[command(flatten)]
    catalog: CatalogArguments,
    /// How they are printed.
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: Format,
}

/// How prices are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Yaml,
    /// What `--catalog` and the ConfigMap of prices take.
    Csv,
}

/// Prices as a document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    source: &'a str,
    as_of: &'a str,
    currency: &'static str,
    types: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    region: &'a str,
    instance_type: &'a str,
    vcpu: i64,
    memory_mib: i64,
    arch: &'a str,
    max_pods: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<&'a str>,
    gpu_count: i64,
    offers: Vec<OfferRow<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferRow<'a> {
    /// Absent: every zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    capacity_type: &'a CapacityType,
    price_hourly: String,
    available: bool,
}

impl PricesArguments {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        match self.run() {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(trouble) => Ok(trouble.end()),
        }
    }

    fn run(&self) -> Result<(), Trouble> {
        let catalog = self.selected(&self.catalog.read(self.region.as_deref())?)?;
        let output = match self.output {
            Format::Csv => {
                let printed = super::print(&catalog.to_csv());
                return printed.map_err(|error| Trouble::Input(format!("prices cannot be printed: {error}")));
            }
            Format::Table => Output::Table,
            Format::Json => Output::Json,
            Format::Yaml => Output::Yaml,
        };
        output.print(&document(&catalog), table).map_err(Trouble::Input)
    }

    /// What was asked for.
    fn selected(&self, all: &Catalog) -> Result<Catalog, Trouble> {
        let mut selected = Catalog::default();
        selected.source.clone_from(&all.source);
        selected.as_of.clone_from(&all.as_of);
        let regions: Vec<&str> = self.region.as_deref().map_or_else(|| all.regions().collect(), |region| vec![region]);
        for region in &regions {
            for priced in all.types(region).filter(|priced| self.is_asked_for(&priced.instance_type.name)) {
                selected.insert(region, priced.clone());
            }
        }
        if selected.regions().next().is_none() {
            let known: Vec<&str> = all.regions().collect();
            let (what, where_) =
                (if self.of.is_empty() { "no type".to_owned() } else { self.of.join(", ") }, regions.join(", "));
            let message = format!("{what}: not among the prices of {where_} ({}, of {})", all.source, known.join(", "));
            return Err(Trouble::Usage(message));
        }
        Ok(selected)
    }

    /// Whether a type was named, or its family.
    fn is_asked_for(&self, name: &str) -> bool {
        let family = name.split('.').next();
        self.of.is_empty() || self.of.iter().any(|of| of == name || Some(&**of) == family)
    }
}

fn document(catalog: &Catalog) -> Document<'_> {
    let of = |region| catalog.types(region).map(move |priced| row(region, priced));
    let types = catalog.regions().flat_map(of).collect();
    Document { schema_version: 1, source: &catalog.source, as_of: &catalog.as_of, currency: "USD", types }
}

fn row<'a>(region: &'a str, Priced { instance_type: of, offers }: &'a Priced) -> Row<'a> {
    let offer = |offer: &'a Offer| OfferRow {
        zone: offer.zone.as_deref(),
        capacity_type: &offer.capacity_type,
        price_hourly: offer.price.exact(),
        available: offer.available,
    };
    Row {
        region,
        instance_type: &of.name,
        vcpu: of.vcpu,
        memory_mib: of.memory_mib,
        arch: &of.arch,
        max_pods: of.max_pods,
        gpu: (!of.gpu_name.is_empty()).then_some(&of.gpu_name),
        gpu_count: of.gpu_count,
        offers: offers.iter().map(offer).collect(),
    }
}

/// As a table: one line a type, and of spot the cheapest and the dearest zone.
fn table(document: &Document<'_>) -> String {
    let mut table = Table::new();
    let head =
        ["TYPE", "REGION", "CPU", "MEMORY MiB", "ARCH", "PODS", "GPUS", "ON-DEMAND USD/H", "SPOT USD/H", "SPOT ZONES"];
    table.load_style(presets::NOTHING).set_header(head);
    for column in [2, 3, 5, 6, 7, 8, 9] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in &document.types {
        let of = |capacity: &CapacityType| -> Vec<Money> {
            let offers = row.offers.iter().filter(|offer| offer.capacity_type == capacity);
            offers.filter_map(|offer| Money::parse(&offer.price_hourly)).collect()
        };
        let spot = of(&CapacityType::Spot);
        let gpus = row.gpu.map_or(String::new(), |name| format!("{} {name}", row.gpu_count));
        table.add_row([
            row.instance_type.to_owned(),
            row.region.to_owned(),
            row.vcpu.to_string(),
            row.memory_mib.to_string(),
            row.arch.to_owned(),
            row.max_pods.to_string(),
            gpus,
            span(&of(&CapacityType::OnDemand)),
            span(&spot),
            if spot.is_empty() { String::new() } else { spot.len().to_string() },
        ]);
    }
    let as_of = if document.as_of.is_empty() { "undated" } else { document.as_of };
    format!(
        "prices: {}, {as_of}\n\n{}\n",
        document.source,
        table.to_string().lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>().trim_end()
    )
}

/// The least and the greatest of some prices; `-` where none is known.
fn span(prices: &[Money]) -> String {
    match (prices.iter().min(), prices.iter().max()) {
        (Some(least), Some(most)) if least == most => least.hourly(),
        (Some(least), Some(most)) => format!("{}-{}", least.hourly(), most.hourly()),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Arguments, Command};

    fn asked(arguments: &[&str]) -> PricesArguments {
        let parsed = Arguments::try_parse_from([&["kentroller", "prices"], arguments].concat()).expect("it is known");
        let Command::Prices(prices) = parsed.command else { panic!("not `prices`") };
        prices
    }

    #[test]
    fn types_and_families_of_a_region_are_told_with_source_and_date_and_others_are_an_error() {
        let asked = asked(&["m5.large", "t4g", "--region", "us-east-1"]);
        let selected = asked.selected(&Catalog::embedded()).expect("they are there");
        let told = table(&document(&selected));
        assert!(told.starts_with("prices: embedded EC2 on-demand list prices, 2026-10-27\n\n TYPE"), "{told}");
        let lines: Vec<Vec<&str>> = told.lines().skip(3).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["m5.large", "us-east-1", "2", "8192", "amd64", "29", "0.0960", "-"]);
        assert!(lines.len() > 4 && lines[1..].iter().all(|line| line[0].starts_with("t4g.")), "{told}");
        for wrong in [&["m5.lagre"][..], &["--region", "mars-1"]] {
            let Err(Trouble::Usage(message)) = self::asked(wrong).selected(&Catalog::embedded()) else {
                panic!("{wrong:?}")
            };
            assert!(message.contains("us-east-1"), "{message}");
        }
    }

    #[test]
    fn each_zone_s_spot_price_is_in_the_documents_and_their_span_in_the_table() {
        let head = "instance_type,region,vcpu,memory_mib,arch,max_pods,zone,capacity_type,price_usd_hour";
        let size = "m5.large,us-east-1,2,8192,amd64,29";
        let text = format!("{head}\n{size},,,0.096\n{size},us-east-1a,spot,0.04\n{size},us-east-1b,spot,0.035\n");
        let catalog = Catalog::from_csv(&text, "mine", "").expect("it reads");
        let document = document(&catalog);
        assert!(table(&document).ends_with("0.0960  0.0350-0.0400           2\n"), "{}", table(&document));
        let written = serde_json::to_value(&document).expect("JSON");
        assert_eq!(written["types"][0]["offers"][2]["zone"], "us-east-1b");
        assert_eq!(written["types"][0]["offers"][2]["priceHourly"], "0.035000");
        assert!(written["types"][0]["offers"][0].get("zone").is_none());
        assert_eq!(Catalog::from_csv(&catalog.to_csv(), "mine", ""), Ok(catalog));
    }

    #[cfg(not(feature = "aws"))]
    #[test]
    fn a_build_without_aws_names_the_one_that_has_it() {
        let Err(Trouble::Usage(message)) = asked(&["--prices", "aws"]).run() else { panic!("it is not built") };
        assert!(message.contains("--features aws"), "{message}");
    }
}
