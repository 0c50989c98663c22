//! Doc comments as text: they become `kubectl explain`, the reference pages and the JSON schema.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The whole doc comment as one text, lines of a paragraph joined; empty if there is none.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let mut paragraphs = vec![String::new()];
    for line in attributes.iter().filter_map(line) {
        let line = line.trim().to_owned();
        match paragraphs.last_mut() {
            Some(last) if !line.is_empty() => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(&line);
            }
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs.join("\n\n")
}

/// The first sentence of the doc comment, with its full stop.
pub(crate) fn first_sentence(attributes: &[Attribute]) -> String {
    let text = text(attributes);
    let first = text.split("\n\n").next().unwrap_or_default();
    match first.find(". ") {
        Some(stop) => first[..=stop].to_owned(),
        None => first.to_owned(),
    }
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    if !pair.path.is_ident("doc") {
        return None;
    }
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}
