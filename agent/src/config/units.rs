//! Durations and sizes as a person writes them: `60s`, `250ms`, `16MiB`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A length of time: a whole number with `ms`, `s`, `m` or `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes: a whole number with `B`, `KiB`, `MiB` or `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(pub u64);

/// The text is not a number with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a whole number with one of the units {units}")]
pub struct UnitError {
    text: String,
    units: &'static str,
}

const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let milliseconds = number(text, &TIMES, "ms, s, m, h")?;
        Ok(Self(Duration::from_millis(milliseconds)))
    }
}

impl FromStr for ByteCount {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        number(text, &SIZES, "B, KiB, MiB, GiB").map(Self)
    }
}

fn number(text: &str, table: &[(&str, u64)], units: &'static str) -> Result<u64, UnitError> {
    let split = text.find(|c: char| !c.is_ascii_digit());
    let parts = text.split_at(split.unwrap_or(text.len()));
    let unit = table.iter().find(|(unit, _)| *unit == parts.1.trim_start());
    let count = parts.0.parse::<u64>().ok();
    count
        .zip(unit)
        .and_then(|(count, (_, factor))| count.checked_mul(*factor))
        .ok_or_else(|| UnitError {
            text: text.chars().take(40).collect(),
            units,
        })
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match unit
            .iter()
            .find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size))
        {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_anything_else_is_refused() {
        assert_eq!("60s".parse(), Ok(Span(Duration::from_mins(1))));
        assert_eq!("250ms".parse(), Ok(Span(Duration::from_millis(250))));
        assert_eq!("16MiB".parse(), Ok(ByteCount(16 << 20)));
        assert_eq!("512B".parse(), Ok(ByteCount(512)));
        for bad in [
            "",
            "s",
            "60",
            "-1s",
            "1.5s",
            "60 parsecs",
            "99999999999999999999s",
            "99999999999999999h",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
        for bad in ["16MB", "16", "MiB", "99999999999GiB"] {
            assert!(bad.parse::<ByteCount>().is_err(), "{bad:?}");
        }
        assert_eq!(ByteCount(16 << 20).to_string(), "16MiB");
    }
}
