//! Counts what a candidate does beside one version that serves, until the window closes; and makes one
//! window of two.
//!
//! Must never break: each row is counted in exactly one window, as one of compared, failed and skipped;
//! counts after a merge are the sums of counts before.

use tern_protocol::{
    profile::CONFIDENCE_BINS, reported::SlotVersion, shadow::ShadowWindow, time::Instant,
    window::Sketch as Wire,
};
use tern_stats::{
    confidence,
    sketch::{Sketch, SketchError},
};

use crate::telemetry::Prediction;

/// Counters of the open window of one pair.
#[derive(Debug)]
pub struct Tally {
    opened: Instant,
    compared: u64,
    agreed: u64,
    errors: u64,
    skipped: u64,
    latency: Sketch,
    live_latency: Sketch,
    classes: Vec<u64>,
    confidence: [u64; CONFIDENCE_BINS],
}

/// What both versions made of the rows of one request.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// How many of them agree.
    pub agreed: usize,
    /// What the candidate said of each.
    pub predictions: &'a [Option<Prediction>],
    /// What a row took the candidate, in microseconds.
    pub micros: f64,
    /// What it took the version that serves.
    pub live_micros: f64,
}

impl Tally {
    /// Opens a first window of a candidate with so many classes.
    pub fn new(opened: Instant, classes: usize) -> Self {
        Self {
            opened,
            compared: 0,
            agreed: 0,
            errors: 0,
            skipped: 0,
            latency: Sketch::new(),
            live_latency: Sketch::new(),
            classes: vec![0; classes],
            confidence: [0; CONFIDENCE_BINS],
        }
    }

    /// Both answered.
    pub fn compared(&mut self, rows: usize, of: &Comparison<'_>) {
        self.compared += rows as u64;
        self.agreed += of.agreed as u64;
        for _ in 0..rows {
            self.latency.insert(of.micros);
            self.live_latency.insert(of.live_micros);
        }
        for Prediction {
            class, confidence, ..
        } in of.predictions.iter().flatten()
        {
            if let Some(count) = self.classes.get_mut(*class as usize) {
                *count += 1;
            }
            confidence::count(&mut self.confidence, *confidence);
        }
    }

    /// The candidate did not answer.
    pub fn failed(&mut self, rows: u64) {
        self.errors += rows;
    }

    /// The candidate did not see them.
    pub fn skipped(&mut self, rows: u64) {
        self.skipped += rows;
    }

    /// Closes the window and opens the next; `None` if nothing happened in it.
    pub fn close(
        &mut self,
        slot: &tern_protocol::id::SlotName,
        candidate: &SlotVersion,
        live: &SlotVersion,
        tolerance: f32,
        now: Instant,
    ) -> Option<ShadowWindow> {
        let next = Self::new(now, self.classes.len());
        let old = std::mem::replace(self, next);
        if (old.compared, old.errors, old.skipped) == (0, 0, 0) {
            return None;
        }
        Some(ShadowWindow {
            slot: slot.clone(),
            model: candidate.model.clone(),
            version: candidate.version,
            bundle: candidate.bundle,
            live_version: live.version,
            live_bundle: live.bundle,
            opened: old.opened,
            closed: now,
            compared: old.compared,
            agreed: old.agreed,
            errors: old.errors,
            skipped: old.skipped,
            latency: (&old.latency).into(),
            live_latency: (&old.live_latency).into(),
            confidence: if old.classes.is_empty() {
                Vec::new()
            } else {
                old.confidence.to_vec()
            },
            classes: old.classes,
            tolerance,
        })
    }
}

