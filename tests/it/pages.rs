//! The pages that people read: what they point at exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kentroller::api::{FailureReason, SkippedReason, failures};
use kentroller::controllers;
use kentroller_runtime::ENGINE_FAILURES;
use kentroller_runtime::engine::writer::REFUSALS;
use kentroller_tests::pages::{pages, root};

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    for page in pages(root()) {
        let text = fs::read_to_string(&page).expect("a page is text");
        for target in links(&text) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().expect("a folder").join(file) };
            let there = file.exists() && (anchor.is_empty() || anchors(&file).contains(anchor));
            if !there {
                found.push(format!("{} points at {target}", page.display()));
            }
        }
    }
    assert_eq!(found, [""; 0]);
    assert_eq!(links("[a](b.md#c) and [d](https://e) and `[f](g)`"), ["b.md#c"]);
}

/// Of what goes as it should nobody looks for a remedy.
const AS_IT_SHOULD: [&str; 9] =
    ["Checked", "Completed", "Created", "Done", "Executing", "PlanReady", "Running", "Scheduled", "Waiting"];

#[test]
fn every_reason_that_is_no_good_news_has_cause_and_remedy_under_its_own_anchor() {
    let docs = root().join("kentroller/docs");
    let mut explained = anchors(&docs.join("troubleshooting.md"));
    explained.extend(anchors(&docs.join("reference/failures.md")));
    let kinds = controllers::kinds();
    let sets = kinds.iter().filter_map(|kind| kind.conditions);
    let of_conditions = sets.flat_map(|set| set.own.iter().map(|one| one.reasons).chain([set.summary]));
    let of_conditions = of_conditions.flat_map(|reasons| reasons.iter().flat_map(|list| *list)).map(|(word, _)| *word);
    let all = controllers::all();
    let warnings = all.iter().flat_map(|one| one.declaration().events).filter(|event| event.warning);
    let ends = FailureReason::MEANINGS.iter().chain(SkippedReason::MEANINGS).map(|(word, _)| *word);
    let failures = failures::ALL.iter().chain(ENGINE_FAILURES).map(|one| one.reason);
    let reasons: BTreeSet<&str> = of_conditions
        .chain(warnings.map(|event| event.reason))
        .chain(ends)
        .chain(failures)
        .chain(REFUSALS.iter().map(|one| one.reason))
        .filter(|word| !AS_IT_SHOULD.contains(word))
        .collect();
    assert!(reasons.len() > 50, "{reasons:?}");
    let missing: Vec<&str> = reasons.into_iter().filter(|word| !explained.contains(*word)).collect();
    // Nothing is superseded so far.
    assert_eq!(missing, ["Superseded"]);
}

