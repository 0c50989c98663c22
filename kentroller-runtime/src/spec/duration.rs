//! A duration in a spec.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::settings::parse_duration;

/// A duration as Kubernetes writes it: `30s`, `1h30m`, `500ms`. The CRD refuses anything else.
///
/// ```
/// use kentroller_runtime::spec::Duration;
///
/// let idle: Duration = serde_json::from_value("1h30m".into())?;
/// assert_eq!(idle.as_secs(), 5_400);
/// assert_eq!(Duration::from(std::time::Duration::from_secs(90)).to_string(), "1m30s");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(std::time::Duration);

/// What Go's `time.ParseDuration` reads, but for signs.
const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$";

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl Deref for Duration {
    type Target = std::time::Duration;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        let (seconds, mut nanos) = (self.0.as_secs(), u64::from(self.0.subsec_nanos()));
        for (count, unit) in [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        for (size, unit) in [(1_000_000, "ms"), (1_000, "us"), (1, "ns")] {
            if nanos >= size {
                write!(f, "{}{unit}", nanos / size)?;
                nanos %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text: Cow<'de, str> = Deserialize::deserialize(from)?;
        parse_duration(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no duration such as 30s or 1h30m")))
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN })
    }
}

/// The schema says all that there is to check, and a wrong text is never read.
impl garde::Validate for Duration {
    type Context = ();

    fn validate_into(&self, (): &(), _: &mut dyn FnMut() -> garde::Path, _: &mut garde::Report) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let nanos = [0, 1, 999, 1_500_000, 1_000_000_000, 90_000_000_000, 5_400_000_000_000, 86_400_000_000_001];
        for nanos in nanos {
            let duration = Duration(std::time::Duration::from_nanos(nanos));
            assert_eq!(parse_duration(&duration.to_string()), Some(duration.0), "{duration}");
        }
        let shown = |seconds| Duration(std::time::Duration::from_secs(seconds)).to_string();
        assert_eq!([0, 30, 90, 5_400, 90_000].map(shown), ["0s", "30s", "1m30s", "1h30m", "25h"]);
    }

    #[test]
    fn a_wrong_text_is_named() {
        let read = serde_json::from_value::<Duration>("soon".into());
        assert_eq!(read.expect_err("it is wrong").to_string(), "`soon` is no duration such as 30s or 1h30m");
    }
}
