//! Counts what one loaded model does, until the window closes.
//!
//! Called for every inference, so it only adds to counters that are there; called by `node` when a
//! window closes. Must never break: each inference is counted in exactly one window.

use std::time::Duration;

use tern_protocol::{
    profile::CONFIDENCE_BINS,
    reported::SlotVersion,
    time::Instant,
    window::{FeatureCounts, Window},
};
use tern_stats::{confidence, histogram::Edges, sketch::Sketch};

/// What a classifier said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Index of the likeliest class.
    pub class: u32,
    /// Its probability as the model says.
    pub confidence: f32,
}

impl Prediction {
    /// The likeliest class; `None` if there is none or a probability is not a number.
    pub fn from_probabilities(probabilities: &[f32]) -> Option<Self> {
        let mut best: Option<Self> = None;
        for (class, confidence) in (0..).zip(probabilities.iter().copied()) {
            if !confidence.is_finite() {
                return None;
            }
            if best.is_none_or(|best| confidence > best.confidence) {
                best = Some(Self { class, confidence });
            }
        }
        best
    }

    /// One score decided by a threshold: class 1 from the threshold up, class 0 below; `None` if it
    /// is not a number. The confidence is that in the class that was chosen.
    pub fn from_score(score: f32, threshold: f32) -> Option<Self> {
        let above = score >= threshold;
        score.is_finite().then_some(Self {
            class: above.into(),
            confidence: if above { score } else { 1.0 - score },
        })
    }
}

/// Counters of the open window of one loaded model.
#[derive(Debug)]
pub struct Meter {
    opened: Instant,
    inferences: u64,
    errors: u64,
    latency: Sketch,
    classes: Vec<u64>,
    confidence: [u64; CONFIDENCE_BINS],
    edges: Vec<Edges>,
    features: Vec<FeatureCounts>,
    captures: u32,
    rss: Option<u64>,
    /// Time of processors that the process had taken when it was opened.
    cpu: Duration,
}

impl Meter {
    /// Opens a first window. `edges` are the bins of each element of the first input, or none; `cpu` is
    /// the time of processors that the process has taken so far.
    pub fn new(opened: Instant, classes: usize, edges: Vec<Edges>, cpu: Duration) -> Self {
        Self {
            opened,
            inferences: 0,
            errors: 0,
            latency: Sketch::new(),
            classes: vec![0; classes],
            confidence: [0; CONFIDENCE_BINS],
            features: edges.iter().map(Edges::no_counts).collect(),
            edges,
            captures: 0,
            rss: None,
            cpu,
        }
    }

    /// Whether features are counted, so that the input's values are worth decoding.
    pub fn counts_features(&self) -> bool {
        !self.edges.is_empty()
    }

    /// One inference was answered. `features` are the values of the first input.
    pub fn inference(&mut self, micros: f64, prediction: Option<Prediction>, features: &[f32]) {
        self.inferences += 1;
        self.latency.insert(micros);
        if let Some(Prediction { class, confidence }) = prediction {
            if let Some(count) = self.classes.get_mut(class as usize) {
                *count += 1;
            }
            confidence::count(&mut self.confidence, confidence);
        }
        for ((edges, counts), value) in self.edges.iter().zip(&mut self.features).zip(features) {
            edges.count(counts, *value);
        }
    }

    /// A request got an error instead.
    pub fn error(&mut self) {
        self.errors += 1;
    }

    /// Claims one of `most` captures of this window; whether there was one left.
    pub fn claim_capture(&mut self, most: u32) -> bool {
        let left = self.captures < most;
        self.captures += u32::from(left);
        left
    }

    /// The process has, or had since it was looked at last, so many bytes in memory.
    pub fn resident(&mut self, bytes: u64) {
        self.rss = self.rss.max(Some(bytes));
    }

