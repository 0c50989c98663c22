//! Whose prices a command counts with.

use std::path::PathBuf;

use clap::Args;
use kentroller_planner::{Catalog, Snapshot};
use kentroller_runtime::Clock;

use super::plan::{Trouble, tell};
use crate::prices;
use crate::settings::PricesSource;

#[derive(Args, Debug, Default)]
pub(super) struct CatalogArguments {
    /// Prices as CSV: instance_type, vcpu, memory_mib, arch, max_pods, on_demand_usd_hour, and more.
    #[arg(long, value_name = "FILE", conflicts_with = "prices")]
    catalog: Option<PathBuf>,
    /// Whose prices count without a file.
    #[arg(long, value_name = "SOURCE", value_enum, default_value = "embedded")]
    prices: PricesSource,
}

impl CatalogArguments {
    /// Reads the prices of a region, and says what of them could not be used. Only AWS is asked about a region.
    ///
    /// # Errors
    /// A file that cannot be read, by its name; AWS that does not answer, or that this build does not know.
    pub(super) fn read(&self, region: Option<&str>) -> Result<Catalog, Trouble> {
        match (&self.catalog, self.prices) {
            (Some(file), _) => {
                let name = file.display().to_string();
                let text = std::fs::read_to_string(file).map_err(|error| Trouble::Input(format!("{name}: {error}")))?;
                Catalog::from_csv(&text, &name, "").map_err(|error| Trouble::Input(format!("{name}: {error}")))
            }
            (None, PricesSource::Embedded) => Ok(Catalog::embedded()),
            (None, PricesSource::Aws) if !cfg!(feature = "aws") => Err(Trouble::Usage(prices::NOT_BUILT.to_owned())),
            (None, PricesSource::Aws) => {
                let inventory = prices::of_aws(region).map_err(Trouble::Usage)?;
                tell(&format!("asking AWS what {} costs", inventory.region()));
                let read = inventory.read(Clock::system().now()).map_err(Trouble::Cluster)?;
                read.warnings.iter().for_each(|warning| super::complain(warning));
                Ok(read.catalog)
            }
        }
    }

    /// Reads the prices of the region that a cluster is in.
    ///
    /// # Errors
    /// As [`CatalogArguments::read`].
    pub(super) fn of(&self, cluster: &Snapshot) -> Result<Catalog, Trouble> {
        self.read(cluster.nodes.iter().find_map(|node| node.region()))
    }
}
