//! Everything that can be wrong with a `#[controller]`, found in one run, and its accesses gathered by kind.

use proc_macro2::{Ident, Span};
use quote::{ToTokens, format_ident, quote};
use syn::spanned::Spanned as _;
use syn::{Fields, ItemStruct, LitStr, Path, Type};

use super::args::{Args, EventWord, MetricWord, Watch, Written};
use super::metrics;
use crate::diagnostics::{Mistakes, did_you_mean};
use crate::docs;
use crate::paths::Runtime;
use crate::words::kebab;

pub(super) struct Checked {
    pub(super) runtime: Runtime,
    /// The author's struct.
    pub(super) item: ItemStruct,
    /// First sentence of its doc comment.
    pub(super) doc: String,
    /// Kebab case.
    pub(super) name: String,
    /// The field of the settings that switches it.
    pub(super) feature: Option<Ident>,
    /// In milliseconds.
    pub(super) least_interval: Option<u64>,
    pub(super) settings: Path,
    /// The kind, or the runtime's `Cluster`: only the compiler can tell them apart.
    pub(super) of: Type,
    /// The first is the kind's own.
    pub(super) accesses: Vec<Access>,
    /// Words that mean nothing without a kind, and what to write instead.
    pub(super) needs_kind: Vec<(Span, &'static str)>,
    pub(super) wakes: Vec<Wake>,
    pub(super) ports: Vec<Path>,
    pub(super) events: Vec<EventWord>,
    pub(super) metrics: Vec<MetricWord>,
}

pub(super) struct Access {
    pub(super) kind: Type,
    pub(super) verbs: Vec<Verb>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Read,
    Create,
    Patch,
    Delete,
    Evict,
    Force,
}

pub(super) enum Wake {
    Owner(Path),
    By(Watch),
}

const WRITING: [(&str, Verb); 5] = [
    ("create", Verb::Create),
    ("delete", Verb::Delete),
    ("evict", Verb::Evict),
    ("force", Verb::Force),
    ("patch", Verb::Patch),
];

/// `None` when there is nothing to declare a controller from.
pub(super) fn check(mut args: Args, item: ItemStruct, mistakes: &mut Mistakes) -> Option<Checked> {
    if !matches!(item.fields, Fields::Unit) || !item.generics.params.is_empty() {
        let ident = &item.ident;
        mistakes.add(ident, format!("a controller keeps nothing between two looks: write `struct {ident};`"));
        return None;
    }
    let doc = docs::first_sentence(&item.attrs);
    if doc.is_empty() {
        let ident = &item.ident;
        mistakes.add(ident, format!("say in a doc comment what `{ident}` does: the reference page prints it"));
    }
    let Some(of) = args.of.take() else {
        mistakes.add(
            &item.ident,
            "say what it reconciles: `#[controller(of = Kind, …)]`, or `of = Cluster` for a controller without a kind",
        );
        return None;
    };
    let ledger = Ledger::of(&of, &mut args, mistakes);
    let events = events(args.events, mistakes);
    let metrics = metrics::check(args.metrics, mistakes);
    Some(Checked {
        runtime: args.runtime.into(),
        doc,
        name: kebab(&item.ident.to_string()),
        item,
        feature: args.feature.and_then(|text| feature(&text, mistakes)),
        least_interval: args.least_interval.and_then(|text| least_interval(&text, mistakes)),
        settings: args.settings.unwrap_or_else(|| syn::parse_quote!(crate::settings::Settings)),
        of,
        accesses: ledger.accesses,
        needs_kind: ledger.needs_kind,
        wakes: ledger.wakes,
        ports: args.asks,
        events,
        metrics,
    })
}

/// The field of the settings that a feature is.
fn feature(text: &LitStr, mistakes: &mut Mistakes) -> Option<Ident> {
    match syn::parse_str::<Ident>(&text.value()) {
        Ok(field) => Some(Ident::new(&field.to_string(), text.span())),
        Err(_) => {
            mistakes
                .add(text, "a feature is the name of a `bool` field of the settings, such as `feature = \"search\"`");
            None
        }
    }
}

/// In milliseconds.
fn least_interval(text: &LitStr, mistakes: &mut Mistakes) -> Option<u64> {
    let written = text.value();
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let found = units.iter().find_map(|(unit, millis)| {
        let number: u64 = written.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*millis)
    });
    if found.is_none() {
        mistakes.add(text, "an interval is a whole number of `ms`, `s` or `m`, such as `least_interval = \"5s\"`");
    }
    found
}

