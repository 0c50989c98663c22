//! Columns for kubectl, held against the schema that they show.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use serde_json::Value;

/// A column that shows nothing, or shows what is there as something else.
pub(super) fn of_column(column: &CustomResourceColumnDefinition, schema: &Value) -> Option<String> {
    let (name, path) = (&column.name, &column.json_path);
    if path.starts_with(".metadata") {
        return None;
    }
    let mut at = schema;
    for step in steps(path) {
        at = match step {
            Step::Element => &at["items"],
            Step::Field(name) => {
                at["properties"].get(name).or_else(|| at.get("additionalProperties")).unwrap_or(&Value::Null)
            }
        };
    }
    let found = match (at["type"].as_str(), at["format"].as_str()) {
        _ if at.is_null() => return Some(format!("column `{name}` shows `{path}`, and there is no such field")),
        (Some("string"), Some("date-time")) => "date",
        (Some(type_), _) => type_,
        (None, _) => return None,
    };
    // kubectl prints a text of anything plain; of the others each prints its own type alone.
    let fits = match column.type_.as_str() {
        "string" => !matches!(found, "object"),
        "number" => matches!(found, "number" | "integer"),
        wanted => wanted == found,
    };
    (!fits).then(|| format!("column `{name}` is of type {}, and `{path}` is of type {found}", column.type_))
}

/// One step of a path: `.name` or `['name']`; `[0]` or `[?(…)]`.
enum Step<'a> {
    Field(&'a str),
    Element,
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let (mut steps, mut rest) = (Vec::new(), path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let end = inside.find(']').unwrap_or(inside.len());
            let name = inside[..end].strip_prefix(['\'', '"']).and_then(|name| name.strip_suffix(['\'', '"']));
            steps.push(name.map_or(Step::Element, Step::Field));
            rest = inside.get(end + 1..).unwrap_or_default();
        } else {
            let name = rest.trim_start_matches('.');
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(Step::Field(&name[..end]));
            rest = &name[end..];
        }
    }
    steps
}
