//! `kentroller rehearse`: the shipped operator on a simulated copy of a cluster, in virtual time.

mod cluster;
mod interrupt;
mod play;
mod story;
#[cfg(test)]
mod tests;
mod waves;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use kentroller_runtime::Kind as _;
use kentroller_world::Setup;
use serde_json::{Value, json};

use super::Unhurried;
use super::catalog::CatalogArguments;
use super::plan::ask::duration;
use super::plan::dump::Dump;
use super::plan::{Trouble, writable};
use crate::api::RebalancePlanClaim;
use crate::report;
use crate::report::rehearsal::{self, Rehearsal};

pub(super) use cluster::Cluster;
pub(super) use play::Ask;

/// Arguments of `kentroller rehearse`. It ends with 0 when it was played to its end, 1 when an invariant broke, 2 for wrong usage,
/// 3 for input that cannot be read or rehearsed.
#[derive(Args, Debug)]
pub(super) struct RehearseArguments {
    /// What `kubectl get nodes,pods,nodepools.karpenter.sh,nodeclaims.karpenter.sh,pdb,daemonsets,replicasets,statefulsets,pv,pvc,namespaces,ec2nodeclasses -A -o json` printed (`-`: standard input).
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    catalog: CatalogArguments,
    /// The RebalancePlanClaim that is rehearsed, as YAML or JSON. Default: one without options that is executed at once.
    #[arg(long, value_name = "FILE", conflicts_with = "continuous")]
    claim: Option<PathBuf>,
    /// Rehearses continuous rebalancing with its default settings instead of a claim.
    #[arg(long)]
    continuous: bool,
    /// The virtual time after which it ends, finished or not.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=168))]
    hours: u16,
    /// Also plays all hours from the same start with nobody but this.
    #[arg(long, value_name = "WHO", value_enum)]
    beside: Option<Beside>,
    /// All chance comes from here: the same seed tells the same story to the letter.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    times: Times,
    /// How it is printed: as a story with its summary, or as one object when it is over.
    #[arg(short = 'o', long, value_enum, default_value = "story")]
    output: Output,
    /// Also writes the report as one HTML file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// How long things take; else what the times in the dump tell, or what is usual on AWS.
#[derive(Args, Debug)]
struct Times {
    /// From a NodeClaim to its initialized node.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    node_start: Option<Duration>,
    /// From the order to end a machine to its end. Default: 60s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    node_stop: Option<Duration>,
    /// From binding a pod to Ready.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pod_start: Option<Duration>,
    /// From the order to end a pod to its end, at most its grace period. Default: 5s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pod_stop: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Beside {
    Karpenter,
}

/// How a rehearsal is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Story,
    Json,
    Yaml,
}

/// What is played, and how it is told.
pub(super) struct Rehearsing {
    pub cluster: Cluster,
    pub ask: Ask,
    pub seed: u64,
    pub longest: Duration,
    /// Whether Karpenter alone is played as well.
    pub beside: bool,
    /// Whether the story is printed as it happens.
    pub told: bool,
}

/// A rehearsal, and whether all that was asked for was done.
pub(super) struct Rehearsed {
    pub document: Rehearsal,
    pub is_well: bool,
}

impl RehearseArguments {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        if let Some(Err(message)) = self.report.as_deref().map(writable) {
            super::complain(&message);
            return Ok(ExitCode::from(2));
        }
        let done = self.rehearsing().and_then(|rehearsing| {
            let rehearsed = rehearsing.play()?;
            self.print(&rehearsed.document)?;
            Ok(rehearsed)
        });
        match done {
            Ok(rehearsed) if rehearsed.document.broken.is_empty() => Ok(ExitCode::SUCCESS),
            Ok(rehearsed) => {
                let broken = rehearsed.document.broken.len();
                super::complain(&format_args!("{broken} invariants broke; please report this"));
                Ok(ExitCode::FAILURE)
            }
            Err(message) => {
                super::complain(&message);
                Ok(ExitCode::from(3))
            }
        }
    }

    /// Reads all that is needed.
    fn rehearsing(&self) -> Result<Rehearsing, String> {
        let ask = match (&self.claim, self.continuous) {
            (_, true) => Ask::Continuous,
            (Some(file), _) => Ask::Object(claim(file)?),
            (None, _) => Ask::Object(whole(json!({"metadata": {"name": "rehearsal"}, "spec": {}}))),
        };
        let mut dump = Dump::whole();
        for file in &self.files {
            dump.read(file)?;
        }
        let dump = dump.finish()?;
        let catalog = self.catalog.of(&dump.snapshot).map_err(Trouble::message)?;
        let mut cluster = Cluster::dumped(dump, catalog, &self.files.join(", "))?;
        self.times.set(&mut cluster);
        Ok(Rehearsing {
            cluster,
            ask,
            seed: self.seed,
            longest: Duration::from_secs(u64::from(self.hours) * 3600),
            beside: self.beside.is_some(),
            told: self.output == Output::Story,
        })
    }

    fn print(&self, document: &Rehearsal) -> Result<(), String> {
        let text = match self.output {
            Output::Story => format!("\n{}", document.summary()),
            Output::Json => document.json(),
            Output::Yaml => document.yaml()?,
        };
        if let Some(file) = &self.report {
            write_report(file, document)?;
        }
        super::print(&text).map_err(|error| error.to_string())
    }
}

