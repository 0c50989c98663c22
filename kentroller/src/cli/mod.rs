//! The command line: what a person starts.

mod approve;
mod cancel;
mod catalog;
mod check;
mod config;
mod connected;
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
mod savings;
mod shell;
mod source;
mod status;
mod terminal;
mod why;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What `plan` and the commands that answer questions end with.
const ANSWERS: &str = "Exit codes: 0 the answer is printed, whatever it is; 2 wrong usage; 3 input that cannot be read or \
                       contradicts itself; 4 the cluster cannot be reached or does not allow it.";
/// What `check` ends with.
const JUDGES: &str = "Exit codes: 0 the plan holds; 1 it breaks a rule; 2 wrong usage; 3 input that cannot be read or \
                      contradicts itself; 4 the cluster cannot be reached or does not allow it.";
/// What the commands that change something, or tell what was done, end with.
const ACTS: &str = "Exit codes: 0 done; 1 it could not be done, for the reason that is printed; 2 wrong usage.";
/// What the operator ends with.
const RUNS: &str = "Exit codes: 0 it was told to stop; 1 it could not go on, for the reason that is printed; 2 wrong usage; 78 connected \
                    mode with variables that are missing or wrong, or in a build without it.";
/// What a rehearsal ends with.
#[cfg(feature = "simulation")]
const REHEARSES: &str = "Exit codes: 0 it was played to its end; 1 an invariant broke; 2 wrong usage; 3 input that cannot be \
                         read or rehearsed.";

/// Lowers the bill of clusters run by Karpenter, without losing a pod's guarantees.
#[derive(Debug, Parser)]
#[command(
    name = "kentroller",
    version,
    after_help = "Exit codes: 0 done, 2 wrong usage; each command tells its others."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tells what the cluster costs, what it could cost, and how to get there. Reads only.
    #[command(after_help = ANSWERS)]
    Plan(Box<plan::PlanArguments>),
    /// Judges a plan against a dump or the current cluster, whoever made it. Reads only.
    #[command(after_help = JUDGES)]
    Check(check::CheckArguments),
    /// Runs the operator against the cluster of the current kubeconfig, or the one it runs in.
    #[command(after_help = RUNS)]
    Run(run::Run),
    /// Tells what runs, what waits and for what, and what comes next.
    #[command(after_help = ACTS)]
    Status(status::Status),
    /// Tells which rule or entry of evictionConfig decides over a pod or a node, and what follows. Reads only.
    #[command(after_help = ANSWERS)]
    Explain(explain::Explain),
    /// Tells why each node stays, or that the next plan would take it; computed afresh. Reads only.
    #[command(after_help = ANSWERS)]
    Why(why::WhyArguments),
    /// Tells what instance types cost, as a plan counts: by the embedded list, a file, or AWS. Reads only.
    #[command(after_help = ANSWERS)]
    Prices(prices::PricesArguments),
    /// Tells every setting of the operator, its value, and where it came from. Reads only.
    #[command(after_help = ANSWERS)]
    Config(config::ConfigArguments),
    /// Tells the plans that were executed; of a node, which plans made and removed it, from what and why.
    #[command(after_help = ACTS)]
    History(history::History),
    /// Tells what the executed plans promised, what their real new nodes promised, and what was saved. Reads only.
    #[command(after_help = ANSWERS)]
    Savings(savings::SavingsArguments),
    /// Has a plan executed that waits for somebody to say so.
    #[command(after_help = ACTS)]
    Approve(approve::Approve),
    /// Stops a claim or its plan at the next safe point.
    #[command(after_help = ACTS)]
    Cancel(cancel::Cancel),
    /// Has everything rest: nothing begins, and what runs is held where it is.
    #[command(after_help = ACTS)]
    Pause(pause::PauseArguments),
    /// Ends a pause; what was held goes on.
    #[command(after_help = ACTS)]
    Resume(pause::ResumeArguments),
    /// Takes back every cordon, taint, shield and label that plans have put on the cluster. Works without the operator.
    #[command(after_help = ACTS)]
    Release(release::Release),
    /// Makes plans for the operators of many clusters that run in connected mode; a build with feature `connected` has it.
    #[command(after_help = ACTS)]
    ServePlans(connected::ServePlans),
    /// Repeats a recorded reconcile, and says whether it decides the same.
    #[command(after_help = ACTS)]
    Replay(replay::Replay),
    /// Plays a claim or continuous rebalancing on a simulated copy of your cluster, in virtual time. Writes to no cluster.
    #[cfg(feature = "simulation")]
    #[command(after_help = REHEARSES)]
    Rehearse(Box<rehearse::RehearseArguments>),
    /// Is not in this build, which has no simulation.
    #[cfg(not(feature = "simulation"))]
    #[command(alias = "demo")]
    Rehearse(NotBuilt),
    /// Shows a whole rebalancing on a simulated cluster, in virtual time.
    #[cfg(feature = "simulation")]
    #[command(after_help = ACTS)]
    Demo(demo::Demo),
    /// Prints what completes commands and options in a shell, such as `source <(kentroller completions bash)`.
    #[command(after_help = ACTS)]
    Completions(shell::Completions),
    /// Prints the manual of every command, such as `kentroller man | man -l -`.
    #[command(after_help = ACTS)]
    Man(shell::Man),
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

/// Output whose reader may have seen enough (`| head`): that is no mistake, and the rest is not missed.
struct Unhurried<W = io::Stdout>(W);

impl<W: Write> Write for Unhurried<W> {
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

/// Where answers go.
fn out() -> Unhurried {
    Unhurried(io::stdout())
}

/// Prints the whole of an answer.
fn print(text: &str) -> io::Result<()> {
    let mut out = out();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Plan(plan) => plan.execute(),
        Command::Check(check) => check.execute(),
        Command::Run(run) => run.execute(),
        Command::Status(_) => status::Status::execute(),
        Command::Explain(explain) => explain.execute(),
        Command::Why(why) => why.execute(),
        Command::Prices(prices) => prices.execute(),
        Command::Config(config) => config.execute(),
        Command::History(history) => history.execute(),
        Command::Savings(savings) => savings.execute(),
        Command::Approve(approve) => approve.execute(),
        Command::Cancel(cancel) => cancel.execute(),
        Command::Pause(pause) => pause.execute(),
        Command::Resume(resume) => resume.execute(),
        Command::Release(_) => release::Release::execute(),
        Command::ServePlans(serve) => serve.execute(),
        Command::Replay(replay) => replay.execute(),
        #[cfg(feature = "simulation")]
        Command::Rehearse(rehearse) => rehearse.execute(),
        #[cfg(not(feature = "simulation"))]
        Command::Rehearse(_) => NotBuilt::execute(),
        #[cfg(feature = "simulation")]
        Command::Demo(demo) => demo.execute(),
        Command::Completions(completions) => completions.execute(),
        Command::Man(_) => shell::Man::execute(),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            complain(&format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in one way.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_mistake_and_a_full_disk_is() {
        let written = |kind: io::ErrorKind| {
            let mut out = Unhurried(Broken(kind));
            out.write_all(b"an answer").and_then(|()| out.flush()).map_err(|error| error.kind())
        };
        assert_eq!(written(io::ErrorKind::BrokenPipe), Ok(()));
        assert_eq!(written(io::ErrorKind::StorageFull), Err(io::ErrorKind::StorageFull));
    }
}
