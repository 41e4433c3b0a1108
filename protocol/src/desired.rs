//! ↓ `down/desired`, retained: what a device should serve.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::{
    blob::BlobRef,
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
