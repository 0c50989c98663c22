//! `kentroller pause` and `kentroller resume`: one switch for everything, in the ConfigMap that holds the operator's settings.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use kentroller_runtime::settings::parse_duration;
use kentroller_runtime::{Clock, Kind};
use serde_json::{Value, json};

use super::place::Place;
use super::remote::{Remote, runtime};
use crate::api::foreign::ConfigMap;
use crate::settings::PAUSED;

/// Arguments of `kentroller pause`.
#[derive(Args, Debug)]
pub(super) struct PauseArguments {
    /// For how long, such as 2h; without it until `kentroller resume`.
    #[arg(long = "for", value_parser = duration)]
    time: Option<Duration>,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `kentroller resume`.
#[derive(Args, Debug)]
pub(super) struct ResumeArguments {
    #[command(flatten)]
    place: Place,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).filter(|time| !time.is_zero()).ok_or_else(|| "write a duration such as 30m or 2h".to_owned())
}

impl PauseArguments {
    /// No claim is made, no plan begins, and a plan that runs is held where it is.
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let end = self.time.map(|time| Clock::system().now().saturating_add(time)).transpose()?;
        let end = end.map(|end| Timestamp::from_second(end.as_second())).transpose()?;
        let (value, told) = said(end);
        write(&self.place, &value, &told)
    }
}

impl ResumeArguments {
    /// Takes the pause back.
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let told = "Everything goes on; what was held counts none of the time of the pause.";
        write(&self.place, &Value::Null, told)
    }
}

/// What the ConfigMap says, and what the caller is told.
fn said(end: Option<Timestamp>) -> (Value, String) {
    let held = "no claim is made, no plan begins, and a plan that runs is held where it is";
    match end {
        Some(end) => (json!(end.to_string()), format!("Everything is paused until {end}: {held}.")),
        None => (json!("true"), format!("Everything is paused: {held}. `kentroller resume` ends it.")),
    }
}

fn write(place: &Place, value: &Value, told: &str) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let remote = Remote::connect().await?;
        let key = place.config_map(&remote);
        let Some(map) = remote.read_at::<ConfigMap>(&key).await? else {
            bail!(
                "there is no {} {key}; name the namespace of the operator with -n, and the ConfigMap of its settings with --config-map",
                ConfigMap::INFO.kind
            )
        };
        remote.merge(&map, json!({"data": {PAUSED: value}})).await?;
        writeln!(super::out(), "{told}")?;
        Ok(ExitCode::SUCCESS)
    })
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::settings::SettingValue as _;

    use super::*;
    use crate::settings::Pause;

    #[test]
    fn what_is_written_is_what_the_operator_reads() {
        let end: Timestamp = "2026-11-22T10:00:00Z".parse().expect("a time");
        for (end, wanted) in [(None, Pause::Yes), (Some(end), Pause::Until(end))] {
            let (value, told) = said(end);
            assert_eq!(Pause::parse(value.as_str().expect("a text")), Some(wanted), "{told}");
        }
    }
}
