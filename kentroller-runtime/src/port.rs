//! What takes seconds or lives outside Kubernetes, and must be awaited: a declared, time-limited door. A controller
//! asks, is woken when the answer is there, and reads it from its World like anything else.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::capability::Reads;
use crate::declaration::KindEntry;
use crate::failure::Failure;
use crate::kind::{Kind, KindInfo};
use crate::store::{Cut, KindStore};

/// A door to something slow. The engine runs [`Port::fill`] off the async threads.
///
/// ```
/// use std::time::Duration;
///
/// use kentroller_runtime::prelude::*;
/// use kentroller_runtime::{Cancelled, Port, Seen};
/// # #[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
/// # pub struct Node { pub metadata: Meta }
///
/// kentroller_runtime::reads! {
///     /// What a forecast is made from.
///     pub struct Sky: Node
/// }
///
/// pub struct Weather;
///
/// impl Port for Weather {
///     const NAME: &'static str = "weather";
///     const TIME_LIMIT: Duration = Duration::from_secs(60);
///     type Reads = Sky;
///     type Ask = String;
///     type Answer = usize;
///
///     fn fill(&self, _: &String, seen: &Seen<Sky>, _: jiff::Timestamp, _: &Cancelled) -> Result<usize, Failure> {
///         Ok(seen.store::<Node>().map_or(0, |nodes| nodes.len()))
///     }
/// }
///
/// let cut = Cut::empty(&<Sky as kentroller_runtime::Kinds>::kinds());
/// let answer = Weather.fill(&"tomorrow".to_owned(), &Seen::of(&cut), Default::default(), &Cancelled::default());
/// assert_eq!(answer.expect("it always has one"), 0);
/// ```
pub trait Port: Send + Sync + 'static {
    /// In records and messages.
    const NAME: &'static str;
    /// After this long a question counts as failed, and [`Cancelled`] tells the filler so.
    const TIME_LIMIT: Duration;
    /// What filling reads, declared with [`reads!`](crate::reads); `()` for nothing. A controller that asks waits until
    /// all of it was listed, and has the right to read it.
    type Reads: Kinds;
    /// A question.
    type Ask: Clone + fmt::Debug + Send + Sync + 'static;
    /// Serializable, so that a record of a reconcile that read it can be replayed.
    type Answer: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Answers one question from what was seen at the moment it was asked.
    ///
    /// # Errors
    /// Why there is no answer; the controller finds it in its World.
    fn fill(
        &self,
        ask: &Self::Ask,
        seen: &Seen<Self::Reads>,
        now: Timestamp,
        cancelled: &Cancelled,
    ) -> Result<Self::Answer, Failure>;
}

/// Under what a question is kept: an edit of the object makes it another question.
pub(crate) fn question_key(kind: KindInfo, uid: &str, generation: i64) -> String {
    format!("{}/{uid}/{generation}", kind.kind)
}

/// A list of kinds that something reads. Declared with [`reads!`](crate::reads).
pub trait Kinds: Send + Sync + 'static {
    /// The kinds of the list.
    fn kinds() -> Vec<KindEntry>;
}

/// Nothing is read.
impl Kinds for () {
    fn kinds() -> Vec<KindEntry> {
        Vec::new()
    }
}

/// Declares a list of kinds that may be read together: `reads! { /// What it is for. pub struct Observed: Node, Pod }`.
#[macro_export]
macro_rules! reads {
    ($(#[$meta:meta])* $vis:vis struct $name:ident: $($kind:ty),+ $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name;

        impl $crate::port::Kinds for $name {
            fn kinds() -> ::std::vec::Vec<$crate::KindEntry> {
                ::std::vec::Vec::from([$($crate::KindEntry::of::<$kind>()),+])
            }
        }
        $(impl $crate::Reads<$kind> for $name {})+
    };
}

/// One cut of the kinds of the list `R`; what is not on the list cannot be read.
#[derive(Clone, Debug)]
pub struct Seen<R> {
    cut: Cut,
    reads: PhantomData<fn() -> R>,
}

impl<R: Kinds> Seen<R> {
    /// What of a cut is on the list.
    pub fn of(cut: &Cut) -> Self {
        Self { cut: cut.clone(), reads: PhantomData }
    }

    /// The store of a kind; `None` if this process reads none of it.
    pub fn store<K: Kind>(&self) -> Option<&KindStore<K>>
    where
        R: Reads<K>,
    {
        self.cut.store()
    }
}

/// Whether the asker has gone or the time is over. Fillers look at it in their loops.
#[derive(Clone, Debug, Default)]
pub struct Cancelled(Arc<AtomicBool>);

/// Whoever holds the flag says so.
impl From<Arc<AtomicBool>> for Cancelled {
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

impl Cancelled {
    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    /// Says so.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The state of a question.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub enum Answer<P: Port> {
    /// Its answer is being made.
    Asked {
        /// When it was asked.
        since: Timestamp,
    },
    /// There it is.
    Given {
        /// When it came.
        at: Timestamp,
        /// The answer.
        answer: Arc<P::Answer>,
    },
    /// There is none.
    Failed {
        /// When it failed.
        at: Timestamp,
        /// Why.
        failure: Failure,
    },
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
