//! The error of predicted numbers, from the predictions alone.
//!
//! In validation it is noted how far off the model was at which predicted number; what it now predicts is looked up.
//! In the manner of direct loss estimation (W. Kuberski, NannyML, 2022), which trains a second model for it. Ours is a
//! table on quantiles of the prediction, so that it needs nothing but a histogram of what is served.

use super::confidence::EstimateError;
use crate::{
    histogram::Edges,
    interval::Estimate,
    truth::{mean::WeightedMean, weight},
};

/// Bins of the table.
pub const BINS: usize = 20;

/// How far off predictions were in validation, by predicted number.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    edges: Edges,
    /// One for each bin, with the first for what is under and the last for what is over.
    absolute: Vec<WeightedMean>,
    /// Absolute errors of each bin, from the smallest; at most [`KEPT`] evenly spaced ones.
    quantiles: Vec<Vec<f64>>,
}

/// Absolute errors that are kept of each bin.
const KEPT: usize = 101;

impl Errors {
    /// The table of validation, from pairs of prediction and truth; pairs that are not both finite do not count.
    pub fn new(pairs: impl IntoIterator<Item = (f64, f64)>) -> Result<Self, EstimateError> {
        Self::weighted(
            pairs
                .into_iter()
                .map(|(predicted, truth)| (predicted, truth, 1.0)),
        )
    }

    /// The same of pairs of which each was kept with the probability that stands third: what was kept more often than
    /// others, since it looked unusual, says no more of what is served. A pair without a positive one does not count.
    pub fn weighted(
        pairs: impl IntoIterator<Item = (f64, f64, f64)>,
    ) -> Result<Self, EstimateError> {
        let counts = |(predicted, truth, probability): &(f64, f64, f64)| {
            predicted.is_finite() && truth.is_finite() && weight(*probability).is_some()
        };
        let mut pairs: Vec<(f64, f64, f64)> = pairs.into_iter().filter(counts).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = pairs.len().checked_sub(1).ok_or(EstimateError::Empty)?;
        let mut edges: Vec<f32> = (0..=BINS)
            .map(|at| pairs[at * last / BINS].0 as f32)
            .collect();
        edges.dedup();
        if let [only] = edges[..] {
            edges = vec![only, only.next_up()];
        }
        let edges = Edges::new(edges).map_err(|_| EstimateError::Empty)?;
        let mut absolute = vec![WeightedMean::default(); edges.bins() + 2];
        let mut quantiles = vec![Vec::new(); edges.bins() + 2];
        for (predicted, truth, probability) in &pairs {
            let place = edges.place(*predicted as f32);
            absolute[place].add((predicted - truth).abs(), *probability);
            quantiles[place].push((predicted - truth).abs());
        }
        for errors in &mut quantiles {
            errors.sort_by(f64::total_cmp);
            if errors.len() > KEPT {
                let last = errors.len() - 1;
                *errors = (0..KEPT).map(|at| errors[at * last / (KEPT - 1)]).collect();
            }
        }
        Ok(Self {
            edges,
            absolute,
            quantiles,
        })
    }

    /// The edges on which served predictions are to be counted.
    pub fn edges(&self) -> &Edges {
        &self.edges
    }

