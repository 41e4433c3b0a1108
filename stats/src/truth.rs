//! How right a model is, from predictions whose truth is known.
//!
//! Called by the hub once labels are there. Which predictions get a label is rarely fair: the hub keeps the doubtful
//! ones, a person labels what looks odd. What makes it right again is that the chance with which each was kept is
//! known, and that each stands for as many as it was unlikely (D. G. Horvitz and D. J. Thompson, "A generalization of
//! sampling without replacement from a finite universe", JASA 47(260), 1952; shares by the ratio of J. Hájek, 1971).
//!
//! Must never break:
//! - a sample whose chance is not known is not counted: it would stand for nobody knows how many;
//! - nothing panics on what comes from outside, and no samples are `None`, never 0;
//! - sums merge by adding, and numbers of samples are exact.

pub mod agreement;
pub mod calibration;
pub mod confusion;
pub mod mean;
pub mod regression;

use crate::interval::PROBABILITY_FLOOR;

/// How many predictions one stands for that was kept with this probability; `None` if that is no positive number.
/// One over 1 counts as 1, one under [`PROBABILITY_FLOOR`] as that.
pub fn weight(probability: f64) -> Option<f64> {
    (probability > 0.0).then(|| probability.clamp(PROBABILITY_FLOOR, 1.0).recip())
}
