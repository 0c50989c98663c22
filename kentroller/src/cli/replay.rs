//! `kentroller replay FILE`: what was decided once is decided again, anywhere.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use kentroller_planner::Catalog;
use kentroller_runtime::engine::ports::Ports;
use kentroller_runtime::engine::record::Record;

use crate::backend::{Checks, Effort, Embedded, Plans, Prices};
use crate::controllers;

/// Arguments of `kentroller replay`.
#[derive(Args, Debug)]
pub(super) struct Replay {
    /// A file that `kentroller run --records FOLDER` wrote.
    file: PathBuf,
}

impl Replay {
    /// Prints the outcome; exit code 1 if it differs from the recorded one.
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let name = self.file.display();
        let text = std::fs::read_to_string(&self.file).with_context(|| format!("cannot read {name}"))?;
        let record: Record = serde_json::from_str(&text).with_context(|| format!("{name} is not a record"))?;
        // Answers are in the record; nothing is asked anew.
        let unasked = Embedded { prices: Prices::Fixed(Arc::new(Catalog::default())), effort: Effort::Steps(0) };
        let ports = Ports::default().with(Plans::new(unasked.clone())).with(Checks(unasked));
        let outcome = record.replay(&controllers::all(), &ports).with_context(|| name.to_string())?;
        let mut out = super::out();
        write!(out, "{outcome}")?;
        if outcome == record.outcome {
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(out, "\nThis is not what was recorded:\n{}", record.outcome)?;
        Ok(ExitCode::FAILURE)
    }
}
