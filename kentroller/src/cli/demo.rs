//! `kentroller demo`: the rehearsal of a generated cluster in which a schedule fires.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use jiff::Timestamp;
use kentroller_runtime::Kind as _;
use kentroller_world::Drift;
use serde_json::{Value, json};

use super::Unhurried;
use super::plan::writable;
use super::rehearse::{Ask, Cluster, Rehearsing, write_report};
use crate::api::RebalancePlanSchedule;

/// Arguments of `kentroller demo`.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// How many nodes the drifted cluster has.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(3..=2000))]
    nodes: u16,
    /// All chance comes from here: the same seed tells the same story to the letter.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also writes the report as one HTML file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

const START: &str = "2026-11-22T01:58:00Z";
/// After this much virtual time the story is over, finished or not.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

impl Demo {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        if let Some(file) = &self.report {
            writable(file).map_err(|message| anyhow!(message))?;
        }
        let starts: Timestamp = START.parse().context("the start of the demo")?;
        let cluster = Cluster::generated(Drift { nodes: usize::from(self.nodes), seed: self.seed }, starts);
        let ask = Ask::Object(schedule());
        let rehearsing = Rehearsing { cluster, ask, seed: self.seed, longest: LONGEST, beside: false, told: true };
        let rehearsed = rehearsing.play().map_err(|message| anyhow!(message))?;
        let mut out = Unhurried(std::io::stdout());
        writeln!(out, "\n{}", rehearsed.document.summary())?;
        if let Some(file) = &self.report {
            write_report(file, &rehearsed.document).map_err(|message| anyhow!(message))?;
            writeln!(out, "The report: {}", file.display())?;
        }
        let run = &rehearsed.document.operator;
        let sound = run.not_running.is_empty() && run.unplanned_nodes == 0 && rehearsed.document.broken.is_empty();
        Ok(if rehearsed.is_well && sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn schedule() -> Value {
    json!({
        "apiVersion": RebalancePlanSchedule::INFO.api_version(),
        "kind": RebalancePlanSchedule::INFO.kind,
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 2 * * *", "rebalancePlanClaimTemplate": {"metadata": {}, "spec": {"autoExecute": true}}},
    })
}
