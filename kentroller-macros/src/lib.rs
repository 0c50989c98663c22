//! The annotations of kentroller-runtime. Each goes `args` (what was written) -> `check` (every mistake in one run) ->
//! `expand` (declarations only). No logic lives here: what could be a function is one, in the runtime.
//!
//! kentroller-runtime re-exports them; every path in an expansion begins there, or where `crate = …` says.

#![warn(missing_docs)]

mod conditions;
mod controller;
mod diagnostics;
mod docs;
#[cfg(test)]
mod expansions;
mod paths;
mod resource;
mod settings;
mod words;

use proc_macro::TokenStream;

/// A kind that the runtime can watch, store and write.
///
/// On the spec of a kind of ours: `group`, `version`, `kind`; optionally `plural`, `namespaced`, `shortname` and `category`
/// (each as often as needed), `status = Type`, `conditions = Type`, `states = Type` (the `words!` of `status.state`, with
/// their arrows) and, in the wanted order, `column("Name", type, ".json.path")`, with `priority = 1` for wide output only.
/// `scale(spec = ".spec.replicas", status = ".status.replicas")` serves `kubectl scale`.
/// Declares the kind itself with `metadata`, `spec` and `status`, its CRD, and what the runtime must know of it.
///
/// On a nested struct: `#[resource(part)]`. On the status: `#[resource(status)]`; it has the fields
/// `conditions: Vec<Condition>` and `observed_generation: Option<i64>`.
///
/// - Every field has a doc comment; `kubectl explain` prints it. Names become camelCase.
/// - `Option`, `Vec`, `BTreeMap` and `bool` fields may be absent, and are left out when they are empty. A list that must
///   be given is `#[required]`; `#[serde(default = …)]` states a default in the CRD too.
/// - Rules are garde's words as far as the CRD knows them, and `#[rule("CEL", message = "…")]` on the struct, which the
///   API server alone checks. Rules of nested parts are looked at without a word; `#[garde(skip)]` passes over a type
///   that has none.
///
/// On a projection of somebody else's kind: `foreign`, `group`, `version`, `kind`, `plural`; optionally `namespaced`,
/// `optional` (a cluster that does not serve the kind has none), `index = fn(&Self) -> Option<&str>`,
/// `share = fn(&mut Self, &mut Pool)` and `view = Type`. It has a field `metadata`.
#[proc_macro_attribute]
pub fn resource(attribute: TokenStream, item: TokenStream) -> TokenStream {
    resource::run(attribute.into(), item.into()).into()
}

/// A controller, on the struct that names it: `#[controller(of = Kind, …)] pub struct Name;`. What it decides stands below
/// in `impl Reconcile for Name`, which is plain Rust.
///
/// - `of = Kind`: what it reconciles; `of = Cluster` (the runtime's) is a controller without a kind.
/// - `reads(A, B)`: may be looked at; wakes nobody.
/// - `watches(A => map)`: may be looked at; a change wakes the keys that `map(&Change<'_, A>, &Cut)` names.
/// - `owns(A: create + delete)`: may be looked at; a change wakes its owner.
/// - `writes(A: create + patch + delete + evict)`: only what is needed. Reading is not included.
/// - `asks(P)`: may ask this port.
/// - `finalizes`: may patch its own kind, for a finalizer.
/// - `events(Reason = "What it means.", warning(Other = "…"))`: the events it may emit, as `Name::Reason`. One that is
///   never said is told by the compiler as dead code.
/// - `counters(sent = "…")`, `gauges(waiting(pool) = "…")`, `histograms(took_seconds(pool) in [1, 10, 60] = "…")`: metrics of
///   its own, each with its labels and what it measures; written by `out.count(Self::SENT, [], 1)`,
///   `out.set(Self::WAITING, [pool], 3.0)`, `out.observe(Self::TOOK_SECONDS, [pool], 2.5)`, and `.counts(Self::SENT, [])` of
///   an effect. They are scraped under the operator's prefix.
/// - `feature = "gate"`: a `bool` field of the settings. While it is off, the engine calls `Reconcile::disabled` instead
///   of `reconcile`.
/// - `least_interval = "5s"`: what others do has an object looked at again after this long at the earliest; a second unless
///   given. Its own edits, answers and replies are not delayed.
/// - `settings = Type`: the type of `world.settings()`. `crate::settings::Settings` unless given.
///
/// Its own kind it may always read, and write the status of, if there is one.
#[proc_macro_attribute]
pub fn controller(attribute: TokenStream, item: TokenStream) -> TokenStream {
    controller::run(attribute.into(), item.into()).into()
}

/// The condition types of a kind, besides `Ready`, `Reconciling` and `Stalled`: on an enum of plain, documented words.
///
/// `#[reasons(Reason = "What it means.", words(Type))]` on a condition lists why it may be as it is; the reasons of the
/// summary stand in `#[conditions(summary(…))]` on the enum. `words(Type)` takes all words of an enum made by `words!`.
/// From `LampCondition` comes the enum `LampReason`: a reason that is not listed does not compile. Where none is listed
/// at all, any text is taken.
#[proc_macro_derive(Conditions, attributes(conditions, reasons))]
pub fn conditions(item: TokenStream) -> TokenStream {
    conditions::run(item.into()).into()
}

/// Settings, on a struct: every field has a doc comment and
/// `#[setting(env = "NAME", config = "dotted.key", helm = "dotted.path", default = …, range(least, greatest))]`, of which
/// `env` or `config` must be there, and `default` unless the field is an `Option` or a `Vec`.
///
/// On an enum of plain words: a type for such a field; the words are in kebab case.
#[proc_macro_derive(Settings, attributes(setting, settings))]
pub fn settings(item: TokenStream) -> TokenStream {
    settings::run(item.into()).into()
}
