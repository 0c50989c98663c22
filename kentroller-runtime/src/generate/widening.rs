//! Whether one CRD takes everything that another takes, and gives everything that it gives.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::outline::{Field, Outline};

/// Something that `before` promises and `after` does not keep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Narrowing {
    /// The kind.
    pub kind: String,
    /// Of the field or column.
    pub place: String,
    /// What is not as it was.
    pub what: String,
}

impl fmt::Display for Narrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.place, self.what)
    }
}

/// Every way in which `after` is not equal to `before` or wider.
pub fn narrowings(before: &Outline, after: &Outline) -> Vec<Narrowing> {
    let mut found: Vec<(String, String)> = Vec::new();
    names(before, after, &mut found);
    columns(before, after, &mut found);
    for (path, old) in &before.fields {
        match after.fields.get(path) {
            None if holds_anything(after, path) => {}
            None => found.push((path.clone(), "is gone".to_owned())),
            Some(new) => field(old, new, &mut |what| found.push((path.clone(), what))),
        }
    }
    for (path, new) in after.fields.iter().filter(|(path, new)| new.required && !before.fields.contains_key(*path)) {
        if before.fields.contains_key(parent(path)) {
            found.push((path.clone(), format!("is new and required ({})", new.type_)));
        }
    }
    let kind = &before.kind;
    found.into_iter().map(|(place, what)| Narrowing { kind: kind.clone(), place, what }).collect()
}

/// What `after` has beyond `before`: fields, words, columns and short names, each with its meaning.
pub fn additions(before: &Outline, after: &Outline) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in after.short_names.iter().filter(|name| !before.short_names.contains(name)) {
        found.push(("short name".to_owned(), format!("`{name}`")));
    }
    for column in after.columns.iter().filter(|column| !before.columns.contains(column)) {
        found.push(("column".to_owned(), format!("{} (`{}`)", column.name, column.path)));
    }
    for (path, new) in &after.fields {
        match before.fields.get(path) {
            // What lies in something new is told with it.
            None if !before.fields.contains_key(parent(path)) && !parent(path).is_empty() => {}
            None if path.ends_with("[]") || path.ends_with("{}") => {}
            None => found.push((format!("`{path}`"), new.description.clone())),
            Some(old) => {
                let known = listed(old, "enum");
                for word in listed(new, "enum").iter().filter(|word| !known.is_empty() && !known.contains(word)) {
                    found.push((format!("`{path}`"), format!("the word {word}")));
                }
                if let (None, Some(default)) = (old.limits.get("default"), new.limits.get("default")) {
                    found.push((format!("`{path}`"), format!("the default {default}")));
                }
            }
        }
    }
    found
}

fn names(before: &Outline, after: &Outline, found: &mut Vec<(String, String)>) {
    for (what, old, new) in [
        ("kind", &before.kind, &after.kind),
        ("plural", &before.plural, &after.plural),
        ("scope", &before.scope, &after.scope),
        ("version", &before.version, &after.version),
    ] {
        if old != new {
            found.push((what.to_owned(), format!("was {old}, is {new}")));
        }
    }
    for name in before.short_names.iter().filter(|name| !after.short_names.contains(name)) {
        found.push((format!("short name {name}"), "is gone".to_owned()));
    }
    if before.has_status && !after.has_status {
        found.push(("subresource status".to_owned(), "is gone".to_owned()));
    }
}

/// Every old column stands in the new table, in the old order.
fn columns(before: &Outline, after: &Outline, found: &mut Vec<(String, String)>) {
    let mut left = after.columns.iter();
    for column in &before.columns {
        if !left.any(|new| new == column) {
            found.push((format!("column {}", column.name), format!("is not as it was: {column:?}")));
            left = after.columns.iter();
        }
    }
}

