//! Which words of validation hold in the CRD and in the process alike. schemars reads garde's attributes, but some words
//! it ignores, and some mean another thing to the API server: those are refused.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Field, Meta, Token};

use super::fields::{Shape, shape};
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
        let Some(rules) = mistakes.take(attribute.parse_args_with(rules)) else { continue };
        for rule in rules {
            words.dives_or_skips |= rule.path().is_ident("dive") || rule.path().is_ident("skip");
            judge(&rule, shape(&field.ty), mistakes);
        }
    }
    words
}

type Rules = Punctuated<Meta, Token![,]>;

fn rules(input: syn::parse::ParseStream<'_>) -> syn::Result<Rules> {
    Punctuated::parse_terminated(input)
}

fn judge(rule: &Meta, shape: Shape<'_>, mistakes: &mut Mistakes) {
    let word = rule.path().to_token_stream().to_string();
    if let Some((_, instead)) = ONE_PLACE.iter().find(|(known, _)| *known == word) {
        return mistakes.add(rule, format!("`{word}` would hold in the process only, not in the CRD; write {instead}"));
    }
    match word.as_str() {
        "length" => judge_length(rule, shape, mistakes),
        "range" if !matches!(shape, Shape::Number | Shape::Other) => {
            mistakes.add(rule, "`range` bounds numbers; bound a text or a list by `length(…)`");
        }
        "inner" => match (rule.require_list().and_then(|list| list.parse_args_with(rules)), shape) {
            (Ok(inner), Shape::List(element)) => {
                inner.iter().for_each(|rule| judge(rule, super::fields::shape(element), mistakes))
            }
            (Ok(_), _) => mistakes.add(rule, "`inner(…)` is for the elements of a `Vec`"),
            (Err(error), _) => mistakes.absorb(error),
        },
        known if BOTH.contains(&known) => {}
        _ => mistakes.add(rule, format!("no rule `{word}`; {}", did_you_mean(&word, &BOTH))),
    }
}

fn judge_length(rule: &Meta, shape: Shape<'_>, mistakes: &mut Mistakes) {
    let parts = rule.require_list().and_then(|list| list.parse_args_with(rules));
    let Some(parts) = mistakes.take(parts) else { return };
    let mode = parts.iter().find(|part| matches!(part, Meta::Path(_)));
    let counts_chars = mode.is_some_and(|mode| mode.path().is_ident("chars"));
    match shape {
        Shape::Text if !counts_chars => {
            mistakes.add(rule, "the API server counts characters, garde bytes unless told; write `length(chars, …)`");
        }
        Shape::List(_) if mode.is_some() => {
            mistakes.add(mode, "a list is counted by its elements; write `length(…)` without a mode")
        }
        Shape::Number => {
            mistakes.add(rule, "`length` of a number is ignored by the CRD; write `range(min = …, max = …)`")
        }
        Shape::Map => mistakes.add(
            rule,
            "`length` of a map is ignored by the CRD; write a `#[rule(\"size(self.…) <= …\")]` on the struct",
        ),
        Shape::Bool => mistakes.add(rule, "a bool has no length"),
        _ => {}
    }
}
