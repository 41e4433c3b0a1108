//! Telemetry of a closed interval of one slot. Constant size; two windows of the same bundle merge
//! into one that says what both said.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::{
    digest::Digest,
    id::{ModelName, ModelVersion, SlotName},
    metric::MetricCounts,
    time::Instant,
};

/// What one slot did between two moments, all with one bundle.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Window {
    /// The slot.
    #[n(0)]
    pub slot: SlotName,
    /// The model that served.
    #[n(1)]
    pub model: ModelName,
    /// Its version.
    #[n(2)]
    pub version: ModelVersion,
    /// The bundle that served: its reference gives the bins of [`Self::features`].
    #[n(3)]
    pub bundle: Digest,
    /// When it was opened.
    #[n(4)]
    pub opened: Instant,
    /// When it was closed.
    #[n(5)]
    pub closed: Instant,
    /// Inferences answered.
    #[n(6)]
    #[cbor(default)]
    pub inferences: u64,
    /// Requests that got an error instead.
    #[n(7)]
    #[cbor(default)]
    pub errors: u64,
    /// Latency of inferences, in microseconds.
    #[n(8)]
    #[cbor(default)]
    pub latency: Sketch,
    /// Predictions of each class, in the manifest's order; empty unless a classifier.
    #[n(9)]
    #[cbor(default)]
    pub classes: Vec<u64>,
    /// Predictions by confidence, [`crate::profile::CONFIDENCE_BINS`] bins; empty unless a
    /// classifier.
    #[n(10)]
    #[cbor(default)]
    pub confidence: Vec<u64>,
    /// One histogram a feature, on the reference's bins; empty without a reference.
    #[n(11)]
    #[cbor(default)]
    pub features: Vec<FeatureCounts>,
    /// Largest resident memory of the agent's process in the window, in bytes: of the whole process,
    /// whatever else it does. `None` where the system does not say, or of an older agent.
    #[n(12)]
    pub rss: Option<u64>,
    /// Time of processors that the agent's process took in the window, in milliseconds: as [`Self::rss`],
    /// of the whole process.
    #[n(13)]
    pub cpu_ms: Option<u64>,
    /// Where inferences spent their time; `None` of an older agent.
    #[n(14)]
    pub parts: Option<Parts>,
    /// Predictions by margin, the confidence of the likeliest class less that of the next one, on the bins of
    /// [`Self::confidence`]; empty unless a classifier.
    #[n(15)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub margin: Vec<u64>,
    /// For each of [`Self::features`], inferences in which it had the very value that it had in the one before: a
    /// sensor that is stuck says nothing new. Empty without a reference.
    #[n(16)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub repeated: Vec<u64>,
    /// What a model that is no classifier answered: the first element of its first output.
    #[n(17)]
    pub values: Option<Values>,
    /// How what was measured of inputs as a whole fell on the bins of [`crate::profile::Reference::signals`], in
    /// their order; empty without those.
    #[n(18)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub signals: Vec<FeatureCounts>,
    /// Largest temperature of the board in the window, in tenths of a degree Celsius. `None` where it has no sensor.
    #[n(19)]
    pub temperature: Option<i16>,
    /// What each metric that the bundle declares came to, in the order of its manifest; empty without those.
    #[n(20)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub metrics: Vec<MetricCounts>,
}

/// Where inferences spend their time, in microseconds. Steps of a bundle are part of its graph, so they are within
/// [`Self::infer`].
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Parts {
    /// Waiting for a thread, of models that do not run where they are asked.
    #[n(0)]
    #[cbor(default)]
    pub queue: Sketch,
    /// From the bytes of a request to tensors.
    #[n(1)]
    #[cbor(default)]
    pub pre: Sketch,
    /// In the engine, a row of a batch.
    #[n(2)]
    #[cbor(default)]
    pub infer: Sketch,
    /// From the engine's tensors to the bytes of an answer.
    #[n(3)]
    #[cbor(default)]
    pub post: Sketch,
}

/// A sketch of values of either sign.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Values {
    /// Those of zero or more.
    #[n(0)]
    #[cbor(default)]
    pub above: Sketch,
    /// Those below zero, without their sign.
    #[n(1)]
    #[cbor(default)]
    pub below: Sketch,
    /// Answers that were no number.
    #[n(2)]
    #[cbor(default)]
    pub missing: u64,
}

impl Window {
    /// Whether two windows may be merged: same slot, same bundle, so the same bins.
    pub fn merges_with(&self, other: &Self) -> bool {
        self.slot == other.slot && self.bundle == other.bundle
    }
}

/// How one feature fell on the reference's bins: under, each bin, over, missing. So it has three
/// counts more than the reference has bins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct FeatureCounts(#[n(0)] pub Vec<u64>);

/// A `DDSketch` as it travels: its parameters and its filled bins. `tern-stats` makes and reads it.
///
/// Source: C. Masson, J. Rim, H. Lee, "`DDSketch`: a fast and fully-mergeable quantile sketch with
/// relative-error guarantees", PVLDB 12(12), 2019.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Sketch {
    /// Relative accuracy in thousandths: 10 is 1 %. Sketches merge only if it is the same.
    #[n(0)]
    #[cbor(default)]
    pub accuracy: u16,
    /// Values of zero or less.
    #[n(1)]
    #[cbor(default)]
    pub zeros: u64,
    /// Filled bins as (index, count), indices strictly rising.
    #[n(2)]
    #[cbor(default)]
    pub bins: Vec<SketchBin>,
    /// Sum of all values.
    #[n(3)]
    #[cbor(default)]
    pub sum: f64,
    /// Smallest value; 0 when empty.
    #[n(4)]
    #[cbor(default)]
    pub min: f64,
    /// Largest value; 0 when empty.
    #[n(5)]
    #[cbor(default)]
    pub max: f64,
}

/// One filled bin of a [`Sketch`]: values in (γ^(index−1), γ^index], γ = (1+α)/(1−α).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct SketchBin {
    /// Its index.
    #[n(0)]
    pub index: i32,
    /// Values in it.
    #[n(1)]
    pub count: u64,
}
