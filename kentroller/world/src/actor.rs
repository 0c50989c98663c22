//! Those who act on the cluster, and what they are exposed to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::hands::Hands;
use crate::seen::{News, Seen};
use crate::timings::Faults;

/// One of those who act on the cluster.
pub(crate) trait Actor: Send {
    /// Does what is due at this moment; answers when to act again should nothing change until then.
    fn act(&mut self, seen: &Seen, news: &News, hands: &Hands) -> Option<Timestamp>;
}

/// What goes wrong now: shared between the world and whoever plays with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather(Arc<Mutex<Faults>>);

impl Weather {
    pub(crate) fn of(faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(faults)))
    }

    pub(crate) fn now(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
