//! Money and percentages as integers, and their decimal text.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount per hour.
///
/// Unit: millionths of a US dollar an hour. Shown with four digits (`0.0960`), half to even, never with an exponent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// Hours a month counts: 365 days of 24 hours over 12 months, as AWS bills estimate.
pub const HOURS_A_MONTH: i64 = 730;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// More than anything costs.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount in millionths of a dollar an hour.
    pub const fn micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The amount in millionths of a dollar an hour.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The same as a floating-point number, to be weighed against what pods are worth.
    pub(crate) const fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// Parses a decimal such as `0.096`; digits beyond the sixth round half up.
    ///
    /// # Errors
    /// `None` for anything but an optional minus, digits and one point.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) || whole.len() > 12 {
            return None;
        }
        let mut micros: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        for place in 0..6 {
            micros = micros * 10 + fraction.as_bytes().get(place).map_or(0, |b| i64::from(b - b'0'));
        }
        if fraction.as_bytes().get(6).is_some_and(|b| *b >= b'5') {
            micros += 1;
        }
        Some(Self(if negative { -micros } else { micros }))
    }

    /// The hourly amount with four digits.
    pub fn hourly(self) -> String {
        decimal(i128::from(self.0), 1_000_000, 4)
    }

    /// The hourly amount to the last digit that is known.
    pub fn exact(self) -> String {
        decimal(i128::from(self.0), 1_000_000, 6)
    }

    /// The amount a month (730 hours) with two digits.
    pub fn monthly(self) -> String {
        decimal(i128::from(self.0) * i128::from(HOURS_A_MONTH), 1_000_000, 2)
    }

    /// This amount's share of a whole; nothing of nothing is 0 %.
    pub fn percent_of(self, whole: Self) -> Percent {
        if whole.0 == 0 {
            return Percent(0);
        }
        let hundredths = div_half_even(i128::from(self.0) * 1_000_000, i128::from(whole.0));
        Percent(i64::try_from(hundredths).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hourly())
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.exact())
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not an amount such as 0.096")))
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}
impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl Mul<i64> for Money {
    type Output = Self;
    fn mul(self, by: i64) -> Self {
        Self(self.0.saturating_mul(by))
    }
}
impl Div<i64> for Money {
    type Output = Self;
    /// A part of it, rounded towards nothing.
    fn div(self, by: i64) -> Self {
        Self(self.0 / by)
    }
}
impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::add)
    }
}

/// A percentage.
///
/// Unit: ten-thousandths of a percent. Shown with one digit, half to even.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Percent(i64);

impl Percent {
    /// A whole percentage.
    pub const fn whole(percent: i64) -> Self {
        Self(percent * 10_000)
    }

    /// A percentage in ten-thousandths of a percent.
    pub const fn from_parts(parts: i64) -> Self {
        Self(parts)
    }

    /// The percentage in ten-thousandths of a percent.
    pub const fn parts(self) -> i64 {
        self.0
    }

    /// Parses `12`, `12.5` or `12.5%`; `None` for anything else or what is below zero.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('%').unwrap_or(text);
        let money = Money::parse(text)?;
        (money.0 >= 0).then_some(Self(money.0 / 100))
    }

    /// This share of a count, rounded down: a limit of 5 % is never more than 5 %.
    pub fn of_count(self, count: usize) -> usize {
        let share = (i128::from(self.0) * count as i128).max(0);
        usize::try_from(share / 1_000_000).unwrap_or(usize::MAX)
    }

    /// This share of an amount, rounded up.
    pub fn of_money(self, whole: Money) -> Money {
        Money(self.of(whole.0))
    }

    /// This share of a quantity, rounded up.
    pub fn of(self, whole: i64) -> i64 {
        let share = i128::from(self.0) * i128::from(whole.max(0));
        i64::try_from((share + 999_999) / 1_000_000).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(i128::from(self.0), 10_000, 1))
    }
}

fn div_half_even(value: i128, by: i128) -> i128 {
    let (quotient, rest) = (value.div_euclid(by), value.rem_euclid(by));
    match (rest * 2).cmp(&by.abs()) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

/// `value / unit` with a fixed number of digits, half to even.
fn decimal(value: i128, unit: i128, digits: u32) -> String {
    let power = 10i128.pow(digits);
    let rounded = div_half_even(value * power, unit);
    let sign = if rounded < 0 { "-" } else { "" };
    let magnitude = rounded.abs();
    format!("{sign}{}.{:0width$}", magnitude / power, magnitude % power, width = digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_half_to_even_and_never_with_an_exponent() {
        for (text, hourly, monthly) in [
            ("0.096", "0.0960", "70.08"),
            ("0.00005", "0.0000", "0.04"),
            ("0.00015", "0.0002", "0.11"),
            ("-0.34", "-0.3400", "-248.20"),
            ("1234567.5", "1234567.5000", "901234275.00"),
            ("0.0000005", "0.0000", "0.00"),
        ] {
            let money = Money::parse(text).expect(text);
            assert_eq!((money.hourly(), money.monthly()), (hourly.to_owned(), monthly.to_owned()), "{text}");
        }
        for text in ["", ".", "1e3", "NaN", "1,5", "--1", "inf"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
    }

    #[test]
    fn percentages_round_up_as_counts_and_half_to_even_as_text() {
        assert_eq!(Percent::whole(5).of_count(971), 48);
        assert_eq!(Percent::whole(100).of_count(971), 971);
        assert_eq!(Percent::whole(0).of_count(11), 0);
        assert_eq!(Money::micros(1).percent_of(Money::micros(3)).to_string(), "33.3");
        assert_eq!(Money::micros(5).percent_of(Money::ZERO).to_string(), "0.0");
        assert_eq!(Percent::parse("12.25%").map(|p| p.to_string()), Some("12.2".to_owned()));
    }
}
