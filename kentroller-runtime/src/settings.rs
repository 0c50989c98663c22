//! Settings: read from the environment once, and overlaid by a ConfigMap that may change at any time. One struct with
//! `#[derive(Settings)]` names each of them; what it yields here is also the JSON schema and the reference page.
//!
//! A wrong value is never half applied: all mistakes come in one run, and the last good settings stay.

mod duration;
mod read;
mod value;

use std::fmt;

use serde_json::Value;

pub use self::duration::parse as parse_duration;
pub use self::read::{FromConfig, FromEnv};
pub use self::value::{Decimal, SettingType, SettingValue};

/// A struct of settings. Implemented by `#[derive(Settings)]`.
pub trait Settings: Sized {
    /// All settings.
    const FIELDS: &'static [SettingInfo];

    /// Reads the environment; what is unset or empty has its default.
    ///
    /// # Errors
    /// Every value that is wrong.
    fn from_env(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<SettingMistake>>;

    /// Overlays what the ConfigMap says. A key that is absent or null changes nothing, so apply each new text to a copy
    /// of what the environment gave: then a key that was taken away has its former value again.
    ///
    /// # Errors
    /// Every key that is unknown or has a wrong value; then nothing was changed.
    fn apply_config(&mut self, config: &Value) -> Result<(), Vec<SettingMistake>>;
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct SettingInfo {
    /// The field.
    pub name: &'static str,
    /// The environment variable.
    pub env: Option<&'static str>,
    /// Dotted path in the ConfigMap's text.
    pub config: Option<&'static str>,
    /// Dotted path in the chart's values.
    pub helm: Option<&'static str>,
    /// What a value looks like.
    pub type_: SettingType,
    /// As one would write it in the environment; `None` for a setting that is unset unless somebody sets it.
    pub default: Option<&'static str>,
    /// The least and the greatest value, as one would write them in the environment.
    pub range: Option<(&'static str, &'static str)>,
    /// What it does.
    pub doc: &'static str,
}

impl SettingInfo {
    /// What a value of it looks like, such as `a whole number from 1 to 100`.
    pub fn expected(&self) -> String {
        match self.range {
            Some((least, greatest)) => format!("{} from {least} to {greatest}", self.type_),
            None => self.type_.to_string(),
        }
    }
}

/// A setting whose value is wrong, or that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingMistake {
    /// The environment variable or the dotted key.
    pub name: String,
    /// What was found.
    pub value: String,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for SettingMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is `{}`; {}", self.name, self.value, self.expected)
    }
}

impl std::error::Error for SettingMistake {}
