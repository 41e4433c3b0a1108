//! Windows as a meter reader's agent closes them: a minute of one image a second, 64 features.

use tern_protocol::{
    digest::Digest,
    id::BootId,
    profile::CONFIDENCE_BINS,
    time::{Instant, Uptime},
    window::{FeatureCounts, Sketch, SketchBin, Window},
};

use crate::parts::SLOT;

/// Pixels of a digit.
const FEATURES: usize = 64;

/// Counts of one feature: 10 bins of the reference, under, over, missing.
const FEATURE_COUNTS: usize = 13;

/// Digits.
const CLASSES: usize = 10;

/// Filled bins of the latency sketch: latencies of one device within a minute span a factor of two
/// or so, which is some 30 bins at 1 %.
const LATENCY_BINS: i32 = 30;

/// Inferences in one window.
pub(crate) const INFERENCES: u64 = 60;

/// Length of a window.
const LENGTH_MS: u64 = 60_000;

/// The window with this number of one device.
pub(crate) fn window(number: u64) -> Window {
    let opened = number * LENGTH_MS;
    let moment = |ms| Instant {
        boot: BootId(1),
        uptime: Uptime(ms),
    };
    Window {
        slot: SLOT.parse().expect("a name"),
        model: "digits".parse().expect("a name"),
        version: tern_protocol::id::ModelVersion::FIRST,
        bundle: Digest::of(b"bundle"),
        opened: moment(opened),
        closed: moment(opened + LENGTH_MS),
        inferences: INFERENCES,
        errors: 0,
        latency: Sketch {
            accuracy: 10,
            zeros: 0,
            bins: (0..LATENCY_BINS)
                .map(|n| SketchBin {
                    index: 180 + n,
                    count: INFERENCES / LATENCY_BINS as u64,
                })
                .collect(),
            sum: 2_400.0,
            min: 36.0,
            max: 66.0,
        },
        classes: vec![INFERENCES / CLASSES as u64; CLASSES],
        confidence: spread(CONFIDENCE_BINS, number),
        features: (0..FEATURES as u64)
            .map(|feature| FeatureCounts(spread(FEATURE_COUNTS, number + feature)))
            .collect(),
        rss: Some(11 << 20),
        cpu_ms: Some(120),
        parts: None,
        margin: Vec::new(),
        repeated: Vec::new(),
        values: None,
        signals: Vec::new(),
        temperature: None,
        metrics: Vec::new(),
    }
}

/// All inferences over some bins, unevenly, and otherwise for each `salt`.
fn spread(bins: usize, salt: u64) -> Vec<u64> {
    let mut counts = vec![0; bins];
    for n in 0..INFERENCES {
        // A quadratic residue walk: cheap, uneven, the same in every run.
        let bin = (n * n + n * salt + salt) % (bins as u64 * 2);
        counts[(bin as usize).min(bins - 1)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use tern_protocol::codec;

    use super::*;

    #[test]
    fn a_window_counts_each_inference_in_each_place() {
        let window = window(7);
        let latency: u64 = window.latency.bins.iter().map(|bin| bin.count).sum();
        assert_eq!(latency, INFERENCES);
        let counts = [&window.classes, &window.confidence].into_iter();
        for counts in counts.chain(window.features.iter().map(|feature| &feature.0)) {
            assert_eq!(counts.iter().sum::<u64>(), INFERENCES);
        }
        // A real agent's, with the digit model, is of this size.
        assert!((1_000..2_000).contains(&codec::encode(&window).len()));
    }
}
