//! Quantiles of values of either sign: a sketch of those of zero or more, and one of the others without their sign.
//!
//! Called by the agent for what a model answers that is no classifier, and by the hub. Must never break: as a
//! [`Sketch`], it depends on the values alone.

use tern_protocol::window::{Sketch as Wire, Values as WireValues};

use crate::{
    histogram::Edges,
    sketch::{Sketch, SketchError},
};

/// Two sketches and what was no number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Values {
    above: Sketch,
    below: Sketch,
    missing: u64,
}

impl Values {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value; one that is not finite is missing.
    pub fn insert(&mut self, value: f64) {
        if !value.is_finite() {
            self.missing = self.missing.saturating_add(1);
        } else if value < 0.0 {
            self.below.insert(-value);
        } else {
            self.above.insert(value);
        }
    }

    /// Adds all values of another one.
    pub fn merge(&mut self, other: &Self) {
        self.above.merge(&other.above);
        self.below.merge(&other.below);
        self.missing = self.missing.saturating_add(other.missing);
    }

    /// Values that are numbers.
    pub fn count(&self) -> u64 {
        self.above.count().saturating_add(self.below.count())
    }

    /// Values that are no numbers.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.count() == 0 && self.missing == 0
    }

    /// The value below which a share `q` (0 to 1) lies, to within 1 % of itself; `None` without values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (below, above) = (self.below.count(), self.above.count());
        let last = self.count().checked_sub(1)?;
        let rank = (q.clamp(0.0, 1.0) * last as f64).round() as u64;
        let within = |rank: u64, count: u64| {
            let last = count.saturating_sub(1);
            if last == 0 {
                0.0
            } else {
                rank as f64 / last as f64
            }
        };
        if rank < below {
            // The largest without its sign is the smallest.
            let from_largest = below - 1 - rank;
            self.below
                .quantile(within(from_largest, below))
                .map(|value| -value)
        } else {
            self.above.quantile(within(rank - below, above))
        }
    }

    /// How many lie under, in each bin of, and over these edges; to within 1 % of a value.
    pub fn counts(&self, edges: &Edges) -> Vec<u64> {
        let from: Vec<u64> = edges
            .as_slice()
            .iter()
            .map(|edge| self.from(f64::from(*edge)))
            .collect();
        let mut counts = Vec::with_capacity(from.len() + 1);
        let mut before = self.count();
        for from in from {
            counts.push(before.saturating_sub(from));
            before = from;
        }
        counts.push(before);
        counts
    }

    /// How many are at least this.
    fn from(&self, value: f64) -> u64 {
        let (above, below) = (self.above.count(), self.below.count());
        if value > 0.0 {
            self.above.above(value)
        } else {
            // Those under a negative value are larger without their sign.
            let less = if value < 0.0 {
                self.below.above(-value)
            } else {
                below
            };
            above.saturating_add(below.saturating_sub(less))
        }
    }

    /// Their mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| (self.above.sum() - self.below.sum()) / count as f64)
    }
}

impl TryFrom<&WireValues> for Values {
    type Error = SketchError;

    fn try_from(wire: &WireValues) -> Result<Self, SketchError> {
        Ok(Self {
            above: Sketch::try_from(&wire.above)?,
            below: Sketch::try_from(&wire.below)?,
            missing: wire.missing,
        })
    }
}

impl From<&Values> for WireValues {
    fn from(values: &Values) -> Self {
        Self {
            above: Wire::from(&values.above),
            below: Wire::from(&values.below),
            missing: values.missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Values {
        let mut all = Values::new();
        for value in values {
            all.insert(*value);
        }
        all
    }

    #[test]
    fn quantiles_go_through_zero() {
        let values = of(&[-100.0, -10.0, 0.0, 10.0, 100.0, f64::NAN]);
        let at = |q| values.quantile(q).expect("values");
        for (q, expected) in [
            (0.0, -100.0),
            (0.25, -10.0),
            (0.5, 0.0),
            (0.75, 10.0),
            (1.0, 100.0),
        ] {
            let found: f64 = at(q);
            assert!(
                (found - expected).abs() <= 0.0101 * expected.abs(),
                "{found} at {q}"
            );
        }
        assert_eq!((values.count(), values.missing()), (5, 1));
        assert_eq!(values.mean(), Some(0.0));
        assert_eq!(Values::new().quantile(0.5), None);
    }

    #[test]
    fn values_fall_into_bins() {
        let values = of(&[-50.0, -5.0, 0.0, 0.5, 5.0, 7.0, 50.0]);
        let edges = Edges::new(vec![-10.0, 0.25, 6.0, 10.0]).expect("they rise");
        assert_eq!(values.counts(&edges), [1, 2, 2, 1, 1]);
        assert_eq!(Values::new().counts(&edges), [0; 5]);
    }

    proptest! {
        #[test]
        fn every_value_is_in_one_bin(values in prop::collection::vec(-1e3..1e3, 0..80), low in -900f32..0.0, high in 1f32..900.0) {
            let edges = Edges::new(vec![low, 0.5, high]).expect("they rise");
            let counts = of(&values).counts(&edges);
            prop_assert_eq!(counts.len(), 4);
            prop_assert_eq!(counts.iter().sum::<u64>(), values.len() as u64);
        }

        #[test]
        fn quantiles_are_near_and_merging_is_exact(mut values in prop::collection::vec(-1e6..1e6, 1..80), cut in 0usize..80) {
            let all = of(&values);
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged = of(right);
            merged.merge(&of(left));
            prop_assert_eq!(merged.count(), all.count());
            prop_assert_eq!(merged.quantile(0.3), all.quantile(0.3));
            let wire = WireValues::from(&all);
            prop_assert_eq!(Values::try_from(&wire), Ok(all.clone()));

            values.sort_by(f64::total_cmp);
            for q in [0.0, 0.1, 0.5, 0.9, 1.0] {
                let rank = (q * (values.len() - 1) as f64).round() as usize;
                let found: f64 = all.quantile(q).expect("values");
                let off = (found - values[rank]).abs();
                prop_assert!(off <= 0.0102 * values[rank].abs() + 1e-9, "{found}, not {}", values[rank]);
            }
        }
    }
}
