//! Quantiles with a relative error of at most 1 %, in bounded memory, that merge exactly.
//!
//! Called by the agent for latencies and by the hub for quantiles of a site or a fleet. Must never
//! break: a sketch depends on the values alone, never on their order or on who merged what first.
//!
//! Source: C. Masson, J. Rim, H. Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
//! relative-error guarantees", PVLDB 12(12), 2019; section 2 for the bins, 3 for the bound. We
//! depart from the paper in one thing: it merges the lowest *filled* bins when there are too many,
//! which depends on the order of merges. We give up what lies more than [`SPAN`] below the highest
//! bin, which does not.

use tern_protocol::window::{Sketch as Wire, SketchBin};

/// Relative accuracy in thousandths: 1 %, fine enough for a latency and coarse enough to be small.
pub const ACCURACY: u16 = 10;

/// Bins from the lowest to the highest filled one. 1,024 bins of 2 % span a factor of 7.7e8, from
/// a microsecond to a quarter of an hour, and take at most 12 KiB on the wire.
pub const SPAN: i32 = 1024;

/// No finite positive f64 falls outside bins −37,500 to 37,500: ln(2^1024) / ln γ is 35,486 and
/// ln(2^-1074) / ln γ is −37,219.
const INDEX: i32 = 37_500;

/// γ = (1 + α) / (1 − α): each bin's upper end over its lower one.
const GAMMA: f64 = (1000.0 + ACCURACY as f64) / (1000.0 - ACCURACY as f64);

/// A DDSketch of 1 % accuracy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sketch {
    zeros: u64,
    /// Filled bins by strictly rising index, spanning less than [`SPAN`]. The lowest may also hold
    /// what was smaller.
    bins: Vec<(i32, u64)>,
    sum: f64,
    min: f64,
    max: f64,
}

/// Why a sketch from the wire is not one of ours.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SketchError {
    /// Made with another accuracy.
    #[error("the sketch has an accuracy of {0} thousandths, only {ACCURACY} can be read")]
    Accuracy(u16),
    /// Bins that no sketch has.
    #[error("the bins of the sketch do not rise, are empty or lie outside of what f64 can be")]
    Bins,
    /// Bins over too wide a range.
    #[error("the bins of the sketch span {0}, over the limit of {SPAN}")]
    Span(i32),
    /// More values than a u64 counts.
    #[error("the sketch counts more values than 2^64")]
    Count,
    /// Sum, smallest and largest value do not fit together.
    #[error("sum {sum}, minimum {min} and maximum {max} of the sketch do not fit its bins")]
    Extremes {
        /// As sent.
        sum: f64,
        /// As sent.
        min: f64,
        /// As sent.
        max: f64,
    },
}

impl Sketch {
    /// An empty sketch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value. One that is not finite says nothing and is not counted.
    pub fn insert(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        (self.min, self.max) = if self.is_empty() {
            (value, value)
        } else {
            (self.min.min(value), self.max.max(value))
        };
        self.sum = finite(self.sum + value);
        if value <= 0.0 {
            self.zeros = self.zeros.saturating_add(1);
        } else {
            self.fill(index(value), 1);
            self.give_up_lowest();
        }
    }

