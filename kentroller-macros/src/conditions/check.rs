//! Everything that can be wrong with a set of conditions.

use syn::{Ident, Path, Visibility};

use super::args::{Args, Reasons};
use crate::diagnostics::Mistakes;
use crate::docs;
use crate::paths::Runtime;

pub(super) struct Checked {
    pub(super) runtime: Runtime,
    pub(super) ident: Ident,
    pub(super) vis: Visibility,
    pub(super) summary: Reasons,
    pub(super) conditions: Vec<Condition>,
}

pub(super) struct Condition {
    pub(super) ident: Ident,
    pub(super) doc: String,
    pub(super) reasons: Reasons,
}

impl Checked {
    /// The reasons that stand here, each once, in their order.
    pub(super) fn reasons(&self) -> Vec<&Ident> {
        let mut once: Vec<&Ident> = Vec::new();
        for (reason, _) in self.lists().flat_map(|list| &list.own) {
            if !once.contains(&reason) {
                once.push(reason);
            }
        }
        once
    }

    /// The enums whose words are reasons, each once.
    pub(super) fn words(&self) -> Vec<&Path> {
        let mut once: Vec<&Path> = Vec::new();
        for words in self.lists().flat_map(|list| &list.words) {
            if !once.contains(&words) {
                once.push(words);
            }
        }
        once
    }

    fn lists(&self) -> impl Iterator<Item = &Reasons> {
        std::iter::once(&self.summary).chain(self.conditions.iter().map(|condition| &condition.reasons))
    }
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
        let reasons = mistakes.take(condition.reasons()).unwrap_or_default();
        look_at(&reasons, mistakes);
        conditions.push(Condition { ident: condition.ident, doc, reasons });
    }
    look_at(&args.summary, mistakes);
    let Args { ident, vis, runtime, summary, .. } = args;
    all_plain.then_some(Checked { runtime: runtime.into(), ident, vis, summary, conditions })
}

fn look_at(reasons: &Reasons, mistakes: &mut Mistakes) {
    for (index, (reason, doc)) in reasons.own.iter().enumerate() {
        let word = reason.to_string();
        if !word.starts_with(|first: char| first.is_ascii_uppercase()) || word.contains('_') {
            mistakes.add(reason, format!("a reason is one word in PascalCase; the API server refuses `{word}`"));
        }
        if doc.trim().is_empty() {
            mistakes.add(reason, format!("say what `{word}` means: the reference page prints it"));
        }
        if reasons.own[..index].iter().any(|(other, _)| other == reason) {
            mistakes.add(reason, format!("`{word}` is listed twice"));
        }
    }
}
