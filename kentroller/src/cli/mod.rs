//! The command line: what a person starts.

mod approve;
mod cancel;
mod catalog;
mod config;
#[cfg(feature = "simulation")]
mod demo;
mod explain;
mod history;
mod output;
mod pause;
mod place;
mod plan;
mod prices;
#[cfg(feature = "simulation")]
mod rehearse;
mod release;
mod remote;
mod replay;
mod run;
mod source;
mod status;
mod why;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Lowers the bill of clusters run by Karpenter, without losing a pod's guarantees.
#[derive(Debug, Parser)]
#[command(name = "kentroller", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tells what the cluster costs, what it could cost, and how to get there. Reads only.
    Plan(Box<plan::PlanArguments>),
    /// Runs the operator against the cluster of the current kubeconfig, or the one it runs in.
    Run(run::Run),
    /// Tells what runs, what waits and for what, and what comes next.
    Status(status::Status),
    /// Tells which rule or entry of evictionConfig decides over a pod or a node, and what follows. Reads only.
    Explain(explain::Explain),
    /// Tells why each node stays, or that the next plan would take it; computed afresh. Reads only.
    Why(why::WhyArguments),
    /// Tells what instance types cost, as a plan counts: by the embedded list, a file, or AWS. Reads only.
    Prices(prices::PricesArguments),
    /// Tells every setting of the operator, its value, and where it came from. Reads only.
    Config(config::ConfigArguments),
    /// Tells the plans that were executed; of a node, which plans made and removed it, from what and why.
    History(history::History),
    /// Has a plan executed that waits for somebody to say so.
    Approve(approve::Approve),
    /// Stops a claim or its plan at the next safe point.
    Cancel(cancel::Cancel),
    /// Has everything rest: nothing begins, and what runs is held where it is.
    Pause(pause::PauseArguments),
    /// Ends a pause; what was held goes on.
    Resume(pause::ResumeArguments),
    /// Takes back every cordon, taint, shield and label that plans have put on the cluster. Works without the operator.
    Release(release::Release),
    /// Repeats a recorded reconcile, and says whether it decides the same.
    Replay(replay::Replay),
    /// Plays a claim or continuous rebalancing on a simulated copy of your cluster, in virtual time. Writes to no cluster.
    #[cfg(feature = "simulation")]
    Rehearse(Box<rehearse::RehearseArguments>),
    /// Is not in this build, which has no simulation.
    #[cfg(not(feature = "simulation"))]
    #[command(alias = "demo")]
    Rehearse(NotBuilt),
    /// Shows a whole rebalancing on a simulated cluster, in virtual time.
    #[cfg(feature = "simulation")]
    Demo(demo::Demo),
}

/// Whatever was asked of a command that is not built in. Without it `release` would be proposed in place of `rehearse`.
#[cfg(not(feature = "simulation"))]
#[derive(Debug, clap::Args)]
struct NotBuilt {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _all: Vec<String>,
}

#[cfg(not(feature = "simulation"))]
impl NotBuilt {
    fn execute() -> anyhow::Result<ExitCode> {
        complain(&"`rehearse` and `demo` are not in this build: `cargo build --release --package kentroller` has them");
        Ok(ExitCode::from(2))
    }
}

/// Says what is wrong, to whoever still reads it.
fn complain(what: &dyn Display) {
    let _ = writeln!(io::stderr(), "kentroller: {what}");
}

/// Standard output whose reader may have seen enough (`| head`): that is no mistake, and the rest is not missed.
struct Unhurried(io::Stdout);

impl Write for Unhurried {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.write(text).or_else(|error| if is_gone(&error) { Ok(text.len()) } else { Err(error) })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })
    }
}

/// Whether nobody reads any more.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Prints the whole of an answer.
fn print(text: &str) -> io::Result<()> {
    let mut out = Unhurried(io::stdout());
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Plan(plan) => plan.execute(),
        Command::Run(run) => run.execute(),
        Command::Status(_) => status::Status::execute(),
        Command::Explain(explain) => explain.execute(),
        Command::Why(why) => why.execute(),
        Command::Prices(prices) => prices.execute(),
        Command::Config(config) => config.execute(),
        Command::History(history) => history.execute(),
        Command::Approve(approve) => approve.execute(),
        Command::Cancel(cancel) => cancel.execute(),
        Command::Pause(pause) => pause.execute(),
        Command::Resume(resume) => resume.execute(),
        Command::Release(release) => release.execute(),
        Command::Replay(replay) => replay.execute(),
        #[cfg(feature = "simulation")]
        Command::Rehearse(rehearse) => rehearse.execute(),
        #[cfg(not(feature = "simulation"))]
        Command::Rehearse(_) => NotBuilt::execute(),
        #[cfg(feature = "simulation")]
        Command::Demo(demo) => demo.execute(),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            complain(&format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
