//! Fillers of the ports that controllers ask: here the planner in this process.

mod embedded;
mod savings;
mod snapshot;
mod translate;

pub use self::embedded::{Effort, Embedded, JudgeAsk, Judged, Judgements, PlanAsk, Planned, Plans, Prices};
pub use self::snapshot::{Observed, snapshot};
pub(crate) use self::translate::to_spec;
