//! Situations that people have reported in public, each as a small dump with what is right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use serde::Deserialize;

use super::{PlanArguments, Trouble};
use crate::report::Report;

/// What is right for a file. What is not said does not matter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Right {
    file: String,
    /// The situation, why that is right, and where it was reported: for people.
    #[serde(default, rename = "situation")]
    _situation: String,
    #[serde(default, rename = "right")]
    _right: String,
    #[serde(default, rename = "after")]
    _after: String,
    /// It is refused, with these words.
    #[serde(default)]
    refused: Vec<String>,
    /// All nodes that go.
    gone: Option<BTreeSet<String>>,
    /// Exactly one of these goes.
    #[serde(default)]
    goes_one_of: Vec<String>,
    #[serde(default)]
    some_go: bool,
    /// All types that are bought.
    buys: Option<Vec<String>>,
    /// How their names begin.
    #[serde(default)]
    buys_only: Vec<String>,
    /// No new node is given more pods than this, those of DaemonSets included.
    most_pods: Option<usize>,
    /// An order leaves so many families to choose from.
    families: Option<usize>,
    /// By node that stays: the reason, and words of its detail.
    #[serde(default)]
    stays: BTreeMap<String, String>,
    #[serde(default)]
    details: BTreeMap<String, String>,
    /// No pod holds these.
    #[serde(default)]
    not_blocked: Vec<String>,
    /// Words of warnings.
    #[serde(default)]
    warns: Vec<String>,
    /// Nodes whose price is not known; no percentage is told then.
    #[serde(default)]
    unpriced: Vec<String>,
    /// Nodes and pods of the workload.
    read: Option<(usize, usize)>,
}

#[derive(Parser)]
pub(super) struct Program {
    #[command(flatten)]
    pub(super) plan: PlanArguments,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("planner/tests/cases")
}

/// What `kentroller plan` makes of a file.
fn outcome(file: &str) -> Result<Report, String> {
    let path = folder().join(file).display().to_string();
    let asked = Program::try_parse_from(["plan", "-f", &path, "--steps", "400"]).expect("sound arguments");
    match asked.plan.made(Instant::now()) {
        Ok((report, _, _)) => Ok(report),
        Err(Trouble::Input(message)) => Err(message),
        Err(other) => panic!("{file}: {other:?}"),
    }
}

/// What is wrong about an outcome.
fn wrong(right: &Right, outcome: Result<Report, String>) -> Vec<String> {
    let report = match outcome {
        Err(message) if right.refused.is_empty() => return vec![format!("is refused: {message}")],
        Err(message) => {
            let missing = right.refused.iter().filter(|word| !message.contains(*word));
            let nameless = (!message.contains(&right.file)).then(|| format!("names no file: {message}"));
            return missing.map(|word| format!("no `{word}` in: {message}")).chain(nameless).collect();
        }
        Ok(_) if !right.refused.is_empty() => return vec!["is not refused".to_owned()],
        Ok(report) => report,
    };
    let mut wrong = Vec::new();
    let mut must = |holds: bool, text: String| {
        if !holds {
            wrong.push(text);
        }
    };
    let gone: BTreeSet<String> = report.waves.iter().flat_map(|wave| wave.remove.clone()).collect();
    let bought = || report.waves.iter().flat_map(|wave| &wave.add);
    let types: Vec<String> = bought().map(|new| new.instance_type.clone()).collect();
    let kept_for: Vec<_> = report.kept.iter().map(|kept| (&kept.node, &kept.reason, &kept.detail)).collect();
    must(right.gone.as_ref().is_none_or(|wanted| *wanted == gone), format!("{gone:?} go; {kept_for:?}"));
    if !right.goes_one_of.is_empty() {
        must(gone.len() == 1 && gone.iter().all(|name| right.goes_one_of.contains(name)), format!("{gone:?} go"));
    }
    must(!right.some_go || !gone.is_empty(), "nothing goes".to_owned());
    must(right.buys.as_ref().is_none_or(|wanted| *wanted == types), format!("buys {types:?}"));
    if !right.buys_only.is_empty() {
        let all = bought()
            .flat_map(|new| new.alternatives.iter().map(|other| &other.instance_type).chain([&new.instance_type]));
        let others: Vec<&String> =
            all.filter(|name| !right.buys_only.iter().any(|start| name.starts_with(start))).collect();
        must(others.is_empty(), format!("buys {others:?}"));
    }
    for new in bought() {
        let moves = report.waves.iter().flat_map(|wave| &wave.moves).filter(|step| step.to == new.name).count();
        must(right.most_pods.is_none_or(|most| moves < most), format!("{} pods on {}", moves + 1, new.instance_type));
        let names = new.alternatives.iter().map(|other| &other.instance_type).chain([&new.instance_type]);
        let families: BTreeSet<&str> = names.filter_map(|name| name.split('.').next()).collect();
        must(right.families.is_none_or(|least| families.len() >= least), format!("only {families:?} to choose from"));
    }
    let kept = |name: &String| report.kept.iter().find(|kept| kept.node == *name);
    for (name, reason) in &right.stays {
        let told = kept(name).map(|kept| kept.reason.as_str());
        must(told == Some(reason), format!("{name} stays for {told:?}, not {reason}"));
    }
    for (name, words) in &right.details {
        let told = kept(name).map(|kept| kept.detail.as_str());
        must(told.is_some_and(|told| told.contains(words)), format!("{name}: no `{words}` in {told:?}"));
    }
    for name in &right.not_blocked {
        let blockers = kept(name).map_or(0, |kept| kept.blockers.len());
        must(blockers == 0, format!("{blockers} pods hold {name}"));
    }
    let warnings = &report.snapshot.warnings;
    for word in &right.warns {
        must(warnings.iter().any(|one| one.contains(word)), format!("no `{word}` in {warnings:?}"));
    }
    must(right.unpriced == report.cost.unpriced, format!("without a price: {:?}", report.cost.unpriced));
    let told = report.cost.savings_percent.is_some() || report.cost.gap_percent.is_some();
    must(right.unpriced.is_empty() || !told, "a percentage over what is not known".to_owned());
    let read = (report.snapshot.nodes, report.snapshot.pods);
    must(right.read.is_none_or(|wanted| wanted == read), format!("{read:?} are read"));
    must(!report.kept.iter().any(|kept| kept.reason == "objected"), "the judge objects to a node".to_owned());
    wrong
}

#[test]
fn public_situations_have_their_right_answers() {
    let text = std::fs::read_to_string(folder().join("right.yaml")).expect("the answers");
    let all: Vec<Right> = serde_saphyr::from_str(&text).expect("sound answers");
    let mut found = Vec::new();
    for right in &all {
        found.extend(wrong(right, outcome(&right.file)).into_iter().map(|text| format!("{}: {text}", right.file)));
    }
    assert!(found.is_empty(), "{} things are wrong:\n{}", found.len(), found.join("\n"));
    // Every file that lies there is told about.
    let told: BTreeSet<&str> = all.iter().map(|right| right.file.as_str()).collect();
    let folders = std::fs::read_dir(folder()).expect("cases").flatten().filter(|one| one.path().is_dir());
    for file in folders.flat_map(|one| std::fs::read_dir(one.path()).expect("a case").flatten()) {
        let path = file.path();
        let name = path.strip_prefix(folder()).expect("below").display().to_string();
        assert!(told.contains(name.as_str()), "nothing says what is right for {name}");
    }
}
