//! `kentroller plan`: what a cluster costs, what it could cost, and how to get there. Reads only.

pub(super) mod ask;
#[cfg(test)]
mod cases;
pub(super) mod dump;
mod items;
mod live;
#[cfg(test)]
mod mutated;
#[cfg(test)]
mod wrong;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use kentroller_planner::{Budget, Catalog, Judged, Options, Plan, Snapshot, Steps, plan_judged};
use kentroller_runtime::Kind as _;

use super::catalog::CatalogArguments;
use crate::api::RebalancePlan;
use crate::report::{self, Report};

/// What is not a plan, by exit code.
#[derive(Debug)]
pub(super) enum Trouble {
    /// 2: asked for something that cannot be asked for.
    Usage(String),
    /// 3: input that cannot be read or contradicts itself.
    Input(String),
    /// 4: the cluster or AWS cannot be reached, or does not allow it.
    Cluster(String),
}

impl Trouble {
    /// What is wrong.
    pub(super) fn message(self) -> String {
        match self {
            Self::Usage(message) | Self::Input(message) | Self::Cluster(message) => message,
        }
    }

    /// Says it, and gives the exit code.
    pub(super) fn end(self) -> ExitCode {
        let (code, message) = match self {
            Self::Usage(message) => (2, message),
            Self::Input(message) => (3, message),
            Self::Cluster(message) => (4, message),
        };
        super::complain(&message);
        ExitCode::from(code)
    }
}

/// Arguments of `kentroller plan`.
#[derive(Args, Debug)]
pub(super) struct PlanArguments {
    /// What `kubectl get nodes,pods,nodepools.karpenter.sh,nodeclaims.karpenter.sh,pdb,daemonsets -A -o json` printed (`-`: standard input). Without: the current cluster, read only.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    catalog: CatalogArguments,
    #[command(flatten)]
    ask: ask::Ask,
    /// The wall time that reading, planning and printing may take.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = ask::time_limit, conflicts_with = "steps")]
    time_limit: Duration,
    /// Search so many steps instead of a time: the same input, seed and steps give the same bytes.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Tells all about a node: why it stays, or where its pods go.
    #[arg(long, value_name = "NODE")]
    explain: Vec<String>,
    /// How the plan is printed.
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: Output,
    /// Also writes the report as one HTML file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Wide,
    Json,
    Yaml,
    Html,
    /// A RebalancePlan that can be applied; it waits for `execute: true`.
    Rebalanceplan,
}

/// A budget of wall time.
struct Clock {
    from: Instant,
    until: Instant,
    has_model: bool,
}

impl Budget for Clock {
    fn used(&mut self, _: u64) -> u32 {
        // Asked for the first time when the model is made. Judging a plan and printing it take up to six times as long:
        // this tells it for a cluster and a machine of any size.
        if !std::mem::replace(&mut self.has_model, true) {
            let most = self.until.saturating_duration_since(self.from) / 2;
            self.until -= self.from.elapsed().saturating_mul(6).min(most);
        }
        let whole = self.until.saturating_duration_since(self.from).as_micros().max(1);
        let gone = self.from.elapsed().as_micros();
        u32::try_from(gone.saturating_mul(1000) / whole).unwrap_or(u32::MAX)
    }
}

