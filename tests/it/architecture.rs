//! Who may know whom: between crates by `cargo metadata`, within the product by the names that source files use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use kentroller_tests::pages::root;
use serde_json::Value;

/// Crates that a crate of ours must not depend on; a `*` at the end stands for any rest. Ours are meant directly, others
/// through whatever dependency.
const CRATES: [(&str, &[&str]); 8] = [
    ("kentroller-planner", &["kube*", "k8s-openapi", "tokio*", "hyper*", "http", "reqwest", "kentroller*", "aws-*"]),
    ("kentroller-macros", &["kube*", "k8s-openapi", "schemars", "garde", "tokio*", "kentroller*"]),
    (
        "kentroller-runtime",
        &["kentroller-planner", "kentroller", "kentroller-world", "kentroller-tests", "aws-*", "croner"],
    ),
    ("kentroller-world", &["kentroller", "kentroller-tests", "aws-*", "croner"]),
    // Requests to EC2 are made by hand: its crate takes 7 GB of memory to compile.
    (
        "kentroller-aws",
        &["kube*", "kentroller", "kentroller-runtime", "kentroller-world", "aws-sdk-ec2", "aws-lc*", "openssl"],
    ),
    ("kentroller-rpc", &["kube*", "k8s-openapi", "kentroller*", "aws-*", "aws-lc*", "openssl"]),
    ("kentroller", &["kentroller-tests"]),
    // What an operator of others needs is in the runtime.
    ("idle-reaper", &["kentroller-macros", "kentroller-planner", "kentroller-world", "kentroller", "kentroller-tests"]),
];

/// Modules of the product and the other modules that each may name.
const MODULES: [(&str, &[&str]); 11] = [
    ("api", &[]),
    ("cron", &[]),
    ("settings", &["api"]),
    ("prices", &[]),
    ("report", &[]),
    ("backend", &["api", "prices"]),
    ("controllers", &["api", "backend", "cron", "settings"]),
    ("simulation", &["api", "backend", "controllers", "settings"]),
    ("cli", &["api", "backend", "chart", "controllers", "prices", "report", "settings", "simulation"]),
    ("chart", &["api", "settings"]),
    ("bin", &["api", "backend", "chart", "controllers", "prices", "settings"]),
];

/// What the world may name of the planner: manifests and amounts, and none of the rules by which we decide.
const NAMED_BY_THE_WORLD: &[&str] = &["manifest", "Money", "Quantity"];

/// Words that must not stand in the sources below a path, but for the files listed, and why.
const WORDS: [Ban; 9] = [
    Ban {
        below: "kentroller/src",
        words: &["Method::POST", "Method::PUT", "Method::PATCH", "Method::DELETE", "PostParams", "PatchParams"],
        but: &["cli/approve.rs"],
        why: "nobody writes past the engine, but a person by the command line",
    },
    Ban {
        below: "kentroller/src/controllers",
        words: &["kube::", "tokio::", "async ", ".await", "std::fs", "std::env", "Timestamp::now", "Instant::now"],
        but: &[],
        why: "a controller is a pure function on values",
    },
    Ban {
        below: "kentroller/src/api",
        words: &["kube::Client", "kube::Api", "kube::client", "tokio::", "async ", "std::fs", "std::env"],
        // Compiled for tests only.
        but: &["sources.rs"],
        why: "kinds are values",
    },
    Ban {
        below: "kentroller/src/backend",
        words: &["kube::", "tokio::"],
        but: &[],
        why: "fillers of ports get a cut and give an answer",
    },
    Ban {
        below: "kentroller-runtime/src",
        words: &["kube::Client", ".request(", ".request::<", ".request_events", "kube::Api"],
        but: &["engine/writer.rs", "store/watch.rs", "lease.rs", "operator/run.rs", "wire.rs", "simulation/"],
        why: "only the engine's writer, the watches and the lease speak with the API server",
    },
    Ban {
        below: "kentroller-runtime/src",
        words: &["Method::POST", "Method::PUT", "Method::PATCH", "Method::DELETE", "PostParams", "PatchParams"],
        but: &["wire.rs", "simulation/"],
        why: "requests are made in one place",
    },
    Ban {
        below: "kentroller-runtime/src",
        words: &["wire::post", "wire::put", "wire::merge", "wire::delete"],
        but: &["engine/writer.rs", "lease.rs"],
        why: "only the engine's writer and the lease write",
    },
    Ban {
        below: "kentroller/planner/src",
        words: &[
            "std::fs",
            "std::env",
            "std::net",
            "std::thread",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "async ",
        ],
        but: &[],
        why: "the planner knows values only: no clock, no input, no output",
    },
    Ban {
        below: "kentroller/world/src",
        words: &[".matches(", ".admits(", ".expression()", "Quantity::parse", "Money::parse"],
        but: &[],
        why: "the world reads and compares for itself",
    },
];

struct Ban {
    below: &'static str,
    words: &'static [&'static str],
    but: &'static [&'static str],
    why: &'static str,
}