    /// Adds all values of another sketch.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        (self.min, self.max) = if self.is_empty() {
            (other.min, other.max)
        } else {
            (self.min.min(other.min), self.max.max(other.max))
        };
        self.sum = finite(self.sum + other.sum);
        self.zeros = self.zeros.saturating_add(other.zeros);
        for (index, count) in &other.bins {
            self.fill(*index, *count);
        }
        self.give_up_lowest();
    }

    /// The value below which a share `q` (0 to 1) of all values lies, to within 1 % of itself;
    /// `None` when empty. Values of zero or less count as zero unless they are the smallest.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.count().checked_sub(1)?;
        let rank = (q.clamp(0.0, 1.0) * last as f64).round() as u64;
        if rank == 0 {
            return Some(self.min);
        }
        if rank >= last {
            return Some(self.max);
        }
        let mut below = self.zeros;
        if rank < below {
            return Some(0.0_f64.clamp(self.min, self.max));
        }
        for (index, count) in &self.bins {
            below = below.saturating_add(*count);
            if rank < below {
                // The middle of the bin in the sense that both of its ends are 1 % away.
                let middle = 2.0 * GAMMA.powi(*index) / (GAMMA + 1.0);
                return Some(middle.clamp(self.min, self.max));
            }
        }
        Some(self.max)
    }

    /// How many values are larger than `value`, to within those that differ from it by less than 1 %.
    pub fn above(&self, value: f64) -> u64 {
        if value >= self.max {
            return 0;
        }
        let last = if value > 0.0 { index(value) } else { i32::MIN };
        let larger = self.bins.iter().filter(|(index, _)| *index > last);
        larger.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How many values it holds.
    pub fn count(&self) -> u64 {
        let counts = self.bins.iter().map(|(_, count)| *count);
        counts.fold(self.zeros, u64::saturating_add)
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.zeros == 0 && self.bins.is_empty()
    }

    /// Sum of all values. Exact as long as the values are whole numbers and it stays under 2^53.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Mean of all values; `None` when empty.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.sum / self.count() as f64)
    }

    /// Smallest value; `None` when empty.
    pub fn min(&self) -> Option<f64> {
        (!self.is_empty()).then_some(self.min)
    }

    /// Largest value; `None` when empty.
    pub fn max(&self) -> Option<f64> {
        (!self.is_empty()).then_some(self.max)
    }

    fn fill(&mut self, index: i32, count: u64) {
        match self.bins.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.bins[at].1 = self.bins[at].1.saturating_add(count),
            Err(at) => self.bins.insert(at, (index, count)),
        }
    }

    /// Puts what lies [`SPAN`] or more below the highest bin into the lowest one allowed.
    fn give_up_lowest(&mut self) {
        let Some((highest, _)) = self.bins.last() else {
            return;
        };
        let lowest = highest - SPAN + 1;
        let below = self.bins.partition_point(|(index, _)| *index < lowest);
        if below > 0 {
            let counts = self.bins.drain(..below).map(|(_, count)| count);
            let count = counts.fold(0, u64::saturating_add);
            self.fill(lowest, count);
        }
    }
}

/// The bin of a positive finite value: γ^(index − 1) < value <= γ^index.
fn index(value: f64) -> i32 {
    (value.ln() / GAMMA.ln()).ceil() as i32
}

/// A sum that overflows stays at the largest number: it travels as a number, and infinity minus
/// infinity is none.
fn finite(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

impl From<&Sketch> for Wire {
    fn from(sketch: &Sketch) -> Self {
        let bins = sketch.bins.iter();
        Self {
            accuracy: ACCURACY,
            zeros: sketch.zeros,
            bins: bins
                .map(|&(index, count)| SketchBin { index, count })
                .collect(),
            sum: sketch.sum,
            min: sketch.min,
            max: sketch.max,
        }
    }
}

impl TryFrom<&Wire> for Sketch {
    type Error = SketchError;

    fn try_from(wire: &Wire) -> Result<Self, SketchError> {
        // An absent sketch reads as the default one, which has no accuracy yet.
        if *wire == Wire::default() {
            return Ok(Self::new());
        }
        if wire.accuracy != ACCURACY {
            return Err(SketchError::Accuracy(wire.accuracy));
        }
        let rise = wire
            .bins
            .windows(2)
            .all(|pair| pair[0].index < pair[1].index);
        let possible = |bin: &SketchBin| bin.index.abs() <= INDEX && bin.count > 0;
        if !rise || !wire.bins.iter().all(possible) {
            return Err(SketchError::Bins);
        }
        if let (Some(first), Some(last)) = (wire.bins.first(), wire.bins.last())
            && last.index - first.index >= SPAN
        {
            return Err(SketchError::Span(last.index - first.index + 1));
        }
        let mut counts = wire.bins.iter().map(|bin| bin.count);
        let count = counts.try_fold(wire.zeros, u64::checked_add);
        let count = count.ok_or(SketchError::Count)?;
        let &Wire { sum, min, max, .. } = wire;
        let fit = if count == 0 {
            sum == 0.0 && min == 0.0 && max == 0.0
        } else {
            sum.is_finite() && min.is_finite() && max.is_finite() && min <= max
        };
        if !fit {
            return Err(SketchError::Extremes { sum, min, max });
        }
        Ok(Self {
            zeros: wire.zeros,
            bins: wire.bins.iter().map(|bin| (bin.index, bin.count)).collect(),
            sum,
            min,
            max,
        })
    }
}

#[cfg(test)]
mod tests;
