//! What the engine itself must know of the operator's settings.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::kind::KindInfo;
use crate::store::Cut;

/// How far the operator goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As the objects say.
    #[default]
    Act,
    /// A person approves every plan.
    Approve,
    /// Computes everything, touches nothing but our own objects.
    Observe,
}

/// The operator's settings, as the engine reads them. Unless said otherwise everything is on; `()` is settings that say
/// nothing otherwise.
pub trait Switches: std::fmt::Debug + Send + Sync + 'static {
    /// How far the operator goes; as the objects say, unless a setting says otherwise.
    fn mode(&self) -> Mode {
        Mode::Act
    }

    /// How many objects of one controller are worked on at once.
    fn workers(&self) -> usize {
        10
    }

    /// The kinds whose objects hold settings. No controller decides anything before they were listed.
    fn kept_in() -> &'static [KindInfo] {
        &[]
    }

    /// The settings in force: what the process was started with, overlaid by what objects say. `last` is what was in force
    /// so far; `None` at the start.
    fn in_force(given: &Arc<Self>, _last: Option<&Arc<Self>>, _cut: &Cut) -> Arc<Self> {
        Arc::clone(given)
    }
}

impl Switches for () {}