impl PlanArguments {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        match self.run(Instant::now()) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(trouble) => Ok(trouble.end()),
        }
    }

    fn run(self, started: Instant) -> Result<(), Trouble> {
        if let Some(file) = &self.report {
            writable(file).map_err(Trouble::Usage)?;
        }
        let (report, plan, dump) = self.made(started)?;
        self.print(&report, &plan, &dump)
    }

    /// Reads, plans and judges.
    fn made(&self, started: Instant) -> Result<(Report, Plan, dump::Dump), Trouble> {
        let options = self.ask.options().map_err(Trouble::Usage)?;
        tell("reading");
        let dump = read(&self.files)?;
        self.ask.known(dump.snapshot.nodes.iter().map(|node| &*node.metadata.name)).map_err(Trouble::Usage)?;
        let catalog = self.prices(&dump.snapshot)?;
        let read = started.elapsed();
        tell(&format!("planning for {} nodes and {} pods", dump.snapshot.nodes.len(), dump.snapshot.pods.len()));
        let until = started + self.time_limit;
        let Judged { plan, objections } = searched(&dump.snapshot, &catalog, &options, self.steps, until)?;
        let planned = started.elapsed().saturating_sub(read);
        if !objections.is_empty() {
            let first: Vec<String> = objections.iter().take(5).map(|violation| format!("  {violation}")).collect();
            return Err(Trouble::Input(format!(
                "the plan that was found breaks {} rules and is withheld; please report this:\n{}",
                objections.len(),
                first.join("\n")
            )));
        }
        let timing = match self.steps {
            // The same bytes each time: no clock is in the report.
            Some(_) => report::Timing { steps: plan.steps, ..report::Timing::default() },
            None => report::Timing {
                read_millis: u64::try_from(read.as_millis()).unwrap_or(u64::MAX),
                plan_millis: u64::try_from(planned.as_millis()).unwrap_or(u64::MAX),
                steps: plan.steps,
                peak_rss_bytes: peak_memory(),
            },
        };
        let report = Report::of(&plan, &dump.snapshot, &catalog, dump.digest.clone(), dump.warnings.clone(), timing);
        if let Some(node) = self.explain.iter().find(|node| !report.knows(node)) {
            return Err(Trouble::Usage(format!("--explain {node}: there is no such node in the input or the plan")));
        }
        Ok((report, plan, dump))
    }

    fn prices(&self, cluster: &Snapshot) -> Result<Catalog, Trouble> {
        let catalog = self.catalog.of(cluster)?;
        Ok(match self.ask.discount() {
            Some(off) => catalog.with_discount(off),
            None => catalog,
        })
    }

    fn print(&self, report: &Report, plan: &Plan, dump: &dump::Dump) -> Result<(), Trouble> {
        let text = if self.explain.is_empty() {
            match self.output {
                Output::Table => report::table::table(report, false),
                Output::Wide => report::table::table(report, true),
                Output::Json => report.json(),
                Output::Yaml => report.yaml().map_err(Trouble::Input)?,
                Output::Html => report::html::plan(report, &report::html::fills(plan, &dump.snapshot)),
                Output::Rebalanceplan => rebalance_plan(plan, dump)?,
            }
        } else {
            self.explain.iter().map(|node| report::explain::explain(report, node)).collect::<Vec<_>>().join("\n")
        };
        if let Some(file) = &self.report {
            std::fs::write(file, report::html::plan(report, &report::html::fills(plan, &dump.snapshot)))
                .map_err(|error| Trouble::Input(format!("{}: {error}", file.display())))?;
        }
        super::print(&text).map_err(|error| Trouble::Input(format!("the plan cannot be printed: {error}")))
    }
}

/// Reads dumps, or the current cluster where none is given.
pub(super) fn read(files: &[String]) -> Result<dump::Dump, Trouble> {
    let mut dump = dump::Dump::default();
    if files.is_empty() {
        live::read(&mut dump).map_err(Trouble::Cluster)?;
    }
    for file in files {
        dump.read(file).map_err(Trouble::Input)?;
    }
    dump.finish().map_err(Trouble::Input)
}

/// Whether the report can be written, before anything is done for it.
///
/// # Errors
/// Why it cannot, and what to do.
pub(super) fn writable(file: &Path) -> Result<(), String> {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
    let named = file.display();
    opened.map_err(|error| format!("--report {named}: {error}; name a file that can be written")).map(drop)
}

/// Plans and judges, in so many steps or until a time.
pub(super) fn searched(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    steps: Option<u64>,
    until: Instant,
) -> Result<Judged, Trouble> {
    let found = match steps {
        Some(steps) => plan_judged(snapshot, catalog, options, &mut Steps(steps)),
        None => {
            let mut clock = Clock { from: Instant::now(), until, has_model: false };
            plan_judged(snapshot, catalog, options, &mut clock)
        }
    };
    found.map_err(|error| Trouble::Input(error.to_string()))
}

/// The plan as an object that can be applied: it does nothing until somebody sets `execute`.
fn rebalance_plan(plan: &Plan, dump: &dump::Dump) -> Result<String, Trouble> {
    let name = format!("plan-{}", dump.digest);
    let spec = crate::backend::to_spec(plan, &dump.snapshot, &name).map_err(Trouble::Input)?;
    let object = serde_json::json!({
        "apiVersion": RebalancePlan::INFO.api_version(),
        "kind": RebalancePlan::INFO.kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    serde_saphyr::to_string(&object).map_err(|error| Trouble::Input(error.to_string()))
}

/// The most memory that the process has held, as Linux tells it; 0 elsewhere.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().strip_suffix("kB"))
        .and_then(|text| text.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

/// Progress is for people: on a terminal only.
pub(super) fn tell(what: &str) {
    if std::io::stderr().is_terminal() {
        super::complain(&format_args!("{what} …"));
    }
}
