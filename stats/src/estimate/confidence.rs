//! Accuracy from confidences alone.
//!
//! Source: the confidence-based performance estimation of J. Białek, W. Kuberski, N. Perrakis and A. Bifet, "Estimating
//! model performance under covariate shift without labels", 2024, for the predicted class. Theirs calibrates by
//! isotonic regression; ours by the histogram of validation, which the reference profile has anyway.

use crate::interval::Estimate;

/// Why nothing can be estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    /// Rows that belong together have not the same length.
    #[error("histograms that belong together have not the same bins")]
    Lengths,
    /// No predictions, or no validation.
    #[error("no predictions, or none in validation")]
    Empty,
}

/// The accuracy that served predictions probably have: `served` counts them by confidence, `validation` and `right`
/// those of validation on the same bins. The interval is of `z` standard normal deviations, for the chance in
/// validation and in what was served.
///
/// A bin without validation is taken from its nearest neighbours, and its own chance is the widest there is; so what
/// was served at a confidence that validation never saw widens the interval.
pub fn accuracy(
    validation: &[u64],
    right: &[u64],
    served: &[u64],
    z: f64,
) -> Result<Estimate, EstimateError> {
    if validation.len() != right.len() || validation.len() != served.len() {
        return Err(EstimateError::Lengths);
    }
    let n: f64 = served.iter().map(|count| *count as f64).sum();
    let all: f64 = validation.iter().map(|count| *count as f64).sum();
    if n <= 0.0 || all <= 0.0 {
        return Err(EstimateError::Empty);
    }
    let (mut mean, mut calibration, mut chance) = (0.0, 0.0, 0.0);
    for (bin, count) in served.iter().enumerate().filter(|(_, count)| **count > 0) {
        let share = *count as f64 / n;
        let (rate, known) = near(validation, right, bin);
        mean += share * rate;
        // As if one more had been right and one more wrong, so that ten of ten right ones are not certainty.
        let careful = (rate * known + 1.0) / (known + 2.0);
        calibration += share * share * careful * (1.0 - careful) / known.max(1.0);
        chance += share * rate * (1.0 - rate);
    }
    let half = z * (calibration + chance / n).sqrt();
    Ok(Estimate {
        mean: mean.clamp(0.0, 1.0),
        low: (mean - half).clamp(0.0, 1.0),
        high: (mean + half).clamp(0.0, 1.0),
        n: n as u64,
    })
}

/// The share of right ones in a bin of validation and how many it stands on; of an empty bin, that of the nearest ones
/// that are not, as if it stood on one.
fn near(validation: &[u64], right: &[u64], bin: usize) -> (f64, f64) {
    let rate = |at: usize| (right[at].min(validation[at]) as f64) / validation[at] as f64;
    if validation[bin] > 0 {
        return (rate(bin), validation[bin] as f64);
    }
    let below = (0..bin).rev().find(|at| validation[*at] > 0);
    let above = (bin..validation.len()).find(|at| validation[*at] > 0);
    match (below, above) {
        (Some(a), Some(b)) => {
            let part = (bin - a) as f64 / (b - a) as f64;
            (rate(a) + part * (rate(b) - rate(a)), 1.0)
        }
        (Some(at), None) | (None, Some(at)) => (rate(at), 1.0),
        (None, None) => (0.5, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chance::Chance, interval::Z_95};

    /// Confidences fall; who is right at which confidence stays. The estimate follows, and its interval holds.
    #[test]
    fn a_fall_of_confidence_is_a_fall_of_accuracy() {
        let (mut chance, mut held, rounds) = (Chance::new(41), 0, 300);
        for _ in 0..rounds {
            let (mut validation, mut right, mut served) = ([0; 20], [0; 20], [0; 20]);
            for _ in 0..1_500 {
                let said = chance.uniform().sqrt();
                let bin = crate::confidence::bin(said as f32);
                validation[bin] += 1;
                right[bin] += u64::from(chance.uniform() < said);
            }
            let mut truth = 0.0;
            for _ in 0..800 {
                let said = chance.uniform();
                served[crate::confidence::bin(said as f32)] += 1;
                truth += f64::from(u8::from(chance.uniform() < said)) / 800.0;
            }
            let estimate = accuracy(&validation, &right, &served, Z_95).unwrap();
            assert!((estimate.mean - 0.5).abs() < 0.1);
            held += i32::from((estimate.low..=estimate.high).contains(&truth));
        }
        assert!(f64::from(held) / f64::from(rounds) > 0.92, "{held}");
    }

    #[test]
    fn gaps_widen_and_nothing_is_an_error() {
        let (validation, right) = ([100, 0, 100], [50, 0, 90]);
        let of = |served: [u64; 3]| accuracy(&validation, &right, &served, Z_95).unwrap();
        let (gap, known) = (of([0, 100, 0]), of([0, 0, 100]));
        assert!((gap.mean - 0.7).abs() < 1e-12);
        assert!(gap.high - gap.low > 3.0 * (known.high - known.low));
        assert_eq!(accuracy(&[1], &[1], &[0], Z_95), Err(EstimateError::Empty));
        assert_eq!(accuracy(&[0], &[0], &[1], Z_95), Err(EstimateError::Empty));
        assert_eq!(
            accuracy(&[1, 2], &[1], &[1], Z_95),
            Err(EstimateError::Lengths)
        );
        assert!(accuracy(&[1, 0], &[9, 0], &[3, 3], Z_95).is_ok());
    }
}
