//! The page that says which test shows which promise is true: every promise has its row, and every test that it names exists.

use std::collections::BTreeSet;
use std::fs;

use crate::architecture::{root, sources};

/// Where tests are, and the first words of their names.
const PLACES: [(&str, &str); 14] = [
    ("tests/it", "it"),
    ("tests/e2e", "e2e"),
    ("tests/charts", "charts"),
    ("kentroller-runtime/tests", "runtime"),
    ("kentroller-runtime/src", "runtime"),
    ("kentroller-macros/src", "macros"),
    ("kentroller/aws/tests", "aws"),
    ("kentroller/aws/src", "aws"),
    ("kentroller/rpc/tests", "rpc"),
    ("kentroller/rpc/src", "rpc"),
    ("kentroller/planner/tests", "planner"),
    ("kentroller/planner/src", "planner"),
    ("kentroller/src", "kentroller"),
    ("kentroller/tests", "kentroller"),
];

#[test]
fn every_promise_has_a_row_and_every_listed_test_exists() {
    let page = read("kentroller/docs/reference/features.md");
    let ids = read("tests/contract/feature-ids.txt");
    let wanted: BTreeSet<&str> = ids.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(wanted.len() > 100, "{} ids", wanted.len());
    assert_eq!(mistakes(&page, &wanted, &tests()), [""; 0]);
}

#[test]
fn a_missing_row_a_row_too_much_and_a_test_that_is_not_there_are_found() {
    let known = BTreeSet::from(["it::a::b".to_owned()]);
    let check =
        |page: &str, want: &[&str]| assert_eq!(mistakes(page, &BTreeSet::from(["SCH-1"]), &known), want, "{page}");
    check("| SCH-1 | a promise | `it::a::b` | |", &[]);
    check("| SCH-1 | a promise | - | nothing |", &[]);
    check("| SCH-1 | a promise | | |", &["SCH-1 names no test; write - if there is none"]);
    check("| SCH-1 | a promise | `it::a::c` | |", &["SCH-1 names it::a::c, which does not exist"]);
    check("| SCH-2 | a promise | - | |", &["SCH-2 is no id of the contract", "SCH-1 has no row"]);
    check("| SCH-1 | a | - | |\n| SCH-1 | b | - | |", &["SCH-1 has two rows"]);
    let text = "#[tokio::test(start_paused = true)]\nasync fn one() {}\nfn two() {}\n    #[test]\n    #[should_panic]\n    fn three() {}";
    assert_eq!(named(text), ["one", "three"]);
}

fn mistakes(page: &str, wanted: &BTreeSet<&str>, known: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut rows = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (id, listed) = (cells[1], cells.get(3).copied().unwrap_or_default());
        if ["id", "---"].contains(&id) {
            continue;
        }
        if !wanted.contains(id) {
            found.push(format!("{id} is no id of the contract"));
        } else if !rows.insert(id) {
            found.push(format!("{id} has two rows"));
        }
        let tests: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() && listed != "-" {
            found.push(format!("{id} names no test; write - if there is none"));
        }
        let absent = tests.into_iter().filter(|test| !known.contains(*test));
        found.extend(absent.map(|test| format!("{id} names {test}, which does not exist")));
    }
    found.extend(wanted.difference(&rows).map(|id| format!("{id} has no row")));
    found
}

/// All tests of the workspace, by crate or folder, file and name.
fn tests() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (folder, first) in PLACES {
        for path in sources(&root().join(folder)) {
            let inner = path.strip_prefix(root().join(folder)).expect("below the folder").with_extension("");
            let parts = inner.iter().map(|part| part.to_str().expect("UTF-8"));
            let parts: Vec<&str> = parts.filter(|part| !["mod", "tests", "lib", "main"].contains(part)).collect();
            let text = fs::read_to_string(&path).expect("a source file is text");
            for name in named(&text) {
                let whole: Vec<&str> =
                    std::iter::once(first).chain(parts.iter().copied()).chain([name.as_str()]).collect();
                all.insert(whole.join("::"));
            }
        }
    }
    if read("kentroller/src/lib.rs").contains("include_str!(\"../docs/tutorial.md\")") {
        all.insert("kentroller::Tutorial".to_owned());
    }
    all
}

/// The names of the functions below a test attribute.
fn named(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
            if is_test {
                names.extend(rest.split('(').next().map(str::to_owned));
            }
            is_test = false;
        }
    }
    names
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
