//! The distribution that a model was trained on; windows count on its bins.

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};

/// Bins of every confidence histogram: 20 of equal width over 0 to 1, the last one closed.
pub const CONFIDENCE_BINS: usize = 20;

/// Largest number of bins of one feature.
pub const FEATURE_BINS: usize = 64;

/// Largest number of features that a reference describes: more would make windows too large for
/// one payload.
pub const FEATURES: usize = 4096;

/// Reference profile of a classifier, from its training and validation parts.
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
}

impl Reference {
    /// Says what is wrong with a profile from outside, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let edges_rise = |f: &FeatureReference| {
            f.edges.iter().all(|e| e.is_finite()) && f.edges.windows(2).all(|e| e[0] < e[1])
        };
        if self.features.len() > FEATURES {
            Some("the reference profile has more than 4096 features")
        } else if self
            .features
            .iter()
            .any(|f| !(2..=FEATURE_BINS + 1).contains(&f.edges.len()))
        {
            Some("a feature of the reference profile has not 1 to 64 bins")
        } else if self
            .features
            .iter()
            .any(|f| f.counts.len() + 1 != f.edges.len())
        {
            Some("a feature of the reference profile has not one edge more than counts")
        } else if !self.features.iter().all(edges_rise) {
            Some("the bin edges of a feature of the reference profile do not rise")
        } else if [&self.confidence, &self.confidence_right]
            .into_iter()
            .any(|bins| !bins.is_empty() && bins.len() != CONFIDENCE_BINS)
        {
            Some("the confidence histogram of the reference profile has not 20 bins")
        } else {
            None
        }
    }
}
