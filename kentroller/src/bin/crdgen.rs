//! Writes every file that follows from the declarations; with `--check` it compares instead, and fails on a difference.

#![allow(clippy::print_stdout, reason = "a command line tool")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kentroller::api;
use kentroller::api::foreign::ConfigMap;
use kentroller::backend::measured;
use kentroller::settings::Settings;
use kentroller::{chart, controllers, prices};
use kentroller_runtime::generate::outline::Outline;
use kentroller_runtime::generate::rbac::Rights;
use kentroller_runtime::generate::{
    OwnKind, alerts, crd, dashboard, mistakes, reference, scaffold, schema, unused, widening,
};
use kentroller_runtime::settings::Settings as _;
use kentroller_runtime::{Declaration, Kind as _, KindInfo, MetricInfo};

const COMMAND: &str = "cargo run --bin crdgen";

/// Texts by path below the root of the workspace.
type Files = BTreeMap<PathBuf, String>;

/// What is measured beside the controllers.
fn beside() -> Vec<MetricInfo> {
    [prices::AGE].into_iter().chain(measured::ALL).collect()
}

/// The kinds of which the operator reads its own namespace only.
const OWN_NAMESPACE: [KindInfo; 1] = [ConfigMap::INFO];

const NAME: &str = "Kentroller";

const HELP: &str = "\
Writes every file that follows from the declarations: CRDs, examples, rights, reference pages.

usage: cargo run --bin crdgen [-- ARGUMENT]

  (none)       writes what is not as the declarations say
  --check      writes nothing, names what is not as the declarations say, and fails if anything is not
  new KIND     writes the two files of a new kind with its controller, and the lines that register them
  --help       this text

What contradicts itself, or what an API server would refuse, is told before anything is written.";

fn main() -> anyhow::Result<ExitCode> {
    // Cargo tells the program that it runs where its crate lies.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&here).parent().context("this crate lies in the workspace")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            write(root, &generate(root)?)?;
            Ok(ExitCode::SUCCESS)
        }
        ["--check"] => {
            let files = generate(root)?;
            let stale: Vec<&PathBuf> = files
                .iter()
                .filter(|(path, text)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(text))
                .map(|(path, _)| path)
                .collect();
            for path in &stale {
                println!("{} is not what the declarations say; run `{COMMAND}` and commit it", path.display());
            }
            Ok(if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        ["new", kind] => {
            let source = |path: &str| read(root, &format!("kentroller/src/{path}"));
            let files = scaffold::of_kind(kind, &source("api/mod.rs")?, &source("controllers/mod.rs")?);
            let files = files.map_err(anyhow::Error::msg)?;
            let below = |(path, text): (String, String)| (Path::new("kentroller/src").join(path), text);
            write(root, &files.into_iter().map(below).collect())?;
            println!("next: `cargo test -p kentroller`, and `{COMMAND}` for its CRD, rights and pages");
            Ok(ExitCode::SUCCESS)
        }
        ["--help" | "-h"] => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("unknown arguments `{}`\n\n{HELP}", other.join(" ")),
    }
}

