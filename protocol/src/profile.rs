//! The distribution that a model was trained on; windows count on its bins.

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};

use crate::steps::Channels;

/// Bins of every confidence histogram: 20 of equal width over 0 to 1, the last one closed.
pub const CONFIDENCE_BINS: usize = 20;

/// Largest number of bins of one feature.
pub const FEATURE_BINS: usize = 64;

/// Largest number of features that a reference describes: more would make windows too large for
/// one payload.
pub const FEATURES: usize = 4096;

/// Largest number of signals that a reference describes: each costs a pass over the input.
pub const SIGNALS: usize = 32;

/// Reference profile of a model, from its training and validation parts.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Reference {
    /// One histogram a feature, that is an element of the first input, in row-major order.
    #[n(0)]
    pub features: Vec<FeatureReference>,
    /// Training samples of each class.
    #[n(1)]
    pub classes: Vec<u64>,
    /// Validation samples by confidence of the predicted class, [`CONFIDENCE_BINS`] bins.
    #[n(2)]
    pub confidence: Vec<u64>,
    /// How many of those were right, same bins: with [`Self::confidence`] the calibration curve.
    #[n(3)]
    pub confidence_right: Vec<u64>,
    /// How what is measured of inputs as a whole was distributed: named `brightness`, `contrast`, `sharpness`
    /// (of images), `level` (of sound and other series), `projection-0`, `projection-1` …; `tern-stats` says what
    /// each is. Devices count nothing for a name that they do not know.
    #[n(4)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub signals: Vec<FeatureReference>,
    /// How the first input lies in its elements, if it is an image.
    #[n(5)]
    pub image: Option<Image>,
    /// Validation samples by margin, the probability of the likeliest class less that of the next one,
    /// [`CONFIDENCE_BINS`] bins.
    #[n(6)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub margin: Vec<u64>,
    /// What a model that is no classifier answered on the validation part: the first element of its first output.
    #[n(7)]
    pub values: Option<FeatureReference>,
}

/// An image, as it lies in the elements of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Image {
    /// Rows.
    #[n(0)]
    pub height: u32,
    /// Columns.
    #[n(1)]
    pub width: u32,
    /// Values of one pixel.
    #[n(2)]
    pub channels: u32,
    /// Where the channels are.
    #[n(3)]
    pub order: Channels,
}

impl Image {
    /// Elements of one image; `None` above 2^64.
    pub fn elements(&self) -> Option<u64> {
        let pixels = u64::from(self.height) * u64::from(self.width);
        pixels.checked_mul(self.channels.into())
    }
}

/// Histogram of one feature over the training part.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct FeatureReference {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Rising bin edges, one more than bins, at most [`FEATURE_BINS`] + 1. Bin i holds
    /// `edges[i] <= x < edges[i + 1]`, the last one also `x == edges[last]`.
    #[n(1)]
    pub edges: Vec<f32>,
    /// Samples in each bin.
    #[n(2)]
    pub counts: Vec<u64>,
    /// Samples that were missing (NaN).
    #[n(3)]
    #[cbor(default)]
    pub missing: u64,
    /// Samples of each true class by itself, in the order of classes, on the same bins; none if they were not told
    /// apart. They tell whether inputs moved only because other classes came.
    #[n(4)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub by_class: Vec<Vec<u64>>,
}

impl Reference {
    /// Every histogram in it.
    fn histograms(&self) -> impl Iterator<Item = &FeatureReference> {
        self.features
            .iter()
            .chain(&self.signals)
            .chain(&self.values)
    }

    /// Says what is wrong with a profile from outside, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let by_class = |f: &FeatureReference| {
            f.by_class.is_empty()
                || f.by_class.len() == self.classes.len()
                    && f.by_class
                        .iter()
                        .all(|counts| counts.len() == f.counts.len())
        };
        let edges_rise = |f: &FeatureReference| {
            f.edges.iter().all(|e| e.is_finite()) && f.edges.windows(2).all(|e| e[0] < e[1])
        };
        if self.features.len() > FEATURES {
            Some("the reference profile has more than 4096 features")
        } else if self.signals.len() > SIGNALS {
            Some("the reference profile has more than 32 signals")
        } else if self
            .image
            .is_some_and(|image| !matches!(image.elements(), Some(1..)))
        {
            Some("the image of the reference profile has no elements, or more than 2^64")
        } else if self
            .histograms()
            .any(|f| !(2..=FEATURE_BINS + 1).contains(&f.edges.len()))
        {
            Some("a feature of the reference profile has not 1 to 64 bins")
        } else if self
            .histograms()
            .any(|f| f.counts.len() + 1 != f.edges.len())
        {
            Some("a feature of the reference profile has not one edge more than counts")
        } else if !self.histograms().all(edges_rise) {
            Some("the bin edges of a feature of the reference profile do not rise")
        } else if !self.histograms().all(by_class) {
            Some(
                "a feature of the reference profile has not as many histograms by class as there are classes, \
                 each of as many bins as the whole",
            )
        } else if [&self.confidence, &self.confidence_right, &self.margin]
            .into_iter()
            .any(|bins| !bins.is_empty() && bins.len() != CONFIDENCE_BINS)
        {
            Some("a histogram of confidence or margin in the reference profile has not 20 bins")
        } else {
            None
        }
    }
}
