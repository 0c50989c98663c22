//! What a change of settings would save, and how it is made.

use super::Money;
use crate::manifest::{ObjectName, ReadKind};

/// A change of settings with which the plan would cost less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// For people: what is changed, of which object.
    pub text: String,
    /// What the cluster would cost after the plan that was found with the change.
    pub hourly: Money,
    /// How much less that is than after the plan without it.
    pub saves: Money,
    /// The change. Empty where no object of the cluster says it: the text names the option of a claim then.
    pub patches: Vec<Patch>,
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The kind of the object.
    pub kind: &'static ReadKind,
    /// Its namespace, empty where it has none, and its name.
    pub object: ObjectName,
    /// A JSON merge patch (RFC 7386).
    pub body: serde_json::Value,
}
