//! Counts of a value on given bins, with what fell beside them.
//!
//! Called by the agent (each inference counts its features on the reference's bins) and the
//! trainer (which makes those bins). Must never break: every value falls in exactly one place, so
//! that the counts of a feature always sum to the number of inferences.

use tern_protocol::{
    profile::{FEATURE_BINS, FeatureReference},
    window::FeatureCounts,
};

/// Bin edges that are known to be right: finite, rising, 1 to [`FEATURE_BINS`] bins.
#[derive(Debug, Clone, PartialEq)]
pub struct Edges(Vec<f32>);

/// Why numbers are not bin edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EdgesError {
    /// Too few or too many.
    #[error("{0} edges; 1 to {FEATURE_BINS} bins have one more edge than bins")]
    Number(usize),
    /// Not a histogram's.
    #[error("the edges of a histogram are finite and rise")]
    Order,
}

impl Edges {
    /// Checks edges.
    pub fn new(edges: Vec<f32>) -> Result<Self, EdgesError> {
        if !(2..=FEATURE_BINS + 1).contains(&edges.len()) {
            return Err(EdgesError::Number(edges.len()));
        }
        let finite = edges.iter().all(|edge| edge.is_finite());
        if !finite || edges.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(EdgesError::Order);
        }
        Ok(Self(edges))
    }

    /// `bins` bins of equal width from `low` to `high`.
    pub fn uniform(low: f32, high: f32, bins: usize) -> Result<Self, EdgesError> {
        let width = (high - low) / bins as f32;
        let inner = (0..bins).map(|i| low + width * i as f32);
        Self::new(inner.chain([high]).collect())
    }

    /// At most `bins` bins that span these values and hold about as many of them each; `None` without a value that is
    /// a number.
    pub fn spanning(values: &[f32], bins: usize) -> Option<Self> {
        let mut values: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
        values.sort_unstable_by(f32::total_cmp);
        let last = values.len().checked_sub(1)?;
        let bins = bins.clamp(1, FEATURE_BINS);
        let mut edges: Vec<f32> = (0..=bins).map(|bin| values[bin * last / bins]).collect();
        edges.dedup();
        if let [only] = edges[..] {
            // All the same: anything that lies beside is news.
            let around = (only.abs() * 1e-3).max(1e-6);
            edges = vec![only - around, only + around];
        }
        Self::new(edges).ok()
    }

    /// The edges, one more than bins.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// How many bins.
    pub fn bins(&self) -> usize {
        self.0.len() - 1
    }

    /// Counts of nothing.
    pub fn no_counts(&self) -> FeatureCounts {
        FeatureCounts(vec![0; self.bins() + 3])
    }

    /// Place of a value in [`FeatureCounts`]: 0 under, then each bin, then over, then missing
    /// (NaN). The last bin is closed.
    pub fn place(&self, value: f32) -> usize {
        let last = self.0[self.bins()];
        if value.is_nan() {
            self.bins() + 2
        } else if value > last {
            self.bins() + 1
        } else if value < last {
            self.0.partition_point(|edge| *edge <= value)
        } else {
            self.bins()
        }
    }

    /// Counts a value. `counts` are those of [`Self::no_counts`]; others of another length are
    /// left as they are.
    pub fn count(&self, counts: &mut FeatureCounts, value: f32) {
        if let Some(count) = counts.0.get_mut(self.place(value)) {
            *count = count.saturating_add(1);
        }
    }
}

impl TryFrom<&FeatureReference> for Edges {
    type Error = EdgesError;

    fn try_from(feature: &FeatureReference) -> Result<Self, EdgesError> {
        Self::new(feature.edges.clone())
    }
}

/// The profile of one feature, from the values it had in training. Values beside the edges are
/// not part of a reference, so the edges should span them.
pub fn reference(
    name: String,
    edges: &Edges,
    values: impl Iterator<Item = f32>,
) -> FeatureReference {
    let mut counts = edges.no_counts();
    values.for_each(|value| edges.count(&mut counts, value));
    let bins = edges.bins();
    FeatureReference {
        name,
        edges: edges.0.clone(),
        missing: counts.0[bins + 2],
        by_class: Vec::new(),
        counts: counts.0[1..=bins].to_vec(),
    }
}