#[test]
fn everybody_knows_only_whom_they_may() {
    // Each rule can fail.
    let graph = BTreeMap::from([
        ("kentroller-planner".to_owned(), vec!["serde".to_owned(), "between".to_owned()]),
        ("between".to_owned(), vec!["tokio-util".to_owned()]),
    ]);
    assert_eq!(crates(&graph), ["kentroller-planner must not depend on tokio-util"]);
    assert_eq!(
        modules("kentroller/src/api/plan.rs", "use crate::backend::Plans;"),
        ["kentroller/src/api/plan.rs names crate::backend"]
    );
    assert_eq!(modules("kentroller/src/cli/mod.rs", "let all = crate::controllers::all();"), [""; 0]);
    let bad = "use kentroller_planner::{Money, planner::plan};\nlet fits = kentroller_planner::rules::fits(pod);";
    assert_eq!(
        named_by_the_world("kentroller/world/src/room.rs", bad),
        ["planner", "rules"].map(|name| format!("kentroller/world/src/room.rs names kentroller_planner::{name}"))
    );
    let bad = "use std::sync::Arc;\nlet client: kube::Client = given;\n// kube::Client in a comment";
    assert_eq!(words("kentroller/src/controllers/plan.rs", bad).len(), 1);
    assert_eq!(words("kentroller-runtime/src/guard.rs", "client.request(Method::POST)").len(), 2);
    assert_eq!(words("kentroller-runtime/src/guard.rs", "let request = wire::put(path, body);").len(), 1);
    assert_eq!(words("kentroller-runtime/src/lease.rs", "client.request(wire::put(path, body))"), [""; 0]);

    let mut found = crates(&dependencies());
    let mut read = 0;
    for folder in ["kentroller/src", "kentroller-runtime/src", "kentroller/planner/src", "kentroller/world/src"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("a source file is text");
            let name = path.strip_prefix(root()).expect("below the root").to_str().expect("UTF-8").to_owned();
            found.extend(modules(&name, &text));
            found.extend(words(&name, &text));
            found.extend(named_by_the_world(&name, &text));
            read += 1;
        }
    }
    assert!(read > 100, "only {read} source files were found");
    assert!(found.is_empty(), "see ARCHITECTURE.md:\n{}", found.join("\n"));
}

/// What crates depend on against the rules. What is ours is not followed: its own rule is checked.
fn crates(graph: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, banned) in CRATES {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&String> = graph.get(name).into_iter().flatten().collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) && !next.starts_with("kentroller") {
                open.extend(graph.get(next).into_iter().flatten());
            }
        }
        let is_banned = |one: &str| {
            banned.iter().any(|banned| banned.strip_suffix('*').map_or(one == *banned, |start| one.starts_with(start)))
        };
        let broken = reached.into_iter().filter(|one| is_banned(one));
        found.extend(broken.map(|one| format!("{name} must not depend on {one}")));
    }
    found
}

/// The modules that a source file of the product names against the rules.
fn modules(path: &str, text: &str) -> Vec<String> {
    let Some(inner) = path.strip_prefix("kentroller/src/") else { return Vec::new() };
    let module = inner.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let Some((_, may)) = MODULES.iter().find(|(name, _)| *name == module) else {
        let root = ["lib", "main"].contains(&module);
        return if root { Vec::new() } else { vec![format!("{path}: module {module} has no rule here")] };
    };
    let mut found = BTreeSet::new();
    for line in code(text) {
        for start in ["crate::", "kentroller::"] {
            for rest in line.split(start).skip(1) {
                let named: String = rest.chars().take_while(|one| one.is_alphanumeric() || *one == '_').collect();
                let other = MODULES.iter().any(|(name, _)| *name == named);
                if other && named != module && !may.contains(&named.as_str()) {
                    found.insert(format!("{path} names {start}{named}"));
                }
            }
        }
    }
    found.into_iter().collect()
}

/// What a source file of the world names of the planner against the rule.
fn named_by_the_world(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("kentroller/world/src/") || path.ends_with("tests.rs") {
        return Vec::new();
    }
    let code = code(text).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for rest in code.split("kentroller_planner::").skip(1) {
        let group = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(group, _)| group);
        let one = rest.split(|one: char| !one.is_alphanumeric() && one != '_').next().unwrap_or_default();
        let names = group.map_or(vec![one], |group| group.split(',').map(str::trim).collect());
        let names = names.into_iter().map(|name| name.split("::").next().unwrap_or_default());
        let banned = names.filter(|name| !name.is_empty() && !NAMED_BY_THE_WORLD.contains(name));
        found.extend(banned.map(|name| format!("{path} names kentroller_planner::{name}")));
    }
    found.into_iter().collect()
}

/// The words of a source file that must not stand there.
fn words(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for ban in WORDS {
        let Some(inner) = path.strip_prefix(ban.below) else { continue };
        let inner = inner.trim_start_matches('/');
        if ban.but.iter().any(|but| inner.starts_with(but)) || inner.ends_with("tests.rs") || inner.contains("tests/") {
            continue;
        }
        for (number, line) in code(text).enumerate() {
            let words = ban.words.iter().filter(|word| line.contains(**word));
            found.extend(words.map(|word| format!("{path}: {word:?} (code line {}): {}", number + 1, ban.why)));
        }
    }
    found
}

/// Lines without comments, as far as the unit tests at the end of a file.
pub(crate) fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    lines.filter(|line| !line.trim_start().starts_with("//"))
}

/// Names of crates by the crate that depends on them, for building and running; tests may know more.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let told = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version=1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo can be started");
    assert!(told.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&told.stderr));
    let metadata: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).iter().map(|one| (word(&one["id"]), word(&one["name"]))).collect();
    let mut graph: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let built = list(&node["deps"])
            .into_iter()
            .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev"));
        let built: Vec<String> = built.map(|dep| names[&word(&dep["pkg"])].clone()).collect();
        graph.entry(names[&word(&node["id"])].clone()).or_default().extend(built);
    }
    for (name, _) in CRATES {
        assert!(graph.contains_key(name), "there is no crate {name}");
    }
    graph
}

/// All Rust files below a folder.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