impl Times {
    fn set(&self, cluster: &mut Cluster) {
        let timings = &mut cluster.timings;
        if let Some(whole) = self.node_start {
            // Of the whole, so much is for the order and for getting ready, as is usual on AWS.
            (timings.launch, timings.node_ready) = (whole / 13, whole * 4 / 13);
            timings.boot = whole.saturating_sub(timings.launch + timings.node_ready);
        }
        if let Some(start) = self.pod_start {
            timings.pod_start = start;
            timings.starts.clear();
        }
        timings.terminate = self.node_stop.unwrap_or(timings.terminate);
        timings.pod_stop = self.pod_stop.unwrap_or(timings.pod_stop);
    }
}

pub(super) fn write_report(file: &Path, document: &Rehearsal) -> Result<(), String> {
    std::fs::write(file, report::html::rehearsal(document)).map_err(|error| format!("{}: {error}", file.display()))
}

/// A claim that is executed, with what it says of itself.
fn whole(told: Value) -> Value {
    let mut claim = json!({
        "apiVersion": RebalancePlanClaim::INFO.api_version(), "kind": RebalancePlanClaim::INFO.kind,
        "metadata": {"name": told["metadata"]["name"].as_str().unwrap_or("rehearsal")},
        "spec": told["spec"],
    });
    for field in ["labels", "annotations"] {
        if told["metadata"][field].is_object() {
            claim["metadata"][field] = told["metadata"][field].clone();
        }
    }
    claim["spec"]["autoExecute"] = json!(true);
    claim
}

/// Reads a claim.
fn claim(file: &Path) -> Result<Value, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let told: Value = serde_saphyr::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let (kind, version) = (RebalancePlanClaim::INFO.kind, RebalancePlanClaim::INFO.api_version());
    let is_it = told["kind"] == kind && told["apiVersion"] == *version;
    if !is_it {
        let word = |field: &str| told[field].as_str().unwrap_or("nothing").to_owned();
        return Err(format!(
            "{name}: fields apiVersion and kind are {} and {}; a claim has {version} and {kind}",
            word("apiVersion"),
            word("kind")
        ));
    }
    if !told["spec"].is_object() {
        return Err(format!(
            "{name}: {kind} {}, field spec: is no object; `spec: {{}}` asks for everything",
            told["metadata"]["name"]
        ));
    }
    Ok(whole(told))
}

impl Rehearsing {
    /// Plays it to its end.
    ///
    /// # Errors
    /// What cannot be read or built.
    pub(super) fn play(self) -> Result<Rehearsed, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let live = self.told && std::io::stdout().is_terminal();
        let mut out = Unhurried(std::io::stdout());
        let _terminal = interrupt::Terminal::open(live);
        let listener: Option<&mut dyn Write> = if self.told { Some(&mut out) } else { None };
        runtime.block_on(self.played(listener, live))
    }

    async fn played(self, mut out: Option<&mut dyn Write>, live: bool) -> Result<Rehearsed, String> {
        let Self { cluster, ask, seed, longest, beside, .. } = self;
        let setup = || Setup { seed, timings: cluster.timings.clone(), ..Setup::default() };
        if let Some(out) = &mut out {
            writeln!(
                out,
                "Rehearsed on a copy of {}. Everything is simulated; nothing is written to a cluster.\n",
                cluster.source
            )
            .map_err(|error| error.to_string())?;
        }
        let played = play::operated(&cluster, &ask, setup(), (longest, beside), out.take(), live).await?;
        let karpenter = if beside { Some(play::alone(&cluster, setup(), longest).await?) } else { None };
        let (nodes, pods) = (played.nodes, played.pods);
        let document = Rehearsal {
            schema_version: 1,
            cluster: rehearsal::Cluster {
                source: cluster.source,
                nodes,
                pods,
                starts: cluster.starts.to_string(),
                seed,
            },
            operator: played.run,
            karpenter,
            waves: played.waves,
            stays: played.stays,
            longest_wait: played.longest_wait,
            not_known: cluster.gaps,
            warnings: cluster.warnings,
            story: played.story,
            broken: played.broken,
        };
        Ok(Rehearsed { document, is_well: played.is_well })
    }
}
