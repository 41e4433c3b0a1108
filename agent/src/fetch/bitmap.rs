//! Which chunks of a blob are here.

use tern_protocol::blob::ChunkRange;

/// One bit a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    bits: Vec<u8>,
    chunks: u32,
    set: u32,
}

impl Bitmap {
    /// For this many chunks, none here.
    pub fn new(chunks: u32) -> Self {
        Self {
            bits: vec![0; chunks.div_ceil(8) as usize],
            chunks,
            set: 0,
        }
    }

    /// As it was stored; `None` if it is not for this many chunks.
    pub fn from_bytes(bytes: &[u8], chunks: u32) -> Option<Self> {
        let mut map = Self::new(chunks);
        if bytes.len() != map.bits.len() {
            return None;
        }
        for index in 0..chunks {
            if bytes[index as usize / 8] & (1 << (index % 8)) != 0 {
                map.set(index);
            }
        }
        Some(map)
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Whether a chunk is here. Chunks past the end never are.
    pub fn has(&self, index: u32) -> bool {
        index < self.chunks && self.bits[index as usize / 8] & (1 << (index % 8)) != 0
    }

    /// A chunk came; whether it was missing.
    pub fn set(&mut self, index: u32) -> bool {
        if index >= self.chunks || self.has(index) {
            return false;
        }
        self.bits[index as usize / 8] |= 1 << (index % 8);
        self.set += 1;
        true
    }

    /// How many chunks are here.
    pub fn count(&self) -> u32 {
        self.set
    }

    /// Whether all are.
    pub fn is_full(&self) -> bool {
        self.set == self.chunks
    }

    /// The first `most` runs of missing chunks.
    pub fn missing(&self, most: usize) -> Vec<ChunkRange> {
        let mut ranges: Vec<ChunkRange> = Vec::new();
        for index in (0..self.chunks).filter(|index| !self.has(*index)) {
            let full = ranges.len() == most;
            match ranges.last_mut() {
                Some(range) if range.first + range.count == index => range.count += 1,
                _ if full => break,
                _ => ranges.push(ChunkRange {
                    first: index,
                    count: 1,
                }),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_chunks(chunks in 0u32..200, come in prop::collection::vec(0u32..220, 0..100)) {
            let mut map = Bitmap::new(chunks);
            let mut set = BTreeSet::new();
            for index in come {
                prop_assert_eq!(map.set(index), index < chunks && set.insert(index));
            }
            let read = Bitmap::from_bytes(map.as_bytes(), chunks);
            prop_assert_eq!(read.as_ref(), Some(&map));
            prop_assert_eq!(map.count() as usize, set.len());
            let missing: BTreeSet<u32> = map
                .missing(usize::MAX)
                .iter()
                .flat_map(|range| range.first..range.first + range.count)
                .collect();
            let expected: BTreeSet<u32> = (0..chunks).filter(|i| !set.contains(i)).collect();
            prop_assert_eq!(&missing, &expected);
            prop_assert!(map.missing(3).len() <= 3);
        }
    }
}
