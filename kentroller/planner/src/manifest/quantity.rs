//! Kubernetes quantities as exact integers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An exact, non-lossy Kubernetes quantity.
///
/// Unit: billionths of the base unit (of a core, a byte, a piece). Digits beyond the ninth round up, away from zero, as
/// `resource.ParseQuantity` of apimachinery does. Values beyond 2^63-1 whole units are capped there, as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i128);

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a quantity: write a number with an optional suffix, such as 250m, 1.5, 512Mi or 2G")]
pub struct QuantityError(pub String);

const NANO: i128 = 1_000_000_000;
const LARGEST: i128 = (i64::MAX as i128) * NANO;

impl Quantity {
    /// A whole number of base units.
    pub const fn whole(units: i64) -> Self {
        Self(units as i128 * NANO)
    }

    /// A number of thousandths.
    pub const fn thousandths(milli: i64) -> Self {
        Self(milli as i128 * (NANO / 1_000))
    }

    /// Thousandths of the base unit, rounded up (milli-cpu).
    pub fn milli(self) -> i64 {
        ceil_div(self.0, NANO / 1_000)
    }

    /// Whole base units, rounded up (bytes, pieces).
    pub fn units(self) -> i64 {
        ceil_div(self.0, NANO)
    }

    /// The sum; values beyond the range are capped.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0).clamp(-LARGEST, LARGEST))
    }

    /// Parses the text form, for example `100m`, `1.5Gi` or `2e3`.
    ///
    /// Accepts what apimachinery's `ParseQuantity` accepts; a text without a digit (`m`, `+`) is zero there, and here.
    ///
    /// # Errors
    /// Anything that apimachinery refuses.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse(text).ok_or_else(|| QuantityError(text.chars().take(64).collect()))
    }
}

/// Rounds up, and away from zero for what is below zero, into an `i64`.
fn ceil_div(value: i128, by: i128) -> i64 {
    let whole = value / by;
    let rounded = if value % by == 0 { whole } else { whole + value.signum() };
    i64::try_from(rounded).unwrap_or(if rounded > 0 { i64::MAX } else { i64::MIN })
}

fn parse(text: &str) -> Option<Quantity> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (binary_shift, decimal_exponent) = scale(suffix)?;
    // apimachinery reads the largest and smallest suffixes on another path, which wants a digit.
    let no_digit = whole.is_empty() && fraction.is_empty();
    if fraction.contains('.') || (no_digit && (binary_shift >= 50 || decimal_exponent < -9)) {
        return None;
    }
    let mut digits: i128 = 0;
    let mut exponent = decimal_exponent;
    let mut lost = false;
    let significant = whole.bytes().chain(fraction.bytes()).skip_while(|b| *b == b'0');
    let mut seen = 0u32;
    for digit in significant {
        // What does not fit only decides rounding.
        if seen < 37 {
            digits = digits * 10 + i128::from(digit - b'0');
            seen += 1;
        } else {
            lost |= digit != b'0';
            exponent += 1;
        }
    }
    exponent = exponent.saturating_sub(i32::try_from(fraction.len()).ok()?) + 9;
    if digits == 0 {
        return Some(Quantity(0));
    }
    let mut nano = loop {
        if let Some(product) = digits.checked_mul(1i128 << binary_shift) {
            break product;
        }
        lost |= digits % 10 != 0;
        digits /= 10;
        exponent += 1;
    };
    while exponent > 0 {
        match nano.checked_mul(10) {
            Some(product) if product <= LARGEST * NANO => nano = product,
            _ => {
                nano = LARGEST;
                break;
            }
        }
        exponent -= 1;
    }
    while exponent < 0 && nano > 0 {
        lost |= nano % 10 != 0;
        nano /= 10;
        exponent += 1;
    }
    if lost {
        nano += 1;
    }
    let nano = nano.min(LARGEST);
    Some(Quantity(if negative { -nano } else { nano }))
}

/// The suffix as (power of two, power of ten).
fn scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
            // Beyond this everything is the largest or the smallest quantity.
            (0, i32::try_from(exponent.clamp(-1_000_000, 1_000_000)).ok()?)
        }
    })
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, suffix) = match self.0 {
            v if v % NANO == 0 => (v / NANO, ""),
            v if v % (NANO / 1_000) == 0 => (v / (NANO / 1_000), "m"),
            v if v % 1_000 == 0 => (v / 1_000, "u"),
            v => (v, "n"),
        };
        for (shift, binary) in [(60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if suffix.is_empty() && value != 0 && value % (1i128 << shift) == 0 {
                return write!(f, "{}{binary}", value >> shift);
            }
        }
        write!(f, "{value}{suffix}")
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 250m or 512Mi")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Quantity::parse(text).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity::whole(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity::whole(i64::try_from(number).unwrap_or(i64::MAX)))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                Quantity::parse(&number.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_parse_to_the_integer_the_scheduler_counts() {
        for (text, milli, units) in [
            ("0", 0, 0),
            ("100m", 100, 1),
            ("1", 1_000, 1),
            ("1.5", 1_500, 2),
            (".5", 500, 1),
            ("2.", 2_000, 2),
            ("+1", 1_000, 1),
            ("0.0001", 1, 1),
            ("1n", 1, 1),
            ("1Ki", 1_024_000, 1_024),
            ("1.5Gi", 1_610_612_736_000, 1_610_612_736),
            ("0.1Ki", 102_400, 103),
            ("12e6", 12_000_000_000, 12_000_000),
            ("1E3", 1_000_000, 1_000),
            ("1e-3", 1, 1),
            ("128974848", 128_974_848_000, 128_974_848),
            ("0.00000000001", 1, 1),
            ("9223372036854775807", i64::MAX, i64::MAX),
            ("99999999999999999999", i64::MAX, i64::MAX),
            ("00001.50", 1_500, 2),
            ("-100m", -100, -1),
        ] {
            let quantity = Quantity::parse(text).expect(text);
            assert_eq!((quantity.milli(), quantity.units()), (milli, units), "{text}");
            assert_eq!(Quantity::parse(&quantity.to_string()).expect("round trip"), quantity, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "Pi", "1.2.3", "1 Gi", "1gi", "1K", "1e", "0x10", "1e99999999999999999999", "1mm", "१"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }
}