fn field(old: &Field, new: &Field, report: &mut dyn FnMut(String)) {
    if old.type_ != new.type_ {
        report(format!("was {}, is {}", old.type_, new.type_));
    }
    if new.required && !old.required {
        report("is required now".to_owned());
    }
    if old.type_ == "integer" {
        let ((old_least, old_most), (least, most)) = (range(old), range(new));
        if least > old_least {
            report(format!("the least value was {old_least}, is {least}"));
        }
        if most < old_most {
            report(format!("the greatest value was {old_most}, is {most}"));
        }
    } else if changed(old, new, "format") {
        report(format!("the format was {}, is {}", show(old, "format"), show(new, "format")));
    }
    for (limit, lower_is_wider) in [("minLength", true), ("minItems", true), ("maxLength", false), ("maxItems", false)]
    {
        let (was, is) = (old.limits.get(limit).and_then(Value::as_i64), new.limits.get(limit).and_then(Value::as_i64));
        let narrower = match (was, is) {
            (_, None) => false,
            (None, Some(bound)) => !lower_is_wider || bound > 0,
            (Some(was), Some(is)) => {
                if lower_is_wider {
                    is > was
                } else {
                    is < was
                }
            }
        };
        if narrower {
            report(format!("{limit} was {}, is {}", show(old, limit), show(new, limit)));
        }
    }
    if new.limits.contains_key("pattern") && changed(old, new, "pattern") {
        report(format!("the pattern was {}, is {}", show(old, "pattern"), show(new, "pattern")));
    }
    if changed(old, new, "default") {
        report(format!("the default was {}, is {}", show(old, "default"), show(new, "default")));
    }
    let (was, is) = (listed(old, "enum"), listed(new, "enum"));
    let lost: Vec<String> = was.iter().filter(|word| !is.contains(word)).map(Value::to_string).collect();
    if !is.is_empty() && (was.is_empty() || !lost.is_empty()) {
        report(format!("the words were {}, are {}", show(old, "enum"), show(new, "enum")));
    }
    let list_type = |field: &Field| match field.limits.get("list-type") {
        None => "atomic".to_owned(),
        Some(type_) => type_.as_str().unwrap_or_default().to_owned(),
    };
    if old.type_ == "array" && list_type(old) != list_type(new) {
        report(format!("the list type was {}, is {}", list_type(old), list_type(new)));
    }
    if changed(old, new, "list-map-keys") {
        report(format!("the list keys were {}, are {}", show(old, "list-map-keys"), show(new, "list-map-keys")));
    }
    for mark in ["preserve-unknown-fields", "int-or-string"] {
        if old.limits.contains_key(mark) && changed(old, new, mark) {
            report(format!("{mark} is gone"));
        }
    }
    for (rule, _) in new.rules.iter().filter(|rule| old.rules.iter().all(|known| known.0 != rule.0)) {
        report(format!("has the new rule {rule}"));
    }
}

fn changed(old: &Field, new: &Field, limit: &str) -> bool {
    old.limits.get(limit) != new.limits.get(limit)
}

fn show(field: &Field, limit: &str) -> String {
    field.limits.get(limit).map_or_else(|| "absent".to_owned(), Value::to_string)
}