/// Writes what is not there as it should be.
fn write(root: &Path, files: &Files) -> anyhow::Result<()> {
    for (path, text) in files {
        let path = root.join(path);
        if fs::read_to_string(&path).ok().as_ref() != Some(text) {
            fs::create_dir_all(path.parent().context("every file lies in a folder")?)?;
            fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}

fn generate(root: &Path) -> anyhow::Result<Files> {
    let kinds = controllers::kinds();
    let declarations: Vec<Declaration> = controllers::all().iter().map(|controller| controller.declaration()).collect();
    let mut wrong = mistakes::all(&kinds, &declarations, Settings::FIELDS);
    let sources = sources(&root.join("kentroller/src/controllers"))?;
    wrong.extend(sources.iter().flat_map(|source| unused::reads(source)));
    wrong.extend(unused::conditions(&declarations, &sources.concat()));
    ensure!(wrong.is_empty(), "the declarations are wrong:\n  {}", wrong.join("\n  "));
    let mut files = Files::new();
    let (mut contracts, mut crds) = (Vec::new(), Vec::new());
    let accepted = read(root, "tests/contract/accepted-changes.txt")?;
    let accepted = widening::accepted(&accepted).map_err(anyhow::Error::msg)?;
    for kind in &kinds {
        let crd = kind.crd();
        // A kind that was never public may still become what its author finds best.
        if let Ok(contract) = read(root, &format!("tests/contract/{}.txt", kind.info.plural)) {
            is_not_narrower(root, kind.info.plural, &crd, &accepted)?;
            contracts.push((Outline::parse(&contract)?, Outline::of(&crd)));
        }
        let manifest = crd::manifest(&crd).with_context(|| format!("the CRD of {:?}", kind.info))?;
        files.insert(crd_path(kind.info.plural).into(), in_yaml(&manifest));
        crds.push(crd);
        if let Some(sample) = kind.sample {
            files.insert(format!("samples/{}.yaml", kind.info.plural).into(), in_yaml(sample));
        }
    }
    let rights = Rights::of(&declarations, &OWN_NAMESPACE);
    let declared: Vec<_> = declarations.iter().flat_map(|one| one.metrics).copied().chain(beside()).collect();
    files.extend(charts(&rights, &crds, &declarations, &declared)?);
    files.extend(pages(&kinds, &contracts, &declarations, &declared)?);
    let schema =
        serde_json::to_string_pretty(&schema::config("Dynamic configuration of Kentroller", Settings::FIELDS))?;
    files.insert("kentroller/docs/reference/settings.schema.json".into(), schema + "\n");
    Ok(files)
}

fn crd_path(plural: &str) -> String {
    format!("crds/{plural}.yaml")
}

/// That a public CRD still takes all that the committed one takes, but for what is listed with its reason.
fn is_not_narrower(
    root: &Path,
    plural: &str,
    crd: &CustomResourceDefinition,
    accepted: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let path = crd_path(plural);
    let Ok(before) = read(root, &path) else { return Ok(()) };
    let before = crd::read(&before).with_context(|| format!("{path} is no CRD; delete it"))?;
    let narrower = widening::narrowings(&Outline::of(&before), &Outline::of(crd));
    let news: Vec<String> =
        narrower.iter().map(ToString::to_string).filter(|one| !accepted.contains_key(one)).collect();
    ensure!(
        news.is_empty(),
        "{path} would become narrower; list each line with its reason in tests/contract/accepted-changes.txt:\n{}",
        news.join("\n")
    );
    Ok(())
}

fn charts(
    rights: &Rights,
    crds: &[CustomResourceDefinition],
    declarations: &[Declaration],
    declared: &[MetricInfo],
) -> anyhow::Result<Files> {
    let board = dashboard::dashboard(NAME, controllers::METRICS_PREFIX, declarations);
    let all = controllers::alerts::alerts();
    let rules = alerts::rules(NAME, controllers::METRICS_PREFIX, "kentroller/docs/reference/alerts.md", &all, declared);
    let rules = rules.map_err(|wrong| anyhow::anyhow!("the alerts are wrong:\n  {}", wrong.join("\n  ")))?;
    let mut files = Files::new();
    for (path, text) in chart::files(rights, crds, &board, &rules)? {
        let path = Path::new("charts").join(path);
        let text = match path.extension().and_then(|end| end.to_str()) {
            Some("yaml") => in_yaml(&text),
            Some("md") => in_markdown(&text),
            Some("tpl") => format!("{{{{- /* Generated by {COMMAND}. Do not edit. */ -}}}}\n{text}"),
            _ => text,
        };
        files.insert(path, text);
    }
    Ok(files)
}

fn pages(
    kinds: &[OwnKind],
    contracts: &[(Outline, Outline)],
    declarations: &[Declaration],
    declared: &[MetricInfo],
) -> anyhow::Result<Files> {
    let (prefix, all) = (controllers::METRICS_PREFIX, controllers::alerts::alerts());
    let pages = [
        ("additions", reference::additions(contracts)),
        ("alerts", alerts::page(NAME, prefix, &all, declared).map_err(anyhow::Error::msg)?),
        ("conditions", reference::conditions(kinds)),
        ("events", reference::events(declarations)),
        ("failures", api::failures::page()),
        ("kinds", reference::kinds(kinds)),
        ("marks", api::marks::page()),
        ("metrics", reference::metrics(prefix, declarations, &beside())),
        ("rbac", reference::rights(declarations, &OWN_NAMESPACE)),
        ("settings", reference::settings(Settings::FIELDS)),
        ("states", reference::states(kinds)),
        ("unread-kinds", api::unread::page()),
        ("words", reference::words(kinds)),
    ];
    let named =
        |(page, text): (&str, String)| (format!("kentroller/docs/reference/{page}.md").into(), in_markdown(&text));
    Ok(pages.into_iter().map(named).collect())
}

/// The source of each controller: its file, and what is below its folder.
fn sources(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    below(folder, &mut files)?;
    let text = |file: &PathBuf| fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()));
    let of = |top: &PathBuf| {
        files.iter().filter(|file| *file == top || file.starts_with(top.with_extension(""))).map(text).collect()
    };
    files.iter().filter(|file| file.parent() == Some(folder)).map(of).collect()
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            below(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn read(root: &Path, path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))
}

fn in_yaml(text: &str) -> String {
    format!("# Generated by {COMMAND}. Do not edit.\n{text}")
}

fn in_markdown(text: &str) -> String {
    format!("<!-- Generated by {COMMAND}. Do not edit. -->\n\n{text}")
}
