//! The pages that people read: what they point at exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kentroller::api::{FailureReason, SkippedReason};

use crate::architecture::root;

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    for page in pages() {
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

#[test]
fn every_reason_of_an_end_is_explained_under_its_own_anchor() {
    let failures = anchors(&root().join("kentroller/docs/reference/failures.md"));
    let symptoms = anchors(&root().join("kentroller/docs/troubleshooting.md"));
    let missing = |words: &[(&'static str, &'static str)], anchors: &BTreeSet<String>| -> Vec<&str> {
        words.iter().map(|(word, _)| *word).filter(|word| !anchors.contains(*word)).collect()
    };
    assert_eq!(missing(FailureReason::MEANINGS, &failures), [""; 0]);
    // Nothing is superseded so far.
    assert_eq!(missing(SkippedReason::MEANINGS, &symptoms), ["Superseded"]);
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

/// All pages in Markdown that this project wrote.
fn pages() -> Vec<PathBuf> {
    let docs = root().join("kentroller/docs");
    let mut all = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    for folder in [docs.clone(), docs.join("reference"), docs.join("decisions")] {
        let entries = fs::read_dir(folder).expect("the folder can be read");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        all.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    all
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
