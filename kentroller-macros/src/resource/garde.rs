//! Which words of validation hold in the CRD and in the process alike. schemars reads garde's attributes, but some words
//! it ignores, and some mean another thing to the API server: those are refused.

use proc_macro2::{Group, Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Field, Meta, Token, token};

use super::fields::{self, Shape, shape};
use crate::diagnostics::{Mistakes, did_you_mean};

const BOTH: [&str; 8] = ["contains", "dive", "inner", "length", "pattern", "range", "required", "skip"];

/// Words that would hold in the process only, and what holds in both.
const ONE_PLACE: [(&str, &str); 15] = [
    ("adapt", "a `#[rule(…)]` on the struct"),
    ("alphanumeric", r#"`pattern("^[A-Za-z0-9]*$")`"#),
    ("ascii", r#"`pattern("^[\\x00-\\x7f]*$")`"#),
    ("code", "nothing: no CRD keeps it"),
    ("credit_card", "`pattern(…)`"),
    ("custom", "a `#[rule(…)]` on the struct, which the API server checks"),
    ("email", "`pattern(…)`"),
    ("if", "a `#[rule(…)]` on the struct, which the API server checks"),
    ("ip", "`pattern(…)`: the API server knows no format `ip`"),
    ("matches", "a `#[rule(…)]` on the struct, such as `self.a == self.b`"),
    ("phone_number", "`pattern(…)`"),
    ("prefix", r#"`pattern("^…")`"#),
    ("rename", "`#[serde(rename = …)]`, which both read"),
    ("suffix", r#"`pattern("…$")`"#),
    ("url", "`pattern(…)`: the API server reads URLs otherwise"),
];

/// The words of one field.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Words {
    /// The author decided whether nested rules are looked at.
    pub(super) dives_or_skips: bool,
}

pub(super) fn check(field: &Field, mistakes: &mut Mistakes) -> Words {
    let mut words = Words::default();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("garde")) {
        for rule in mistakes.take(attribute.parse_args_with(Rule::list)).into_iter().flatten() {
            words.dives_or_skips |= rule.word == "dive" || rule.word == "skip";
            judge(&rule, shape(&field.ty), mistakes);
        }
    }
    words
}

/// One rule: its word, and what stands in its parentheses.
struct Rule {
    word: Ident,
    inner: TokenStream,
    whole: TokenStream,
}

impl Rule {
    fn list(input: ParseStream<'_>) -> syn::Result<Punctuated<Self, Token![,]>> {
        Punctuated::parse_terminated(input)
    }
}

impl Parse for Rule {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // `if` is one of the words.
        let word = Ident::parse_any(input)?;
        let group: Option<Group> = input.peek(token::Paren).then(|| input.parse()).transpose()?;
        Ok(Self { whole: quote!(#word #group), inner: group.map(|group| group.stream()).unwrap_or_default(), word })
    }
}

impl ToTokens for Rule {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.whole.to_tokens(tokens);
    }
}

fn judge(rule: &Rule, shape: Shape<'_>, mistakes: &mut Mistakes) {
    let word = rule.word.to_string();
    if let Some((_, instead)) = ONE_PLACE.iter().find(|(known, _)| *known == word) {
        return mistakes.add(rule, format!("`{word}` would hold in the process only, not in the CRD; write {instead}"));
    }
    match (word.as_str(), shape) {
        ("length", _) => judge_length(rule, shape, mistakes),
        ("range", Shape::Number | Shape::Other) => {}
        ("range", _) => mistakes.add(rule, "`range` bounds numbers; bound a text or a list by `length(…)`"),
        ("inner", Shape::List(element)) => {
            for rule in mistakes.take(Rule::list.parse2(rule.inner.clone())).into_iter().flatten() {
                judge(&rule, fields::shape(element), mistakes);
            }
        }
        ("inner", _) => mistakes.add(rule, "`inner(…)` is for the elements of a `Vec`"),
        (known, _) if BOTH.contains(&known) => {}
        _ => mistakes.add(rule, format!("no rule `{word}`; {}", did_you_mean(&word, &BOTH))),
    }
}

fn judge_length(rule: &Rule, shape: Shape<'_>, mistakes: &mut Mistakes) {
    let parts = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(rule.inner.clone());
    let Some(parts) = mistakes.take(parts) else { return };
    let mode = parts.iter().find(|part| matches!(part, Meta::Path(_)));
    let counts_chars = mode.is_some_and(|mode| mode.path().is_ident("chars"));
    let message = match shape {
        Shape::Text if !counts_chars => {
            "the API server counts characters, garde bytes unless told; write `length(chars, …)`"
        }
        Shape::List(_) if mode.is_some() => "a list is counted by its elements; write `length(…)` without a mode",
        Shape::Number => "`length` of a number is ignored by the CRD; write `range(min = …, max = …)`",
        Shape::Map => "`length` of a map is ignored by the CRD; write `#[rule(\"size(self.…) <= …\")]` on the struct",
        Shape::Bool => "a bool has no length",
        Shape::Text | Shape::List(_) | Shape::Plain | Shape::Other => return,
    };
    mistakes.add(rule, message);
}
