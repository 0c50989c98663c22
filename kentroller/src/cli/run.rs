//! `kentroller run`: the operator against a real API server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use kentroller_planner::Catalog;
use kentroller_runtime::engine::ports::Ports;
use kentroller_runtime::settings::Settings as _;
use kentroller_runtime::{Clock, Kind as _, ObjectKey, Switches, telemetry, wire};
use serde_json::Value;

use super::connected;
use super::remote::{config, runtime};
use crate::api::foreign::Node;
use crate::api::marks::REGION;
use crate::backend::{Checks, Effort, Embedded, Plans, Predictions, Prices};
use crate::controllers;
use crate::prices::{self, Keeping, Refreshed};
use crate::settings::{PricesSource, Settings};

/// Arguments of `kentroller run`.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// Computes and logs every effect, and performs none: no write verb is needed.
    #[arg(long)]
    shadow: bool,
    /// Waits for a lease before it acts, so that several replicas may run.
    #[arg(long)]
    leader_elect: bool,
    /// A CSV file of prices. Without it CATALOG_CONFIG_MAP_NAME names a ConfigMap that holds one; without either the
    /// embedded catalogue counts.
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Writes a file for every reconcile that acted into this folder; `kentroller replay` repeats it.
    #[arg(long, value_name = "FOLDER")]
    records: Option<PathBuf>,
    /// Where the probes answer.
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    health_probe_bind_address: String,
    /// The name of this replica: holder of the lease and reporter of events.
    #[arg(long, env = "POD_NAME", default_value = "kentroller")]
    pod_name: String,
    /// The namespace of the lease and of our ConfigMaps.
    #[arg(long, env = "POD_NAMESPACE", default_value = "castai-agent")]
    pod_namespace: String,
}

impl Run {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        telemetry::start();
        let runtime = runtime()?;
        runtime.block_on(self.operate())
    }

    async fn operate(self) -> anyhow::Result<ExitCode> {
        let mut settings = match Settings::from_env(&|name| std::env::var(name).ok()) {
            Ok(settings) => settings,
            Err(mistakes) => {
                let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                anyhow::bail!("the environment cannot be used:\n  {}", all.join("\n  "));
            }
        };
        let connection = match settings.connection().and_then(connected::available) {
            Ok(connection) => connection,
            Err(why) => return Ok(unserved(&why)),
        };
        settings.features_watch_namespaces.retain(|namespace| *namespace != self.pod_namespace);
        let config = config().await?;
        let prices = self.prices(&settings, &config).await?;
        let embedded = Embedded { prices: prices.clone(), effort: Effort::Time };
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            mode = ?settings.mode(),
            shadow = self.shadow,
            namespace = self.pod_namespace,
            cluster = %config.cluster_url,
            "kentroller starts"
        );
        let address = self.address()?;
        let operator = controllers::operator();
        let plans = match connection {
            None => Plans::new(embedded.clone()),
            Some(connection) => {
                match connected::backend(connection, &self.pod_name, embedded.clone(), &operator.metrics()) {
                    Ok(plans) => plans,
                    Err(why) => return Ok(unserved(&why)),
                }
            }
        };
        if let Prices::Refreshed(kept) = prices {
            let told = move || kept.age(Clock::system().now()).into_iter().map(|(source, age)| (vec![source], age));
            operator.metrics().tell(prices::AGE, move || told().collect());
        }
        let also_read_in = settings.features_watch_namespaces.clone();
        operator
            .settings(settings)
            .ports(Ports::default().with(plans).with(Checks(embedded)).with(Predictions))
            .instance(&self.pod_name)
            .namespace(&self.pod_namespace)
            .also_read_in(also_read_in)
            .shadow(self.shadow)
            .elect(self.leader_elect)
            .records(self.records)
            .probes(address)
            .run(config)
            .await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn prices(&self, settings: &Settings, config: &kube::Config) -> anyhow::Result<Prices> {
        if let Some(file) = &self.catalog {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.display().to_string();
            let catalog = Catalog::from_csv(&text, &name, "").with_context(|| name.clone())?;
            return Ok(Prices::Fixed(Arc::new(catalog)));
        }
        if let Some(name) = &settings.catalog_config_map_name {
            return Ok(Prices::ConfigMap(ObjectKey::namespaced(self.pod_namespace.as_str(), name.as_str())));
        }
        match settings.prices_source {
            PricesSource::Embedded => Ok(Prices::Fixed(Arc::new(Catalog::embedded()))),
            PricesSource::Aws => {
                let region = region(config).await?;
                // It may ask the instance for its region, in a runtime of its own.
                let opened = std::thread::spawn(move || prices::of_aws(region.as_deref())).join();
                let inventory = opened.unwrap_or_else(|_| Err("it ended".to_owned()));
                let inventory = inventory.map_err(|why| anyhow::anyhow!("PRICES_SOURCE=aws: {why}"))?;
                let keeping = Keeping {
                    interval: settings.prices_refresh_interval,
                    max_age: settings.prices_max_age,
                    cache: settings.prices_cache_file.as_ref().map(PathBuf::from),
                };
                Ok(Prices::Refreshed(Refreshed::keep(inventory, &keeping, Clock::system())))
            }
        }
    }

    fn address(&self) -> anyhow::Result<SocketAddr> {
        let text = &self.health_probe_bind_address;
        // `:8081`, as flags of controllers are written, means every interface.
        let whole = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.clone() };
        whole.parse().with_context(|| format!("--health-probe-bind-address {text:?} is not an address such as :8081"))
    }
}

/// A configuration that cannot be served is never turned into another one silently.
fn unserved(why: &str) -> ExitCode {
    super::complain(&why);
    ExitCode::from(connected::UNSERVED)
}

/// The region that a node of the cluster is in, as its labels say.
async fn region(config: &kube::Config) -> anyhow::Result<Option<String>> {
    let (path, query) = (Node::INFO.path("", None), [("limit", "1")]);
    let nodes = client(config.clone())?.request::<Value>(wire::get(&path, &query)).await;
    let nodes = nodes.context("nodes cannot be listed, whose label tells the region of their prices")?;
    let labels = &nodes["items"][0]["metadata"]["labels"];
    Ok(labels[REGION].as_str().map(str::to_owned))
}

/// A client that says who it is.
pub(super) fn client(config: kube::Config) -> kube::Result<kube::Client> {
    wire::client(config, concat!("kentroller/", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Arguments;

    #[test]
    fn the_chart_starts_the_program_with_arguments_that_it_knows() {
        let arguments = Arguments::try_parse_from([&["kentroller"], crate::chart::ARGUMENTS].concat());
        let crate::cli::Command::Run(run) = arguments.expect("all are known").command else { panic!("not `run`") };
        assert!(run.leader_elect && !run.shadow);
        assert_eq!(run.address().expect("an address").to_string(), "0.0.0.0:8081");
    }
}
