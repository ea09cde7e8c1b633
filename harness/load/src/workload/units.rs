//! Quantities as people write them: every size, duration and rate carries its unit, because a bare
//! `64` has been bytes, kilobytes and records in somebody's benchmark.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A quantity that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: {reason}, write for example {example:?}")]
pub struct UnitError {
    /// What was written.
    pub text: String,
    /// What was expected: "size", "duration" or "rate".
    pub what: &'static str,
    /// What is wrong with it.
    pub reason: String,
    /// A right spelling.
    pub example: &'static str,
}

/// A number of bytes: `100B`, `64KiB`, `1MB` (10^6), `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// A span of time: `500us`, `2ms`, `10s`, `5m`. Kept in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub u64);

/// Records per second: `20_000/s`, `1.5M/s`, `0.5/s`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];
const PERIOD_UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const RATE_UNITS: &[(&str, u64)] =
    &[("/s", 1), ("k/s", 1_000), ("K/s", 1_000), ("M/s", 1_000_000), ("G/s", 1_000_000_000)];

impl Size {
    /// The size as a buffer length; saturates where memory could not hold it anyway.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Period {
    /// The period as the standard library's type.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0)
    }

    /// Whole milliseconds, rounded down.
    pub const fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Seconds as a float, for rates.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Rate {
    /// Records per second.
    pub const fn per_s(self) -> f64 {
        self.0
    }
}

/// Splits `64KiB` into its number and unit; underscores and inner blanks are allowed in front.
fn split(text: &str) -> (String, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.replace('_', ""), unit.trim())
}

fn quantity(
    text: &str,
    what: &'static str,
    example: &'static str,
    units: &[(&str, u64)],
) -> Result<f64, UnitError> {
    let fail = |reason: String| UnitError { text: text.to_owned(), what, reason, example };
    let (number, unit) = split(text);
    let number: f64 = number.parse().map_err(|_| fail("there is no number in front".into()))?;
    if unit.is_empty() {
        return Err(fail("the unit is missing".into()));
    }
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let factor = factor.ok_or_else(|| {
        let known: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        fail(format!("unit {unit:?} is unknown (one of {})", known.join(", ")))
    })?;
    Ok(number * factor as f64)
}

/// Rejects what does not come out as a whole number of base units: half a byte is a typing error.
fn whole(value: f64, text: &str, what: &'static str, example: &'static str) -> Result<u64, UnitError> {
    if value.fract() != 0.0 || value >= 9e18 {
        let reason = "it is not a whole number of the smallest unit".into();
        return Err(UnitError { text: text.to_owned(), what, reason, example });
    }
    Ok(value as u64)
}

impl FromStr for Size {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let value = quantity(text, "size", "64KiB", SIZE_UNITS)?;
        whole(value, text, "size", "64KiB").map(Size)
    }
}

impl FromStr for Period {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let value = quantity(text, "duration", "2ms", PERIOD_UNITS)?;
        whole(value, text, "duration", "2ms").map(Period)
    }
}

impl FromStr for Rate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        quantity(text, "rate", "20_000/s", RATE_UNITS).map(Rate)
    }
}

/// The largest unit that divides `value` exactly, so that writing and reading back is lossless.
fn largest_exact(value: u64, units: &[(&'static str, u64)]) -> (u64, &'static str) {
    units
        .iter()
        .find(|(_, f)| value != 0 && value.is_multiple_of(*f))
        .map_or_else(|| (value, units.last().map_or("", |(name, _)| name)), |(name, f)| (value / f, name))
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = &SIZE_UNITS[..4];
        let (number, unit) = largest_exact(self.0, binary);
        match self.0 != 0 && self.0.is_multiple_of(1024) {
            true => write!(f, "{number}{unit}"),
            false => write!(f, "{}B", self.0),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DOWN: &[(&str, u64)] = &[("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
        match self.0 {
            0 => write!(f, "0s"),
            ns => {
                let (number, unit) = largest_exact(ns, DOWN);
                write!(f, "{number}{unit}")
            }
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// Reads a quantity from a string and explains, when it meets a bare number, that the unit is missing.
struct WithUnit<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err = UnitError>> de::Visitor<'_> for WithUnit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a quantity with its unit, for example {:?}", self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        Err(E::custom(format!("{number} has no unit, write for example {:?}", self.0)))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        Err(E::custom(format!("{number} has no unit, write for example {:?}", self.0)))
    }
}

macro_rules! as_text {
    ($type:ty, $example:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                source.deserialize_any(WithUnit::<$type>($example, PhantomData))
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
                sink.collect_str(self)
            }
        }
    };
}
as_text!(Size, "64KiB");
as_text!(Period, "2ms");
as_text!(Rate, "20_000/s");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_read_binary_and_decimal_units() {
        assert_eq!("64KiB".parse(), Ok(Size(65_536)));
        assert_eq!("1MB".parse(), Ok(Size(1_000_000)));
        assert_eq!("1_000 B".parse(), Ok(Size(1_000)));
        assert_eq!("1.5KiB".parse(), Ok(Size(1_536)));
    }

    #[test]
    fn a_missing_or_unknown_unit_names_a_right_spelling() {
        let missing = "64".parse::<Size>().unwrap_err().to_string();
        assert!(missing.contains("unit is missing") && missing.contains("64KiB"), "{missing}");
        let unknown = "64Kb".parse::<Size>().unwrap_err().to_string();
        assert!(unknown.contains("KiB"), "{unknown}");
        assert!("0.3B".parse::<Size>().is_err());
    }

    #[test]
    fn rates_and_periods_read_their_units() {
        assert_eq!("20_000/s".parse(), Ok(Rate(20_000.0)));
        assert_eq!("1.5M/s".parse(), Ok(Rate(1_500_000.0)));
        assert_eq!("2ms".parse(), Ok(Period(2_000_000)));
        assert_eq!("1.5s".parse(), Ok(Period(1_500_000_000)));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(bytes in 0u64..1 << 52, ns in 0u64..1 << 52, rate in 1u32..) {
            prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
            prop_assert_eq!(Period(ns).to_string().parse(), Ok(Period(ns)));
            let rate = Rate(f64::from(rate) / 8.0);
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }
    }
}
