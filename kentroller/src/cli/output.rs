//! How an answer is printed.

use clap::ValueEnum;
use serde::Serialize;

use super::terminal;
use crate::report::width::folded;

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
    /// Output that cannot be written, such as to a disk that is full.
    pub(super) fn print<T: Serialize>(self, answer: &T, told: impl FnOnce(&T) -> String) -> Result<(), String> {
        let text = match self {
            Self::Table => folded(&told(answer), terminal::width()),
            Self::Json => json(answer)?,
            Self::Yaml => yaml(answer)?,
        };
        super::print(&text).map_err(|error| format!("the answer cannot be printed: {error}"))
    }
}

/// As JSON, with a line end.
///
/// # Errors
/// None that is known: the writer's own.
pub(super) fn json<T: Serialize>(answer: &T) -> Result<String, String> {
    serde_json::to_string_pretty(answer).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// As YAML.
///
/// # Errors
/// None that is known: the writer's own.
pub(super) fn yaml<T: Serialize>(answer: &T) -> Result<String, String> {
    serde_saphyr::to_string(answer).map_err(|error| error.to_string())
}