#[test]
fn the_book_has_every_page_and_no_link_leads_out_of_it() {
    let docs = root().join("kentroller/docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("the summary");
    let listed: BTreeSet<PathBuf> = links(&summary).into_iter().map(|target| docs.join(target)).collect();
    let (mut absent, mut outside) = (Vec::new(), Vec::new());
    for page in pages(&docs).into_iter().filter(|page| !page.ends_with("SUMMARY.md")) {
        if !listed.contains(&page) {
            absent.push(page.display().to_string());
        }
        for target in links(&fs::read_to_string(&page).expect("a page is text")) {
            let path = page.parent().expect("a folder").join(target.split('#').next().unwrap_or_default());
            // A README becomes the index of its folder, and a link to it by its name leads nowhere in the book.
            let is_in = path.canonicalize().is_ok_and(|path| path.starts_with(&docs)) && !target.contains("README");
            if !is_in {
                outside.push(format!("{} points at {target}", page.display()));
            }
        }
    }
    assert_eq!(absent, [""; 0], "add these pages to kentroller/docs/SUMMARY.md");
    assert_eq!(outside, [""; 0], "name such a file in backquotes");
}

/// Frameworks with the files in which the same controller is written.
const COUNTED: [(&str, &[&str]); 4] = [
    ("kubebuilder", &["notice.go"]),
    ("JOSDK", &["Notice.java", "notice.rights.yaml"]),
    ("kopf", &["notice.py", "notice.kopf.yaml"]),
    ("kube-rs", &["notice.rs", "notice.rights.yaml"]),
];

#[test]
fn the_lines_that_an_author_writes_are_counted_as_the_page_says() {
    let docs = root().join("kentroller/docs");
    let read = |file: &str| fs::read_to_string(docs.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let page = read("framework.md");
    let row = |name: &str| -> Vec<usize> {
        let line = page.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect("its row");
        line.split('|').skip(3).filter_map(|cell| cell.trim().parse().ok()).collect()
    };
    let tutorial = read("tutorial.md");
    let ours = ["api", "controllers"].map(|module| {
        let rest = tutorial.split_once(&format!("mod {module} {{\n")).expect("the module").1;
        let lines = rest.split("\n}\n").next().expect("its end").lines().filter(|line| !line.trim().is_empty());
        lines.partition::<Vec<&str>, _>(|line| line.trim().starts_with("use "))
    });
    let [(of_kind, kind), (of_controller, controller)] = ours.map(|(imports, rest)| (imports.len(), rest.len()));
    let counted = [of_kind + of_controller, kind, 0, controller];
    assert_eq!(row("kentroller-runtime"), [&counted[..], &[counted.iter().sum()]].concat());
    for (name, files) in COUNTED {
        let mut counted = [0; 4];
        for file in files {
            let mut part = None;
            for line in read(&format!("counterparts/{file}")).lines().filter(|line| !["", "---"].contains(&line.trim()))
            {
                match (line.split_once("count: "), part) {
                    (Some((_, of)), _) => {
                        part = ["imports", "kind", "rights", "controller"].iter().position(|one| *one == of)
                    }
                    (None, Some(part)) => counted[part] += 1,
                    (None, None) => {}
                }
            }
        }
        assert_eq!(row(name), [&counted[..], &[counted.iter().sum()]].concat(), "{name}");
    }
}

#[test]
fn the_map_matches_the_tree() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page");
    let map = page.split("## Map").nth(1).and_then(|rest| rest.split("```").nth(1)).expect("a map in a block");
    let paths = mapped(map);
    assert!(paths.len() > 60, "{paths:?}");
    let is_there = |path: &String| root().join(path).exists() || root().join(format!("{path}.rs")).exists();
    let absent: Vec<&String> = paths.iter().filter(|path| !is_there(path)).collect();
    assert_eq!(absent, Vec::<&String>::new());
    assert_eq!(
        mapped("a/\n  b/{c,d}.rs  e.rs    words\nf/<g>/   words"),
        ["a/", "a/b/c.rs", "a/b/d.rs", "a/e.rs", "f/"]
    );
}

/// The paths of a map: indented ones lie below the last one that is not; words begin after three spaces.
fn mapped(map: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut base = "";
    for line in map.lines().filter(|line| !line.trim().is_empty()) {
        let inner = line.trim_start();
        let indented = inner.len() < line.len();
        let tokens: Vec<&str> = inner.split("   ").next().unwrap_or_default().split_whitespace().collect();
        for token in &tokens {
            let whole = if indented { format!("{base}{token}") } else { (*token).to_owned() };
            paths.extend(expanded(whole.split('<').next().unwrap_or_default()));
        }
        if !indented {
            base = tokens.first().copied().unwrap_or_default();
        }
    }
    paths
}

/// `a/{b,c}.rs` as two paths.
fn expanded(path: &str) -> Vec<String> {
    let Some((start, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((words, end)) = rest.split_once('}') else { return vec![path.to_owned()] };
    words.split(',').map(|word| format!("{start}{word}{end}")).collect()
}

/// Where a page's links lead to, the ones into the web left out.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let prose = text.split("```").step_by(2).flat_map(|part| part.split('`').step_by(2));
    for part in prose {
        let targets = part.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        found.extend(targets.filter(|target| !target.starts_with("http")).map(str::to_owned));
    }
    found
}

/// The anchors of a page: its headings as forges name them, and those set by hand.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let heading = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|one| one.is_alphanumeric() || [' ', '-', '_'].contains(one));
        kept.map(|one| if one == ' ' { '-' } else { one }).collect::<String>()
    };
    let mut found: BTreeSet<String> = text.lines().filter(|line| line.starts_with('#')).map(heading).collect();
    found.extend(text.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    found
}
