//! Fillers of the ports that controllers ask: the planner in this process, or that of a backend.

#[cfg(feature = "connected")]
mod connected;
mod embedded;
pub mod measured;
mod options;
mod predictions;
mod risk;
mod savings;
pub(crate) mod size;
pub(crate) mod snapshot;
mod stability;
mod translate;
mod unavailable;

#[cfg(feature = "connected")]
pub use self::connected::{Backend, Fleet, KeyFolder};
pub use self::embedded::{
    CheckAsk, Checked, Checks, Effort, Embedded, Findings, PlanAsk, Planned, Plans, Prices, Tried,
};
pub(crate) use self::options::options;
pub(crate) use self::predictions::is_spot;
pub use self::predictions::{Predicted, Predictions, Risk, Signs};
pub(crate) use self::size::MOST_NODES;
pub use self::snapshot::{Observed, snapshot};
pub(crate) use self::translate::{from_spec, to_spec};
