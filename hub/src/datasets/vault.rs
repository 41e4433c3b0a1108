//! Files of a version on the disk: whole, or in pieces that are encrypted each with the key of captures.
//!
//! A piece is sealed as a captured input is, bound to its version, file and place, so that none can be put in the place of
//! another. Must never break: with a key nothing is written as it is; a file that was cut off does not open.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};
use tern_protocol::{
    digest::Hasher,
    id::{DatasetId, WorkspaceId},
    rest::DatasetFile,
};

use crate::captures::seal::{self, Keys, Opened};

/// Bytes of a piece: what is opened to read a page of a column.
const PIECE: usize = 64 * 1024;

/// Whose file it is.
#[derive(Debug, Clone)]
pub(super) struct Vault {
    pub(super) keys: Keys,
    pub(super) workspace: WorkspaceId,
    pub(super) id: DatasetId,
}

impl Vault {
    fn bound(&self, path: &str, index: u64) -> Vec<u8> {
        let Self { workspace, id, .. } = self;
        format!("tern-dataset-1\n{workspace}\n{id}\n{path}\n{index}").into_bytes()
    }
}

/// A file that is being written.
pub(super) struct Shelving {
    vault: Vault,
    path: String,
    to: BufWriter<File>,
    /// What does not fill a piece yet.
    piece: Vec<u8>,
    pieces: u64,
    plain: Hasher,
    len: u64,
    stored: Hasher,
    stored_len: u64,
}

/// A file that was written.
#[derive(Debug)]
pub(super) struct Shelved {
    /// Its name in the version.
    pub(super) path: String,
    /// As it is written out.
    pub(super) plain: DatasetFile,
    /// As it is stored.
    pub(super) stored: DatasetFile,
    /// Whether that is encrypted.
    pub(super) sealed: bool,
    /// Its bytes as they are stored, from the beginning.
    pub(super) file: File,
}

impl Shelving {
    /// Into a file that is empty.
    pub(super) fn new(vault: Vault, path: String, to: File) -> Self {
        Self {
            vault,
            path,
            to: BufWriter::new(to),
            piece: Vec::with_capacity(PIECE),
            pieces: 0,
            plain: Hasher::new(),
            len: 0,
            stored: Hasher::new(),
            stored_len: 0,
        }
    }

    fn put(&mut self, piece: Vec<u8>) -> io::Result<()> {
        self.plain.update(&piece);
        self.len += piece.len() as u64;
        let bound = self.vault.bound(&self.path, self.pieces);
        let stored = self.vault.keys.seal_bound(bound, piece);
        let stored = stored.map_err(io::Error::other)?;
        self.pieces += 1;
        self.stored.update(&stored);
        self.stored_len += stored.len() as u64;
        self.to.write_all(&stored)
    }

    /// Ends it.
    pub(super) fn finish(mut self) -> io::Result<Shelved> {
        if !self.piece.is_empty() {
            let last = std::mem::take(&mut self.piece);
            self.put(last)?;
        }
        let mut file = self
            .to
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        io::Seek::rewind(&mut file)?;
        Ok(Shelved {
            path: self.path,
            plain: DatasetFile {
                digest: self.plain.finish(),
                len: self.len,
            },
            stored: DatasetFile {
                digest: self.stored.finish(),
                len: self.stored_len,
            },
            sealed: self.vault.keys.encrypts(),
            file,
        })
    }
}

impl Write for Shelving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            let full = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
            self.put(full)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that can be read from anywhere. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Shelf(Arc<Lying>);

#[derive(Debug)]
struct Lying {
    file: File,
    /// Bytes as they are written out.
    len: u64,
    /// Of an encrypted file: whose it is, and its name.
    sealed: Option<(Vault, String)>,
}

impl Shelf {
    /// A file as it is.
    pub(super) fn plain(file: File, len: u64) -> Self {
        let sealed = None;
        Self(Arc::new(Lying { file, len, sealed }))
    }

    /// A file that was encrypted.
    pub(super) fn sealed(file: File, len: u64, vault: Vault, path: String) -> Self {
        let sealed = Some((vault, path));
        Self(Arc::new(Lying { file, len, sealed }))
    }

