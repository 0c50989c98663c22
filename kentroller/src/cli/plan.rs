//! `kentroller plan`: what a cluster costs, what it could cost, and how to get there. Reads only.

pub(super) mod ask;
#[cfg(test)]
mod beside;
#[cfg(test)]
mod cases;
pub(super) mod dump;
mod items;
mod live;
#[cfg(test)]
mod mutated;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::cli) mod wrong;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use kentroller_planner::consolidation::{Course, settle_as_karpenter};
use kentroller_planner::{Budget, Catalog, Judged, Options, Percent, Plan, Snapshot, Steps, plan_advised, plan_judged};
use kentroller_runtime::Kind as _;

use super::catalog::CatalogArguments;
use super::{output, terminal};
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
        let code = match &self {
            Self::Usage(_) => 2,
            Self::Input(_) => 3,
            Self::Cluster(_) => 4,
        };
        super::complain(&self.message());
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
    /// Keeps half of the time to tell what other settings would save, each with a plan that was found with it.
    #[arg(long)]
    advice: bool,
    /// Also tells where Karpenter's own rule would settle on the same cluster, in at most a third of the time.
    #[arg(long = "as", value_name = "WHO", value_enum)]
    beside: Option<Rival>,
    /// The consolidation policy of every NodePool for --as karpenter. Default: that of each.
    #[arg(long, value_name = "POLICY", value_enum, requires = "beside")]
    policy: Option<Policy>,
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
    /// What other settings would save, as patches that can be applied; implies --advice.
    Patch,
}

/// Whose rule is told beside the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rival {
    Karpenter,
}

/// Karpenter's consolidation policies, by their own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Policy {
    #[value(name = "WhenEmpty")]
    WhenEmpty,
    #[value(name = "WhenEmptyOrUnderutilized")]
    WhenEmptyOrUnderutilized,
    #[value(name = "Balanced")]
    Balanced,
}

impl Policy {
    const fn word(self) -> &'static str {
        match self {
            Self::WhenEmpty => "WhenEmpty",
            Self::WhenEmptyOrUnderutilized => "WhenEmptyOrUnderutilized",
            Self::Balanced => "Balanced",
        }
    }
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
        let text = self.text(started)?;
        super::print(&text).map_err(|error| Trouble::Input(format!("the plan cannot be printed: {error}")))
    }

    /// All that is printed; the report as HTML is written.
    pub(super) fn text(&self, started: Instant) -> Result<String, Trouble> {
        let (report, plan, dump) = self.made(started)?;
        if let Some(file) = &self.report {
            let page = report::html::plan(&report, &report::html::fills(&plan, &dump.snapshot));
            std::fs::write(file, page).map_err(|error| Trouble::Input(format!("{}: {error}", file.display())))?;
        }
        self.printed(&report, &plan, &dump)
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
        let karpenter = self.karpenter(&dump.snapshot, &catalog, started)?;
        let share = if self.advice || self.output == Output::Patch { 50 } else { 0 };
        let effort = Effort { steps: self.steps, until, advice: Some(Percent::whole(share)) };
        let Judged { plan, objections } = searched(&dump.snapshot, &catalog, &options, effort)?;
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
        let mut report =
            Report::of(&plan, &dump.snapshot, &catalog, dump.digest.clone(), dump.warnings.clone(), timing);
        let policy = self.policy.map(Policy::word);
        report.karpenter = karpenter.map(|course| report::karpenter::Karpenter::of(&course, policy, &report));
        if let Some(node) = self.explain.iter().find(|node| !report.knows(node)) {
            return Err(Trouble::Usage(format!("--explain {node}: there is no such node in the input or the plan")));
        }
        Ok((report, plan, dump))
    }

    /// What Karpenter's own rule would do, if that is asked for.
    fn karpenter(&self, snapshot: &Snapshot, catalog: &Catalog, started: Instant) -> Result<Option<Course>, Trouble> {
        if self.beside.is_none() {
            return Ok(None);
        }
        let third = self.time_limit / 3;
        let mut clock = |_: u64| match self.steps {
            Some(_) => 0,
            None => u32::try_from(started.elapsed().as_millis() * 1000 / third.as_millis().max(1)).unwrap_or(u32::MAX),
        };
        let course = settle_as_karpenter(snapshot, catalog, self.policy.map(Policy::word), &mut clock);
        course.map(Some).map_err(|error| Trouble::Input(error.to_string()))
    }

    fn prices(&self, cluster: &Snapshot) -> Result<Catalog, Trouble> {
        let catalog = self.catalog.of(cluster)?;
        Ok(match self.ask.discount() {
            Some(off) => catalog.with_discount(off),
            None => catalog,
        })
    }

    fn printed(&self, report: &Report, plan: &Plan, dump: &dump::Dump) -> Result<String, Trouble> {
        if !self.explain.is_empty() {
            return match self.output {
                Output::Json => output::json(&report::explain::all(report, &self.explain)).map_err(Trouble::Input),
                Output::Yaml => output::yaml(&report::explain::all(report, &self.explain)).map_err(Trouble::Input),
                Output::Table | Output::Wide => {
                    let told: Vec<String> =
                        self.explain.iter().map(|node| report::explain::explain(report, node)).collect();
                    Ok(report::width::folded(&told.join("\n"), terminal::width()))
                }
                Output::Html | Output::Rebalanceplan | Output::Patch => Err(Trouble::Usage(
                    "--explain is told as table, wide, json or yaml; leave out -o, or name one of these".to_owned(),
                )),
            };
        }
        Ok(match self.output {
            Output::Table => report::table::table(report, false, terminal::width()),
            Output::Wide => report::table::table(report, true, terminal::width()),
            Output::Json => report.json(),
            Output::Yaml => report.yaml().map_err(Trouble::Input)?,
            Output::Html => report::html::plan(report, &report::html::fills(plan, &dump.snapshot)),
            Output::Rebalanceplan => rebalance_plan(plan, dump)?,
            Output::Patch => report::patch::patches(report).map_err(Trouble::Input)?,
        })
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

/// How much is done for a plan.
pub(super) struct Effort {
    pub(super) steps: Option<u64>,
    /// Where steps are not counted.
    pub(super) until: Instant,
    /// The share of it that is kept for advice; `None`: none is asked for.
    pub(super) advice: Option<Percent>,
}

/// Plans and judges.
pub(super) fn searched(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    effort: Effort,
) -> Result<Judged, Trouble> {
    let mut steps = effort.steps.map(Steps);
    let mut clock = Clock { from: Instant::now(), until: effort.until, has_model: false };
    let budget = steps.as_mut().map_or(&mut clock as &mut dyn Budget, |steps| steps);
    let found = match effort.advice {
        Some(share) => plan_advised(snapshot, catalog, options, budget, share),
        None => plan_judged(snapshot, catalog, options, budget),
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