/// The same with what true class each sample was of: also counted by class, of `classes`. Samples of another class are
/// only in the whole.
pub fn reference_by_class(
    name: String,
    edges: &Edges,
    classes: usize,
    samples: impl Iterator<Item = (usize, f32)> + Clone,
) -> FeatureReference {
    let of_class = |class: usize| {
        let own = samples.clone().filter(move |(of, _)| *of == class);
        reference(String::new(), edges, own.map(|(_, value)| value)).counts
    };
    let by_class = (0..classes).map(of_class).collect();
    FeatureReference {
        by_class,
        ..reference(name, edges, samples.map(|(_, value)| value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_are_counted_apart_on_the_bins_of_the_whole() {
        let edges = Edges::uniform(0.0, 4.0, 4).unwrap();
        let samples = [
            (0, 0.5),
            (1, 3.5),
            (0, 0.6),
            (1, 2.5),
            (7, 1.5),
            (0, f32::NAN),
        ];
        let feature = reference_by_class("a".into(), &edges, 2, samples.into_iter());
        assert_eq!(feature.counts, [2, 1, 1, 1]);
        assert_eq!(feature.missing, 1);
        assert_eq!(feature.by_class, [[2, 0, 0, 0], [0, 0, 1, 1]]);
    }

    #[test]
    fn places() {
        let edges = Edges::uniform(0.0, 16.0, 8).unwrap();
        for (value, place) in [
            (f32::NEG_INFINITY, 0),
            (-0.1, 0),
            (-0.0, 1),
            (0.0, 1),
            (1.99, 1),
            (2.0, 2),
            (15.9, 8),
            (16.0, 8),
            (16.1, 9),
            (f32::INFINITY, 9),
            (f32::NAN, 10),
        ] {
            assert_eq!(edges.place(value), place, "{value}");
        }
    }

    #[test]
    fn edges_that_are_wrong() {
        let one = [1.0];
        assert_eq!(Edges::new(one.to_vec()), Err(EdgesError::Number(1)));
        assert_eq!(
            Edges::uniform(0.0, 1.0, FEATURE_BINS + 1),
            Err(EdgesError::Number(FEATURE_BINS + 2))
        );
        for edges in [
            [1.0, 1.0],
            [2.0, 1.0],
            [0.0, f32::NAN],
            [0.0, f32::INFINITY],
        ] {
            assert_eq!(Edges::new(edges.to_vec()), Err(EdgesError::Order));
        }
    }

    #[test]
    fn bins_that_span_values_hold_about_as_many_each() {
        let values: Vec<f32> = (0..1_000).map(|n| (n as f32 / 100.0).exp()).collect();
        let edges = Edges::spanning(&values, 10).unwrap();
        let feature = reference("x".into(), &edges, values.iter().copied());
        assert_eq!(feature.counts.len(), 10);
        assert!(
            feature
                .counts
                .iter()
                .all(|count| (99..=101).contains(count))
        );

        let odd = [f32::NAN, 3.0, 3.0, f32::INFINITY];
        let edges = Edges::spanning(&odd, 8).unwrap();
        assert_eq!((edges.bins(), edges.place(3.0)), (1, 1));
        assert_eq!(Edges::spanning(&[f32::NAN], 8), None);
        assert!(Edges::spanning(&[1.0, 1.0, 2.0, f32::MAX, f32::MIN], 900).is_some());
    }

    #[test]
    fn a_reference_keeps_what_was_missing_apart() {
        let edges = Edges::new(vec![0.0, 1.0, 4.0]).unwrap();
        let values = [0.0, 0.5, 3.0, f32::NAN].into_iter();
        let feature = reference("x".into(), &edges, values);
        assert_eq!((feature.counts, feature.missing), (vec![2, 1], 1));
    }

    proptest! {
        #[test]
        fn every_value_is_counted_once(
            mut edges in prop::collection::vec(-10.0_f32..10.0, 2..20),
            values in prop::collection::vec(any::<f32>(), 0..100),
        ) {
            edges.sort_by(f32::total_cmp);
            edges.dedup();
            prop_assume!(edges.len() > 1);
            let edges = Edges::new(edges).unwrap();
            let mut counts = edges.no_counts();
            for value in &values {
                edges.count(&mut counts, *value);
            }
            prop_assert_eq!(counts.0.iter().sum::<u64>(), values.len() as u64);
            for value in values {
                let place = edges.place(value);
                if (1..=edges.bins()).contains(&place) {
                    prop_assert!(edges.as_slice()[place - 1] <= value);
                    prop_assert!(value <= edges.as_slice()[place]);
                }
            }
        }
    }
}