    /// Closes the window and opens the next; `None` if nothing happened in it.
    pub fn close(
        &mut self,
        slot: &tern_protocol::id::SlotName,
        version: &SlotVersion,
        now: Instant,
        cpu: Duration,
    ) -> Option<Window> {
        let classes = self.classes.len();
        let next = Self::new(now, classes, std::mem::take(&mut self.edges), cpu);
        let old = std::mem::replace(self, next);
        if old.inferences == 0 && old.errors == 0 {
            return None;
        }
        Some(Window {
            slot: slot.clone(),
            model: version.model.clone(),
            version: version.version,
            bundle: version.bundle,
            opened: old.opened,
            closed: now,
            inferences: old.inferences,
            errors: old.errors,
            latency: (&old.latency).into(),
            confidence: if old.classes.is_empty() {
                Vec::new()
            } else {
                old.confidence.to_vec()
            },
            classes: old.classes,
            features: old.features,
            rss: old.rss,
            cpu_ms: u64::try_from(cpu.saturating_sub(old.cpu).as_millis()).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{digest::Digest, id::BootId, time::Uptime};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(milliseconds: u64) -> Instant {
        Instant {
            boot: BootId(1),
            uptime: Uptime(milliseconds),
        }
    }

    #[test]
    fn one_score_stands_for_two_classes() {
        let said = |score| Prediction::from_score(score, 0.3).map(|p| (p.class, p.confidence));
        assert_eq!(said(0.4), Some((1, 0.4)));
        assert_eq!(said(0.25), Some((0, 0.75)));
        assert_eq!(said(f32::NAN), None);
    }

    #[test]
    fn a_window_says_what_happened_in_it_and_the_next_begins_empty() {
        let version = SlotVersion {
            model: "digits".parse().expect("a name"),
            version: "1".parse().expect("a version"),
            bundle: Digest::of(b"bundle"),
        };
        let slot = "reader".parse().expect("a name");
        let edges = Edges::uniform(0.0, 16.0, 4).expect("they rise");
        let mut meter = Meter::new(at(0), 3, vec![edges.clone(), edges], MS);
        meter.resident(9);
        meter.resident(7);
        let prediction = Prediction::from_probabilities(&[0.1, 0.2, 0.7]);
        meter.inference(100.0, prediction, &[3.0, f32::NAN]);
        meter.inference(300.0, prediction, &[15.0, -1.0]);
        meter.error();
        assert!(meter.claim_capture(1) && !meter.claim_capture(1));
        let window = meter
            .close(&slot, &version, at(60), 31 * MS)
            .expect("something happened");
        assert_eq!(
            (
                window.inferences,
                window.errors,
                window.opened,
                window.closed
            ),
            (2, 1, at(0), at(60))
        );
        assert_eq!((window.rss, window.cpu_ms), (Some(9), Some(30)));
        assert_eq!(window.classes, [0, 0, 2]);
        assert_eq!(window.confidence[14], 2);
        assert_eq!(window.features[0].0, [0, 1, 0, 0, 1, 0, 0]);
        assert_eq!(window.features[1].0, [1, 0, 0, 0, 0, 0, 1]);
        assert!((window.latency.sum - 400.0).abs() < 1e-9);
        assert_eq!(meter.close(&slot, &version, at(120), 40 * MS), None);
        assert!(meter.claim_capture(1), "the bound is per window");
        meter.inference(1.0, None, &[]);
        let window = meter
            .close(&slot, &version, at(180), 45 * MS)
            .expect("something happened");
        assert_eq!((window.inferences, window.opened), (1, at(120)));
        assert_eq!((window.rss, window.cpu_ms), (None, Some(5)));
    }

    #[test]
    fn probabilities_that_are_no_numbers_are_no_prediction() {
        assert_eq!(Prediction::from_probabilities(&[]), None);
        assert_eq!(Prediction::from_probabilities(&[0.5, f32::NAN]), None);
        let tie = Prediction::from_probabilities(&[0.5, 0.5]);
        assert_eq!(tie.map(|p| p.class), Some(0));
    }
}