    /// A piece as it is written out.
    fn piece(&self, index: u64) -> io::Result<Vec<u8>> {
        let from = index * PIECE as u64;
        let len = (self.0.len.saturating_sub(from)).min(PIECE as u64) as usize;
        let Some((vault, path)) = &self.0.sealed else {
            let mut piece = vec![0; len];
            self.0.file.read_exact_at(&mut piece, from)?;
            return Ok(piece);
        };
        let mut stored = vec![0; len + seal::OVERHEAD];
        let place = index * (PIECE + seal::OVERHEAD) as u64;
        self.0.file.read_exact_at(&mut stored, place)?;
        match vault.keys.open_bound(vault.bound(path, index), stored) {
            Opened::Bytes(piece) if piece.len() == len => Ok(piece),
            Opened::NoKey => Err(io::Error::other(
                "it is encrypted with a key that the hub does not have; start it with `--capture-key`",
            )),
            Opened::Bytes(_) | Opened::Damaged => {
                Err(io::Error::other("an encrypted piece of it is damaged"))
            }
        }
    }

    /// All of it, from a place on.
    pub(super) fn read_from(&self, at: u64) -> ShelfRead {
        ShelfRead {
            shelf: self.clone(),
            at,
            piece: None,
        }
    }
}

impl Length for Shelf {
    fn len(&self) -> u64 {
        self.0.len
    }
}

impl ChunkReader for Shelf {
    type T = BufReader<ShelfRead>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(self.read_from(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.saturating_add(length as u64) > self.0.len {
            return Err(ParquetError::EOF("the file ends before".into()));
        }
        let mut bytes = Vec::with_capacity(length);
        let read = self
            .read_from(start)
            .take(length as u64)
            .read_to_end(&mut bytes);
        match read {
            Ok(read) if read == length => Ok(bytes.into()),
            Ok(_) => Err(ParquetError::EOF("the file ends before".into())),
            Err(err) => Err(ParquetError::External(err.into())),
        }
    }
}

/// Reads a file from a place on.
#[derive(Debug)]
pub(super) struct ShelfRead {
    shelf: Shelf,
    at: u64,
    piece: Option<(u64, Vec<u8>)>,
}

impl Read for ShelfRead {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.shelf.0.len {
            return Ok(0);
        }
        let index = self.at / PIECE as u64;
        let piece = match &mut self.piece {
            Some((of, piece)) if *of == index => piece,
            other => {
                let piece = self.shelf.piece(index)?;
                &mut other.insert((index, piece)).1
            }
        };
        let from = (self.at % PIECE as u64) as usize;
        let taken = to.len().min(piece.len() - from);
        to[..taken].copy_from_slice(&piece[from..from + taken]);
        self.at += taken as u64;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::digest::Digest;

    use super::*;

    fn vault(keys: Keys) -> Vault {
        Vault {
            keys,
            workspace: "default".parse().expect("a name"),
            id: DatasetId(7),
        }
    }

    fn written(keys: &Keys, bytes: &[u8]) -> Shelved {
        let file = tempfile::tempfile().expect("a file");
        let mut shelving = Shelving::new(vault(keys.clone()), "train.parquet".into(), file);
        // In sizes that fit no piece.
        for some in bytes.chunks(10_007) {
            shelving.write_all(some).expect("written");
        }
        shelving.finish().expect("finished")
    }

    #[test]
    fn what_is_sealed_reads_from_anywhere_and_is_bound_to_its_place() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        for keys in [Keys::default(), Keys::of(&[[7; 32]])] {
            let shelved = written(&keys, &bytes);
            assert_eq!(shelved.plain.digest, Digest::of(&bytes));
            let mut stored = Vec::new();
            let mut file = shelved.file.try_clone().expect("a handle");
            file.read_to_end(&mut stored).expect("read");
            let facts = (Digest::of(&stored), stored.len() as u64);
            assert_eq!(facts, (shelved.stored.digest, shelved.stored.len));
            assert_eq!(shelved.sealed, keys.encrypts());
            let file = || shelved.file.try_clone().expect("a handle");
            let shelf = |vault, path: &str| {
                if shelved.sealed {
                    Shelf::sealed(file(), shelved.plain.len, vault, path.into())
                } else {
                    Shelf::plain(file(), shelved.plain.len)
                }
            };
            let ours = shelf(vault(keys.clone()), "train.parquet");
            for (from, len) in [(0, 10), (65_530, 20), (131_072, 68_928), (0, 200_000)] {
                let read = ours.get_bytes(from as u64, len).expect("read");
                assert_eq!(read, bytes[from..from + len]);
            }
            assert!(ours.get_bytes(199_999, 2).is_err());
            if shelved.sealed {
                let inside = &bytes[1_000..1_032];
                assert!(!stored.windows(32).any(|window| window == inside));
                let other = shelf(vault(keys), "held-out.parquet");
                assert!(other.get_bytes(0, 1).is_err());
                let none = shelf(vault(Keys::default()), "train.parquet");
                let said = none.get_bytes(0, 1).expect_err("no key").to_string();
                assert!(said.contains("--capture-key"), "{said}");
            }
        }
    }
}
