//! The layers of the planner, held by the names that its sources use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kentroller_planner::manifest::marks;

use crate::architecture::{code, root, sources};

/// The rooms of the planner in order: each may name itself and those before it.
const LAYERS: [&str; 11] = [
    "manifest",
    "value",
    "rules",
    "model",
    "solution",
    "bound",
    "search",
    "waves",
    "consolidation",
    "solve",
    "planner",
];

/// Rooms beside the layers, and all that each may name.
const BESIDE: [(&str, &[&str]); 4] = [
    ("advice", &["bound", "check", "judged", "manifest", "model", "solution", "value"]),
    ("check", &["manifest", "value"]),
    ("judged", &["check", "manifest", "planner", "value"]),
    ("generate", &["manifest", "value", "rules"]),
];

#[test]
fn the_planner_is_layered_and_its_checker_knows_values_only() {
    // Each rule can fail.
    let judged = |path: &str, text: &str| judge(&[(path, text)]);
    assert_eq!(judged("value/plan.rs", "use crate::manifest::Labels;\nuse super::Money;"), [""; 0]);
    assert_eq!(
        judged("model/mod.rs", "use crate::solution::State;"),
        ["model/mod.rs names solution, which stands after it"]
    );
    assert_eq!(
        judged("waves/mod.rs", "fn of(at: crate::solve::Shares) {}"),
        ["waves/mod.rs names solve, which stands after it"]
    );
    assert_eq!(
        judged("check/budgets.rs", "use crate::rules::window;"),
        ["check/budgets.rs names rules, which it may not know"]
    );
    assert_eq!(judged("rules/pool.rs", "use crate::{Money, value};"), ["rules/pool.rs names Money of no room"]);
    assert_eq!(
        judged("rules/pool.rs", "use super::super::model::Model;"),
        ["rules/pool.rs names a room by super::super"]
    );
    assert_eq!(judged("rules/mod.rs", "use super::waves::Waves;"), ["rules/mod.rs names waves, which stands after it"]);
    assert_eq!(judged("helpers.rs", ""), ["helpers.rs: there is no layer helpers"]);
    assert_eq!(
        judged(
            "search/mod.rs",
            "// use crate::planner\nuse crate::bound::bound;\n#[cfg(test)]\nuse crate::planner::plan;"
        ),
        [""; 0]
    );

    let folder = root().join("kentroller/planner/src");
    let read: Vec<(String, String)> = sources(&folder)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&folder).expect("below the folder").to_str().expect("UTF-8").to_owned();
            (name, fs::read_to_string(&path).expect("a source file is text"))
        })
        .filter(|(name, _)| name != "lib.rs" && !name.starts_with("check/tests/"))
        .collect();
    let files: Vec<(&str, &str)> = read.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let found = judge(&files);
    assert!(found.is_empty(), "see ARCHITECTURE.md:\n{}", found.join("\n"));
    let rooms: BTreeSet<&str> = files.iter().map(|(name, _)| room(name)).collect();
    let listed: BTreeSet<&str> = LAYERS.into_iter().chain(BESIDE.map(|(name, _)| name)).collect();
    assert_eq!(rooms, listed, "the rooms of the planner");
}

