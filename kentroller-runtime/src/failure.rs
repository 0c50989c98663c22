//! Why a reconcile could not decide: a class that says what the engine does next, and a reason that users can grep.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What the engine does after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// It may pass by itself: tried again with a growing delay.
    Transient,
    /// Something outside has to happen first: `Stalled` is set, and it is looked at again every 30 s and on every wake-up.
    Waiting,
    /// Only an edit of the object helps: `Stalled` is set, and nothing is tried until the object changes.
    Terminal,
}

impl Class {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Waiting => "waiting",
            Self::Terminal => "terminal",
        }
    }
}

/// A reconcile that could not decide.
///
/// ```
/// use kentroller_runtime::Failure;
///
/// let failure = Failure::waiting("PricesMissing", "ConfigMap prices has no key catalog.csv; write one");
/// assert_eq!(failure.to_string(), "PricesMissing: ConfigMap prices has no key catalog.csv; write one");
/// ```
///
/// It becomes the object's `Ready` condition, a log line and a metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{reason}: {message}")]
pub struct Failure {
    /// What the engine does next.
    pub class: Class,
    /// PascalCase, from a fixed set that the documentation explains.
    pub reason: Cow<'static, str>,
    /// Object, field, value, and what to do next.
    pub message: String,
}

/// A reason with what goes with it, declared once.
#[derive(Clone, Copy, Debug)]
pub struct FailureInfo {
    /// What the engine does next.
    pub class: Class,
    /// In PascalCase.
    pub reason: &'static str,
    /// What it means, for the reference page.
    pub doc: &'static str,
}

impl FailureInfo {
    /// The failure with its message: object, field, value, and what to do next.
    pub fn because(&self, message: impl fmt::Display) -> Failure {
        Failure { class: self.class, reason: self.reason.into(), message: message.to_string() }
    }
}

macro_rules! engine_failures {
    ($($name:ident = $class:ident $reason:literal, $doc:literal;)+) => {
        $(pub(crate) const $name: FailureInfo = FailureInfo { class: Class::$class, reason: $reason, doc: $doc };)+
        /// Why the engine itself cannot have anything decided, or carries nothing of it out.
        pub const ENGINE_FAILURES: &[FailureInfo] = &[$($name),+];
    };
}

engine_failures! {
    NOT_READABLE = Waiting "NotReadable", "A kind that the decision needs cannot be listed; the message names it.";
    PORT_TIMEOUT = Transient "PortTimeout", "A question, such as for a plan, was not answered in time.";
    PORT_PANICKED = Terminal "PortPanicked", "What answers questions has a mistake; the message tells it.";
    RECONCILE_PANICKED = Transient "ReconcilePanicked", "The controller has a mistake; the message tells it.";
    STATE_IMPOSSIBLE = Terminal "StateImpossible", "The controller wanted a step that the states of its kind do not have; nothing of it was written.";
}

/// Whether it can stand as a reason: PascalCase, which is what the API server takes, and users grep for.
pub(crate) fn is_reason(text: &str) -> bool {
    text.len() <= 1024
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric())
}

impl Failure {
    /// This failure, or that its reason is none.
    pub(crate) fn checked(self) -> Self {
        if is_reason(&self.reason) {
            return self;
        }
        let text = format!(
            "reason {:?} of a failure is not in PascalCase, and the API server refuses it: {}",
            self.reason, self.message
        );
        Self { class: self.class, reason: "ReasonInvalid".into(), message: text }
    }

    /// It may pass by itself.
    pub fn transient(reason: &'static str, message: impl fmt::Display) -> Self {
        Self { class: Class::Transient, reason: reason.into(), message: message.to_string() }
    }
    /// Something outside has to happen first.
    pub fn waiting(reason: &'static str, message: impl fmt::Display) -> Self {
        Self { class: Class::Waiting, reason: reason.into(), message: message.to_string() }
    }
    /// Only an edit of the object helps.
    pub fn terminal(reason: &'static str, message: impl fmt::Display) -> Self {
        Self { class: Class::Terminal, reason: reason.into(), message: message.to_string() }
    }
}
