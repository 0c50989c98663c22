//! Fillers of the ports that controllers ask: here the planner in this process.

mod embedded;
mod options;
mod savings;
mod snapshot;
mod translate;

pub use self::embedded::{CheckAsk, Checked, Checks, Effort, Embedded, PlanAsk, Planned, Plans, Prices};
pub(crate) use self::options::options;
pub use self::snapshot::{Observed, snapshot};
pub(crate) use self::translate::to_spec;
