//! What stands between the parentheses of `#[controller(…)]`, as it was written.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Lit, LitStr, Path, Token, Type};

use crate::diagnostics::{Mistakes, did_you_mean};

/// Each word, and how it is written.
const WORDS: [(&str, &str); 15] = [
    ("asks", "asks(Port)"),
    ("counters", "counters(sent = \"What is counted.\")"),
    ("crate", "crate = path::of::the::runtime"),
    ("events", "events(Seen = \"What it means.\", warning(Lost = \"What it means.\"))"),
    ("feature", "feature = \"a_bool_of_the_settings\""),
    ("finalizes", "finalizes"),
    ("gauges", "gauges(waiting = \"What is measured.\")"),
    ("histograms", "histograms(took in [1, 10, 60] = \"What is measured, in seconds.\")"),
    ("least_interval", "least_interval = \"5s\""),
    ("of", "of = Kind"),
    ("owns", "owns(Kind: create + delete)"),
    ("reads", "reads(Kind)"),
    ("settings", "settings = path::of::Settings"),
    ("watches", "watches(Kind => map)"),
    ("writes", "writes(Kind: patch)"),
];

#[derive(Default)]
pub(super) struct Args {
    pub(super) of: Option<Type>,
    pub(super) feature: Option<LitStr>,
    pub(super) settings: Option<Path>,
    pub(super) finalizes: Option<Ident>,
    pub(super) least_interval: Option<LitStr>,
    pub(super) runtime: Option<Path>,
    pub(super) owns: Vec<Written>,
    pub(super) reads: Vec<Path>,
    pub(super) watches: Vec<Watch>,
    pub(super) writes: Vec<Written>,
    pub(super) asks: Vec<Path>,
    pub(super) events: Vec<EventWord>,
    pub(super) metrics: Vec<MetricWord>,
}

/// `Kind: create + delete`.
pub(super) struct Written {
    pub(super) kind: Path,
    pub(super) verbs: Vec<Ident>,
}

/// `Kind => map`.
pub(super) struct Watch {
    pub(super) kind: Path,
    pub(super) map: Path,
}

/// `Reason = "What it means."`, in `warning(…)` or not.
pub(super) struct EventWord {
    pub(super) reason: Ident,
    pub(super) doc: LitStr,
    pub(super) warning: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

/// `name(label, label) in [1, 10] = "What it measures."`: labels where there are any, bounds of a histogram only.
pub(super) struct MetricWord {
    pub(super) type_: MetricType,
    pub(super) name: Ident,
    pub(super) labels: Vec<Ident>,
    pub(super) bounds: Vec<Lit>,
    pub(super) doc: LitStr,
}

/// Reads word by word: a mistake in one word leaves the others readable.
pub(super) fn parse(tokens: TokenStream, mistakes: &mut Mistakes) -> Args {
    let mut args = Args::default();
    for written in split(tokens) {
        let word = written.clone().into_iter().next().map(|word| word.to_string()).unwrap_or_default();
        let result = (|input: ParseStream<'_>| parse_word(&mut args, input)).parse2(written);
        mistakes.take(result.map_err(|error| shown(&word, error)));
    }
    args
}

/// syn tells which token it expected; the author is shown how the word is written.
fn shown(word: &str, error: syn::Error) -> syn::Error {
    let of_tokens = ["expected ", "unexpected "].iter().any(|begin| error.to_string().starts_with(begin));
    match WORDS.iter().find(|(known, _)| *known == word) {
        Some((_, written)) if of_tokens => syn::Error::new(error.span(), format!("write `{written}`")),
        _ => error,
    }
}

/// The words, without the commas between them.
fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut words: Vec<Vec<proc_macro2::TokenTree>> = vec![Vec::new()];
    for token in tokens {
        match &token {
            proc_macro2::TokenTree::Punct(comma) if comma.as_char() == ',' => words.push(Vec::new()),
            _ => {
                if let Some(word) = words.last_mut() {
                    word.push(token);
                }
            }
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).map(|word| word.into_iter().collect()).collect()
}

fn parse_word(args: &mut Args, input: ParseStream<'_>) -> syn::Result<()> {
    let word = Ident::parse_any(input)?;
    match word.to_string().as_str() {
        "of" => args.of = Some(value(input)?),
        "feature" => args.feature = Some(value(input)?),
        "settings" => args.settings = Some(value(input)?),
        "crate" => args.runtime = Some(value(input)?),
        "finalizes" => args.finalizes = Some(word),
        "least_interval" => args.least_interval = Some(value(input)?),
        "owns" => args.owns.extend(list::<Written>(&word, input)?),
        "reads" => args.reads.extend(list::<Path>(&word, input)?),
        "watches" => args.watches.extend(list::<Watch>(&word, input)?),
        "writes" => args.writes.extend(list::<Written>(&word, input)?),
        "asks" => args.asks.extend(list::<Path>(&word, input)?),
        "events" => args.events.extend(list::<Events>(&word, input)?.into_iter().flat_map(|events| events.0)),
        "counters" => args.metrics.extend(metrics(MetricType::Counter, &word, input)?),
        "gauges" => args.metrics.extend(metrics(MetricType::Gauge, &word, input)?),
        "histograms" => args.metrics.extend(metrics(MetricType::Histogram, &word, input)?),
        unknown => {
            // The rest belongs to the unknown word: nothing more can be said of it.
            input.parse::<TokenStream>()?;
            return Err(syn::Error::new(
                word.span(),
                format!("no word `{unknown}`; {}", did_you_mean(unknown, &WORDS.map(|(word, _)| word))),
            ));
        }
    }
    Ok(())
}

fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn list<T: Parse>(word: &Ident, input: ParseStream<'_>) -> syn::Result<Punctuated<T, Token![,]>> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(word.span(), format!("write `{word}(…)`")));
    }
    let content;
    syn::parenthesized!(content in input);
    content.parse_terminated(T::parse, Token![,])
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let kind = input.parse()?;
        let mut verbs = Vec::new();
        if input.parse::<Option<Token![:]>>()?.is_some() {
            verbs.extend(Punctuated::<Ident, Token![+]>::parse_separated_nonempty(input)?);
        }
        Ok(Self { kind, verbs })
    }
}

