//! Everything that can be wrong with a struct of settings.

use std::collections::BTreeMap;

use darling::ast::{Data, Style};
use darling::util::SpannedValue;
use proc_macro2::Ident;
use quote::format_ident;
use syn::{Expr, Type};

use super::args::{Args, Field, Range, Word, Written};
use crate::diagnostics::Mistakes;
use crate::docs;
use crate::paths::Runtime;
use crate::words::kebab;

pub(super) struct Checked {
    pub(super) runtime: Runtime,
    pub(super) ident: Ident,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    Struct(Vec<Setting>),
    /// Variant and word.
    Words(Vec<(Ident, String)>),
}

pub(super) struct Setting {
    pub(super) ident: Ident,
    pub(super) type_: Type,
    pub(super) env: Option<String>,
    pub(super) config: Option<String>,
    pub(super) helm: Option<String>,
    pub(super) default: Option<String>,
    pub(super) range: Option<(String, String)>,
    pub(super) doc: String,
}

pub(super) fn check(args: Args, mistakes: &mut Mistakes) -> Option<Checked> {
    let shape = match args.data {
        Data::Struct(fields) if matches!(fields.style, Style::Struct) => {
            Shape::Struct(settings(fields.fields, mistakes))
        }
        Data::Struct(_) => {
            mistakes.add(&args.ident, "settings are a struct with named fields, or an enum of words");
            return None;
        }
        Data::Enum(words) => Shape::Words(words.into_iter().filter_map(|variant| word(variant, mistakes)).collect()),
    };
    Some(Checked { runtime: args.runtime.into(), ident: args.ident, shape })
}

fn word(variant: Word, mistakes: &mut Mistakes) -> Option<(Ident, String)> {
    if !matches!(variant.fields.style, Style::Unit) {
        mistakes.add(&variant.ident, "a setting's word carries nothing");
        return None;
    }
    let word = kebab(&variant.ident.to_string());
    Some((variant.ident, word))
}

fn settings(fields: Vec<Field>, mistakes: &mut Mistakes) -> Vec<Setting> {
    once("environment variable", fields.iter().filter_map(|field| field.env.as_ref()), mistakes);
    once("key", fields.iter().filter_map(|field| field.config.as_ref()), mistakes);
    fields.into_iter().map(|field| setting(field, mistakes)).collect()
}

fn setting(field: Field, mistakes: &mut Mistakes) -> Setting {
    let ident = field.ident.unwrap_or_else(|| format_ident!("unnamed"));
    let doc = docs::text(&field.attrs);
    if doc.is_empty() {
        mistakes.add(
            &ident,
            format!("say in a doc comment what `{ident}` does, with its unit: the reference page prints it"),
        );
    }
    if field.env.is_none() && field.config.is_none() {
        mistakes.add(&ident, "say where it is set: `#[setting(env = \"…\")]`, `config = \"…\"` or both");
    }
    if let Some(env) = &field.env
        && !env.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    {
        mistakes.absorb(syn::Error::new(env.span(), "an environment variable is in upper case with underscores"));
    }
    match (&field.default, last_name(&field.ty).as_deref()) {
        (Some(default), Some(optional @ ("Option" | "Vec"))) => {
            mistakes.add(
                &default.0,
                format!("an `{optional}` is unset unless somebody sets it; leave out the default or the `{optional}`"),
            );
        }
        (Some(default), Some(type_)) => fits(default, type_, mistakes),
        (None, Some("Option" | "Vec")) => {}
        (None, _) => mistakes.add(&ident, "say what holds when nobody sets it: `default = …`, or make it an `Option`"),
        (Some(_), None) => {}
    }
    if field.range.is_some() && matches!(last_name(&field.ty).as_deref(), Some("bool" | "String" | "Vec")) {
        mistakes.add(&field.ty, "this type has no order: a `range` is for numbers and durations");
    }
    let bounds = field.range.as_ref().and_then(Range::bounds);
    if field.range.is_some() && bounds.is_none() {
        mistakes.add(&ident, r#"write the least and the greatest value: `range(1, 100)`, `range("1s", "24h")`"#);
    }
    if let Some((least, greatest)) = &bounds {
        let place = field.default.as_ref().map(|default| &default.0);
        in_range(
            &ident,
            place,
            field.default.as_ref().and_then(Written::text).as_deref(),
            (least.as_str(), greatest.as_str()),
            mistakes,
        );
    }
    Setting {
        ident,
        type_: field.ty,
        env: field.env.map(SpannedValue::into_inner),
        config: field.config.map(SpannedValue::into_inner),
        helm: field.helm,
        default: field.default.and_then(|default| default.text()),
        range: bounds,
        doc,
    }
}

/// A range that nothing is in, and a default outside of it.
fn in_range(
    ident: &Ident,
    place: Option<&Expr>,
    default: Option<&str>,
    (least, greatest): (&str, &str),
    mistakes: &mut Mistakes,
) {
    let (Some(low), Some(high)) = (rank(least), rank(greatest)) else { return };
    if low > high {
        return mistakes.add(ident, format!("nothing is in `range({least}, {greatest})`: the least value comes first"));
    }
    if let (Some(place), Some(text)) = (place, default)
        && rank(text).is_some_and(|value| value < low || value > high)
    {
        mistakes.add(place, format!("the default {text} is not from {least} to {greatest}"));
    }
}

/// Where a number, or a duration such as `1h30m`, stands among others; `None` of anything else. `crdgen` reads them all.
fn rank(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(number);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(digits);
        let (size, unit) = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find_map(|(unit, size)| after.starts_with(unit).then_some((size, unit)))?;
        seconds += number.parse::<f64>().ok()? * size;
        rest = &after[unit.len()..];
    }
    Some(seconds)
}

/// What can be seen of a wrong default without its type's parser.
fn fits(default: &Written, type_: &str, mistakes: &mut Mistakes) {
    let Some(text) = default.text() else {
        return mistakes.add(&default.0, r#"write the value as in the environment: `10`, `0.5`, `true`, `"30m"`"#);
    };
    let (right, expected) = match type_ {
        "bool" => (matches!(text.as_str(), "true" | "false"), "true or false"),
        "i32" | "i64" => (text.parse::<i64>().is_ok(), "a whole number"),
        "u8" | "u16" | "u32" | "u64" | "usize" => (text.parse::<u64>().is_ok(), "a whole number, not negative"),
        "Duration" => (text == "0" || text.ends_with(['s', 'm', 'h']), r#"a duration with its unit, such as `"30m"`"#),
        _ => return,
    };
    if !right {
        mistakes.add(&default.0, format!("the default of a `{type_}` is {expected}"));
    }
}

fn once<'a>(what: &str, names: impl Iterator<Item = &'a SpannedValue<String>>, mistakes: &mut Mistakes) {
    let mut seen = BTreeMap::new();
    for name in names {
        if seen.insert(name.as_str(), ()).is_some() {
            mistakes.absorb(syn::Error::new(name.span(), format!("another setting has this {what} already")));
        }
    }
}

fn last_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    }
}