/// What is declared for each kind, in the order of first mention.
#[derive(Default)]
struct Ledger {
    accesses: Vec<Access>,
    needs_kind: Vec<(Span, &'static str)>,
    wakes: Vec<Wake>,
}

impl Ledger {
    fn of(kind: &Type, args: &mut Args, mistakes: &mut Mistakes) -> Self {
        let mut ledger = Self::default();
        ledger.grant(kind, Verb::Read);
        if let Some(word) = args.finalizes.take() {
            ledger.grant(kind, Verb::Patch);
            ledger.needs_kind.push((word.span(), "a controller without a kind has no object to put a finalizer on"));
        }
        for Written { kind, verbs } in args.owns.drain(..) {
            ledger.needs_kind.push((
                kind.span(),
                "a controller without a kind owns nothing: write `reads(…)` and `writes(…)` instead of `owns(…)`",
            ));
            ledger.grant_once(&kind, Verb::Read, "owns", mistakes);
            for verb in verbs {
                ledger.grant_word(&kind, &verb, mistakes);
            }
            ledger.wakes.push(Wake::Owner(kind));
        }
        for watch in args.watches.drain(..) {
            // What is owned may be watched as well: then a change wakes both its owner and what the map names.
            let kind = &watch.kind;
            ledger.grant(&syn::parse_quote!(#kind), Verb::Read);
            ledger.wakes.push(Wake::By(watch));
        }
        for kind in args.reads.drain(..) {
            ledger.grant_once(&kind, Verb::Read, "reads", mistakes);
        }
        for Written { kind, verbs } in args.writes.drain(..) {
            if verbs.is_empty() {
                let shown = kind.to_token_stream().to_string();
                mistakes.add(
                    &kind,
                    format!("say how: `writes({shown}: create + patch + delete + evict)`, only what is needed"),
                );
            }
            for verb in verbs {
                ledger.grant_word(&kind, &verb, mistakes);
            }
        }
        ledger
    }

    /// Whether it was new.
    fn grant(&mut self, kind: &Type, verb: Verb) -> bool {
        let shown = |kind: &Type| kind.to_token_stream().to_string();
        let known = self.accesses.iter().position(|access| shown(&access.kind) == shown(kind));
        let known = known.unwrap_or_else(|| {
            self.accesses.push(Access { kind: kind.clone(), verbs: Vec::new() });
            self.accesses.len() - 1
        });
        let verbs = &mut self.accesses[known].verbs;
        let new = !verbs.contains(&verb);
        if new {
            verbs.push(verb);
            verbs.sort();
        }
        new
    }

    fn grant_once(&mut self, kind: &Path, verb: Verb, word: &str, mistakes: &mut Mistakes) {
        if !self.grant(&syn::parse_quote!(#kind), verb) {
            let shown = kind.to_token_stream();
            mistakes.add(kind, format!("`{shown}` is declared already; leave it out of `{word}`"));
        }
    }

    fn grant_word(&mut self, kind: &Path, word: &Ident, mistakes: &mut Mistakes) {
        let spelled = word.to_string();
        match WRITING.iter().find(|(known, _)| *known == spelled) {
            Some((_, verb)) => self.grant_once(kind, *verb, &spelled, mistakes),
            None if matches!(spelled.as_str(), "read" | "get" | "list" | "watch") => {
                mistakes.add(
                    word,
                    format!("reading is declared by `reads({})`; `owns` and `watches` include it", quote!(#kind)),
                );
            }
            None if spelled == "status" => {
                mistakes.add(word, "a controller writes the status of its own kind only, and that needs no word");
            }
            None => mistakes.add(
                word,
                format!("no verb `{spelled}`; {}", did_you_mean(&spelled, &WRITING.map(|(known, _)| known))),
            ),
        }
    }
}

/// The events, each once.
fn events(words: Vec<EventWord>, mistakes: &mut Mistakes) -> Vec<EventWord> {
    let mut events: Vec<EventWord> = Vec::new();
    for word in words {
        let reason = &word.reason;
        if !reason.to_string().starts_with(|first: char| first.is_ascii_uppercase()) {
            mistakes.add(reason, "a reason is in PascalCase: users see it as it stands here");
        }
        if events.iter().any(|event| event.reason == *reason) {
            mistakes.add(reason, format!("`{reason}` stands here twice"));
        } else {
            events.push(word);
        }
    }
    events
}

impl Verb {
    pub(super) const ALL: [Self; 6] = [Self::Read, Self::Create, Self::Patch, Self::Delete, Self::Evict, Self::Force];

    /// The variant of the runtime's `Verb`, and the marker trait that lets `World` and `Outcome` be used with a kind.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Verb::Read => ("Read", "Reads"),
            Verb::Create => ("Create", "Creates"),
            Verb::Patch => ("Patch", "Patches"),
            Verb::Delete => ("Delete", "Deletes"),
            Verb::Evict => ("Evict", "Evicts"),
            Verb::Force => ("Force", "Forces"),
        }
    }

    pub(super) fn variant(self) -> Ident {
        format_ident!("{}", self.names().0)
    }

    pub(super) fn marker(self) -> Ident {
        format_ident!("{}", self.names().1)
    }
}
