//! What all pages have: head, style, sections, tables that can be filtered.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
const FILTER: &str = include_str!("filter.js");

/// A whole page.
pub(super) fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                footer { p { "Written by kentroller " (env!("CARGO_PKG_VERSION")) ". Amounts are US dollars." } }
                script { (PreEscaped(FILTER)) }
            }
        }
    };
    page.into_string()
}

/// A part of a page with a heading.
pub(super) fn section(title: &str, body: &Markup) -> Markup {
    html! { section { h2 { (title) } (body) } }
}

/// A table in a box that scrolls by itself; `filter` is asked for above it where scripts run.
pub(super) fn table(caption: &str, head: &[&str], filter: bool, rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table data-filter[filter] {
                caption { (caption) }
                thead { tr { @for word in head { th scope="col" { (word) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// Amounts as bars of one scale; the first number of each is what it is drawn by.
pub(super) fn bars(caption: &str, all: &[(&str, &str, String)]) -> Markup {
    let number = |text: &str| text.parse::<f64>().unwrap_or_default();
    let most = all.iter().map(|(_, amount, _)| number(amount)).fold(f64::MIN_POSITIVE, f64::max);
    html! {
        p.quiet { (caption) }
        dl.bars {
            @for (name, amount, note) in all {
                dt { (name) }
                dd {
                    span.bar style=(format!("width:{:.1}%", number(amount) / most * 70.0)) {}
                    b { (amount) } " an hour" @if !note.is_empty() { " · " (note) }
                }
            }
        }
    }
}

/// A share as a small bar with its number.
pub(super) fn share(percent: Option<i64>) -> Markup {
    html! {
        @match percent {
            Some(percent) => {
                span.fill style=(format!("--w:{}%", percent.clamp(0, 100))) {} (percent) " %"
            }
            None => "–",
        }
    }
}
