//! ↓ `meta/root` and `meta/timestamp`, retained: which signed metadata there are.
//!
//! The metadata themselves are JSON documents of The Update Framework. All but the timestamp are
//! blobs, shipped as every blob is; these messages name them. Nothing in these messages is signed or
//! has to be: what they name is verified from the root that the device pinned.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::blob::BlobRef;

/// ↓ `meta/root`: all roots that the workspace ever had.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Roots {
    /// Oldest first; the first has version 1. At most [`crate::limits::ROOTS`] count.
    #[n(0)]
    pub roots: Vec<BlobRef>,
}

/// ↓ `meta/timestamp`: the newest timestamp and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Newest {
    /// The timestamp, as it was signed.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub timestamp: Vec<u8>,
    /// The snapshot that it names.
    #[n(1)]
    pub snapshot: BlobRef,
    /// The targets that the snapshot names.
    #[n(2)]
    pub targets: BlobRef,
}
