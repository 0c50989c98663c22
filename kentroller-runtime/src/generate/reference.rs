//! Reference pages in Markdown, from the declarations.

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::Value;

use super::OwnKind;
use super::outline::{Field, Outline};
use super::rbac::Rights;
use super::widening;
use crate::condition::SUMMARY;
use crate::declaration::Declaration;
use crate::engine::writer::REFUSALS;
use crate::kind::KindInfo;
use crate::metrics::{self, MetricInfo, MetricType};
use crate::settings::SettingInfo;

/// Every field of every kind.
pub fn kinds(kinds: &[OwnKind]) -> String {
    let mut page = String::from("# Kinds\n");
    for kind in kinds {
        let outline = Outline::of(&kind.crd());
        let names: Vec<String> = outline.short_names.iter().map(|name| format!("`{name}`")).collect();
        page.push_str(&format!("\n## {}\n\n{}\n\n", outline.kind, outline.fields["spec"].description));
        page.push_str(&format!(
            "`{}`, {}, short name {}.\n\n",
            kind.info.api_version(),
            if outline.scope == "Cluster" { "cluster-scoped" } else { "namespaced" },
            names.join(", ")
        ));
        if let Some(sample) = kind.sample {
            page.push_str(&format!("```yaml\n{sample}```\n\n"));
        }
        // The elements of a list and the values of a map are told in the line of the list or map.
        let rows = outline.fields.iter().filter(|(path, _)| !path.ends_with("[]") && !path.ends_with("{}"));
        let rows = rows.filter(|(path, _)| path.contains('.')).map(|(path, field)| {
            let star = if field.required { " *" } else { "" };
            [format!("`{path}`{star}"), type_of(&outline, path, field), field.description.clone()]
        });
        table(&mut page, ["field (* = required)", "type", "meaning"], rows);
    }
    page
}

/// What our kinds have beyond a contract: pairs of the contract and what we have.
pub fn additions(contracts: &[(Outline, Outline)]) -> String {
    let mut page = String::from(
        "# Additions\n\nEvery object that was written for the public CRDs is accepted unchanged. These are the fields, words, columns and names that \
         this project adds; all of them are optional.\n",
    );
    for (contract, ours) in contracts {
        let additions = widening::additions(contract, ours);
        if additions.is_empty() {
            continue;
        }
        page.push_str(&format!("\n## {}\n\n", ours.kind));
        table(&mut page, ["what", "meaning"], additions.into_iter().map(|(what, meaning)| [what, meaning]));
    }
    page
}

