//! A new kind with its controller: two files that are green as they stand, and the lines that register them.

use std::collections::BTreeMap;

const KIND: &str = include_str!("scaffold/kind.rs.txt");
const CONTROLLER: &str = include_str!("scaffold/controller.rs.txt");

/// The files of a new kind by their path below the sources of a crate, from the files `api/mod.rs` and `controllers/mod.rs`
/// as they are.
///
/// # Errors
/// A kind that is no word in PascalCase or is there already, or a list that has no place for it; with what to do.
pub fn of_kind(kind: &str, api: &str, controllers: &str) -> Result<BTreeMap<String, String>, String> {
    let pascal = kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind.chars().all(|letter| letter.is_ascii_alphanumeric());
    if !pascal {
        return Err(format!("`{kind}` is no word in PascalCase, such as `IdleReaper`"));
    }
    let module = snake(kind);
    if api.contains(&format!("mod {module};")) {
        return Err(format!("`mod {module};` stands in api/mod.rs already"));
    }
    let plural = plural(&kind.to_lowercase());
    let controller = match kind.ends_with('s') {
        true => format!("{kind}Controller"),
        false => format!("{kind}s"),
    };
    let said = |text: &str| {
        let text =
            text.replace("WidgetKinds", &controller).replace("WidgetKind", kind).replace("WIDGET_PLURAL", &plural);
        match plural == format!("{}s", kind.to_lowercase()) {
            true => text,
            false => text.replace(
                &format!("    kind = \"{kind}\",\n"),
                &format!("    kind = \"{kind}\",\n    plural = \"{plural}\",\n"),
            ),
        }
    };
    let names = format!("pub use self::{module}::{{{kind}, {kind}Condition, {kind}Spec, {kind}Status}};");
    let api = in_order(api, "mod ", &format!("mod {module};"))?;
    let api = in_order(&api, "pub use self::", &names)?;
    let controllers = in_order(controllers, "mod ", &format!("mod {module};"))?;
    let last = controllers.rfind("reconciler::<").ok_or("controllers/mod.rs has no list with `reconciler::<…>()`")?;
    let end = last + controllers[last..].find('\n').ok_or("the list of controllers does not end")? + 1;
    let line = format!("        reconciler::<{module}::{controller}>(),\n");
    let controllers = [&controllers[..end], &line, &controllers[end..]].concat();
    Ok(BTreeMap::from([
        (format!("api/{module}.rs"), said(KIND)),
        (format!("controllers/{module}.rs"), said(CONTROLLER)),
        ("api/mod.rs".to_owned(), api),
        ("controllers/mod.rs".to_owned(), controllers),
    ]))
}

/// The text with a statement put among those that begin alike, in the order in which rustfmt keeps them: a `pub` before one
/// does not count.
fn in_order(text: &str, beginning: &str, statement: &str) -> Result<String, String> {
    let mut at = 0;
    let alike: Vec<(usize, &str)> = text
        .split_inclusive('\n')
        .filter_map(|line| {
            let place = at;
            at += line.len();
            let bare = if beginning.starts_with("pub ") { line } else { line.strip_prefix("pub ").unwrap_or(line) };
            bare.starts_with(beginning).then_some((place, bare))
        })
        .collect();
    let before = alike.iter().find(|(_, line)| *line > statement).map(|(place, _)| *place);
    let after = || {
        let (last, _) = *alike.last()?;
        Some(last + text[last..].find(";\n")? + 2)
    };
    let place = before.or_else(after).ok_or_else(|| format!("there is no line that begins with `{beginning}`"))?;
    Ok([&text[..place], statement, "\n", &text[place..]].concat())
}

fn snake(kind: &str) -> String {
    let mut snake = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// As kubectl's own tools guess it.
fn plural(lower: &str) -> String {
    match lower {
        _ if lower.ends_with(['s', 'x']) || lower.ends_with("ch") || lower.ends_with("sh") => format!("{lower}es"),
        _ if lower.ends_with('y') && !lower.ends_with("ey") && !lower.ends_with("ay") => {
            format!("{}ies", &lower[..lower.len() - 1])
        }
        _ => format!("{lower}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: &str = "//! Kinds.\n\nmod claim;\npub mod notes;\nmod plan;\n\npub use self::claim::{\n    Claim, ClaimSpec,\n};\npub use self::plan::Plan;\n";
    const LIST: &str = "mod claim;\n\npub fn all() {\n    vec![\n        reconciler::<claim::Claims>(),\n    ]\n}\n";

    #[test]
    fn a_new_kind_stands_in_its_place_among_the_others() {
        let files = of_kind("NodeParty", API, LIST).expect("it is new");
        assert_eq!(
            files["api/mod.rs"],
            "//! Kinds.\n\nmod claim;\nmod node_party;\npub mod notes;\nmod plan;\n\npub use self::claim::{\n    Claim, ClaimSpec,\n};\n\
             pub use self::node_party::{NodeParty, NodePartyCondition, NodePartySpec, NodePartyStatus};\npub use self::plan::Plan;\n"
        );
        assert!(files["controllers/mod.rs"].contains(
            "        reconciler::<claim::Claims>(),\n        reconciler::<node_party::NodePartys>(),\n    ]"
        ));
        assert!(files["controllers/mod.rs"].starts_with("mod claim;\nmod node_party;\n"));
        assert!(files["api/node_party.rs"].contains("    kind = \"NodeParty\",\n    plural = \"nodeparties\",\n"));
        assert!(files.values().all(|text| !text.contains("Widget") && !text.contains("WIDGET")));
    }

    #[test]
    fn a_kind_that_is_there_and_a_name_that_is_none_are_refused() {
        let why = |kind: &str| of_kind(kind, API, LIST).expect_err("refused");
        assert_eq!(why("Plan"), "`mod plan;` stands in api/mod.rs already");
        assert_eq!(why("node party"), "`node party` is no word in PascalCase, such as `IdleReaper`");
    }
}
