//! Counters of the open window of one loaded model.
//!
//! Called for every inference, so it only adds to counters that are there; called by `node` when a
//! window closes. Must never break: each inference is counted in exactly one window.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tern_protocol::{
    profile::CONFIDENCE_BINS,
    reported::SlotVersion,
    time::Instant,
    window::{FeatureCounts, Parts, Window},
};
use tern_stats::{confidence, histogram::Edges, sketch::Sketch, values::Values};

use super::{
    Bins, Prediction,
    metrics::{Ever, Metrics, TellError},
};

/// Where an inference spent its time, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Took {
    /// Waiting for a thread.
    pub queue: f64,
    /// From bytes to tensors.
    pub pre: f64,
    /// In the engine.
    pub infer: f64,
}

/// One inference that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Inference<'a> {
    /// Where its time went; its latency is what it waited and ran.
    pub took: Took,
    /// What a classifier said.
    pub prediction: Option<Prediction>,
    /// What another model said: the first element of its first output.
    pub value: Option<f32>,
    /// Values of the first input, if [`Bins::want_values`].
    pub features: &'a [f32],
    /// What [`Bins::places`] gave for them.
    pub signals: &'a [Option<usize>],
    /// What metrics that are read from tensors came to, in their order.
    pub taps: &'a [f32],
}

/// Counters of the open window of one loaded model.
#[derive(Debug)]
pub struct Meter {
    opened: Instant,
    inferences: u64,
    errors: u64,
    latency: Sketch,
    /// Latency of all windows before this one.
    earlier: Sketch,
    queue: Sketch,
    pre: Sketch,
    infer: Sketch,
    post: Sketch,
    classes: Vec<u64>,
    confidence: [u64; CONFIDENCE_BINS],
    margin: [u64; CONFIDENCE_BINS],
    values: Values,
    bins: Arc<Bins>,
    features: Vec<FeatureCounts>,
    repeated: Vec<u64>,
    /// Values of the inference before, of this window or an earlier one.
    before: Vec<f32>,
    signals: Vec<FeatureCounts>,
    temperature: Option<i16>,
    metrics: Metrics,
    rss: Option<u64>,
    /// Time of processors that the process had taken when it was opened.
    cpu: Duration,
}

impl Meter {
    /// Opens a first window. `bins` are those of the bundle's reference; `cpu` is the time of processors that the
    /// process has taken so far.
    pub fn new(opened: Instant, classes: usize, bins: Arc<Bins>, cpu: Duration) -> Self {
        Self {
            opened,
            inferences: 0,
            errors: 0,
            latency: Sketch::new(),
            earlier: Sketch::new(),
            queue: Sketch::new(),
            pre: Sketch::new(),
            infer: Sketch::new(),
            post: Sketch::new(),
            classes: vec![0; classes],
            confidence: [0; CONFIDENCE_BINS],
            margin: [0; CONFIDENCE_BINS],
            values: Values::new(),
            features: bins.features.iter().map(Edges::no_counts).collect(),
            repeated: vec![0; bins.features.len()],
            before: Vec::new(),
            signals: bins.signals().map(Edges::no_counts).collect(),
            temperature: None,
            metrics: Metrics::new(Arc::clone(&bins)),
            bins,
            rss: None,
            cpu,
        }
    }

    /// One inference was answered.
    pub fn inference(&mut self, of: &Inference<'_>) {
        self.inferences += 1;
        let Took { queue, pre, infer } = of.took;
        self.latency.insert(queue + infer);
        self.queue.insert(queue);
        self.pre.insert(pre);
        self.infer.insert(infer);
        if let Some(said) = of.prediction {
            if let Some(count) = self.classes.get_mut(said.class as usize) {
                *count += 1;
            }
            confidence::count(&mut self.confidence, said.confidence);
            confidence::count(&mut self.margin, said.margin);
        }
        if let Some(value) = of.value {
            self.values.insert(value.into());
        }
        self.features(of.features);
        for (counts, place) in self.signals.iter_mut().zip(of.signals) {
            if let Some(count) = place.and_then(|place| counts.0.get_mut(place)) {
                *count += 1;
            }
        }
        self.metrics.inference(of.taps);
    }

    /// Takes values of metrics from beside the model: all of them, or none.
    pub fn tell(&mut self, values: &BTreeMap<String, f64>) -> Result<(), TellError> {
        self.metrics.tell(values)
    }

    /// What each of the bundle's own metrics came to since the first window was opened.
    pub fn metrics(&self) -> Vec<Ever> {
        self.metrics.ever()
    }

    fn features(&mut self, values: &[f32]) {
        let bins = &self.bins.features;
        for ((edges, counts), value) in bins.iter().zip(&mut self.features).zip(values) {
            edges.count(counts, *value);
        }
        if self.before.len() == values.len() {
            let pairs = values.iter().zip(&self.before).zip(&mut self.repeated);
            for ((value, before), repeated) in pairs {
                // Bit by bit: a sensor that gives no number twice repeats itself as well.
                *repeated += u64::from(value.to_bits() == before.to_bits());
            }
        }
        if !bins.is_empty() {
            values.clone_into(&mut self.before);
        }
    }

    /// So many answers became bytes, which took so long each.
    pub fn sent(&mut self, answers: u64, micros: f64) {
        for _ in 0..answers {
            self.post.insert(micros);
        }
    }

    /// A request got an error instead.
    pub fn error(&mut self) {
        self.errors += 1;
    }

    /// The process has, or had since it was looked at last, so many bytes in memory.
    pub fn resident(&mut self, bytes: u64) {
        self.rss = self.rss.max(Some(bytes));
    }

