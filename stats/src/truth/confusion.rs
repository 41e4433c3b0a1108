//! What was predicted beside what was true, and the rates that follow.

use super::weight;
use crate::interval::{Estimate, Weighted};

/// Largest number of classes: their square is held.
pub const CLASSES_MAX: usize = 1_024;

/// Samples of one pair of truth and prediction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Cell {
    n: u64,
    weights: f64,
    squares: f64,
}

/// A confusion matrix of weighted samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Confusion {
    classes: usize,
    /// By truth, then by prediction.
    cells: Vec<Cell>,
}

/// Why two matrices, or a matrix and a sample, do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfusionError {
    /// Other classes.
    #[error("a matrix of {own} classes beside one of {other}")]
    Classes {
        /// Classes of this matrix.
        own: usize,
        /// Classes of the other.
        other: usize,
    },
    /// A class that there is not.
    #[error("class {class} of {classes}")]
    Class {
        /// The class, from 0.
        class: usize,
        /// How many there are.
        classes: usize,
    },
    /// A probability that is no positive number.
    #[error("the probability with which a sample was kept is not a number above 0")]
    Probability,
    /// Too many classes, or none.
    #[error("{0} classes; 1 to {CLASSES_MAX} can be compared")]
    Number(usize),
}

impl Confusion {
    /// Nothing is known yet of so many classes.
    pub fn new(classes: usize) -> Result<Self, ConfusionError> {
        if !(1..=CLASSES_MAX).contains(&classes) {
            return Err(ConfusionError::Number(classes));
        }
        Ok(Self {
            classes,
            cells: vec![Cell::default(); classes * classes],
        })
    }

    /// How many classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Adds a sample that was kept with `probability`.
    pub fn add(
        &mut self,
        truth: usize,
        predicted: usize,
        probability: f64,
    ) -> Result<(), ConfusionError> {
        if let Some(class) = [truth, predicted]
            .into_iter()
            .find(|class| *class >= self.classes)
        {
            let classes = self.classes;
            return Err(ConfusionError::Class { class, classes });
        }
        let weight = weight(probability).ok_or(ConfusionError::Probability)?;
        let cell = &mut self.cells[truth * self.classes + predicted];
        cell.n += 1;
        cell.weights += weight;
        cell.squares += weight * weight;
        Ok(())
    }

    /// Adds all samples of another matrix.
    pub fn merge(&mut self, other: &Self) -> Result<(), ConfusionError> {
        if self.classes != other.classes {
            return Err(ConfusionError::Classes {
                own: self.classes,
                other: other.classes,
            });
        }
        for (cell, other) in self.cells.iter_mut().zip(&other.cells) {
            cell.n = cell.n.saturating_add(other.n);
            cell.weights += other.weights;
            cell.squares += other.squares;
        }
        Ok(())
    }

    /// How many predictions of the whole are estimated to be in this cell; 0 of classes that there are not.
    pub fn weight(&self, truth: usize, predicted: usize) -> f64 {
        self.cell(truth, predicted).weights
    }

    /// How many samples are in this cell.
    pub fn samples(&self, truth: usize, predicted: usize) -> u64 {
        self.cell(truth, predicted).n
    }

    fn cell(&self, truth: usize, predicted: usize) -> Cell {
        let inside = truth < self.classes && predicted < self.classes;
        let at = truth * self.classes + predicted;
        if inside {
            self.cells[at]
        } else {
            Cell::default()
        }
    }

    /// The share of right ones, with the interval of `z` standard normal deviations; `None` without samples.
    pub fn accuracy(&self, z: f64) -> Option<Estimate> {
        let all = (0..self.classes)
            .flat_map(|truth| (0..self.classes).map(move |predicted| (truth, predicted)));
        self.share(all).estimate(z)
    }

    /// Of those predicted to be of this class, the share that is: precision. `None` if none was predicted.
    pub fn precision(&self, class: usize, z: f64) -> Option<Estimate> {
        self.share((0..self.classes).map(|truth| (truth, class)))
            .estimate(z)
    }

    /// Of those that are of this class, the share that was found: recall. `None` if there were none.
    pub fn recall(&self, class: usize, z: f64) -> Option<Estimate> {
        self.share((0..self.classes).map(|predicted| (class, predicted)))
            .estimate(z)
    }

    /// The F1 score of a class, 2·right/(predicted + true); `None` if it neither was predicted nor is.
    ///
    /// It is the share of right ones among all where each wrong one counts half, so its interval is that of such a
    /// share (linearisation: the score is a ratio of two sums).
    pub fn f1(&self, class: usize, z: f64) -> Option<Estimate> {
        if class >= self.classes {
            return None;
        }
        let others = (0..self.classes).filter(|other| *other != class);
        let wrong = others.flat_map(|other| [(other, class), (class, other)]);
        let mut share = Weighted::default();
        let right = self.cell(class, class);
        put(&mut share, right, true);
        for (truth, predicted) in wrong {
            let cell = self.cell(truth, predicted);
            let half = Cell {
                n: cell.n,
                weights: 0.5 * cell.weights,
                squares: 0.25 * cell.squares,
            };
            put(&mut share, half, false);
        }
        share.estimate(z)
    }

