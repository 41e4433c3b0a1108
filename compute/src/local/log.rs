//! The log of an attempt: its beginning and its end are kept, however much comes between, and it is read while it grows.
//!
//! Written by the supervisor, read by whoever shows it; they share nothing but files. A file holds a piece and is named
//! after the place of its first byte in all that was ever written. The first piece stays; of the others the last few
//! do. So what was left out shows by itself, and a reader that was away asks for a place and gets the next one there is.
//!
//! Must never break: the files of one log take no more than [`LogLimits::most`], whatever is written.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// How much of a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Bytes of the beginning: what was started, with which settings, and the first error.
    pub head: u64,
    /// Bytes of the end, at least: why it ended. A quarter more may be there.
    pub tail: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            head: 2 * 1024 * 1024,
            tail: 8 * 1024 * 1024,
        }
    }
}

impl LogLimits {
    /// Bytes that the log takes at most.
    pub fn most(self) -> u64 {
        self.head.max(1) + self.piece() * PIECES
    }

    fn piece(self) -> u64 {
        self.tail.div_ceil(PIECES - 1).max(1)
    }
}

/// Pieces of the end that are there at once: one that grows, and as many whole ones as make up the tail.
const PIECES: u64 = 5;

/// Writes a log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    dir: PathBuf,
    limits: LogLimits,
    /// All bytes ever written, kept or not.
    total: u64,
    piece: Option<Piece>,
    /// Where the pieces of the end start.
    tail: VecDeque<u64>,
}

#[derive(Debug)]
struct Piece {
    file: File,
    room: u64,
}

impl LogWriter {
    pub(crate) fn create(dir: PathBuf, limits: LogLimits) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self {
            dir,
            limits,
            total: 0,
            piece: None,
            tail: VecDeque::new(),
        })
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Adds bytes. A disk that is full costs words and not the job: they count as left out.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let written = self.some(bytes).unwrap_or_else(|_| {
                // The next words are tried in a new piece, whose name says that these are missing.
                self.piece = None;
                bytes.len()
            });
            self.total += written as u64;
            bytes = &bytes[written..];
        }
    }

    fn some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.as_ref().is_none_or(|piece| piece.room == 0) {
            self.piece = Some(self.open()?);
        }
        let piece = self.piece.as_mut().expect("it was just opened");
        let most = usize::try_from(piece.room).unwrap_or(usize::MAX);
        let written = piece.file.write(&bytes[..bytes.len().min(most)])?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        piece.room -= written as u64;
        Ok(written)
    }

    fn open(&mut self) -> io::Result<Piece> {
        let file = File::create(self.dir.join(name(self.total)))?;
        if self.total == 0 {
            let room = self.limits.head.max(1);
            return Ok(Piece { file, room });
        }
        self.tail.push_back(self.total);
        while self.tail.len() as u64 > PIECES {
            if let Some(oldest) = self.tail.pop_front() {
                fs::remove_file(self.dir.join(name(oldest)))?;
            }
        }
        let room = self.limits.piece();
        Ok(Piece { file, room })
    }
}

fn name(start: u64) -> String {
    format!("{start:020}")
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// Place of its first byte. Later than what was asked for if that is not kept.
    pub from: u64,
    /// The bytes; none if there is nothing there yet.
    pub bytes: Vec<u8>,
    /// What to ask for next.
    pub next: u64,
    /// All bytes so far, kept or not.
    pub total: u64,
    /// How many of them are not kept.
    pub left_out: u64,
}

/// Reads a log from a place on, and no more than so many bytes; maybe less, though something as long as there is any.
pub(crate) fn read(dir: &Path, offset: u64, most: usize) -> io::Result<LogPart> {
    // A piece may go between listing and reading; the list after that has others.
    let mut last = None;
    for _ in 0..10 {
        match read_once(dir, offset, most) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => last = Some(err),
            other => return other,
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

fn read_once(dir: &Path, offset: u64, most: usize) -> io::Result<LogPart> {
    let mut pieces = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        // It has not begun.
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(part(&[], 0, Vec::new())),
        Err(err) => return Err(err),
    };
    for entry in entries {
        let entry = entry?;
        let start = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(start) = start {
            pieces.push((start, entry.metadata()?.len()));
        }
    }
    pieces.sort_unstable();
    let wanted = pieces
        .iter()
        .find(|(start, length): &&(u64, u64)| offset < start.saturating_add(*length));
    let Some(&(start, length)) = wanted else {
        return Ok(part(&pieces, u64::MAX, Vec::new()));
    };
    let from = offset.max(start);
    let mut file = File::open(dir.join(name(start)))?;
    file.seek(SeekFrom::Start(from - start))?;
    let mut bytes = Vec::new();
    file.take((start + length - from).min(most as u64))
        .read_to_end(&mut bytes)?;
    Ok(part(&pieces, from, bytes))
}

fn part(pieces: &[(u64, u64)], from: u64, bytes: Vec<u8>) -> LogPart {
    let total = pieces.last().map_or(0, |(start, length)| start + length);
    let kept: u64 = pieces.iter().map(|(_, length)| length).sum();
    let from = from.min(total);
    LogPart {
        from,
        next: from + bytes.len() as u64,
        bytes,
        total,
        left_out: total - kept,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All that can be read, with where each run of bytes began.
    fn all(dir: &Path, most: usize) -> Vec<(u64, Vec<u8>)> {
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut at = 0;
        loop {
            let part = read(dir, at, most).unwrap();
            if part.bytes.is_empty() {
                return runs;
            }
            match runs.last_mut() {
                Some((start, bytes)) if *start + bytes.len() as u64 == part.from => {
                    bytes.extend(&part.bytes);
                }
                _ => runs.push((part.from, part.bytes.clone())),
            }
            at = part.next;
        }
    }

    #[test]
    fn a_log_that_has_not_begun_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let part = read(&dir.path().join("log"), 7, 100).unwrap();
        assert_eq!((part.from, part.total, part.bytes.len()), (0, 0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever is written in whatever pieces: beginning and end are there, nothing is there twice or changed, and
        /// the files take no more than they may.
        #[test]
        fn beginning_and_end_are_kept(
            head in 1_u64..40, tail in 1_u64..60, most in 1_usize..30,
            writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let limits = LogLimits { head, tail };
            let mut log = LogWriter::create(dir.path().join("log"), limits).unwrap();
            let mut whole: Vec<u8> = Vec::new();
            for bytes in &writes {
                log.write(bytes);
                whole.extend(bytes);
            }
            let runs = all(&dir.path().join("log"), most);
            for (start, bytes) in &runs {
                let start = usize::try_from(*start).unwrap();
                prop_assert_eq!(&whole[start..start + bytes.len()], bytes.as_slice());
            }
            let kept: u64 = runs.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            prop_assert!(kept <= limits.most());
            prop_assert!(runs.len() <= 2, "one gap at most");
            let total = whole.len() as u64;
            prop_assert_eq!(read(&dir.path().join("log"), 0, 1).unwrap().left_out, total - kept);
            if total > 0 {
                let (first, last) = (&runs[0], runs.last().unwrap());
                prop_assert_eq!(first.0, 0);
                prop_assert!(first.1.len() as u64 >= head.min(total));
                prop_assert_eq!(last.0 + last.1.len() as u64, total);
                prop_assert!(kept >= (head + tail).min(total));
            }
        }
    }
}
