//! Whether a model that says 0.9 is right nine times in ten.

use super::{mean::WeightedMean, weight};
use crate::{
    confidence,
    interval::{Estimate, Weighted},
};
use tern_protocol::profile::CONFIDENCE_BINS;

/// Predictions by confidence, with how often they were right.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    bins: Vec<Bin>,
    brier: WeightedMean,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Bin {
    right: Weighted,
    /// Sum of weight times confidence.
    said: f64,
}

/// One bin of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The mean confidence of predictions in it.
    pub said: f64,
    /// The share of them that was right.
    pub right: Estimate,
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            bins: vec![Bin::default(); CONFIDENCE_BINS],
            brier: WeightedMean::default(),
        }
    }
}

impl Calibration {
    /// Adds a prediction with its confidence, which was kept with `probability`. What is no number is not counted.
    pub fn add(&mut self, said: f64, right: bool, probability: f64) {
        let Some(weight) = weight(probability).filter(|_| !said.is_nan()) else {
            return;
        };
        let said = said.clamp(0.0, 1.0);
        let bin = &mut self.bins[confidence::bin(said as f32)];
        bin.right.add(right, probability);
        bin.said += weight * said;
        self.brier
            .add((said - f64::from(u8::from(right))).powi(2), probability);
    }

    /// Adds all predictions of another.
    pub fn merge(&mut self, other: &Self) {
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.right.merge(&other.right);
            bin.said += other.said;
        }
        self.brier.merge(&other.brier);
    }

    /// The curve: one point a bin that has predictions, with the interval of `z` standard normal deviations.
    pub fn curve(&self, z: f64) -> Vec<Point> {
        let point = |bin: &Bin| {
            Some(Point {
                said: bin.said / bin.right.weights,
                right: bin.right.estimate(z)?,
            })
        };
        self.bins.iter().filter_map(point).collect()
    }

    /// How many predictions there are by confidence, and how many of those were right, as whole numbers of samples that
    /// all count the same and say as much: the effective number of each bin (Kish). What estimates without labels
    /// stand on ([`crate::estimate::confidence`]).
    pub fn validation(&self) -> (Vec<u64>, Vec<u64>) {
        let counts = |bin: &Bin| {
            let right = &bin.right;
            if right.n == 0 || right.weights <= 0.0 {
                return (0, 0);
            }
            let effective = (right.weights * right.weights / right.squares).max(1.0);
            let share = (right.weights_right / right.weights).clamp(0.0, 1.0);
            (
                effective.round() as u64,
                (share * effective.round()).round() as u64,
            )
        };
        self.bins.iter().map(counts).unzip()
    }

    /// How many predictions are in it.
    pub fn samples(&self) -> u64 {
        self.bins.iter().map(|bin| bin.right.n).sum()
    }

    /// Expected calibration error: by how much what was said and what was right differ in the mean, 0 to 1; `None`
    /// without predictions. Source: M. Naeini, G. Cooper and M. Hauskrecht, AAAI 2015. It is above 0 by chance alone:
    /// [`Self::error_by_chance`] says by how much.
    pub fn error(&self) -> Option<f64> {
        let whole: f64 = self.bins.iter().map(|bin| bin.right.weights).sum();
        let gap = |bin: &Bin| (bin.said - bin.right.weights_right).abs();
        (whole > 0.0).then(|| self.bins.iter().map(gap).sum::<f64>() / whole)
    }

    /// What [`Self::error`] is expected to be of a model that is calibrated perfectly, with as many predictions in
    /// each bin: the mean of a folded normal distribution.
    pub fn error_by_chance(&self) -> Option<f64> {
        let whole: f64 = self.bins.iter().map(|bin| bin.right.weights).sum();
        let chance = |bin: &Bin| {
            let said = if bin.right.weights > 0.0 {
                bin.said / bin.right.weights
            } else {
                0.0
            };
            (bin.right.squares * said * (1.0 - said) * std::f64::consts::FRAC_2_PI)
                .max(0.0)
                .sqrt()
        };
        (whole > 0.0).then(|| self.bins.iter().map(chance).sum::<f64>() / whole)
    }

    /// The mean squared difference between confidence and whether it was right (G. Brier, 1950, for the predicted class
    /// alone), with the interval of `z` standard normal deviations; `None` with fewer than two predictions.
    pub fn brier(&self, z: f64) -> Option<Estimate> {
        self.brier.estimate(z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Chance, interval::Z_95};

    #[test]
    fn a_calibrated_model_has_an_error_of_chance_and_a_boastful_one_more() {
        let mut chance = Chance::new(6);
        let (mut honest, mut boastful) = (Calibration::default(), Calibration::default());
        for _ in 0..4_000 {
            let said = 0.5 + 0.5 * chance.uniform();
            honest.add(said, chance.uniform() < said, 1.0);
            boastful.add(said, chance.uniform() < said - 0.2, 1.0);
        }
        let (error, by_chance) = (honest.error().unwrap(), honest.error_by_chance().unwrap());
        assert!(
            error < 2.0 * by_chance && by_chance < 0.03,
            "{error} {by_chance}"
        );
        assert!((boastful.error().unwrap() - 0.2).abs() < 0.03);
        assert_eq!(honest.curve(Z_95).len(), 10);
        assert!(honest.brier(Z_95).unwrap().mean < boastful.brier(Z_95).unwrap().mean);
        let mut merged = Calibration::default();
        merged.merge(&honest);
        assert_eq!(merged, honest);
    }

    #[test]
    fn heavy_samples_are_few_in_what_estimates_stand_on() {
        let mut all = Calibration::default();
        (0..10).for_each(|at| all.add(0.92, at < 9, 1.0));
        let (n, right) = all.validation();
        assert_eq!((n[18], right[18], all.samples()), (10, 9, 10));
        // One that stands for a hundred: as if there were hardly more than it.
        all.add(0.92, false, 0.01);
        let (n, right) = all.validation();
        assert_eq!((n[18], right[18]), (1, 0));
        assert_eq!(Calibration::default().validation().0.iter().sum::<u64>(), 0);
    }

    #[test]
    fn nothing_says_nothing() {
        let mut none = Calibration::default();
        none.add(f64::NAN, true, 1.0);
        none.add(0.4, true, 0.0);
        assert_eq!(
            (none.error(), none.error_by_chance(), none.brier(Z_95)),
            (None, None, None)
        );
        assert!(none.curve(Z_95).is_empty());
    }
}