    /// Latency of all inferences since the first window was opened, in microseconds.
    pub fn latency(&self) -> Sketch {
        let mut all = self.earlier.clone();
        all.merge(&self.latency);
        all
    }

    /// The board is, or was since it was looked at last, so warm, in tenths of a degree Celsius.
    pub fn warmed(&mut self, tenths: i16) {
        self.temperature = self.temperature.max(Some(tenths));
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
        let mut earlier = std::mem::take(&mut self.earlier);
        earlier.merge(&self.latency);
        let next = Self {
            before: std::mem::take(&mut self.before),
            earlier,
            metrics: self.metrics.next(),
            ..Self::new(now, classes, Arc::clone(&self.bins), cpu)
        };
        let old = std::mem::replace(self, next);
        if old.inferences == 0 && old.errors == 0 && old.metrics.is_empty() {
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
            confidence: of_classifier(&old.classes, &old.confidence),
            margin: of_classifier(&old.classes, &old.margin),
            classes: old.classes,
            values: (!old.values.is_empty()).then(|| (&old.values).into()),
            parts: Some(Parts {
                queue: (&old.queue).into(),
                pre: (&old.pre).into(),
                infer: (&old.infer).into(),
                post: (&old.post).into(),
            }),
            repeated: old.repeated,
            signals: old.signals,
            temperature: old.temperature,
            metrics: old.metrics.counts(),
            features: old.features,
            rss: old.rss,
            cpu_ms: u64::try_from(cpu.saturating_sub(old.cpu).as_millis()).ok(),
        })
    }
}

/// A histogram of a classifier; nothing of another model.
fn of_classifier(classes: &[u64], bins: &[u64]) -> Vec<u64> {
    if classes.is_empty() {
        Vec::new()
    } else {
        bins.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{
        digest::Digest,
        id::BootId,
        profile::{FeatureReference, Reference},
        time::Uptime,
    };

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(milliseconds: u64) -> Instant {
        Instant {
            boot: BootId(1),
            uptime: Uptime(milliseconds),
        }
    }

    /// Of which a tenth is waiting, and which came from bytes in 5 µs.
    fn took(micros: f64) -> Took {
        Took {
            queue: 0.1 * micros,
            pre: 5.0,
            infer: 0.9 * micros,
        }
    }

    fn bins(features: &[&str], signals: &[&str]) -> Arc<Bins> {
        let bins = |name: &&str| FeatureReference {
            name: (*name).to_owned(),
            edges: vec![0.0, 4.0, 8.0, 12.0, 16.0],
            counts: vec![1; 4],
            missing: 0,
            by_class: Vec::new(),
        };
        let reference = Reference {
            features: features.iter().map(bins).collect(),
            signals: signals.iter().map(bins).collect(),
            ..Reference::default()
        };
        Bins::new(&reference).expect("they rise").into()
    }

    #[test]
    fn a_window_says_what_happened_in_it_and_the_next_begins_empty() {
        let version = SlotVersion {
            model: "digits".parse().expect("a name"),
            version: "1".parse().expect("a version"),
            bundle: Digest::of(b"bundle"),
        };
        let slot = "reader".parse().expect("a name");
        let bins = bins(&["a", "b"], &["brightness", "unheard-of"]);
        let mut meter = Meter::new(at(0), 3, Arc::clone(&bins), MS);
        meter.resident(9);
        meter.resident(7);
        meter.warmed(412);
        meter.warmed(-3);
        let prediction = Prediction::from_probabilities(&[0.1, 0.2, 0.7]);
        for (micros, values) in [(100.0, [3.0, f32::NAN]), (300.0, [3.0, -1.0])] {
            let of = Inference {
                took: took(micros),
                prediction,
                value: None,
                features: &values,
                signals: &bins.places(&values),
                taps: &[],
            };
            meter.inference(&of);
        }
        meter.sent(2, 7.0);
        meter.error();
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
        assert_eq!(window.margin[10], 2);
        assert_eq!(window.features[0].0, [0, 2, 0, 0, 0, 0, 0]);
        assert_eq!(window.features[1].0, [1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(window.repeated, [1, 0]);
        assert_eq!(window.signals[0].0, [0, 1, 0, 0, 0, 0, 1]);
        assert_eq!(window.signals[1].0, [0; 7], "nobody here can measure it");
        assert_eq!((window.temperature, window.values), (Some(412), None));
        assert!((window.latency.sum - 400.0).abs() < 1e-9);
        let parts = window.parts.expect("this agent tells");
        let sums = [&parts.queue, &parts.pre, &parts.infer, &parts.post]
            .map(|part| part.sum.round() as u32);
        assert_eq!(sums, [40, 10, 360, 14]);
        assert_eq!(meter.close(&slot, &version, at(120), 40 * MS), None);
        assert_eq!(meter.latency().count(), 2, "whatever was closed");
        meter.inference(&Inference {
            took: took(1.0),
            prediction: None,
            value: Some(-2.5),
            features: &[3.0, -1.0],
            signals: &[],
            taps: &[],
        });
        let window = meter
            .close(&slot, &version, at(180), 45 * MS)
            .expect("something happened");
        assert_eq!((window.inferences, window.opened), (1, at(120)));
        assert_eq!((window.rss, window.cpu_ms), (None, Some(5)));
        assert_eq!(window.repeated, [1, 1], "also from window to window");
        assert!(
            window
                .values
                .is_some_and(|values| (values.below.sum - 2.5).abs() < 1e-9)
        );
    }
}
