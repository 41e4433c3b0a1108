//! Blobs in pieces: what a device still needs, and what the hub sends.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::{digest::Digest, limits};

/// Name and length of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BlobRef {
    /// SHA-256 of its bytes.
    #[n(0)]
    pub digest: Digest,
    /// Its length in bytes.
    #[n(1)]
    pub len: u64,
}

impl BlobRef {
    /// The reference to these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            digest: Digest::of(bytes),
            len: bytes.len() as u64,
        }
    }

    /// How many chunks it is shipped in. An empty blob has none.
    pub const fn chunks(&self) -> u32 {
        let chunks = self.len.div_ceil(limits::CHUNK as u64);
        // A blob over `limits::BLOB` is refused before this matters.
        if chunks > u32::MAX as u64 {
            u32::MAX
        } else {
            chunks as u32
        }
    }

    /// Where chunk `index` lies in the blob, as (offset, length) in bytes; `None` past its end.
    pub const fn place(&self, index: u32) -> Option<(u64, usize)> {
        let offset = index as u64 * limits::CHUNK as u64;
        if offset >= self.len {
            return None;
        }
        let left = self.len - offset;
        let len = if left < limits::CHUNK as u64 {
            left as usize
        } else {
            limits::CHUNK
        };
        Some((offset, len))
    }
}

/// A run of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ChunkRange {
    /// Index of the first.
    #[n(0)]
    pub first: u32,
    /// How many.
    #[n(1)]
    pub count: u32,
}

/// ↑ `up/want`: the chunks that a device lacks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Want {
    /// Of which blob.
    #[n(0)]
    pub blob: Digest,
    /// Which chunks; at most [`limits::WANT_RANGES`] ranges count.
    #[n(1)]
    pub ranges: Vec<ChunkRange>,
}

/// ↓ on the blob's topic: one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chunk {
    /// Its index: it starts at `index` × [`limits::CHUNK`].
    #[n(0)]
    pub index: u32,
    /// Its bytes: [`limits::CHUNK`] of them, fewer in the last.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_blob_once() {
        for len in [
            0,
            1,
            limits::CHUNK as u64,
            limits::CHUNK as u64 + 1,
            1_000_000,
        ] {
            let blob = BlobRef {
                digest: Digest::of(b""),
                len,
            };
            let places = (0..blob.chunks()).map(|i| blob.place(i).expect("within the blob"));
            let end = places.fold(0, |end, (offset, len)| {
                assert_eq!(offset, end);
                offset + len as u64
            });
            assert_eq!(end, len);
            assert_eq!(blob.place(blob.chunks()), None);
        }
    }
}
