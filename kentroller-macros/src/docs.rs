//! Doc comments as text: they become `kubectl explain`, the reference pages and the JSON schema.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The whole doc comment as one text, lines of a paragraph joined and blocks of code left out; empty if there is none.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let mut paragraphs = vec![String::new()];
    let mut code = false;
    for line in attributes.iter().filter_map(line) {
        let line = line.trim().to_owned();
        if line.starts_with("```") {
            code = !code;
        }
        if code || line.starts_with("```") {
            continue;
        }
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

/// The block of YAML in the doc comment, as it stands there.
pub(crate) fn sample(attributes: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    let begin = lines.iter().position(|line| line.trim() == "```yaml")?;
    let block = lines[begin + 1..].iter().take_while(|line| line.trim() != "```");
    Some(block.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect())
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
