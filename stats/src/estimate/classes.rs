//! The confusion matrix, precision, recall and F1 that a model probably has, from what it predicted at which
//! confidence.

use super::confidence::EstimateError;
use crate::{
    chance::{Chance, cumulative},
    interval::Estimate,
    truth::confusion::CLASSES_MAX,
};

/// Resampled calibrations that an interval stands on.
const DRAWS: usize = 200;

/// What was true in validation, by predicted class and confidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Truths {
    classes: usize,
    bins: usize,
    /// By predicted class, then bin, then true class.
    counts: Vec<u64>,
}

/// The confusion matrix that is expected, as numbers of predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    classes: usize,
    /// By truth, then by prediction.
    cells: Vec<f64>,
}

impl Truths {
    /// Of a validation in which nothing was counted yet.
    pub fn new(classes: usize, bins: usize) -> Result<Self, EstimateError> {
        if !(1..=CLASSES_MAX).contains(&classes) || !(1..=1_000).contains(&bins) {
            return Err(EstimateError::Lengths);
        }
        Ok(Self {
            classes,
            bins,
            counts: vec![0; classes * classes * bins],
        })
    }

    /// Counts `n` samples of validation; those of classes or bins that there are not are refused.
    pub fn add(
        &mut self,
        predicted: usize,
        bin: usize,
        truth: usize,
        n: u64,
    ) -> Result<(), EstimateError> {
        if predicted >= self.classes || truth >= self.classes || bin >= self.bins {
            return Err(EstimateError::Lengths);
        }
        let count = &mut self.counts[(predicted * self.bins + bin) * self.classes + truth];
        *count = count.saturating_add(n);
        Ok(())
    }

    fn row(&self, predicted: usize, bin: usize) -> &[u64] {
        let from = (predicted * self.bins + bin) * self.classes;
        &self.counts[from..from + self.classes]
    }

    /// What is expected of predictions that were served, by predicted class and then bin.
    pub fn expected(&self, served: &[Vec<u64>]) -> Result<Expected, EstimateError> {
        self.check(served)?;
        let known: Vec<u64> = self.counts.clone();
        Ok(self.spread(&known, served))
    }

    fn check(&self, served: &[Vec<u64>]) -> Result<(), EstimateError> {
        if served.len() != self.classes || served.iter().any(|bins| bins.len() != self.bins) {
            return Err(EstimateError::Lengths);
        }
        let any = |counts: &[u64]| counts.iter().any(|count| *count > 0);
        if !any(&self.counts) || !served.iter().any(|bins| any(bins)) {
            return Err(EstimateError::Empty);
        }
        Ok(())
    }

    /// Served predictions over the classes that were true in validation. A bin that validation lacks is taken from all
    /// bins of its class; a class that it lacks is taken as right.
    fn spread(&self, counts: &[u64], served: &[Vec<u64>]) -> Expected {
        let k = self.classes;
        let mut cells = vec![0.0; k * k];
        for (predicted, bins) in served.iter().enumerate() {
            let of_class = &counts[predicted * self.bins * k..(predicted + 1) * self.bins * k];
            let mut any = vec![0_u64; k];
            for row in of_class.chunks(k) {
                for (sum, count) in any.iter_mut().zip(row) {
                    *sum = sum.saturating_add(*count);
                }
            }
            if any.iter().all(|count| *count == 0) {
                any[predicted] = 1;
            }
            for (row, n) in of_class.chunks(k).zip(bins).filter(|(_, n)| **n > 0) {
                let row = if row.iter().any(|count| *count > 0) {
                    row
                } else {
                    &any
                };
                let whole: f64 = row.iter().map(|count| *count as f64).sum();
                for (truth, count) in row.iter().enumerate() {
                    cells[truth * k + predicted] += *n as f64 * *count as f64 / whole;
                }
            }
        }
        Expected { classes: k, cells }
    }

    /// A score of the expected matrix with a 95 % interval for the chance in validation and in the truth of what was
    /// served: rows of validation are drawn again, truths are drawn from them, and the middle 95 of 100 scores are the
    /// interval (a parametric bootstrap). `None` where the score is none.
    pub fn interval(
        &self,
        served: &[Vec<u64>],
        seed: u64,
        score: impl Fn(&Expected) -> Option<f64>,
    ) -> Result<Option<Estimate>, EstimateError> {
        let Some(mean) = score(&self.expected(served)?) else {
            return Ok(None);
        };
        let mut chance = Chance::new(seed);
        let mut scores: Vec<f64> = (0..DRAWS)
            .filter_map(|_| score(&self.drawn(served, &mut chance)))
            .collect();
        scores.sort_by(f64::total_cmp);
        let Some(last) = scores.len().checked_sub(1) else {
            return Ok(None);
        };
        let at = |share: f64| scores[(share * last as f64).round() as usize];
        let n = served
            .iter()
            .flatten()
            .fold(0_u64, |sum, count| sum.saturating_add(*count));
        Ok(Some(Estimate {
            mean,
            low: at(0.025).min(mean),
            high: at(0.975).max(mean),
            n,
        }))
    }

