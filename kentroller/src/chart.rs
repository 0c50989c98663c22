//! The Helm charts: what is generated below `charts/`. Templates that stand there by hand read the values that are declared
//! here, and the named templates made of them.

mod files;
mod lock;
mod rows;
mod umbrella;
mod values;

use kentroller_runtime::generate::chart::{Chart, ChartValue};
use kentroller_runtime::settings::Settings as _;

pub use self::files::files;
pub use self::lock::{FORCES, policies};
use crate::settings::Settings;

/// The chart of the operator.
pub const NAME: &str = "castai-kentroller";

/// What the program is started with in a cluster.
pub const ARGUMENTS: &[&str] = &["run", "--leader-elect", "--health-probe-bind-address=:8081"];

/// Where probes and metrics are answered, as [`ARGUMENTS`] say.
const PORT: u16 = 8081;

/// The chart of the operator.
pub fn kentroller(own: &[ChartValue]) -> Chart<'_> {
    Chart { name: NAME, settings: Settings::FIELDS, defaults: values::DEFAULTS, values: own, open: values::OPEN }
}

/// What is no setting of the operator in [`kentroller()`].
pub fn own_values() -> Vec<ChartValue> {
    [values::OWN, values::LATER].concat()
}

/// The chart around it.
pub fn umbrella() -> Chart<'static> {
    Chart { name: "castai-umbrella", settings: &[], defaults: &[], values: umbrella::VALUES, open: umbrella::OPEN }
}
