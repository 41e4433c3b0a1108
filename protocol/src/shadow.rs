//! What a candidate beside the version that serves made of the same inputs: evidence, gathered before
//! anybody gets an answer of it. Constant size; two windows of the same pair merge into one that says
//! what both said.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::{
    digest::Digest,
    id::{ModelName, ModelVersion, SlotName},
    time::Instant,
    window::Sketch,
};

/// By how much an element of an output may differ and still be the same answer, unless the model is a
/// classifier: a hundredth of the larger of both values, or of one if they are smaller. Two versions of
/// a model are not one model, so rounding alone (as golden samples allow) would be too little.
pub const TOLERANCE: f32 = 0.01;

/// Whether two elements of an output are the same answer, within `tolerance` as [`TOLERANCE`] says.
/// Nothing agrees with what is not a number but another that is none.
pub fn agree(live: f32, candidate: f32, tolerance: f32) -> bool {
    if live.is_nan() || candidate.is_nan() {
        return live.is_nan() && candidate.is_nan();
    }
    // Also two infinities of one sign, whose difference is not a number.
    if live.to_bits() == candidate.to_bits() {
        return true;
    }
    let scale = live.abs().max(candidate.abs()).max(1.0);
    scale.is_finite() && (live - candidate).abs() <= tolerance * scale
}

/// What a candidate did between two moments, all beside one bundle. Counts are of rows: a request with
/// several rows counts as often. Of what the live version answered meanwhile, each row is in exactly one
/// of `compared`, `errors` and `skipped`.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ShadowWindow {
    /// The slot.
    #[n(0)]
    pub slot: SlotName,
    /// The candidate's model.
    #[n(1)]
    pub model: ModelName,
    /// The candidate's version.
    #[n(2)]
    pub version: ModelVersion,
    /// The candidate's bundle.
    #[n(3)]
    pub bundle: Digest,
    /// The version that served.
    #[n(4)]
    pub live_version: ModelVersion,
    /// The bundle that served.
    #[n(5)]
    pub live_bundle: Digest,
    /// When it was opened.
    #[n(6)]
    pub opened: Instant,
    /// When it was closed.
    #[n(7)]
    pub closed: Instant,
    /// Inputs that both answered.
    #[n(8)]
    #[cbor(default)]
    pub compared: u64,
    /// Of these, those with the same answer: by classifiers the same class, by its name; else outputs
    /// that differ by no more than [`Self::tolerance`].
    #[n(9)]
    #[cbor(default)]
    pub agreed: u64,
    /// Inputs that the live version answered and the candidate did not.
    #[n(10)]
    #[cbor(default)]
    pub errors: u64,
    /// Inputs that the candidate did not see: its share of the processor was used up, or the queue full.
    #[n(11)]
    #[cbor(default)]
    pub skipped: u64,
    /// Latency of the candidate on the inputs compared, in microseconds.
    #[n(12)]
    #[cbor(default)]
    pub latency: Sketch,
    /// Latency of the live version on the same inputs, in microseconds.
    #[n(13)]
    #[cbor(default)]
    pub live_latency: Sketch,
    /// The candidate's predictions of each class, in its manifest's order; empty unless a classifier.
    #[n(14)]
    #[cbor(default)]
    pub classes: Vec<u64>,
    /// The candidate's predictions by confidence, [`crate::profile::CONFIDENCE_BINS`] bins; empty unless
    /// a classifier.
    #[n(15)]
    #[cbor(default)]
    pub confidence: Vec<u64>,
    /// By how much outputs may have differed and yet agreed, as [`TOLERANCE`] says; 0 of classifiers.
    #[n(16)]
    #[cbor(default)]
    pub tolerance: f32,
}

impl ShadowWindow {
    /// Whether two windows may be merged: same slot, same pair, same idea of agreement.
    pub fn merges_with(&self, other: &Self) -> bool {
        self.slot == other.slot
            && self.bundle == other.bundle
            && self.live_bundle == other.live_bundle
            && self.tolerance.to_bits() == other.tolerance.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundredth_is_the_same_answer_and_more_is_not() {
        let same = |a, b| {
            assert_eq!(agree(a, b, TOLERANCE), agree(b, a, TOLERANCE), "{a} {b}");
            agree(a, b, TOLERANCE)
        };
        assert!(same(100.0, 100.99) && !same(100.0, 102.0));
        assert!(same(0.0, 0.009) && !same(0.0, 0.011));
        assert!(same(-5.0, -5.0) && !same(-5.0, 5.0));
        assert!(same(f32::NAN, f32::NAN) && !same(f32::NAN, 0.0));
        assert!(same(f32::INFINITY, f32::INFINITY));
        assert!(!same(f32::INFINITY, f32::NEG_INFINITY) && !same(f32::INFINITY, 1e30));
        assert!(!same(f32::MAX, f32::MIN));
    }
}
