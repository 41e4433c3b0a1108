//! How far numbers are from what was true, and whether intervals that a model gave hold it.

use super::mean::WeightedMean;
use crate::interval::{Estimate, Weighted};

/// Errors of predicted numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Regression {
    absolute: WeightedMean,
    signed: WeightedMean,
    squared: WeightedMean,
    covered: Weighted,
}

impl Regression {
    /// Adds a prediction with its truth, which was kept with `probability`. What is no finite number is not counted.
    pub fn add(&mut self, truth: f64, predicted: f64, probability: f64) {
        let error = predicted - truth;
        self.absolute.add(error.abs(), probability);
        self.signed.add(error, probability);
        self.squared.add(error * error, probability);
    }

    /// Adds whether a truth lay in the interval that was predicted for it, ends included. Ends that are no numbers or
    /// the wrong way round did not hold it; a truth that is no number is not counted.
    pub fn add_interval(&mut self, truth: f64, low: f64, high: f64, probability: f64) {
        if !truth.is_nan() {
            self.covered.add(low <= truth && truth <= high, probability);
        }
    }

    /// Adds all predictions of another.
    pub fn merge(&mut self, other: &Self) {
        self.absolute.merge(&other.absolute);
        self.signed.merge(&other.signed);
        self.squared.merge(&other.squared);
        self.covered.merge(&other.covered);
    }

    /// Mean absolute error, in the unit of the prediction, with the interval of `z` standard normal deviations, never
    /// below 0; `None` with fewer than two predictions.
    pub fn mae(&self, z: f64) -> Option<Estimate> {
        self.absolute.estimate(z).map(not_negative)
    }

    /// Mean error: above 0 where predictions are too large.
    pub fn bias(&self, z: f64) -> Option<Estimate> {
        self.signed.estimate(z)
    }

    /// Root of the mean squared error, in the unit of the prediction.
    pub fn rmse(&self, z: f64) -> Option<Estimate> {
        let square = self.squared.estimate(z).map(not_negative)?;
        Some(Estimate {
            mean: square.mean.sqrt(),
            low: square.low.sqrt(),
            high: square.high.sqrt(),
            n: square.n,
        })
    }

    /// The share of truths that predicted intervals held; for quantiles of 0.1 and 0.9 it should be 0.8. `None`
    /// without any.
    pub fn coverage(&self, z: f64) -> Option<Estimate> {
        self.covered.estimate(z)
    }
}

fn not_negative(estimate: Estimate) -> Estimate {
    Estimate {
        low: estimate.low.max(0.0),
        ..estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Chance, interval::Z_95};

    #[test]
    fn errors_of_a_biased_sample() {
        let (mut chance, rounds) = (Chance::new(31), 200);
        let (mut mae, mut coverage, mut held) = (0.0, 0.0, 0);
        for _ in 0..rounds {
            let mut errors = Regression::default();
            for _ in 0..2_000 {
                // Half of them off by up to 1, half by up to 4; the second are kept more often.
                let wide = if chance.uniform() < 0.5 { 4.0 } else { 1.0 };
                let (truth, off) = (
                    10.0 * chance.uniform(),
                    wide * (2.0 * chance.uniform() - 1.0),
                );
                let probability = 0.05 * wide;
                if chance.uniform() < probability {
                    errors.add(truth, truth + off, probability);
                    errors.add_interval(truth, truth + off - 1.0, truth + off + 1.0, probability);
                }
            }
            let estimate = errors.mae(Z_95).unwrap();
            held += i32::from((estimate.low..=estimate.high).contains(&1.25));
            mae += estimate.mean / f64::from(rounds);
            coverage += errors.coverage(Z_95).unwrap().mean / f64::from(rounds);
        }
        assert!((mae - 1.25).abs() < 0.02, "{mae}");
        assert!((coverage - 0.625).abs() < 0.01, "{coverage}");
        assert!(f64::from(held) / f64::from(rounds) > 0.92, "{held}");
    }

    #[test]
    fn nonsense_is_not_counted() {
        let mut errors = Regression::default();
        errors.add(f64::NAN, 1.0, 1.0);
        errors.add_interval(f64::NAN, 0.0, 1.0, 1.0);
        assert_eq!((errors.mae(Z_95), errors.coverage(Z_95)), (None, None));
        errors.add_interval(0.5, f64::NAN, 1.0, 1.0);
        assert!(errors.coverage(Z_95).unwrap().mean < 1e-12);
        errors.add(1.0, 3.0, 1.0);
        errors.add(1.0, 0.0, 1.0);
        let mut twice = errors;
        twice.merge(&errors);
        assert!((twice.mae(Z_95).unwrap().mean - 1.5).abs() < 1e-12);
        assert!((twice.bias(Z_95).unwrap().mean - 0.5).abs() < 1e-12);
        assert!((twice.rmse(Z_95).unwrap().mean - 2.5_f64.sqrt()).abs() < 1e-12);
    }
}
