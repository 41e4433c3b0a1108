//! Confidence histograms: 20 bins of equal width over 0 to 1.
//!
//! Called by the agent, for what it served, and the trainer, for validation. Must never break:
//! both ask [`bin`], so that a served confidence falls where the same one fell in validation.

use tern_protocol::profile::CONFIDENCE_BINS;

/// Counts of nothing.
pub fn no_counts() -> Vec<u64> {
    vec![0; CONFIDENCE_BINS]
}

/// The bin of a confidence, from 0; the last one is closed. What lies outside of 0 to 1 falls in
/// the nearest bin, and what is no number in the first: such an answer is worth no trust.
pub fn bin(confidence: f32) -> usize {
    // A cast from float saturates and turns NaN into 0.
    ((confidence * CONFIDENCE_BINS as f32) as usize).min(CONFIDENCE_BINS - 1)
}

/// Counts a confidence. `counts` are those of [`no_counts`].
pub fn count(counts: &mut [u64], confidence: f32) {
    if let Some(count) = counts.get_mut(bin(confidence)) {
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins() {
        for (confidence, expected) in [
            (0.0, 0),
            (0.049, 0),
            (0.05, 1),
            (0.5, 10),
            (0.95, 19),
            (1.0, 19),
            (1.1, 19),
            (-1.0, 0),
            (f32::NAN, 0),
            (f32::INFINITY, 19),
        ] {
            assert_eq!(bin(confidence), expected, "{confidence}");
        }
        let mut counts = no_counts();
        count(&mut counts, 0.97);
        count(&mut [], 0.97);
        assert_eq!((counts[19], counts.iter().sum::<u64>()), (1, 1));
    }
}
