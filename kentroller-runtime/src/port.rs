//! What takes seconds or lives outside Kubernetes, and must be awaited: a declared, time-limited door. A controller
//! asks, is woken when the answer is there, and reads it from its World like anything else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::store::Cut;

/// A door to something slow. The engine runs [`Port::fill`] off the async threads.
pub trait Port: Send + Sync + 'static {
    const NAME: &'static str;
    /// After this long a question counts as failed, and [`Cancelled`] tells the filler so.
    const TIME_LIMIT: Duration;
    type Ask: Clone + fmt::Debug + Send + Sync + 'static;
    /// Serializable, so that a record of a reconcile that read it can be replayed.
    type Answer: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Answers one question from the cut of the moment it was asked.
    ///
    /// # Errors
    /// Why there is no answer; the controller finds it in its World.
    fn fill(&self, ask: &Self::Ask, cut: &Cut, now: Timestamp, cancelled: &Cancelled) -> Result<Self::Answer, Failure>;
}

/// Whether the asker has gone or the time is over. Fillers look at it in their loops.
#[derive(Clone, Debug, Default)]
pub struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The state of a question.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub enum Answer<P: Port> {
    Asked { since: Timestamp },
    Given { at: Timestamp, answer: Arc<P::Answer> },
    Failed { at: Timestamp, failure: Failure },
}

impl<P: Port> Clone for Answer<P> {
    fn clone(&self) -> Self {
        match self {
            Self::Asked { since } => Self::Asked { since: *since },
            Self::Given { at, answer } => Self::Given { at: *at, answer: Arc::clone(answer) },
            Self::Failed { at, failure } => Self::Failed { at: *at, failure: failure.clone() },
        }
    }
}

impl<P: Port> fmt::Debug for Answer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { since } => write!(f, "asked at {since}"),
            Self::Given { at, answer } => write!(f, "given at {at}: {answer:?}"),
            Self::Failed { at, failure } => write!(f, "failed at {at}: {failure}"),
        }
    }
}
