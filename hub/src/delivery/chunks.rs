//! A set of chunks of one blob: one bit each, 4 KiB for the largest blob.

/// A set of chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks {
    words: Vec<u64>,
    count: u32,
}

impl Chunks {
    /// None of so many.
    pub(super) fn none(chunks: u32) -> Self {
        Self {
            words: vec![0; (chunks as usize).div_ceil(64)],
            count: 0,
        }
    }

    pub(super) fn add(&mut self, index: u32) {
        if !self.has(index) {
            self.words[index as usize / 64] |= 1 << (index % 64);
            self.count += 1;
        }
    }

    pub(super) fn remove(&mut self, index: u32) {
        if self.has(index) {
            self.words[index as usize / 64] &= !(1 << (index % 64));
            self.count -= 1;
        }
    }

    pub(super) fn has(&self, index: u32) -> bool {
        self.words[index as usize / 64] & (1 << (index % 64)) != 0
    }

    pub(super) const fn len(&self) -> u32 {
        self.count
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The next one from `from` on, around the end.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        self.find(from).or_else(|| self.find(0))
    }

    fn find(&self, from: u32) -> Option<u32> {
        let (start, bit) = (from as usize / 64, from % 64);
        let words = self.words.iter().enumerate().skip(start);
        for (at, word) in words {
            let word = if at == start {
                word & (u64::MAX << bit)
            } else {
                *word
            };
            if word != 0 {
                return Some(at as u32 * 64 + word.trailing_zeros());
            }
        }
        None
    }
}
