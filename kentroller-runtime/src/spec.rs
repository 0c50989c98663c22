//! Types for the fields of specs that plain Rust has no right word for, and what may stand in a field at all.

mod duration;
mod selector;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

pub use self::duration::Duration;
pub use self::selector::{LabelSelector, Requirement};
use crate::words::{Edges, Words};

/// What a field of a spec, part or status may be. `#[resource(part)]` and `words!` make a type one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a field of a kind",
    label = "no field of a kind",
    note = "a struct: put `#[resource(part)]` on it",
    note = "an enum: declare it with `words! {{ pub enum … }}`, which keeps words that it does not know",
    note = "a duration: `kentroller_runtime::spec::Duration`, which is written `1h30m`; a time: `jiff::Timestamp`",
    note = "a type with a schema of its own: `#[schemars(schema_with = \"…\")]` on the field says which"
)]
pub trait Field {
    /// Adds the words that it may hold, or what lies below it, with their place.
    #[doc(hidden)]
    fn words(_place: &str, _found: &mut Vec<Words>) {}
}

/// The fields of a spec, part or status as they are named in JSON; `*` for fields that stand beside the others. Implemented
/// by `#[resource]`.
pub trait Fields {
    /// Their names.
    const FIELDS: &'static [&'static str];
}

/// Whether a field of this name is among them.
#[doc(hidden)]
pub const fn has_field(fields: &[&str], name: &str) -> bool {
    let mut at = 0;
    while at < fields.len() {
        if same(fields[at].as_bytes(), name.as_bytes()) || same(fields[at].as_bytes(), b"*") {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// Whether any state may follow another.
#[doc(hidden)]
pub const fn has_edges(states: Edges) -> bool {
    let mut at = 0;
    while at < states.len() {
        if !states[at].1.is_empty() {
            return true;
        }
        at += 1;
    }
    false
}

macro_rules! fields {
    ($($type_:ty),* $(,)?) => {$(impl Field for $type_ {})*};
}
fields!(
    bool,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
    usize,
    f32,
    f64,
    String,
    Arc<str>,
    Box<str>,
    Timestamp,
    serde_json::Value,
    OwnerReference,
    crate::condition::Condition,
    Duration,
    LabelSelector,
    Requirement,
);

macro_rules! holders {
    ($($type_:ty),* $(,)?) => {$(
        impl<T: Field> Field for $type_ {
            fn words(place: &str, found: &mut Vec<Words>) {
                T::words(place, found);
            }
        }
    )*};
}
holders!(Option<T>, Vec<T>, Box<T>, Arc<T>, BTreeMap<String, T>);