/// The conditions of every kind.
pub fn conditions(kinds: &[OwnKind]) -> String {
    let mut page = String::from(
        "# Conditions\n\nEvery kind with a status has a summary that `kubectl wait` and GitOps tools read, and conditions of its own.\n\n## Summary\n\n",
    );
    let row = |name: &str, meaning: &str| [format!("`{name}`"), meaning.to_owned()];
    table(&mut page, ["condition", "meaning"], SUMMARY.iter().map(|(name, meaning)| row(name, meaning)));
    let sets = kinds.iter().filter_map(|kind| Some((kind, kind.conditions?)));
    for (kind, set) in sets.filter(|(_, set)| !set.own.is_empty() || !set.summary.is_empty()) {
        page.push_str(&format!("\n## {}\n\n", kind.info.kind));
        table(&mut page, ["condition", "meaning"], set.own.iter().map(|info| row(info.name, info.doc)));
        let summary = std::iter::once(("Ready, Reconciling, Stalled", set.summary));
        let all = summary.chain(set.own.iter().map(|info| (info.name, info.reasons)));
        let rows = all.flat_map(|(name, reasons)| {
            let words = reasons.iter().flat_map(|list| *list);
            words.map(move |(reason, doc)| [name.to_owned(), format!("`{reason}`"), in_short(doc).to_owned()])
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            page.push_str("\nWhy they are as they are:\n\n");
            table(&mut page, ["condition", "reason", "meaning"], rows.into_iter());
        }
    }
    page
}

/// The words that fields of these kinds may hold: states, reasons, choices; each list once, with all its places.
pub fn words(kinds: &[OwnKind]) -> String {
    let mut lists: Vec<(Vec<String>, Meanings)> = Vec::new();
    for words in kinds.iter().flat_map(|kind| (kind.words)()) {
        match lists.iter_mut().find(|(_, meanings)| *meanings == words.meanings) {
            Some((places, _)) => places.push(words.place),
            None => lists.push((vec![words.place], words.meanings)),
        }
    }
    let mut page = String::from(
        "# Words\n\nWhat states, reasons and choices mean. A word that is not listed here is kept as it was read, and never acted on.\n",
    );
    for (mut places, meanings) in lists {
        places.sort_by_key(String::len);
        page.push_str(&format!("\n## {}\n\n", places[0]));
        if places.len() > 1 {
            page.push_str(&format!("Also of {}.\n\n", places[1..].join(", ")));
        }
        let rows = meanings.iter().map(|(word, doc)| [format!("`{word}`"), in_short(doc).to_owned()]);
        table(&mut page, ["word", "meaning"], rows);
    }
    page
}

type Meanings = &'static [(&'static str, &'static str)];

/// The first paragraph of a doc comment.
pub fn in_short(doc: &str) -> &str {
    paragraphs(doc).0
}

/// The first paragraph of a doc comment, and the rest.
fn paragraphs(doc: &str) -> (&str, &str) {
    let (first, rest) = doc.split_once("\n\n").unwrap_or((doc, ""));
    (first.trim(), rest.trim())
}

/// Why things ended: of each word its meaning, and in the second paragraph of its doc comment what to do next. Each has
/// an anchor of its name.
pub fn ends(page: &mut String, words: &[(&str, &str)]) {
    let rows = words.iter().map(|(word, doc)| {
        let (meaning, next) = paragraphs(doc);
        [format!("<a id=\"{word}\"></a>`{word}`"), meaning.to_owned(), next.to_owned()]
    });
    table(page, ["reason", "meaning", "what to do"], rows);
}

/// Why the engine refuses a write, for the note of an event.
pub fn refused_writes(page: &mut String) {
    let rows = REFUSALS.iter().map(|refusal| [format!("`{}`", refusal.reason), refusal.doc.to_owned()]);
    table(page, ["reason", "meaning"], rows);
}

/// Which state may follow which, as one diagram for each kind.
pub fn states(kinds: &[OwnKind]) -> String {
    let mut page = String::from(
        "# States\n\nWhat `status.state` may go through. The engine refuses any other step; a state from which no arrow goes is final. Their meanings: \
         [words](words.md).\n",
    );
    for kind in kinds {
        let Some((first, _)) = kind.states.first() else { continue };
        page.push_str(&format!("\n## {}\n\n```mermaid\nstateDiagram-v2\n    [*] --> {first}\n", kind.info.kind));
        for (state, next) in kind.states {
            for after in *next {
                page.push_str(&format!("    {state} --> {after}\n"));
            }
        }
        page.push_str("```\n");
    }
    page
}

/// The metrics of the process, under an operator's prefix: those of the engine, what the controllers declared, and what runs beside
/// them.
pub fn metrics(prefix: &str, declarations: &[Declaration], beside: &[MetricInfo]) -> String {
    let mut page =
        String::from("# Metrics\n\n`GET /metrics` answers in the format of OpenMetrics.\n\n## The engine\n\n");
    let list = |page: &mut String, all: &[MetricInfo]| {
        let rows = all.iter().map(|info| {
            let total = if info.type_ == MetricType::Counter { "_total" } else { "" };
            let name = format!("`{prefix}_{}{total}`", info.name);
            [name, info.type_.as_str().to_owned(), info.labels.join(", "), info.doc.to_owned()]
        });
        table(page, ["metric", "type", "labels", "meaning"], rows);
    };
    list(&mut page, &metrics::ALL);
    for declaration in declarations.iter().filter(|declaration| !declaration.metrics.is_empty()) {
        page.push_str(&format!("\n## Controller {}\n\n", declaration.name));
        list(&mut page, declaration.metrics);
    }
    if !beside.is_empty() {
        page.push_str("\n## Beside the controllers\n\n");
        list(&mut page, beside);
    }
    page
}

/// The events of every controller.
pub fn events(declarations: &[Declaration]) -> String {
    let mut page = String::from(
        "# Events\n\n`kubectl describe` shows them; `kubectl get events -A --field-selector reason=…` finds them. Events about objects without a namespace \
         are in namespace `default`.\n",
    );
    for declaration in declarations.iter().filter(|declaration| !declaration.events.is_empty()) {
        page.push_str(&format!("\n## {}\n\n{}\n\n", declaration.of.info.kind, declaration.doc));
        let rows = declaration.events.iter().map(|event| {
            let type_ = if event.warning { "Warning" } else { "Normal" };
            [format!("`{}`", event.reason), type_.to_owned(), event.doc.to_owned()]
        });
        table(&mut page, ["reason", "type", "meaning"], rows);
    }
    page
}

/// What the operator may do, and for which controller.
pub fn rights(declarations: &[Declaration], own_namespace: &[KindInfo]) -> String {
    let mut page = String::from(
        "# Rights\n\nComputed from what the controllers declare: what is not declared does not compile, and what is not needed is not granted. Rights to \
         change what other people own are bound in modes `approve` and `act` only, those to end pods whose eviction is refused where somebody allows it.\n",
    );
    let mut section = |title: &str, rights: &Rights| {
        let places = [
            ("cluster", &rights.observe),
            ("cluster, not in mode `observe`", &rights.act),
            ("cluster, where pods may be forced", &rights.force),
            ("own namespace", &rights.own_namespace),
            ("own namespace, not in mode `observe`", &rights.act_in_own_namespace),
            ("namespace `default`", &rights.default_namespace),
        ];
        let rows = places.into_iter().flat_map(|(place, rules)| rules.iter().map(move |rule| row(place, rule)));
        page.push_str(&format!("\n## {title}\n\n"));
        table(&mut page, ["where", "API group", "resources", "verbs"], rows);
    };
    section("The operator as a whole", &Rights::of(declarations, own_namespace));
    for declaration in declarations {
        section(&format!("Controller {}", declaration.name), &Rights::of_one(declaration, own_namespace));
    }
    page
}

fn row(place: &str, rule: &PolicyRule) -> [String; 4] {
    let all = |list: &Option<Vec<String>>| list.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
    let group = all(&rule.api_groups);
    let group = if group.is_empty() { "core".to_owned() } else { group };
    [place.to_owned(), group, all(&rule.resources), rule.verbs.join(", ")]
}

/// Every setting.
pub fn settings(settings: &[SettingInfo]) -> String {
    let mut page = String::from(
        "# Settings\n\nThe environment is read once, at the start. A key of the dynamic ConfigMap wins over it and may change at any time; a text that holds a \
         mistake is refused whole, and the last good one stays.\n\n",
    );
    let code = |text: Option<&str>| text.map_or_else(String::new, |text| format!("`{text}`"));
    let rows = settings.iter().map(|setting| {
        [
            code(setting.env),
            code(setting.config),
            code(setting.helm),
            setting.expected(),
            setting.default.map_or_else(|| "unset".to_owned(), |default| format!("`{default}`")),
            setting.doc.to_owned(),
        ]
    });
    table(&mut page, ["environment", "dynamic config", "Helm value", "what it is", "default", "meaning"], rows);
    page
}

/// The type of a field with its limits, for people.
fn type_of(outline: &Outline, path: &str, field: &Field) -> String {
    let element = |suffix: &str| {
        let element = format!("{path}{suffix}");
        outline.fields.get(&element).map_or_else(String::new, |field| type_of(outline, &element, field))
    };
    let mut text = match field.type_.as_str() {
        "array" => format!("list of {}", element("[]")),
        "map" => format!("map of {}", element("{}")),
        "any" if field.limits.contains_key("int-or-string") => "quantity".to_owned(),
        type_ => type_.to_owned(),
    };
    let number = |limit: &str| field.limits.get(limit).map(Value::to_string);
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => text.push_str(&format!(" from {least} to {most}")),
        (Some(least), None) => text.push_str(&format!(" from {least}")),
        (None, Some(most)) => text.push_str(&format!(" to {most}")),
        (None, None) => {}
    }
    if field.limits.get("format").is_some_and(|format| format == "date-time") {
        text = "time".to_owned();
    }
    if let Some(Value::Array(words)) = field.limits.get("enum") {
        let words: Vec<String> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        text = words.join(", ");
    }
    if let Some(default) = number("default") {
        text.push_str(&format!("; default `{default}`"));
    }
    for (_, message) in &field.rules {
        text.push_str(&format!("; {message}"));
    }
    text
}

/// Appends a table to a page.
pub fn table<const N: usize>(page: &mut String, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let mut line = |cells: &[String]| page.push_str(&format!("| {} |\n", cells.join(" | ")));
    line(&head.map(str::to_owned));
    line(&head.map(|_| "---".to_owned()));
    for row in rows {
        line(&row.map(|text| cell(&text)));
    }
}

/// A text as one cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SettingType;

    #[test]
    fn a_setting_is_told_in_one_line() {
        let setting = SettingInfo {
            name: "workers",
            env: Some("WORKERS"),
            config: None,
            helm: None,
            type_: SettingType::Integer,
            default: Some("10"),
            range: Some(("1", "100")),
            doc: "How many\nwork | at once.",
        };
        let page = settings(&[setting]);
        let last = page.lines().last().expect("a line");
        assert_eq!(last, "| `WORKERS` |  |  | a whole number from 1 to 100 | `10` | How many work \\| at once. |");
    }
}
