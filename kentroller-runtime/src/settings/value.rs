//! The types that a setting may have.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::duration;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingType {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// With at most six digits after the point.
    Decimal,
    /// Such as `1h30m`.
    Duration,
    /// Any text.
    Text,
    /// A text that is shown nowhere.
    Secret,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Elements of one type.
    List(&'static SettingType),
    /// A structure that is described in words.
    Structure(&'static str),
}

impl SettingType {
    /// Where a value stands among others of its type; `None` of a type without an order, and of what is no value of it.
    pub(crate) fn rank(self, text: &str) -> Option<i128> {
        match self {
            Self::Integer => text.parse().ok(),
            Self::Decimal => Decimal::parse(text).map(|decimal| i128::from(decimal.millionths())),
            Self::Duration => duration::parse(text).and_then(|duration| i128::try_from(duration.as_nanos()).ok()),
            Self::Boolean | Self::Text | Self::Secret | Self::Word(_) | Self::List(_) | Self::Structure(_) => None,
        }
    }
}

impl fmt::Display for SettingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("true or false"),
            Self::Integer => f.write_str("a whole number"),
            Self::Decimal => f.write_str("a decimal number"),
            Self::Duration => f.write_str("a duration such as 30s or 1h30m"),
            Self::Text => f.write_str("a text"),
            Self::Secret => f.write_str("a text that is shown nowhere"),
            Self::Word(words) => write!(f, "one of {}", words.join(", ")),
            Self::List(element) => write!(f, "a list, each element {element}"),
            Self::Structure(description) => f.write_str(description),
        }
    }
}

/// A type that a setting may have.
pub trait SettingValue: Sized {
    /// What a value looks like.
    const TYPE: SettingType;

    /// Reads the environment's text; `None` if it is wrong.
    fn parse(text: &str) -> Option<Self>;

    /// Reads the ConfigMap's value; `None` if it is wrong.
    fn from_config(value: &Value) -> Option<Self>;

    /// Whether the value lies between two others; types without an order are always within.
    fn within(&self, _least: &str, _greatest: &str) -> bool {
        true
    }

    /// The value of a setting that nobody sets and that has no default; `None` if there must be one.
    fn unset() -> Option<Self> {
        None
    }
}

fn between<T: SettingValue + PartialOrd>(value: &T, least: &str, greatest: &str) -> bool {
    let (least, greatest) = (T::parse(least), T::parse(greatest));
    least.is_some_and(|least| least <= *value) && greatest.is_some_and(|greatest| *value <= greatest)
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl SettingValue for $integer {
            const TYPE: SettingType = SettingType::Integer;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn from_config(value: &Value) -> Option<Self> {
                value.as_i64().and_then(|number| Self::try_from(number).ok())
            }
            fn within(&self, least: &str, greatest: &str) -> bool {
                between(self, least, greatest)
            }
        }
    )*};
}
integers!(i32, i64, u8, u16, u32, u64, usize);

impl SettingValue for bool {
    const TYPE: SettingType = SettingType::Boolean;

    /// The spellings of Go's `strconv.ParseBool`: charts and people write them.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        }
    }
    fn from_config(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl SettingValue for String {
    const TYPE: SettingType = SettingType::Text;

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn from_config(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

/// `1h30m`; in the ConfigMap also a whole number of seconds.
impl SettingValue for Duration {
    const TYPE: SettingType = SettingType::Duration;

    fn parse(text: &str) -> Option<Self> {
        duration::parse(text)
    }
    fn from_config(value: &Value) -> Option<Self> {
        match value {
            Value::Number(seconds) => seconds.as_u64().map(Duration::from_secs),
            _ => duration::parse(value.as_str()?),
        }
    }
    fn within(&self, least: &str, greatest: &str) -> bool {
        between(self, least, greatest)
    }
}

/// A decimal number with at most six digits after the point, kept as an integer: a percentage or an amount of money
/// must come out of a comparison the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Decimal {
    millionths: i64,
}

impl Decimal {
    /// So many millionths.
    pub const fn from_millionths(millionths: i64) -> Self {
        Self { millionths }
    }

    /// In millionths.
    pub const fn millionths(self) -> i64 {
        self.millionths
    }
}

impl SettingValue for Decimal {
    const TYPE: SettingType = SettingType::Decimal;

    fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 6 {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
        let millionths = whole.checked_mul(1_000_000)?.checked_add(fraction)?;
        Some(Self { millionths: sign * millionths })
    }
    fn from_config(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => Self::parse(value.as_str()?),
        }
    }
    fn within(&self, least: &str, greatest: &str) -> bool {
        between(self, least, greatest)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.millionths < 0 { "-" } else { "" };
        let (whole, fraction) =
            (self.millionths.unsigned_abs() / 1_000_000, self.millionths.unsigned_abs() % 1_000_000);
        let fraction = format!("{fraction:06}");
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            fraction => write!(f, "{sign}{whole}.{fraction}"),
        }
    }
}

/// Unset unless somebody sets it.
impl<T: SettingValue> SettingValue for Option<T> {
    const TYPE: SettingType = T::TYPE;

    fn parse(text: &str) -> Option<Self> {
        T::parse(text).map(Some)
    }
    fn from_config(value: &Value) -> Option<Self> {
        T::from_config(value).map(Some)
    }
    fn within(&self, least: &str, greatest: &str) -> bool {
        self.as_ref().is_none_or(|value| value.within(least, greatest))
    }
    fn unset() -> Option<Self> {
        Some(None)
    }
}

/// Separated by commas in the environment; empty unless somebody sets it.
impl<T: SettingValue> SettingValue for Vec<T> {
    const TYPE: SettingType = SettingType::List(&T::TYPE);

    fn parse(text: &str) -> Option<Self> {
        text.split(',').map(str::trim).filter(|element| !element.is_empty()).map(T::parse).collect()
    }
    fn from_config(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::from_config).collect()
    }
    fn unset() -> Option<Self> {
        Some(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_are_exact_and_print_as_they_were_read() {
        for text in ["0", "15", "50.5", "-1.25", "0.000001", "-0.5"] {
            assert_eq!(Decimal::parse(text).map(|read| read.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Decimal::parse("50.0"), Some(Decimal::from_millionths(50_000_000)));
        assert_eq!(Decimal::from_config(&json!(15.5)), Decimal::parse("15.5"));
        for wrong in ["", "-", "1.", ".5", "1e3", "NaN", "inf", "1,5", "0.0000001", "9223372036854775807"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_not_bent_into_one() {
        assert_eq!(i32::from_config(&json!("5")), None);
        assert_eq!(i32::from_config(&json!(5.5)), None);
        assert_eq!(u8::from_config(&json!(-1)), None);
        assert_eq!(bool::from_config(&json!("true")), None);
        assert_eq!(String::from_config(&json!(5)), None);
        assert_eq!(Duration::from_config(&json!(-5)), None);
        assert_eq!(Duration::from_config(&json!(60)), Some(Duration::from_secs(60)));
        assert_eq!(Vec::<String>::parse("a, b,"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(Vec::<i32>::parse("1,x"), None);
    }
}
