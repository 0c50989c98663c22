//! The metrics of a controller: what can be wrong with them, and their constants.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Lit;

use super::args::{MetricType, MetricWord};
use crate::diagnostics::Mistakes;
use crate::paths::Runtime;

/// The metrics, each once.
pub(super) fn check(words: Vec<MetricWord>, mistakes: &mut Mistakes) -> Vec<MetricWord> {
    let mut metrics: Vec<MetricWord> = Vec::new();
    for word in words {
        let name = &word.name;
        if !is_snake_case(name) {
            mistakes
                .add(name, "a metric is in snake_case: it is scraped as it stands here, after the operator's prefix");
        }
        if name.to_string().ends_with("_total") {
            mistakes
                .add(name, "leave `_total` out: a counter gets it when it is scraped, and nothing else may have it");
        }
        check_labels(&word, mistakes);
        check_bounds(&word, mistakes);
        if metrics.iter().any(|metric| metric.name == *name) {
            mistakes.add(name, format!("`{name}` stands here twice"));
        } else {
            metrics.push(word);
        }
    }
    metrics
}

fn is_snake_case(name: &Ident) -> bool {
    let name = name.to_string();
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

fn check_labels(word: &MetricWord, mistakes: &mut Mistakes) {
    for (place, label) in word.labels.iter().enumerate() {
        if !is_snake_case(label) || label == "le" {
            mistakes.add(label, "a label is in snake_case, and `le` is Prometheus' own");
        }
        if word.labels[..place].contains(label) {
            mistakes.add(label, format!("`{label}` stands here twice"));
        }
    }
}

fn check_bounds(word: &MetricWord, mistakes: &mut Mistakes) {
    let name = &word.name;
    let numbers: Vec<Option<f64>> = word.bounds.iter().map(number).collect();
    if let Some(wrong) = word.bounds.iter().zip(&numbers).find_map(|(bound, number)| number.is_none().then_some(bound))
    {
        mistakes.add(wrong, "a bound is a number in the unit of the metric, such as `0.5` or `60`");
    } else if !numbers.is_sorted_by(|before, after| before < after) {
        mistakes.add(name, "the bounds of the buckets rise: `in [1, 10, 60]`");
    }
    match (word.type_, word.bounds.is_empty()) {
        (MetricType::Histogram, true) => {
            mistakes.add(name, format!("say the upper bounds of its buckets: `{name} in [1, 10, 60] = \"…\"`"));
        }
        (MetricType::Counter | MetricType::Gauge, false) => {
            mistakes.add(name, "only a histogram has buckets; leave `in […]` out");
        }
        _ => {}
    }
}

fn number(bound: &Lit) -> Option<f64> {
    match bound {
        Lit::Int(number) => number.base10_parse::<u32>().ok().map(f64::from),
        Lit::Float(number) => number.base10_parse().ok(),
        _ => None,
    }
}

/// What the runtime is told of a metric.
pub(super) fn info(runtime: &Runtime, word: &MetricWord) -> TokenStream {
    let MetricWord { name, labels, bounds, doc, .. } = word;
    let type_ = type_of(word);
    let (name, labels) = (name.to_string(), labels.iter().map(Ident::to_string));
    let bounds = bounds.iter().filter_map(number);
    quote! {
        #runtime::MetricInfo {
            name: #name,
            type_: #runtime::MetricType::#type_,
            labels: &[#(#labels),*],
            doc: #doc,
            buckets: &[#(#bounds),*],
        }
    }
}

/// `Self::REAPED` of `counters(reaped = "…")`.
pub(super) fn constant(runtime: &Runtime, controller: &Ident, word: &MetricWord) -> TokenStream {
    let (type_, info, labels) = (type_of(word), info(runtime, word), word.labels.len());
    let comment = format!(" {}", word.doc.value());
    let name = Ident::new(&word.name.to_string().to_uppercase(), word.name.span());
    quote_spanned! {word.name.span()=>
        #[doc = #comment]
        const #name: #runtime::Metric<#controller, #runtime::#type_, #labels> = #runtime::Metric::new(#info);
    }
}

/// The runtime's name of the type.
fn type_of(word: &MetricWord) -> TokenStream {
    let name = match word.type_ {
        MetricType::Counter => "Counter",
        MetricType::Gauge => "Gauge",
        MetricType::Histogram => "Histogram",
    };
    Ident::new(name, word.name.span()).to_token_stream()
}