    /// One draw: validation again, and from it the truth of what was served.
    fn drawn(&self, served: &[Vec<u64>], chance: &mut Chance) -> Expected {
        let k = self.classes;
        let mut counts = vec![0; self.counts.len()];
        for predicted in 0..k {
            for bin in 0..self.bins {
                let from = (predicted * self.bins + bin) * k;
                redraw(
                    chance,
                    self.row(predicted, bin),
                    &mut counts[from..from + k],
                );
            }
        }
        let expected = self.spread(&counts, served);
        let mut cells = vec![0.0; k * k];
        for predicted in 0..k {
            let rates: Vec<u64> = (0..k)
                .map(|truth| expected.cells[truth * k + predicted].round() as u64)
                .collect();
            let mut drawn = vec![0; k];
            redraw(chance, &rates, &mut drawn);
            for truth in 0..k {
                cells[truth * k + predicted] = drawn[truth] as f64;
            }
        }
        Expected { classes: k, cells }
    }
}

/// As many draws from a row as it counts; more than a thousand are drawn as a thousand with the deviations scaled.
fn redraw(chance: &mut Chance, row: &[u64], into: &mut [u64]) {
    let n: u64 = row.iter().fold(0, |sum, count| sum.saturating_add(*count));
    let drawn = n.min(1_000);
    let mut counts = vec![0; row.len()];
    chance.multinomial(&cumulative(row), drawn, &mut counts);
    for ((into, count), usual) in into.iter_mut().zip(counts).zip(row) {
        let expected = *usual as f64 * drawn as f64 / n.max(1) as f64;
        let off = (count as f64 - expected) * (n as f64 / drawn.max(1) as f64).sqrt();
        *into = (*usual as f64 + off).round().max(0.0) as u64;
    }
}

impl Expected {
    /// How many predictions of a class are expected to be of another; 0 of classes that there are not.
    pub fn cell(&self, truth: usize, predicted: usize) -> f64 {
        let inside = truth < self.classes && predicted < self.classes;
        if inside {
            self.cells[truth * self.classes + predicted]
        } else {
            0.0
        }
    }

    /// Expected accuracy.
    pub fn accuracy(&self) -> Option<f64> {
        let right = (0..self.classes).map(|class| self.cell(class, class)).sum();
        ratio(right, self.cells.iter().sum())
    }

    /// Expected precision of a class.
    pub fn precision(&self, class: usize) -> Option<f64> {
        ratio(
            self.cell(class, class),
            (0..self.classes).map(|truth| self.cell(truth, class)).sum(),
        )
    }

    /// Expected recall of a class.
    pub fn recall(&self, class: usize) -> Option<f64> {
        ratio(
            self.cell(class, class),
            (0..self.classes)
                .map(|predicted| self.cell(class, predicted))
                .sum(),
        )
    }

    /// Expected F1 of a class.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let others = 0..self.classes;
        let both = others
            .map(|other| self.cell(class, other) + self.cell(other, class))
            .sum();
        ratio(2.0 * self.cell(class, class), both)
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validation() -> Truths {
        let mut truths = Truths::new(2, 2).unwrap();
        for (predicted, bin, truth, n) in [
            (0, 0, 0, 60),
            (0, 0, 1, 40),
            (0, 1, 0, 95),
            (0, 1, 1, 5),
            (1, 1, 1, 90),
            (1, 1, 0, 10),
        ] {
            truths.add(predicted, bin, truth, n).unwrap();
        }
        truths
    }

    #[test]
    fn what_is_expected_follows_from_what_was_true_at_that_confidence() {
        let truths = validation();
        let expected = truths.expected(&[vec![100, 0], vec![50, 50]]).unwrap();
        // Class 1 has no low bin in validation: as all its bins.
        for (truth, predicted, n) in [
            (0, 0, 60.0),
            (1, 0, 40.0),
            (1, 1, 90.0),
            (0, 1, 10.0),
            (9, 0, 0.0),
        ] {
            assert!((expected.cell(truth, predicted) - n).abs() < 1e-9);
        }
        assert!((expected.accuracy().unwrap() - 0.75).abs() < 1e-9);
        assert!((expected.precision(0).unwrap() - 0.6).abs() < 1e-9);
        assert!((expected.recall(1).unwrap() - 90.0 / 130.0).abs() < 1e-9);
        assert!((expected.f1(0).unwrap() - 120.0 / 170.0).abs() < 1e-9);
        let estimate = truths
            .interval(&[vec![100, 0], vec![50, 50]], 1, |matrix| matrix.f1(0))
            .unwrap()
            .unwrap();
        assert!(
            estimate.low > 0.5
                && estimate.low < 0.68
                && estimate.high > 0.73
                && estimate.high < 0.85,
            "{estimate:?}"
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut truths = validation();
        assert!(truths.add(2, 0, 0, 1).is_err() && truths.add(0, 2, 0, 1).is_err());
        assert_eq!(truths.expected(&[vec![1, 2]]), Err(EstimateError::Lengths));
        assert_eq!(
            truths.expected(&[vec![0, 0], vec![0, 0]]),
            Err(EstimateError::Empty)
        );
        assert!(
            Truths::new(0, 1).is_err()
                && Truths::new(1, 0).is_err()
                && Truths::new(1 << 20, 2).is_err()
        );
        let none = Truths::new(2, 1).unwrap();
        assert_eq!(
            none.expected(&[vec![1], vec![1]]),
            Err(EstimateError::Empty)
        );
    }
}
