//! What is declared and never used: kinds that a controller never looks at, a watch, memory and rights for nothing; conditions
//! that nobody sets. Only their sources can tell.

use crate::declaration::Declaration;

/// The kinds in `reads(…)`, `watches(…)` and `owns(…)` of each `#[controller]` in these sources that nothing else in them
/// names, one line each. The sources of a controller are its file and all below its folder.
pub fn reads(sources: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut rest = String::new();
    let mut declared: Vec<(String, String)> = Vec::new();
    let mut at = sources;
    while let Some(begin) = at.find("#[controller(") {
        let (before, from) = at.split_at(begin);
        let words = inside(&from["#[controller".len()..]);
        let after = &from["#[controller".len() + words.len() + 2..];
        let name =
            after.split("struct ").nth(1).and_then(|text| text.split([';', ' ', '<']).next()).unwrap_or_default();
        for list in ["reads(", "watches(", "owns("] {
            let Some(start) = words.find(list) else { continue };
            let kinds = inside(&words[start + list.len() - 1..]);
            let kind = |word: &str| word.split([':', '=']).next().unwrap_or_default().trim().to_owned();
            // A path keeps its last name: the part before a verb or a map.
            let last =
                |word: &str| kind(&word.replace("::", "\u{0}")).rsplit('\u{0}').next().unwrap_or_default().to_owned();
            declared
                .extend(kinds.split(',').map(last).filter(|kind| !kind.is_empty()).map(|kind| (name.to_owned(), kind)));
        }
        rest.push_str(before);
        at = after;
    }
    rest.push_str(at);
    let code: Vec<&str> = statements(&rest);
    for (controller, kind) in declared {
        if !code.iter().any(|line| names(line, &kind)) {
            mistakes.push(format!(
                "{controller} declares that it reads {kind} and never does; leave it out of its #[controller(…)]"
            ));
        }
    }
    mistakes
}

/// The conditions of the reconciled kinds that nothing in the sources of all controllers names, one line each.
pub fn conditions(declarations: &[Declaration], sources: &str) -> Vec<String> {
    let code = statements(sources);
    let mut mistakes = Vec::new();
    for of in declarations.iter().map(|declaration| &declaration.of) {
        for condition in of.conditions.iter().flat_map(|set| set.own) {
            if !code.iter().any(|line| names(line, condition.name)) {
                mistakes.push(format!(
                    "{} declares condition {} and no controller ever sets it; say it with `out.condition(…)`, or leave it out",
                    of.info.kind, condition.name
                ));
            }
        }
    }
    mistakes
}

/// What stands between a parenthesis at the beginning and the one that closes it.
fn inside(text: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => return &text[1..at],
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.get(1..).unwrap_or_default()
}

/// The lines that are neither a comment nor part of a `use`.
fn statements(text: &str) -> Vec<&str> {
    let mut of_use = false;
    let mut code = Vec::new();
    for line in text.lines() {
        let start = line.trim_start();
        of_use |= start.starts_with("use ") || start.starts_with("pub use ");
        if !of_use && !start.starts_with("//") {
            code.push(line);
        }
        of_use &= !line.trim_end().ends_with(';');
    }
    code
}

fn names(line: &str, word: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_declared_and_never_looked_at_is_told() {
        let source = "use crate::{Node, Pod};\n/// Of pods and a Secret.\n#[controller(of = Claim, reads(Node, api::Secret),\n    \
            watches(Pod => all), owns(Config: create))]\npub struct Claims;\nfn all(_: &Change<'_, Pod>) {}\n\
            fn look(world: &World) { world.all::<Node>(); out.create(&Config {}) }\n";
        assert_eq!(
            reads(source),
            ["Claims declares that it reads Secret and never does; leave it out of its #[controller(…)]"]
        );
        let without = source.replace("api::Secret", "").replace("out.create(&Config {})", "");
        assert_eq!(
            reads(&without),
            ["Claims declares that it reads Config and never does; leave it out of its #[controller(…)]"]
        );
    }
}
