//! `kentroller why [NODE]`: why each node stays, or that the next plan would take it; computed afresh. Reads only.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::output::Output;
use super::plan::{Effort, Trouble, ask, searched, tell};
use super::source::{Source, missing};
use super::terminal;
use crate::report::why::Why;
use crate::report::{Report, Timing, explain};

/// Arguments of `kentroller why`. It ends with 0, 2 for a node that is not there or wrong usage, 3 for input that cannot be read,
/// 4 where the cluster cannot be reached or does not allow it.
#[derive(Args, Debug)]
pub(super) struct WhyArguments {
    /// A node: all about it, where its pods go included. Without it all nodes are told.
    node: Option<String>,
    /// As the next cycle of continuous rebalancing would have it, instead of a claim without options.
    #[arg(long)]
    continuous: bool,
    #[command(flatten)]
    source: Source,
    /// The wall time that planning may take.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = ask::time_limit, conflicts_with = "steps")]
    time_limit: Duration,
    /// Search so many steps instead of a time: the same input and steps give the same bytes.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// How the answer is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Output,
}

impl WhyArguments {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let done = self.answer().and_then(|(why, told)| {
            self.output.print(&why, |why| told.unwrap_or_else(|| why.told(terminal::width()))).map_err(Trouble::Input)
        });
        Ok(done.map_or_else(Trouble::end, |()| ExitCode::SUCCESS))
    }

    /// The answer, and all about the one node that is asked for.
    fn answer(&self) -> Result<(Why, Option<String>), Trouble> {
        let looked = self.source.read()?;
        looked.warn();
        if let Some(name) = &self.node {
            let mut names = looked.snapshot.nodes.iter().map(|node| &*node.metadata.name);
            if !names.clone().any(|node| node == name) {
                return Err(missing("node", name, &mut names));
            }
        }
        let options = if self.continuous { looked.of_cycles() } else { looked.of_claims()? };
        let until = Instant::now() + self.time_limit;
        tell(&format!("planning for {} nodes and {} pods", looked.snapshot.nodes.len(), looked.snapshot.pods.len()));
        let judged =
            searched(&looked.snapshot, &looked.catalog, &options, Effort { steps: self.steps, until, advice: None })?;
        if let Some(objection) = judged.objections.first() {
            return Err(Trouble::Input(format!(
                "the plan that was found breaks a rule; please report this: {objection}"
            )));
        }
        let plan = &judged.plan;
        let mut why = Why::of(plan, if self.continuous { "cycles" } else { "claims" });
        let Some(node) = &self.node else { return Ok((why, None)) };
        why.nodes.retain(|one| one.node == *node);
        let (digest, warnings) = (looked.digest.clone(), looked.warnings.clone());
        let report = Report::of(plan, &looked.snapshot, &looked.catalog, digest, warnings, Timing::default());
        Ok((why, Some(explain::explain(&report, node))))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;
    use crate::cli::{Arguments, Command};

    fn why(arguments: &[&str]) -> Result<(Why, Option<String>), Trouble> {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("planner/tests/cases/why-not-two-replicas/case.yaml");
        let file = file.display().to_string();
        let all = [&["kentroller", "why", "-f", &file, "--steps", "400"], arguments].concat();
        let Command::Why(why) = Arguments::try_parse_from(all).expect("sound arguments").command else {
            panic!("not `why`")
        };
        why.answer()
    }

    #[test]
    fn it_is_told_why_nodes_stay_as_claims_have_it_and_as_cycles_do() {
        let (claims, _) = why(&[]).expect("an answer");
        let reasons: Vec<_> = claims.nodes.iter().map(|node| (node.node.as_str(), node.reason)).collect();
        assert_eq!(reasons, [("n-a", Some("replicas-together")), ("n-b", Some("replicas-together"))]);
        let (cycles, told) = why(&["--continuous", "n-b"]).expect("an answer");
        assert_eq!(cycles.asked_by, "cycles");
        assert_eq!(cycles.nodes.iter().map(|node| node.node.as_str()).collect::<Vec<_>>(), ["n-b"]);
        let told = told.expect("all about the node");
        assert!(told.starts_with("n-b stays: ") && told.contains(&cycles.nodes[0].detail), "{told}");
    }

    #[test]
    fn a_node_that_is_not_there_is_wrong_usage_and_says_which_are() {
        match why(&["n-c"]) {
            Err(Trouble::Usage(told)) => assert_eq!(told, "node n-c is not there; there are 2: n-a, n-b"),
            other => panic!("{other:?}"),
        }
    }
}