#[test]
fn a_key_of_a_label_annotation_or_taint_stands_in_one_file_of_the_planner() {
    // The rule can fail, and leaves alone what is no key.
    assert_eq!(keys("labels.get(\"karpenter.sh/nodepool\")"), ["karpenter.sh/nodepool"]);
    assert_eq!(keys("format!(\"it says kubernetes.io/os: {os}\")"), ["kubernetes.io/os"]);
    assert_eq!(keys("\"ToBeDeletedByClusterAutoscaler\""), ["ToBeDeletedByClusterAutoscaler"]);
    for no_key in ["\"policy/v1\", \"storage.k8s.io/v1\"", "include_str!(\"../../catalog/ec2.csv\")", "// a.b/c"] {
        assert_eq!(keys(no_key), [""; 0], "{no_key}");
    }

    let folder = root().join("kentroller/planner/src");
    let mut found = Vec::new();
    for path in sources(&folder) {
        let name = path.strip_prefix(&folder).expect("below the folder").to_str().expect("UTF-8").to_owned();
        // Clusters for tests are written as a person would write them.
        let is_for_tests = name.starts_with("check/tests/") || name.starts_with("generate/");
        if name == "manifest/marks.rs" || is_for_tests {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file is text");
        found.extend(keys(&text).into_iter().map(|key| format!("{name}: {key}")));
    }
    assert!(found.is_empty(), "declare these in manifest/marks.rs and use the constants:\n{}", found.join("\n"));
}

/// The keys in the literals of a source, its tests and comments left out: a domain, a slash and a name; or a word that
/// stands alone among the declared ones.
fn keys(text: &str) -> Vec<String> {
    let in_key = |one: char| one.is_ascii_alphanumeric() || ".-_/".contains(one);
    let is_key = |word: &str| match word.split_once('/') {
        Some((domain, name)) => {
            let is_domain = domain.contains('.') && domain.starts_with(|one: char| one.is_ascii_lowercase());
            is_domain && name.starts_with(|one: char| one.is_ascii_alphabetic()) && !name.starts_with("v1")
        }
        None => marks::ALL.iter().any(|mark| mark.key == word),
    };
    let literals = code(text).flat_map(|line| line.split('"').skip(1).step_by(2));
    literals.flat_map(|text| text.split(|one| !in_key(one))).filter(|word| is_key(word)).map(str::to_owned).collect()
}

/// What breaks the layers.
fn judge(files: &[(&str, &str)]) -> Vec<String> {
    let mut found = BTreeSet::new();
    let order: BTreeMap<&str, usize> = LAYERS.into_iter().zip(0..).collect();
    for (path, text) in files {
        let own = room(path);
        let beside = BESIDE.iter().find(|(name, _)| *name == own).map(|(_, may)| *may);
        if beside.is_none() && !order.contains_key(own) {
            found.insert(format!("{path}: there is no layer {own}"));
            continue;
        }
        for name in named(path, text) {
            let is_room = order.contains_key(name.as_str()) || BESIDE.iter().any(|(room, _)| *room == name);
            if !is_room {
                found.insert(format!("{path} names {name} of no room"));
            } else if name != own && beside.is_some_and(|may| !may.contains(&name.as_str())) {
                found.insert(format!("{path} names {name}, which it may not know"));
            } else if beside.is_none() && order.get(name.as_str()).is_none_or(|other| *other > order[own]) {
                found.insert(format!("{path} names {name}, which stands after it"));
            }
        }
        if code(text).any(|line| line.contains("super::super")) {
            found.insert(format!("{path} names a room by super::super"));
        }
    }
    found.into_iter().collect()
}

/// What a source names right below the crate.
fn named(path: &str, text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|one| one.is_alphanumeric() || *one == '_').collect::<String>();
    let mut names = BTreeSet::new();
    let text = code(text).collect::<Vec<_>>().join("\n");
    // Whose parent is the crate names rooms by `super` as well.
    let is_top = path.ends_with("/mod.rs") && path.matches('/').count() == 1 || !path.contains('/');
    let by_parent = text.split("super::").skip(1).filter(|_| is_top);
    for rest in text.split("crate::").skip(1).chain(by_parent) {
        match rest.strip_prefix('{') {
            None => names.insert(word(rest)),
            Some(list) => {
                // One level: what is nested belongs to the room named before it.
                let mut depth = 0;
                for (at, one) in list.char_indices() {
                    match one {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        _ if depth == 0 && (at == 0 || list[..at].trim_end().ends_with(',')) => {
                            names.insert(word(&list[at..]));
                        }
                        _ => {}
                    }
                }
                names.remove("")
            }
        };
    }
    names
}

/// The room that a source is in.
fn room(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}
