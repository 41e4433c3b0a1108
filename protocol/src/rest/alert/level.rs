//! What a metric is compared with.

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::{fmt, str::FromStr};

use crate::rest::{Metric, Share};

/// Why a text is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no level; write a share (5%), a time (250us, 80ms, 2s) or a number (12.5)")]
pub struct LevelError(pub String);

/// What a metric is compared with: a share (`5%`), a time (`80ms`), or a number a second (`12.5`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// Of errors, classes, confidence, accuracy.
    Share(Share),
    /// Of latency, in microseconds.
    Time(u64),
    /// Of traffic, a second.
    Number(f64),
}

const TIMES: [(&str, u64); 3] = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];

/// Longest time, in microseconds: an hour.
const TIME_MAX: u64 = 3_600_000_000;

impl Level {
    /// In the unit of charts: a ratio, microseconds, a number a second.
    pub fn value(self) -> f64 {
        match self {
            Self::Share(share) => share.of_one(),
            Self::Time(us) => us as f64,
            Self::Number(number) => number,
        }
    }

    /// Whether a metric can be compared with it.
    pub const fn suits(self, metric: Metric) -> bool {
        match metric {
            Metric::Errors | Metric::Prediction | Metric::Confidence | Metric::Accuracy => {
                matches!(self, Self::Share(_))
            }
            Metric::Latency => matches!(self, Self::Time(_)),
            Metric::Traffic | Metric::Custom => matches!(self, Self::Number(_)),
        }
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let shown = || LevelError(text.chars().take(40).collect());
        let trimmed = text.trim();
        if trimmed.ends_with('%') {
            return trimmed.parse().map(Self::Share).map_err(|_| shown());
        }
        let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &trimmed[digits.len()..];
        if unit.is_empty() {
            let number = digits.trim().parse::<f64>().ok();
            let number = number.filter(|number| number.is_finite() && *number >= 0.0);
            return number.map(Self::Number).ok_or_else(shown);
        }
        let unit = TIMES.iter().find(|(name, _)| *name == unit);
        let number = digits.trim().parse::<u64>().ok();
        let time = unit
            .zip(number)
            .and_then(|((_, us), number)| number.checked_mul(*us));
        time.filter(|us| *us <= TIME_MAX)
            .map(Self::Time)
            .ok_or_else(shown)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Time(us) => {
                let fits = |(_, unit): &&(&str, u64)| us.is_multiple_of(*unit);
                let (name, unit) = TIMES.iter().rev().find(fits).unwrap_or(&TIMES[0]);
                write!(f, "{}{name}", us / unit)
            }
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl serde::Serialize for Level {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => s.serialize_f64(*number),
            other => s.collect_str(other),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Level {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Level;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as 5%, a time such as 80ms, or a number")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Level, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Level, E> {
                self.visit_str(&format!("{number}"))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Level, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Level, E> {
                self.visit_str(&number.to_string())
            }
        }
        d.deserialize_any(Text)
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Level {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema;
        schema::ObjectBuilder::new()
            .schema_type(schema::SchemaType::from_iter([
                schema::Type::String,
                schema::Type::Number,
            ]))
            .description(Some(
                "A share such as `5%`, a time such as `80ms`, or a number a second.",
            ))
            .into()
    }
}
#[cfg(feature = "schema")]
impl utoipa::ToSchema for Level {}
