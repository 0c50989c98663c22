//! What a file with a kind or a controller needs: `use kentroller_runtime::prelude::*;`.

pub use crate::condition::Condition;
pub use crate::declaration::{Change, Controller, Reconcile};
pub use crate::failure::Failure;
pub use crate::guard::{Fresh, Guard};
pub use crate::kind::{Cluster, HasStatus, Kind, Meta, Metadata, ObjectKey};
pub use crate::outcome::Outcome;
pub use crate::port::Answer;
pub use crate::store::{Cut, Lookup};
pub use crate::world::{Reply, World};
pub use crate::{Conditions, controller, resource, words};
