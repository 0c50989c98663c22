//! What people and editors read: values.yaml, its schema and a table.

use serde_json::{Map, Value, json};

use super::{Chart, Entry};
use crate::generate::reference;

/// values.yaml: every value with its default, and above it what it does.
pub fn values(chart: &Chart<'_>) -> String {
    let mut text = String::new();
    level(&chart.entries(), 0, &mut text);
    text
}

fn level(entries: &[Entry<'_>], depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let mut rest = entries;
    while let [first, ..] = rest {
        let name = first.path[depth];
        let here = rest.iter().take_while(|entry| entry.path[depth] == name).count();
        let (these, others) = rest.split_at(here);
        rest = others;
        if depth == 0 {
            text.push('\n');
        }
        if first.path.len() > depth + 1 {
            text.push_str(&format!("{indent}{name}:\n"));
            level(these, depth + 1, text);
            continue;
        }
        text.push_str(&format!("{indent}# {} {}.\n", first.doc, capital(&first.looks)));
        match &first.default {
            None => text.push_str(&format!("{indent}# {name}:\n")),
            Some(default) if default.as_object().is_some_and(|object| !object.is_empty()) => {
                text.push_str(&format!("{indent}{name}:\n{}", block(default, depth + 1)));
            }
            Some(default) if default.as_array().is_some_and(|list| !list.is_empty()) => {
                text.push_str(&format!("{indent}{name}:\n{}", block(default, depth + 1)));
            }
            Some(default) => text.push_str(&format!("{indent}{name}: {default}\n")),
        }
    }
}

fn block(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let yaml = serde_saphyr::to_string(value).unwrap_or_default();
    yaml.lines().map(|line| format!("{indent}{line}\n")).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The schema of the values. Names that are not in it are told apart by [`super::templates()`], which can say what was meant:
/// here they are allowed.
pub fn schema(chart: &Chart<'_>) -> Value {
    let mut root = json!({"type": "object", "properties": {}});
    for entry in chart.entries() {
        let Some((name, parents)) = entry.path.split_last() else { continue };
        let parent = parents.iter().fold(&mut root, |parent, step| {
            properties(parent).entry(*step).or_insert_with(|| json!({"type": "object", "properties": {}}))
        });
        properties(parent).insert((*name).to_owned(), entry.schema);
    }
    // What Helm reads since version 3.
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!(format!("Values of chart {}", chart.name));
    root
}

fn properties(object: &mut Value) -> &mut Map<String, Value> {
    object["properties"].as_object_mut().expect("every object of the tree is made with properties")
}

/// A table of all values for a README.
pub fn table(chart: &Chart<'_>) -> String {
    let mut page = String::new();
    let code = |text: String| format!("`{text}`");
    let rows = chart.entries().into_iter().map(|entry| {
        let becomes = if entry.reads.is_empty() { String::new() } else { format!(" Becomes {}.", entry.reads) };
        [
            code(entry.path.join(".")),
            entry.looks,
            entry.default.map_or_else(|| "absent".to_owned(), |default| code(default.to_string())),
            format!("{}{becomes}", entry.doc),
        ]
    });
    reference::table(&mut page, ["value", "what it is", "default", "meaning"], rows);
    page
}
