//! Whoever knows what a cloud sells. One answers per build at most; others have their prices from a file or a ConfigMap.

use jiff::Timestamp;
use kentroller_planner::Catalog;

/// What a cloud sells in one region, and what it costs.
pub trait Inventory: Send {
    /// The region that it is of.
    fn region(&self) -> &str;

    /// Reads all of it; blocks as long as that takes. `now` is the time that the catalogue is of.
    ///
    /// # Errors
    /// Why there is no whole answer, and what to do.
    fn read(&self, now: Timestamp) -> Result<Read, String>;
}

/// What was read.
#[derive(Debug)]
pub struct Read {
    pub catalog: Catalog,
    /// What of it could not be used or may not be read.
    pub warnings: Vec<String>,
}

/// Said where prices of AWS are asked for in a build that has none.
pub const NOT_BUILT: &str = "prices of AWS are not in this build: `cargo build --release --package kentroller --features aws` has them; \
     or give prices as CSV";

/// The inventory of AWS for a region; without one that of the environment, the profile or the instance.
///
/// # Errors
/// No region; a build without AWS.
#[cfg(feature = "aws")]
pub fn of_aws(region: Option<&str>) -> Result<Box<dyn Inventory>, String> {
    let inventory = kentroller_aws::Inventory::open(region).map_err(|error| error.to_string())?;
    Ok(Box::new(inventory))
}

/// There is none in this build.
///
/// # Errors
/// Always, with the build that has it.
#[cfg(not(feature = "aws"))]
pub fn of_aws(_: Option<&str>) -> Result<Box<dyn Inventory>, String> {
    Err(NOT_BUILT.to_owned())
}

#[cfg(feature = "aws")]
impl Inventory for kentroller_aws::Inventory {
    fn region(&self) -> &str {
        self.region()
    }

    fn read(&self, now: Timestamp) -> Result<Read, String> {
        let reading = self.read(now).map_err(|error| error.to_string())?;
        tracing::info!(requests = reading.requests, region = self.region(), "prices were read");
        Ok(Read { catalog: reading.catalog, warnings: reading.warnings })
    }
}