fn listed(field: &Field, limit: &str) -> Vec<Value> {
    field.limits.get(limit).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What an integer may be: its bounds within those of its format, which is int64 when none is said.
fn range(field: &Field) -> (i64, i64) {
    let (least, most) = match field.limits.get("format").and_then(Value::as_str) {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let bound = |limit: &str| field.limits.get(limit).and_then(Value::as_i64);
    (bound("minimum").map_or(least, |bound| bound.max(least)), bound("maximum").map_or(most, |bound| bound.min(most)))
}

/// Whether the field lies in an object that may hold anything.
fn holds_anything(outline: &Outline, path: &str) -> bool {
    let mut place = path;
    while !parent(place).is_empty() {
        place = parent(place);
        if let Some(field) = outline.fields.get(place) {
            return field.limits.contains_key("preserve-unknown-fields");
        }
    }
    false
}

/// The path of the object that holds the field; empty at the top.
fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// Reads the list of accepted narrowings: one a line, as [`Narrowing`] shows it, then ` # ` and the reason.
///
/// # Errors
/// A line without a reason.
pub fn accepted(text: &str) -> Result<BTreeMap<String, String>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_once(" # ") {
            Some((narrowing, reason)) if !reason.trim().is_empty() => {
                Ok((narrowing.trim().to_owned(), reason.trim().to_owned()))
            }
            _ => Err(format!("`{line}` has no reason: append ` # ` and why users can live with it")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(fields: &str) -> Outline {
        let text = format!(
            "== {{'kind': 'Door', 'plural': 'doors', 'shortNames': ['do']}} Cluster\nversion v1 subresources {{'status': {{}}}}\n  col Age date .a prio 0\nspec*: object\n{fields}\n"
        );
        Outline::parse(&text).expect("a right outline")
    }

    #[test]
    fn every_way_to_be_narrower_is_found_and_no_other() {
        let cases = [
            ("  a: integer", "  a: integer [format=int64]", None),
            ("  a: integer", "  a: integer [format=int32]", Some("the least value was")),
            ("  a: integer [minimum=1; maximum=50]", "  a: integer [format=int32; minimum=1; maximum=50]", None),
            ("  a: integer [minimum=1]", "  a: integer [minimum=0]", None),
            ("  a: integer [format=int32]", "  a: integer [format=int32; maximum=9]", Some("the greatest value")),
            ("  a: string", "  a: integer", Some("was string, is integer")),
            ("  a: string", "  b: string", Some("is gone")),
            ("  a: string", "  a*: string", Some("is required now")),
            ("  a*: string", "  a: string", None),
            ("  a: string", "  a: string\n  b*: string", Some("is new and required")),
            ("  a: string", "  a: string\n  b: object\n    c*: string", None),
            ("  a: string", "  a: string [default=x]", Some("the default was absent")),
            ("  a: string", "  a: string [minLength=1]", Some("minLength")),
            ("  a: string [maxLength=5]", "  a: string [maxLength=9]", None),
            ("  a: string [maxLength=5]", "  a: string [maxLength=4]", Some("maxLength")),
            ("  a: string", "  a: string [pattern=^x$]", Some("the pattern")),
            ("  a: string [pattern=^x$]", "  a: string", None),
            ("  a: string [enum=['x']]", "  a: string [enum=['y', 'x']]", None),
            ("  a: string [enum=['x', 'y']]", "  a: string [enum=['x']]", Some("the words were")),
            ("  a: string", "  a: string [enum=['x']]", Some("the words were absent")),
            ("  a: string [format=date-time]", "  a: string", Some("the format")),
            ("  a: []string ", "  a: []string  [list-type=atomic]", None),
            ("  a: []string ", "  a: []string  [list-type=set]", Some("the list type")),
            ("  a: object", "  a: object [CEL: self.b > 1 | no]", Some("has the new rule")),
            ("  a: object [preserve-unknown-fields=True]", "  a: object", Some("preserve-unknown-fields is gone")),
            ("  a: object\n    b: string", "  a: object [preserve-unknown-fields=True]", None),
        ];
        for (before, after, wanted) in cases {
            let found = narrowings(&outline(before), &outline(after));
            match wanted {
                None => assert_eq!(found, [], "{before} -> {after}"),
                Some(what) => {
                    assert!(found.iter().any(|one| one.what.contains(what)), "{before} -> {after}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn names_and_columns_may_be_added_and_not_taken() {
        let before = outline("  a: string");
        let mut after = before.clone();
        after.short_names.push("d".into());
        after.columns.insert(
            0,
            crate::generate::outline::Column {
                name: "New".into(),
                type_: "string".into(),
                path: ".n".into(),
                priority: 0,
            },
        );
        assert_eq!(narrowings(&before, &after), []);
        let lost: Vec<String> = narrowings(&after, &before).into_iter().map(|one| one.place).collect();
        assert_eq!(lost, ["short name d", "column New"]);
        assert_eq!(additions(&before, &after).len(), 2);
    }

    #[test]
    fn what_is_accepted_has_a_reason() {
        let read = accepted("# head\n\nDoor spec.a: is gone # nobody had it\n").expect("right");
        assert_eq!(read.get("Door spec.a: is gone").map(String::as_str), Some("nobody had it"));
        assert!(accepted("Door spec.a: is gone").is_err());
    }
}
