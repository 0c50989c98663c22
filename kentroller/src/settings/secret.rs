//! A text that nobody reads but whom it is for.

use std::fmt;

use kentroller_runtime::settings::{SettingType, SettingValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// What is written in its place.
const MASK: &str = "***";

/// A key. Neither a log nor a record nor an error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever it is a key of.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// Of what was written, which is masked: a record does not need it.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

impl SettingValue for Secret {
    const TYPE: SettingType = SettingType::Secret;

    fn parse(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
    fn from_config(_: &Value) -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_nowhere() {
        let secret = Secret::parse("canary").expect("a text");
        assert_eq!(secret.reveal(), "canary");
        assert_eq!(format!("{secret:?}"), MASK);
        assert_eq!(serde_json::to_value(&secret).expect("a text"), MASK);
    }
}