/// Why two windows stay two.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MergeError {
    /// Another slot, another pair, another idea of agreement.
    #[error("windows of different pairs do not merge")]
    Different,
    /// Histograms of different length, although of the same bundle.
    #[error("windows of one pair have different numbers of {0}")]
    Length(&'static str),
    /// A latency sketch that is not one of ours.
    #[error("a latency of a window cannot be read")]
    Latency(#[from] SketchError),
}

/// Adds `other` to `into`; `into` is as it was if that is refused.
pub fn merge(into: &mut ShadowWindow, other: &ShadowWindow) -> Result<(), MergeError> {
    if !into.merges_with(other) {
        return Err(MergeError::Different);
    }
    if into.classes.len() != other.classes.len() {
        return Err(MergeError::Length("classes"));
    }
    if into.confidence.len() != other.confidence.len() {
        return Err(MergeError::Length("confidence bins"));
    }
    let latency = both(&into.latency, &other.latency)?;
    let live_latency = both(&into.live_latency, &other.live_latency)?;
    (into.latency, into.live_latency) = (latency, live_latency);
    into.opened = into.opened.min(other.opened);
    into.closed = into.closed.max(other.closed);
    for (into, other) in [
        (&mut into.compared, other.compared),
        (&mut into.agreed, other.agreed),
        (&mut into.errors, other.errors),
        (&mut into.skipped, other.skipped),
    ] {
        *into = into.saturating_add(other);
    }
    let classes = into.classes.iter_mut().zip(&other.classes);
    let bins = into.confidence.iter_mut().zip(&other.confidence);
    for (into, other) in classes.chain(bins) {
        *into = into.saturating_add(*other);
    }
    Ok(())
}

fn both(one: &Wire, other: &Wire) -> Result<Wire, SketchError> {
    let mut sketch = Sketch::try_from(one)?;
    sketch.merge(&Sketch::try_from(other)?);
    Ok(Wire::from(&sketch))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tern_protocol::{
        digest::Digest,
        id::{BootId, ModelVersion},
        shadow::TOLERANCE,
        time::Uptime,
    };

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant {
            boot: BootId(1),
            uptime: Uptime(ms),
        }
    }

    fn version(number: u32) -> SlotVersion {
        SlotVersion {
            model: "digits".parse().expect("a name"),
            version: ModelVersion::new(number).expect("from 1 up"),
            bundle: Digest::of(&number.to_be_bytes()),
        }
    }

    fn close(tally: &mut Tally, ms: u64) -> Option<ShadowWindow> {
        let slot = "reader".parse().expect("a name");
        tally.close(&slot, &version(2), &version(1), TOLERANCE, at(ms))
    }

    fn one(micros: f64, class: u32, agreed: usize) -> (Prediction, f64, usize) {
        let prediction = Prediction {
            class,
            confidence: 0.7,
            margin: 0.4,
        };
        (prediction, micros, agreed)
    }

    fn tally(rows: &[(Prediction, f64, usize)]) -> Tally {
        let mut tally = Tally::new(at(0), 2);
        for (prediction, micros, agreed) in rows {
            let of = Comparison {
                agreed: *agreed,
                predictions: &[Some(*prediction)],
                micros: *micros,
                live_micros: micros * 2.0,
            };
            tally.compared(1, &of);
        }
        tally
    }

    #[test]
    fn a_window_says_what_both_did_and_the_next_begins_empty() {
        let mut tally = tally(&[one(100.0, 1, 1), one(300.0, 0, 0)]);
        tally.failed(3);
        tally.skipped(40);
        let window = close(&mut tally, 60).expect("something happened");
        assert_eq!(
            (
                window.compared,
                window.agreed,
                window.errors,
                window.skipped
            ),
            (2, 1, 3, 40)
        );
        assert_eq!(
            (window.version, window.live_version),
            (version(2).version, version(1).version)
        );
        assert_eq!((window.opened, window.closed), (at(0), at(60)));
        assert_eq!(window.classes, [1, 1]);
        assert_eq!(window.confidence[14], 2);
        assert!((window.latency.sum - 400.0).abs() < 1e-9);
        assert!((window.live_latency.sum - 800.0).abs() < 1e-9);
        assert_eq!(close(&mut tally, 90), None);
        tally.skipped(1);
        let window = close(&mut tally, 120).expect("something happened");
        assert_eq!((window.opened, window.skipped), (at(90), 1));
    }

    #[test]
    fn other_pairs_do_not_merge_and_change_nothing() {
        let whole = close(&mut tally(&[one(1.0, 0, 1)]), 60).expect("something happened");
        let changes: [fn(&mut ShadowWindow); 5] = [
            |w| w.slot = "other".parse().expect("a name"),
            |w| w.bundle = Digest::of(b"x"),
            |w| w.live_bundle = Digest::of(b"x"),
            |w| w.tolerance = 0.5,
            |w| w.classes.push(1),
        ];
        for change in changes {
            let (mut into, mut other) = (whole.clone(), whole.clone());
            change(&mut other);
            assert!(merge(&mut into, &other).is_err());
            assert_eq!(into, whole);
        }
    }

    proptest! {
        #[test]
        fn counts_are_exact_whatever_is_merged_with_what(
            rows in prop::collection::vec((1.0f64..1e6, 0u32..2, 0usize..2), 1..60),
            cut in any::<prop::sample::Index>(),
            passed in 0u64..9,
        ) {
            let rows: Vec<_> = rows.into_iter().map(|(us, class, agreed)| one(us, class, agreed)).collect();
            let cut = cut.index(rows.len());
            let mut whole = tally(&rows);
            whole.skipped(passed);
            let whole = close(&mut whole, 60).expect("something happened");
            let mut late = tally(&rows[cut..]);
            late.skipped(passed);
            let mut merged = close(&mut late, 60).expect("something happened");
            if let Some(early) = close(&mut tally(&rows[..cut]), 60) {
                merge(&mut merged, &early).expect("they are of one pair");
            }
            prop_assert!((merged.latency.sum - whole.latency.sum).abs() <= 1e-6 * whole.latency.sum);
            merged.latency.sum = whole.latency.sum;
            merged.live_latency.sum = whole.live_latency.sum;
            prop_assert_eq!(merged, whole);
        }
    }
}
