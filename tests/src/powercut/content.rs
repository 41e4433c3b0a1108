//! The bytes of a file, cheap to copy, to change in one place and to compare.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    os::unix::fs::FileExt as _,
    sync::{Arc, OnceLock},
};

/// Bytes of one block.
const BLOCK: usize = 4096;

#[derive(Debug)]
struct Block {
    bytes: [u8; BLOCK],
    print: u64,
}

impl Block {
    fn new(bytes: &[u8; BLOCK]) -> Arc<Self> {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let print = hasher.finish();
        Arc::new(Self {
            bytes: *bytes,
            print,
        })
    }
}

/// The bytes of a file. Blocks that nobody wrote are none, and read as zeros.
#[derive(Debug, Clone, Default)]
pub struct Content {
    len: usize,
    blocks: Vec<Option<Arc<Block>>>,
    print: OnceLock<u64>,
}

impl Content {
    /// These bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(0, bytes);
        content
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = vec![0; self.blocks.len() * BLOCK];
        for (block, place) in self.blocks.iter().zip(all.chunks_mut(BLOCK)) {
            if let Some(block) = block {
                place.copy_from_slice(&block.bytes);
            }
        }
        all.truncate(self.len);
        all
    }

    /// Writes them to an empty file. Blocks without bytes take no room there either.
    pub fn write_to(&self, file: &File) -> io::Result<()> {
        file.set_len(self.len as u64)?;
        for (index, block) in self.blocks.iter().enumerate() {
            let at = index * BLOCK;
            if let Some(block) = block {
                let bytes = &block.bytes[..BLOCK.min(self.len - at)];
                file.write_all_at(bytes, at as u64)?;
            }
        }
        Ok(())
    }

    /// Makes it this long; what is new is zero.
    pub fn resize(&mut self, len: usize) {
        self.print = OnceLock::new();
        if len < self.len {
            // Else what is beyond the end would come back when it grows.
            let end = self.len.min(len.next_multiple_of(BLOCK));
            self.put(len, &vec![0; end - len]);
        }
        self.len = len;
        self.blocks.resize(len.div_ceil(BLOCK), None);
    }

    /// Writes bytes at an offset, beyond the end too.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        if offset + bytes.len() > self.len {
            self.resize(offset + bytes.len());
        }
        self.print = OnceLock::new();
        self.put(offset, bytes);
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (index, inside) = (at / BLOCK, at % BLOCK);
            let (now, later) = rest.split_at(rest.len().min(BLOCK - inside));
            let place = &mut self.blocks[index];
            let mut fresh = place.as_ref().map_or([0; BLOCK], |block| block.bytes);
            fresh[inside..inside + now.len()].copy_from_slice(now);
            *place = fresh
                .iter()
                .any(|byte| *byte != 0)
                .then(|| Block::new(&fresh));
            (at, rest) = (at + now.len(), later);
        }
    }

    /// A number that differs if the bytes do.
    pub fn print(&self) -> u64 {
        *self.print.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.len.hash(&mut hasher);
            for block in &self.blocks {
                block.as_ref().map(|block| block.print).hash(&mut hasher);
            }
            hasher.finish()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_file_whatever_is_written_where() {
        let mut content = Content::of(&[7; 5000]);
        let mut plain = vec![7; 5000];
        content.write(9000, &[1, 2, 3]);
        plain.resize(9000, 0);
        plain.extend([1, 2, 3]);
        content.write(4090, &[9; 10]);
        plain[4090..4100].fill(9);
        assert_eq!(content.bytes(), plain);
        content.resize(4095);
        content.resize(6000);
        plain.truncate(4095);
        plain.resize(6000, 0);
        assert_eq!(
            content.bytes(),
            plain,
            "what was cut off does not come back"
        );
        assert_eq!(content.print(), Content::of(&plain).print());
        assert_ne!(content.print(), Content::of(&plain[1..]).print());
    }

    #[test]
    fn zeros_that_were_written_are_those_that_were_not() {
        let mut sized = Content::default();
        sized.resize(10_000);
        assert_eq!(sized.print(), Content::of(&[0; 10_000]).print());
    }
}
