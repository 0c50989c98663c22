//! The annotations of kentroller-runtime. Each goes `args` (what was written) -> `check` (every mistake in one run) ->
//! `expand` (declarations only). No logic lives here: what could be a function is one, in the runtime.
//!
//! The annotations are documented where authors meet them, in kentroller-runtime, which re-exports them.

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

/// A kind: on the spec of one of ours, on a part or the status of one, or on a projection of somebody else's.
#[proc_macro_attribute]
pub fn resource(attribute: TokenStream, item: TokenStream) -> TokenStream {
    resource::run(attribute.into(), item.into()).into()
}

/// A controller: on `impl Reconcile for …`; declares the struct, its access, wake-ups and events.
#[proc_macro_attribute]
pub fn controller(attribute: TokenStream, item: TokenStream) -> TokenStream {
    controller::run(attribute.into(), item.into()).into()
}

/// The condition types of a kind: on an enum whose variants are documented.
#[proc_macro_derive(Conditions, attributes(conditions))]
pub fn conditions(item: TokenStream) -> TokenStream {
    conditions::run(item.into()).into()
}

/// Settings: on a struct whose fields say where each is set, or on an enum of the words that a setting may have.
#[proc_macro_derive(Settings, attributes(setting, settings))]
pub fn settings(item: TokenStream) -> TokenStream {
    settings::run(item.into()).into()
}