    /// The mean absolute error that served predictions probably have, in their unit, with the interval of `z` standard
    /// normal deviations. `served` counts them on [`Self::edges`] (under, bins, over; missing ones may follow).
    ///
    /// What lies beside everything validation saw is taken from the nearest bin, and the interval is widened by as much
    /// as that bin's mean times its share: nobody knows.
    pub fn mae(&self, served: &[u64], z: f64) -> Result<Estimate, EstimateError> {
        let places = self.edges.bins() + 2;
        let served = served.get(..places).ok_or(EstimateError::Lengths)?;
        let n: f64 = served.iter().map(|count| *count as f64).sum();
        if n <= 0.0 {
            return Err(EstimateError::Empty);
        }
        let (mut mean, mut variance, mut unknown) = (0.0, 0.0, 0.0);
        for (place, count) in served.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = *count as f64 / n;
            let (near, known) = self.near(place);
            let of = near.mean().unwrap_or(0.0);
            // Squares of what is left, by squared weights: of the bin's mean over the square of all weights, of a
            // single prediction over the sum of their squares.
            let left = near.square_squares - 2.0 * of * near.square_sum + of * of * near.squares;
            let left = left.max(0.0);
            let of_mean = left / (near.weights * near.weights).max(1.0);
            let of_one = left / near.squares.max(1.0);
            mean += share * of;
            variance += share * share * of_mean + share * of_one / n;
            if !known {
                unknown += share * of;
            }
        }
        let half = z * variance.sqrt() + unknown;
        Ok(Estimate {
            mean,
            low: (mean - half).max(0.0),
            high: mean + half,
            n: n as u64,
        })
    }

    /// How wide an interval about a prediction has to be on each side to hold the truth with this share, as in
    /// validation; `None` without validation near it.
    pub fn half_width(&self, predicted: f64, share: f64) -> Option<f64> {
        let place = self
            .edges
            .place(predicted as f32)
            .min(self.edges.bins() + 1);
        let errors = &self.quantiles[self.nearest(place)?];
        let last = errors.len().checked_sub(1)?;
        // The next larger one, so that it holds the share and not less.
        Some(errors[((share.clamp(0.0, 1.0) * (last + 1) as f64).ceil() as usize).min(last)])
    }

    fn nearest(&self, place: usize) -> Option<usize> {
        let filled = (0..self.absolute.len()).filter(|at| self.absolute[*at].n > 0);
        filled.min_by_key(|at| at.abs_diff(place))
    }

    fn near(&self, place: usize) -> (WeightedMean, bool) {
        let nearest = self.nearest(place).unwrap_or(place);
        (self.absolute[nearest], nearest == place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Chance, interval::Z_95};

    /// The larger the number, the larger the error; what is served is larger than in validation.
    #[test]
    fn larger_predictions_have_the_error_of_larger_predictions() {
        let (mut chance, mut held, rounds) = (Chance::new(51), 0, 200);
        for _ in 0..rounds {
            let pair =
                |chance: &mut Chance, at: f64| (at, at + at * (2.0 * chance.uniform() - 1.0));
            let validation: Vec<_> = (0..2_000)
                .map(|_| {
                    let at = 10.0 * chance.uniform();
                    pair(&mut chance, at)
                })
                .collect();
            let errors = Errors::new(validation).unwrap();
            let mut served = errors.edges().no_counts();
            let mut truth = 0.0;
            for _ in 0..500 {
                let at = 5.0 + 4.5 * chance.uniform();
                let (predicted, true_one) = pair(&mut chance, at);
                errors.edges().count(&mut served, predicted as f32);
                truth += (predicted - true_one).abs() / 500.0;
            }
            let estimate = errors.mae(&served.0, Z_95).unwrap();
            held += i32::from((estimate.low..=estimate.high).contains(&truth));
            let half = errors.half_width(9.0, 0.9).unwrap();
            assert!((half - 8.1).abs() < 1.2, "{half}");
        }
        assert!(f64::from(held) / f64::from(rounds) > 0.92, "{held}");
    }

    /// Large errors were kept five times as often as small ones: by their weights that makes no difference.
    #[test]
    fn what_was_kept_more_often_weighs_less() {
        let mut chance = Chance::new(7);
        let (mut kept, mut truth) = (Vec::new(), 0.0);
        for _ in 0..20_000 {
            let at = chance.uniform();
            let error = if chance.uniform() < 0.3 { 2.0 } else { 0.5 };
            let probability = if error > 1.0 { 0.5 } else { 0.1 };
            truth += error / 20_000.0;
            if chance.uniform() < probability {
                kept.push((at, at + error, probability));
            }
        }
        let served = |errors: &Errors| {
            let mut served = errors.edges().no_counts();
            for at in 0..100 {
                errors.edges().count(&mut served, at as f32 / 100.0);
            }
            errors.mae(&served.0, Z_95).unwrap()
        };
        let right = served(&Errors::weighted(kept.iter().copied()).unwrap());
        assert!((right.mean - truth).abs() < 0.05, "{right:?} and {truth}");
        assert!(
            (right.low..=right.high).contains(&truth),
            "{right:?} and {truth}"
        );
        let alike = kept
            .iter()
            .map(|(predicted, truth, _)| (*predicted, *truth));
        let wrong = served(&Errors::new(alike).unwrap());
        assert!(wrong.low > truth, "{wrong:?} and {truth}");
        assert_eq!(
            Errors::weighted([(1.0, 2.0, 0.0)]),
            Err(EstimateError::Empty)
        );
    }

    #[test]
    fn few_and_nonsense() {
        assert_eq!(Errors::new([(f64::NAN, 1.0)]), Err(EstimateError::Empty));
        let one = Errors::new([(3.0, 4.0)]).unwrap();
        assert!(one.half_width(99.0, 0.9).is_some());
        let mut served = one.edges().no_counts();
        assert_eq!(one.mae(&served.0, Z_95), Err(EstimateError::Empty));
        assert_eq!(one.mae(&[], Z_95), Err(EstimateError::Lengths));
        one.edges().count(&mut served, 99.0);
        let far = one.mae(&served.0, Z_95).unwrap();
        assert!((far.mean - 1.0).abs() < 1e-9 && far.high > 1.9);
    }
}
