//! Metrics that a bundle declares of itself, beside what is counted of every model.
//!
//! Declared by the publisher, counted by the agent, read by the hub. What is counted is constant in size, and any two
//! of the same metric become one that says what both said: sums are kept in fixed point, since sums of floats depend on
//! their order.

use alloc::{string::String, vec::Vec};
use core::fmt;

use minicbor::{Decode, Encode};

use crate::{id::MetricName, profile::FEATURE_BINS};

/// Metrics of one bundle. Each is in every window of it.
pub const METRICS: usize = 16;

/// A unit or an explanation of a metric, in bytes.
pub const METRIC_TEXT: usize = 256;

/// Ends of names that have a meaning of their own where they are told, so that no two names meet there: those of
/// Prometheus, and that of a histogram ([`crate::exposition::family_of`]).
const RESERVED: [&str; 5] = ["_total", "_bucket", "_sum", "_count", "_bins"];

/// A metric, as a bundle declares it.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MetricSpec {
    /// Its name.
    #[n(0)]
    pub name: MetricName,
    /// How its values add up.
    #[n(1)]
    pub kind: MetricKind,
    /// Of a histogram: rising edges of its bins, one more than bins.
    #[n(2)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "rest",
        serde(default, skip_serializing_if = "Vec::is_empty")
    )]
    pub bins: Vec<f32>,
    /// Its unit, for people.
    #[n(3)]
    #[cbor(default, skip_if = "String::is_empty")]
    #[cfg_attr(
        feature = "rest",
        serde(default, skip_serializing_if = "String::is_empty")
    )]
    pub unit: String,
    /// What it says, for people.
    #[n(4)]
    #[cbor(default, skip_if = "String::is_empty")]
    #[cfg_attr(
        feature = "rest",
        serde(default, skip_serializing_if = "String::is_empty")
    )]
    pub help: String,
    /// The tensor that it is read from at each inference; fed by programs beside the model if absent.
    #[n(5)]
    #[cfg_attr(
        feature = "rest",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub from: Option<TensorSource>,
}

/// How the values of a metric add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum MetricKind {
    /// Each value, of zero or more, is added to a sum.
    #[n(0)]
    Counter,
    /// Each value is a reading: its mean, least and most are kept.
    #[n(1)]
    Gauge,
    /// As a gauge, and each value is counted in its bin.
    #[n(2)]
    Histogram,
}

impl MetricKind {
    /// As it is declared.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A tensor of the graph that gives one value an inference.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(deny_unknown_fields))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TensorSource {
    /// A declared output, as it is after its steps; or the output of any node of the graph.
    #[n(0)]
    pub output: String,
    /// How its elements become one value.
    #[n(1)]
    #[cfg_attr(feature = "rest", serde(default))]
    pub reduce: Reduce,
}

/// How elements become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Reduce {
    /// Their mean.
    #[default]
    #[n(0)]
    Mean,
    /// The largest.
    #[n(1)]
    Max,
    /// The smallest.
    #[n(2)]
    Min,
    /// Their sum.
    #[n(3)]
    Sum,
    /// The last, in row-major order.
    #[n(4)]
    Last,
}

impl fmt::Display for Reduce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Min => "min",
            Self::Sum => "sum",
            Self::Last => "last",
        })
    }
}

impl MetricSpec {
    /// Says what is wrong with a declaration from outside, if anything, and what to do about it.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        let name = self.name.as_str();
        let edges = self.bins.len();
        let rise = self.bins.iter().all(|edge| edge.is_finite())
            && self.bins.windows(2).all(|pair| pair[0] < pair[1]);
        if RESERVED.iter().any(|end| name.ends_with(end)) {
            Some((
                "the name ends with _total, _bucket, _sum, _count or _bins, which are kept for what is told of it",
                "leave that end out: it is added where it belongs",
            ))
        } else if self.unit.len() > METRIC_TEXT || self.help.len() > METRIC_TEXT {
            Some((
                "its unit or its help has more than 256 bytes",
                "shorten them",
            ))
        } else if self.kind == MetricKind::Histogram && !(2..=FEATURE_BINS + 1).contains(&edges) {
            Some((
                "a histogram has 1 to 64 bins, so 2 to 65 edges",
                "give the rising edges of its bins, for example [0, 0.5, 1]",
            ))
        } else if self.kind != MetricKind::Histogram && edges > 0 {
            Some((
                "only a histogram has bins",
                "declare it as a histogram, or leave the bins out",
            ))
        } else if !rise {
            Some((
                "the edges of its bins do not rise, or one is no number",
                "order them, each once",
            ))
        } else {
            None
        }
    }
}

