//! How an answer is printed.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    #[default]
    Table,
    Json,
    Yaml,
}

impl Output {
    /// Prints an answer; `told` makes the text for people.
    ///
    /// # Errors
    /// None that is known: those of the writers of JSON and YAML.
    pub(super) fn print<T: Serialize>(self, answer: &T, told: impl FnOnce(&T) -> String) -> Result<(), String> {
        let text = match self {
            Self::Table => told(answer),
            Self::Json => serde_json::to_string_pretty(answer).map_err(|error| error.to_string())? + "\n",
            Self::Yaml => serde_saphyr::to_string(answer).map_err(|error| error.to_string())?,
        };
        let mut out = std::io::stdout().lock();
        // A reader that has seen enough (`| head`) is no mistake.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        Ok(())
    }
}
