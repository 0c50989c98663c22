//! A controller is an annotation plus a pure function; this crate is everything else.
//!
//! Everything a controller reads comes from a store ([`store`]), as one cut over all kinds ([`World`]). A pure function
//! ([`Reconcile::reconcile`]) turns it into an [`Outcome`], and only the engine ([`engine`]) writes.

#![warn(missing_docs)]

mod annotations;
mod capability;
mod clock;
pub mod condition;
pub mod declaration;
pub mod engine;
mod failure;
pub mod generate;
mod guard;
mod kind;
pub mod lease;
mod measure;
pub mod metrics;
pub mod operator;
pub mod outcome;
pub mod port;
pub mod prelude;
pub mod serve;
pub mod settings;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod spec;
pub mod store;
mod switches;
pub mod telemetry;
pub mod testing;
pub mod wire;
mod words;
mod world;

pub use self::annotations::{Conditions, Settings, controller, resource};
pub use self::capability::{Asks, ConditionOf, Creates, Deletes, Evicts, Forces, Patches, Reads};
pub use self::clock::Clock;
pub use self::condition::{Condition, ConditionInfo, ConditionSet, ConditionType, Reason, SummaryOnly};
pub use self::declaration::{
    Access, Change, Controller, Declaration, Event, EventInfo, KindEntry, LEAST_INTERVAL, Reconcile, Verb, Wake,
};
pub use self::engine::{AnyController, reconciler};
pub use self::failure::{Class, ENGINE_FAILURES, Failure, FailureInfo};
pub use self::guard::{Fresh, Guard};
pub use self::kind::{Cluster, HasStatus, Kind, KindInfo, Meta, Metadata, ObjectKey, Owner};
pub use self::measure::{Counter, Gauge, Histogram, Measured, Metric};
pub use self::metrics::{ALERTS, AlertInfo, MetricInfo, MetricType};
pub use self::outcome::{Decided, Outcome};
pub use self::port::{Answer, Cancelled, Kinds, Port, Seen};
pub use self::store::{Cut, Gone, Lookup, View};
pub use self::switches::{Mode, Switches};
pub use self::words::{Edges, Words};
pub use self::world::{ReadSet, Replies, Reply, World};

/// What the annotations expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use {garde, k8s_openapi, kube, schemars, serde, serde_json};
}
