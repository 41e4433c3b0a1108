//! Which inputs are kept, why, and what is to be forgotten of them.
//!
//! Travels in [`crate::log::Capture`] (why, and what stands for an input that is not kept itself) and in
//! [`crate::desired::Desired`] (what an operator asks for, and what has to go).

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};

use crate::{
    digest::{Digest, Hasher},
    id::{ModelName, PredictionId, SlotName, WorkspaceId},
    time::WallTime,
};

/// Why an input was captured: one or several of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Reasons(#[n(0)] pub u32);

impl Reasons {
    /// The model was unsure.
    pub const UNSURE: Self = Self(1);
    /// By chance alone.
    pub const RANDOM: Self = Self(2);
    /// The input is not like those of training.
    pub const DRIFTED: Self = Self(4);
    /// A version that runs beside what serves said something else.
    pub const DISAGREED: Self = Self(8);
    /// An operator asked for inputs of this device.
    pub const REQUESTED: Self = Self(16);
    /// Whoever asked for the prediction asked for the capture.
    pub const ASKED: Self = Self(32);

    /// Each known reason.
    pub const ALL: [Self; 6] = [
        Self::UNSURE,
        Self::RANDOM,
        Self::DRIFTED,
        Self::DISAGREED,
        Self::REQUESTED,
        Self::ASKED,
    ];

    /// Whether there is none.
    pub const fn is_none(&self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are among these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What stands for an input that is not kept itself: nothing of it can be made into the input again.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Summary {
    /// The place of each feature among the bins of the reference profile, as windows count them; none of a model
    /// whose profile has no features.
    #[n(0)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub places: Vec<u8>,
    /// What was measured of the input as a whole.
    #[n(1)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub signals: Vec<MeasuredSignal>,
    /// The output that the model calls `embedding`, if it has one.
    #[n(2)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub embedding: Vec<f32>,
}

/// One signal of one input.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MeasuredSignal {
    /// Its name in the reference profile.
    #[n(0)]
    pub name: String,
    /// What was measured.
    #[n(1)]
    pub value: f32,
}

/// What a model predicted that is no classifier: the first element of its first output.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PredictedNumber {
    /// It.
    #[n(0)]
    pub value: f64,
    /// Lower end of the interval that was predicted with it, of a model that has one ([`crate::quantile`]).
    #[n(1)]
    #[cfg_attr(
        feature = "rest",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub low: Option<f64>,
    /// Its upper end.
    #[n(2)]
    #[cfg_attr(
        feature = "rest",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub high: Option<f64>,
}

impl PredictedNumber {
    /// Whether all of it are numbers.
    pub fn is_finite(&self) -> bool {
        let all = [Some(self.value), self.low, self.high];
        all.into_iter().flatten().all(f64::is_finite)
    }
}

/// An operator asks for some of the next inputs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CaptureRequest {
    /// Which request. A device remembers how many it gave to each.
    #[n(0)]
    pub id: u64,
    /// Only of this slot.
    #[n(1)]
    pub slot: Option<SlotName>,
    /// Only of this model.
    #[n(2)]
    pub model: Option<ModelName>,
    /// How many, of this device.
    #[n(3)]
    pub count: u32,
    /// Until when, by the hub's clock. A device whose clock is not to be believed goes on until it is told
    /// otherwise.
    #[n(4)]
    pub until: WallTime,
}

/// What a device has to forget: captures and truths that it still holds. Without predictions and without a subject
/// that is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Erasure {
    /// Which deletion; they rise. A device does each once, in their order.
    #[n(0)]
    pub id: u64,
    /// Of these predictions.
    #[n(1)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub predictions: Vec<PredictionId>,
    /// Of this subject, now and from now on.
    #[n(2)]
    pub subject: Option<Digest>,
}

impl Erasure {
    /// Whether everything has to go.
    pub fn is_all(&self) -> bool {
        self.predictions.is_empty() && self.subject.is_none()
    }
}

/// What stands for a person, a customer, a patient: what they are called is hashed where it is known and travels
/// nowhere. The workspace goes into the hash, so that the same name in two workspaces is not seen to be the same.
pub fn subject(workspace: &WorkspaceId, name: &str) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(b"tern-subject-1");
    hasher.update(&(workspace.as_str().len() as u64).to_be_bytes());
    hasher.update(workspace.as_str().as_bytes());
    hasher.update(name.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_another_in_another_workspace() {
        let workspace = |name: &str| name.parse::<WorkspaceId>().expect("a name");
        let one = subject(&workspace("plant"), "patient 7");
        assert_eq!(one, subject(&workspace("plant"), "patient 7"));
        assert_ne!(one, subject(&workspace("plan"), "tpatient 7"));
        assert_ne!(one, subject(&workspace("lab"), "patient 7"));
    }

    #[test]
    fn reasons_add_up() {
        let both = Reasons::UNSURE.and(Reasons::ASKED);
        assert!(both.has(Reasons::ASKED) && both.has(both) && !both.has(Reasons::RANDOM));
        assert!(Reasons::default().is_none() && !both.is_none());
    }
}
