//! Everything that can be wrong with a set of conditions.

use syn::Ident;

use super::args::Args;
use crate::diagnostics::Mistakes;
use crate::docs;
use crate::paths::Runtime;

pub(super) struct Checked {
    pub(super) runtime: Runtime,
    pub(super) ident: Ident,
    /// Variant and meaning.
    pub(super) conditions: Vec<(Ident, String)>,
}

/// Every kind has these; the runtime keeps them.
const SUMMARY: [&str; 3] = ["Ready", "Reconciling", "Stalled"];

pub(super) fn check(args: Args, mistakes: &mut Mistakes) -> Option<Checked> {
    let Some(variants) = args.data.take_enum() else {
        mistakes.add(&args.ident, "conditions are the variants of an enum");
        return None;
    };
    let mut conditions = Vec::new();
    let mut all_plain = true;
    for condition in variants {
        let ident = &condition.ident;
        if !condition.is_plain() {
            mistakes.add(ident, "a condition is a plain word; what is to be said of it goes into its message");
        }
        if SUMMARY.iter().any(|summary| ident == summary) {
            mistakes.add(ident, format!("every kind has `{ident}` already; leave it out, and use `out.ready(…)`, `out.reconciling(…)` or `out.stalled(…)`"));
        }
        let doc = docs::text(&condition.attrs);
        if doc.is_empty() {
            mistakes.add(ident, format!("say in a doc comment what `{ident}` means: the reference page prints it"));
        }
        all_plain &= condition.is_plain();
        conditions.push((condition.ident, doc));
    }
    all_plain.then_some(Checked { runtime: args.runtime.into(), ident: args.ident, conditions })
}
