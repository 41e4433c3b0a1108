//! What the model of a best run may cost: `size < 200 kB and p95_ms < 5`.
//!
//! ```text
//! constraints = constraint { "and" constraint }
//! constraint  = quantity ( "<" | "<=" | ">" | ">=" ) number [ unit ]
//! quantity    = "size" | "memory" | "latency_ms" | "p95_ms"
//! unit        = "B" | "kB" | "MB" | "GB" | "KiB" | "MiB" | "GiB"      of sizes alone
//! ```
//!
//! Must never break: what is displayed parses to what it was.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, str::FromStr};

/// Constraints of one question.
const MOST: usize = 16;

/// Longest text, in bytes.
const TEXT: usize = 1_000;

/// Something that vetting measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Bytes of the ONNX file.
    Size,
    /// Median latency in milliseconds.
    LatencyMs,
    /// 95th percentile of the latency in milliseconds.
    P95Ms,
    /// Bytes of memory.
    Memory,
}

impl Quantity {
    const ALL: [Self; 4] = [Self::Size, Self::LatencyMs, Self::P95Ms, Self::Memory];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::LatencyMs => "latency_ms",
            Self::P95Ms => "p95_ms",
            Self::Memory => "memory",
        }
    }

    const fn is_bytes(self) -> bool {
        matches!(self, Self::Size | Self::Memory)
    }
}

/// One constraint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constraint {
    /// Of what.
    pub quantity: Quantity,
    /// Whether it has to be below the limit, or above.
    pub below: bool,
    /// Whether the limit itself is allowed.
    pub inclusive: bool,
    /// In bytes or milliseconds.
    pub limit: f64,
}

impl Constraint {
    /// Whether a value keeps to it.
    pub fn holds(&self, value: f64) -> bool {
        match (self.below, self.inclusive) {
            (true, false) => value < self.limit,
            (true, true) => value <= self.limit,
            (false, false) => value > self.limit,
            (false, true) => value >= self.limit,
        }
    }
}

/// Constraints, all of which have to hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Constraints(pub Vec<Constraint>);

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no constraint: {why}; one is as `size < 200 kB` or `p95_ms < 5`, several are joined by `and`"
)]
pub struct ConstraintError {
    /// The part that is wrong.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

const UNITS: [(&str, f64); 7] = [
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("b", 1.0),
];

impl FromStr for Constraints {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let wrong = |part: &str, why: String| ConstraintError {
            text: part.trim().chars().take(60).collect(),
            why,
        };
        if text.len() > TEXT {
            return Err(wrong(text, format!("it has more than {TEXT} bytes")));
        }
        let mut all = Vec::new();
        if text.trim().is_empty() {
            return Ok(Self(all));
        }
        let mut parts = Vec::new();
        let mut words: Vec<&str> = Vec::new();
        for word in text.split_whitespace() {
            if word.eq_ignore_ascii_case("and") {
                parts.push(words.join(" "));
                words.clear();
            } else {
                words.push(word);
            }
        }
        parts.push(words.join(" "));
        if parts.len() > MOST {
            return Err(wrong(text, format!("at most {MOST} are taken")));
        }
        for part in parts {
            all.push(one(&part).map_err(|why| wrong(&part, why))?);
        }
        Ok(Self(all))
    }
}

fn one(text: &str) -> Result<Constraint, String> {
    let Some(at) = text.find(['<', '>']) else {
        return Err("it has no `<` or `>`".into());
    };
    let (name, rest) = text.split_at(at);
    let (name, below) = (name.trim(), rest.starts_with('<'));
    let rest = &rest[1..];
    let inclusive = rest.starts_with('=');
    let rest = rest[usize::from(inclusive)..].trim();
    let quantity = Quantity::ALL.into_iter().find(|known| known.word() == name);
    let Some(quantity) = quantity else {
        return Err("only `size`, `latency_ms`, `p95_ms` and `memory` are measured".into());
    };
    let lower = rest.to_ascii_lowercase();
    let unit = UNITS
        .into_iter()
        .find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, factor)));
    let (number, factor) = match unit {
        Some(_) if !quantity.is_bytes() => {
            return Err(format!("`{name}` is in milliseconds already"));
        }
        Some((number, factor)) => (number.trim(), factor),
        None => (lower.as_str(), 1.0),
    };
    let number: f64 = number.parse().map_err(|_| "its limit is no number")?;
    let limit = number * factor;
    if !(limit.is_finite() && limit >= 0.0) {
        return Err("its limit is no number from 0 up".into());
    }
    Ok(Constraint {
        quantity,
        below,
        inclusive,
        limit,
    })
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.below { "<" } else { ">" };
        let equal = if self.inclusive { "=" } else { "" };
        write!(f, "{} {sign}{equal} {}", self.quantity.word(), self.limit)
    }
}

impl fmt::Display for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { " and " } else { "" })?;
            one.fmt(f)?;
        }
        Ok(())
    }
}

crate::id::serde_as_text!(Constraints);
#[cfg(feature = "schema")]
crate::id::schema_as!(Constraints, String);

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn constraints_are_read_and_written() {
        for (text, written) in [
            ("", ""),
            (
                "size < 200 kB and p95_ms < 5",
                "size < 200000 and p95_ms < 5",
            ),
            ("size<=1.5MiB", "size <= 1572864"),
            (
                "memory >= 10 B AND latency_ms > 0.5",
                "memory >= 10 and latency_ms > 0.5",
            ),
        ] {
            let read: Constraints = text.parse().expect(text);
            assert_eq!(read.to_string(), written);
            assert_eq!(written.parse::<Constraints>().expect("again"), read);
        }
        for bad in [
            "size",
            "size = 5",
            "weight < 5",
            "p95_ms < 5 kB",
            "size < x",
            "size < -1",
            "size < 1e999",
            "size < 5 and",
            "and",
            "size < 5, p95_ms < 5",
        ] {
            assert!(bad.parse::<Constraints>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_holds_as_it_is_written() {
        let holds =
            |text: &str, value: f64| text.parse::<Constraints>().expect(text).0[0].holds(value);
        assert!(!holds("size < 5", 5.0) && holds("size <= 5", 5.0));
        assert!(!holds("size > 5", 5.0) && holds("size >= 5", 5.0));
    }
}
