//! Means of numbers, each of which stands for as many as it was unlikely to be kept.

use super::weight;
use crate::{drift::tail::student_quantile, interval::Estimate};

/// Sums that merge by adding.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WeightedMean {
    /// Samples.
    pub n: u64,
    /// Sum of weights.
    pub weights: f64,
    /// Sum of squared weights.
    pub squares: f64,
    /// Sum of weight times value.
    pub sum: f64,
    /// Sum of squared weight times value.
    pub square_sum: f64,
    /// Sum of squared weight times squared value.
    pub square_squares: f64,
}

impl WeightedMean {
    /// Adds a value that was kept with `probability`; what is no finite number, or has no positive probability, is not
    /// counted.
    pub fn add(&mut self, value: f64, probability: f64) {
        let Some(weight) = weight(probability).filter(|_| value.is_finite()) else {
            return;
        };
        let square = weight * weight;
        self.n += 1;
        self.weights += weight;
        self.squares += square;
        self.sum += weight * value;
        self.square_sum += square * value;
        self.square_squares += square * value * value;
    }

    /// Adds all samples of other sums.
    pub fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.weights += other.weights;
        self.squares += other.squares;
        self.sum += other.sum;
        self.square_sum += other.square_sum;
        self.square_squares += other.square_squares;
    }

    /// The mean; `None` without samples.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0 && self.weights > 0.0).then(|| self.sum / self.weights)
    }

    /// The mean with the interval of `z` standard normal deviations; `None` with fewer than two samples, of which
    /// nobody knows how they differ.
    ///
    /// By linearisation of the ratio (C.-E. Särndal, B. Swensson and J. Wretman, "Model assisted survey sampling",
    /// 1992, 5.7), with Student's quantile for Kish's effective number of samples less one, since a few heavy samples
    /// are a few.
    pub fn estimate(&self, z: f64) -> Option<Estimate> {
        let mean = self.mean()?;
        let effective = self.weights * self.weights / self.squares;
        if self.n < 2 || !mean.is_finite() {
            return None;
        }
        let spread =
            self.square_squares - 2.0 * mean * self.square_sum + mean * mean * self.squares;
        let freedom = (effective - 1.0).max(1.0);
        let variance =
            spread.max(0.0) / (self.weights * self.weights) * (effective / freedom).max(1.0);
        let half = student_quantile(z, freedom) * variance.sqrt();
        Some(Estimate {
            mean,
            low: mean - half,
            high: mean + half,
            n: self.n,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Chance, interval::Z_95};

    /// Large values are kept more often: the plain mean is far off, the weighted one is not, and its interval holds.
    #[test]
    fn weights_take_off_what_keeping_adds() {
        let (mut plain, mut weighted, mut held, rounds) = (0.0, 0.0, 0, 400);
        let mut chance = Chance::new(11);
        for _ in 0..rounds {
            let mut all = WeightedMean::default();
            let mut sum = (0.0, 0.0);
            for _ in 0..3_000 {
                let value = chance.uniform();
                let probability = 0.02 + 0.3 * value;
                if chance.uniform() < probability {
                    all.add(value, probability);
                    sum = (sum.0 + value, sum.1 + 1.0);
                }
            }
            let estimate = all.estimate(Z_95).unwrap();
            plain += sum.0 / sum.1 / f64::from(rounds);
            weighted += estimate.mean / f64::from(rounds);
            held += i32::from((estimate.low..=estimate.high).contains(&0.5));
        }
        assert!(plain > 0.6, "{plain}");
        assert!((weighted - 0.5).abs() < 0.005, "{weighted}");
        assert!(f64::from(held) / f64::from(rounds) > 0.92, "{held}");
    }

    #[test]
    fn few_and_nonsense() {
        let mut sums = WeightedMean::default();
        for (value, probability) in [(f64::NAN, 0.5), (1.0, 0.0), (1.0, f64::NAN), (1.0, -1.0)] {
            sums.add(value, probability);
        }
        assert_eq!((sums.n, sums.mean(), sums.estimate(Z_95)), (0, None, None));
        sums.add(3.0, 7.0);
        assert_eq!((sums.mean(), sums.estimate(Z_95)), (Some(3.0), None));
        let mut other = WeightedMean::default();
        other.add(5.0, 1.0);
        sums.merge(&other);
        let estimate = sums.estimate(Z_95).unwrap();
        assert!((estimate.mean - 4.0).abs() < 1e-12 && estimate.high - estimate.mean > 2.0);
    }
}