/// What a metric came to in a window. Constant size.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct MetricCounts {
    /// Which metric.
    #[n(0)]
    pub name: MetricName,
    /// Its kind.
    #[n(1)]
    pub kind: MetricKind,
    /// Values that were taken.
    #[n(2)]
    #[cbor(default)]
    pub count: u64,
    /// Their sum.
    #[n(3)]
    #[cbor(default)]
    pub sum: Sum,
    /// The least and the most of them; `None` of a counter, and without values.
    #[n(4)]
    pub range: Option<Range>,
    /// Of a histogram: values under its bins, in each, and over.
    #[n(5)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub bins: Vec<u64>,
    /// Values that were not taken: no number, too large, or less than zero for a counter.
    #[n(6)]
    #[cbor(default)]
    pub refused: u64,
}

/// Least and most.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Range {
    /// The least.
    #[n(0)]
    pub min: f64,
    /// The most.
    #[n(1)]
    pub max: f64,
}

/// A sum of values in steps of 2⁻⁴⁰, some 10⁻¹², so that it is the same in whatever order they were added.
///
/// A hundred and twenty-seven bits hold 2³⁴ of the largest value that there may be; what would be more stays at the
/// most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sum(i128);

/// One, in steps of a [`Sum`].
const ONE: f64 = (1_u64 << 40) as f64;

/// The largest value that is added, of either sign: 2⁵³.
const LARGEST: f64 = (1_u64 << 53) as f64;

impl Sum {
    /// One value; `None` if it is no number or too large. What is finer than a step is cut off.
    pub fn of(value: f64) -> Option<Self> {
        let fits = (-LARGEST..=LARGEST).contains(&value);
        fits.then_some(Self((value * ONE) as i128))
    }

    /// Both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// As a float: the nearest.
    pub const fn value(self) -> f64 {
        self.0 as f64 / ONE
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl<C> Encode<C> for Sum {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let (high, low) = ((self.0 >> 64) as i64, self.0 as u64);
        e.array(2)?.i64(high)?.u64(low)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Sum {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("not a sum").at(at));
        }
        let (high, low) = (d.i64()?, d.u64()?);
        Ok(Self(i128::from(high) << 64 | i128::from(low)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, kind: MetricKind, bins: &[f32]) -> MetricSpec {
        MetricSpec {
            name: name.parse().expect("a name"),
            kind,
            bins: bins.into(),
            unit: String::new(),
            help: String::new(),
            from: None,
        }
    }

    #[test]
    fn what_is_wrong_with_a_declaration_is_named() {
        use MetricKind::{Counter, Gauge, Histogram};
        let good = [
            spec("rejects", Counter, &[]),
            spec("belt_speed", Gauge, &[]),
            spec("width", Histogram, &[0.0, 1.0]),
        ];
        assert!(good.iter().all(|spec| spec.problem().is_none()));
        for (bad, said) in [
            (spec("rejects_total", Counter, &[]), "_total"),
            (spec("rejects_bins", Gauge, &[]), "_bins"),
            (spec("belt_speed", Gauge, &[0.0, 1.0]), "only a histogram"),
            (spec("width", Histogram, &[]), "1 to 64 bins"),
            (spec("width", Histogram, &[0.0; 66]), "1 to 64 bins"),
            (spec("width", Histogram, &[1.0, 1.0]), "do not rise"),
            (spec("width", Histogram, &[1.0, f32::NAN]), "do not rise"),
        ] {
            let (problem, remedy) = bad.problem().expect("it is wrong");
            assert!(problem.contains(said) && !remedy.is_empty(), "{problem}");
        }
    }

    #[test]
    fn sums_are_exact_in_any_order_and_travel() {
        let values = [1e15, 0.1, -1e15, 0.2, 3.0, -0.25];
        let sum = |values: &mut dyn Iterator<Item = f64>| {
            let each = values.map(|value| Sum::of(value).expect("a number"));
            each.fold(Sum::default(), Sum::plus)
        };
        let forth = sum(&mut values.into_iter());
        assert_eq!(forth, sum(&mut values.into_iter().rev()));
        assert!((forth.value() - 3.05).abs() < 1e-9);
        for sum in [forth, Sum(-1), Sum(i128::MIN), Sum(i128::MAX), Sum(1 << 64)] {
            let bytes = crate::codec::encode(&sum);
            assert_eq!(crate::codec::decode::<Sum>(&bytes), Ok(sum));
        }
        for odd in [f64::NAN, f64::INFINITY, 1e300, -1e17] {
            assert_eq!(Sum::of(odd), None);
        }
        assert_eq!(Sum(i128::MAX).plus(Sum(1)), Sum(i128::MAX));
    }
}