    /// The mean F1 of classes that were predicted or are, each counting the same; `None` without samples. A class that
    /// nobody has seen is left out, as it is neither right nor wrong.
    pub fn macro_f1(&self) -> Option<f64> {
        let scores: Vec<f64> = (0..self.classes)
            .filter_map(|class| self.f1(class, 1.0))
            .map(|one| one.mean)
            .collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    }

    fn share(&self, cells: impl Iterator<Item = (usize, usize)>) -> Weighted {
        let mut share = Weighted::default();
        for (truth, predicted) in cells {
            put(&mut share, self.cell(truth, predicted), truth == predicted);
        }
        share
    }
}

fn put(share: &mut Weighted, cell: Cell, right: bool) {
    share.n = share.n.saturating_add(cell.n);
    share.weights += cell.weights;
    share.squares += cell.squares;
    if right {
        share.weights_right += cell.weights;
        share.squares_right += cell.squares;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Chance, interval::Z_95};

    #[test]
    fn rates_of_plain_counts() {
        let mut matrix = Confusion::new(2).unwrap();
        for (truth, predicted, n) in [(0, 0, 50), (0, 1, 10), (1, 0, 5), (1, 1, 35)] {
            (0..n).for_each(|_| matrix.add(truth, predicted, 1.0).unwrap());
        }
        let near = |estimate: Option<Estimate>, value: f64| {
            let estimate = estimate.unwrap();
            assert!(
                (estimate.mean - value).abs() < 1e-12
                    && estimate.low < value
                    && value < estimate.high
            );
        };
        near(matrix.accuracy(Z_95), 0.85);
        near(matrix.precision(1, Z_95), 35.0 / 45.0);
        near(matrix.recall(1, Z_95), 35.0 / 40.0);
        near(matrix.f1(1, Z_95), 70.0 / 85.0);
        assert_eq!(matrix.precision(7, Z_95), None);
        assert_eq!(matrix.f1(7, Z_95), None);
        assert_eq!((matrix.samples(0, 1), matrix.samples(9, 1)), (10, 0));
        let mean = f64::midpoint(70.0 / 85.0, 100.0 / 115.0);
        assert!((matrix.macro_f1().unwrap() - mean).abs() < 1e-12);
    }

    /// What is doubtful is kept ten times as often as what is sure, and is wrong more often: plain shares are off by
    /// 18 points, weighted ones by none.
    #[test]
    fn bias_of_keeping_is_gone() {
        let (mut chance, rounds) = (Chance::new(21), 300);
        let (mut plain, mut accuracy, mut recall, mut held) = (0.0, 0.0, 0.0, 0);
        for _ in 0..rounds {
            let (mut weighted, mut unweighted) =
                (Confusion::new(2).unwrap(), Confusion::new(2).unwrap());
            for _ in 0..2_000 {
                let truth = usize::from(chance.uniform() < 0.3);
                let doubtful = chance.uniform() < 0.3;
                let wrong = chance.uniform() < if doubtful { 0.4 } else { 0.05 };
                let predicted = if wrong { 1 - truth } else { truth };
                let probability = if doubtful { 0.5 } else { 0.05 };
                if chance.uniform() < probability {
                    weighted.add(truth, predicted, probability).unwrap();
                    unweighted.add(truth, predicted, 1.0).unwrap();
                }
            }
            let estimate = weighted.accuracy(Z_95).unwrap();
            held += i32::from((estimate.low..=estimate.high).contains(&0.845));
            accuracy += estimate.mean / f64::from(rounds);
            plain += unweighted.accuracy(Z_95).unwrap().mean / f64::from(rounds);
            recall += weighted.recall(1, Z_95).unwrap().mean / f64::from(rounds);
        }
        assert!(plain < 0.70, "{plain}");
        assert!((accuracy - 0.845).abs() < 0.005, "{accuracy}");
        assert!((recall - 0.845).abs() < 0.012, "{recall}");
        assert!(f64::from(held) / f64::from(rounds) > 0.92, "{held}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut matrix = Confusion::new(2).unwrap();
        assert_eq!(
            matrix.add(2, 0, 1.0),
            Err(ConfusionError::Class {
                class: 2,
                classes: 2
            })
        );
        assert_eq!(matrix.add(0, 0, f64::NAN), Err(ConfusionError::Probability));
        assert!(matrix.merge(&Confusion::new(3).unwrap()).is_err());
        assert!(Confusion::new(0).is_err() && Confusion::new(1 << 20).is_err());
        assert_eq!((matrix.accuracy(Z_95), matrix.macro_f1()), (None, None));
        let mut other = matrix.clone();
        other.add(1, 1, 0.5).unwrap();
        matrix.merge(&other).unwrap();
        assert_eq!(matrix, other);
    }
}
