//! How an operator goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// An engine that has not come round for this long is stuck, and its process must be started anew.
const STUCK: Duration = Duration::from_secs(120);

/// How an operator goes, as probes tell it.
#[derive(Clone, Debug)]
pub struct Health(Arc<Rounds>);

#[derive(Debug)]
struct Rounds {
    ready: AtomicBool,
    /// When the engine came round last.
    last: Mutex<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Rounds { ready: AtomicBool::new(false), last: Mutex::new(Instant::now()) }))
    }
}

impl Health {
    /// Whether every store holds a whole list and its watch is up to date. True of a replica that stands by as well: it
    /// takes over without reading anything again.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed)
    }

    /// Whether the engine comes round.
    pub fn is_alive(&self) -> bool {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < STUCK
    }

    pub(crate) fn round(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}
