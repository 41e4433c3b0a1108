//! ↓ `down/desired`, retained: what a device should serve.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::{
    blob::BlobRef,
    capture::{CaptureRequest, Erasure},
    digest::Digest,
    id::{ModelName, ModelVersion, Revision, SlotName},
};

/// What one device should be. A device acts on the highest revision it has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Desired {
    /// Strictly rising per device.
    #[n(0)]
    pub revision: Revision,
    /// One entry a slot. A slot that is not listed keeps what it has.
    #[n(1)]
    pub slots: Vec<DesiredSlot>,
    /// Versions to run beside what serves, at most one a slot and [`crate::limits::SHADOWS`] in all. A
    /// slot that is not listed runs none.
    #[n(2)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub shadows: Vec<DesiredShadow>,
    /// Inputs that an operator asks for, at most [`crate::limits::CAPTURE_REQUESTS`]. What is not listed is
    /// asked for no more.
    #[n(3)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub requests: Vec<CaptureRequest>,
    /// What has to be forgotten, in the order of their ids and within [`crate::limits::ERASURES_BYTES`]: those
    /// that the device has not yet said that it did.
    #[n(4)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub erasures: Vec<Erasure>,
}

/// What one slot should serve.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DesiredSlot {
    /// Which slot.
    #[n(0)]
    pub slot: SlotName,
    /// Which model.
    #[n(1)]
    pub model: ModelName,
    /// Which version of it.
    #[n(2)]
    pub version: ModelVersion,
    /// Its bundle: the blob that holds the manifest.
    #[n(3)]
    pub bundle: BlobRef,
    /// Ways to its ONNX file from another that the device may have, the best first. Advice: a device
    /// that cannot use any fetches the whole file.
    #[n(4)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
}

/// A version that runs beside what serves in a slot, on some of the same inputs. Nobody gets its answers:
/// they are compared with those of what serves, and what came of it is told in
/// [`crate::shadow::ShadowWindow`]s.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DesiredShadow {
    /// In which slot.
    #[n(0)]
    pub slot: SlotName,
    /// Which model.
    #[n(1)]
    pub model: ModelName,
    /// Which version of it.
    #[n(2)]
    pub version: ModelVersion,
    /// Its bundle: the blob that holds the manifest.
    #[n(3)]
    pub bundle: BlobRef,
    /// As those of [`DesiredSlot::offers`].
    #[n(4)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
    /// Share of one processor that running it may take, in thousandths; 1,000 at most. How many inputs
    /// it sees follows from that.
    #[n(5)]
    pub cpu_permille: u16,
}

/// A delta that makes the ONNX file of a version from that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Offer {
    /// The ONNX file that it starts from.
    #[n(0)]
    pub base: Digest,
    /// The delta.
    #[n(1)]
    pub delta: BlobRef,
}
