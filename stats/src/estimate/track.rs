//! How far estimates without truth were off, each time truth arrived.

use crate::interval::Estimate;

/// What came of estimates so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Track {
    /// Estimates whose truth arrived.
    pub n: u64,
    /// How many of them the truth agrees with: intervals that overlap.
    pub agreed: u64,
    /// Sum of estimate less truth.
    pub signed: f64,
    /// Sum of how far they were apart.
    pub absolute: f64,
}

/// One estimate beside its truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Off {
    /// Estimate less truth: above 0 where the estimate was too good.
    pub by: f64,
    /// Whether the intervals overlap, so that chance alone may be why.
    pub agrees: bool,
}

impl Track {
    /// An estimate whose truth arrived. What is no number is not counted.
    pub fn add(&mut self, estimate: &Estimate, truth: &Estimate) -> Option<Off> {
        let by = estimate.mean - truth.mean;
        if !by.is_finite() {
            return None;
        }
        let agrees = estimate.low <= truth.high && truth.low <= estimate.high;
        self.n += 1;
        self.agreed += u64::from(agrees);
        self.signed += by;
        self.absolute += by.abs();
        Some(Off { by, agrees })
    }

    /// By how much they were off in the mean, whichever way; `None` before any truth arrived.
    pub fn mean_error(&self) -> Option<f64> {
        (self.n > 0).then(|| self.absolute / self.n as f64)
    }

    /// By how much they were too good in the mean.
    pub fn mean_bias(&self) -> Option<f64> {
        (self.n > 0).then(|| self.signed / self.n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_held_to_what_they_said() {
        let of = |mean: f64, half: f64| Estimate {
            mean,
            low: mean - half,
            high: mean + half,
            n: 9,
        };
        let mut track = Track::default();
        assert_eq!(track.mean_error(), None);
        assert!(track.add(&of(0.9, 0.02), &of(0.88, 0.05)).unwrap().agrees);
        assert!(!track.add(&of(0.9, 0.02), &of(0.7, 0.05)).unwrap().agrees);
        assert_eq!(track.add(&of(f64::NAN, 0.0), &of(0.7, 0.05)), None);
        assert_eq!((track.n, track.agreed), (2, 1));
        assert!((track.mean_error().unwrap() - 0.11).abs() < 1e-9);
        assert!((track.mean_bias().unwrap() - 0.11).abs() < 1e-9);
    }
}