impl Parse for Watch {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let kind: Path = input.parse()?;
        if !input.peek(Token![=>]) {
            let shown = quote::quote!(#kind).to_string();
            let message = format!(
                "say which objects a change of `{shown}` wakes: `watches({shown} => map)` with \
                 `fn map(change: &Change<'_, {shown}>, cut: &Cut) -> Vec<ObjectKey>`; `reads({shown})` wakes nobody"
            );
            return Err(syn::Error::new_spanned(&kind, message));
        }
        input.parse::<Token![=>]>()?;
        Ok(Self { kind, map: input.parse()? })
    }
}

struct Events(Vec<EventWord>);

impl Parse for Events {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek2(syn::token::Paren) {
            return Ok(Self(vec![input.parse()?]));
        }
        let word: Ident = input.parse()?;
        if word != "warning" {
            return Err(syn::Error::new(word.span(), "an event is normal, or stands in `warning(…)`"));
        }
        let content;
        syn::parenthesized!(content in input);
        let listed = content.parse_terminated(EventWord::parse, Token![,])?;
        Ok(Self(listed.into_iter().map(|event| EventWord { warning: true, ..event }).collect()))
    }
}

impl Parse for EventWord {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let reason: Ident = input.parse()?;
        if !input.peek(Token![=]) {
            let message = format!("say what it means: `{reason} = \"…\"`; the reference page prints it");
            return Err(syn::Error::new(reason.span(), message));
        }
        Ok(Self { reason, doc: value(input)?, warning: false })
    }
}

fn metrics(type_: MetricType, word: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<MetricWord>> {
    Ok(list::<MetricWord>(word, input)?.into_iter().map(|metric| MetricWord { type_, ..metric }).collect())
}

impl Parse for MetricWord {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        let mut labels = Vec::new();
        if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            labels.extend(Punctuated::<Ident, Token![,]>::parse_terminated(&content)?);
        }
        let mut bounds = Vec::new();
        if input.parse::<Option<Token![in]>>()?.is_some() {
            let content;
            syn::bracketed!(content in input);
            bounds.extend(Punctuated::<Lit, Token![,]>::parse_terminated(&content)?);
        }
        if !input.peek(Token![=]) {
            let message =
                format!("say what it measures, and in which unit: `{name} = \"…\"`; the reference page prints it");
            return Err(syn::Error::new(name.span(), message));
        }
        Ok(Self { type_: MetricType::Counter, name, labels, bounds, doc: value(input)? })
    }
}
