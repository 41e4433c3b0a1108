//! ↓ `down/desired`, retained: what a device should serve.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::{
    blob::BlobRef,
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
}
