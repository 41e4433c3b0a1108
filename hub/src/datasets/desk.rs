//! What parts of the hub share about datasets.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use tern_protocol::id::DatasetId;

use super::DatasetError;
use crate::app::Wake;

/// Below the data directory: versions that are written out while they are prepared.
const SCRATCH: &str = "datasets";

/// Clones share it.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Makes whoever makes versions look again.
    pub wake: Wake,
    /// Below these directories datastores may be.
    pub roots: Vec<PathBuf>,
    scratch: PathBuf,
}

/// A directory that goes when nobody needs it any more.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Desk {
    /// Over this data directory.
    pub fn new(data: &Path, roots: Vec<PathBuf>) -> Self {
        Self {
            wake: Wake::new(),
            roots,
            scratch: data.join(SCRATCH),
        }
    }

    /// An empty directory that nobody but the hub reads, and that had never this name before: a program that a hub which
    /// was killed started may still write where it was told to.
    pub(super) fn scratch(&self, id: DatasetId) -> Result<Scratch, DatasetError> {
        let mut random = [0; 8];
        let made = getrandom::fill(&mut random).map_err(|err| io::Error::other(err.to_string()));
        let dir = self
            .scratch
            .join(format!("{id}-{:016x}", u64::from_le_bytes(random)));
        let made = made.and_then(|()| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
        });
        made.map_err(DatasetError::io("making a directory for a dataset"))?;
        Ok(Scratch(dir))
    }

    /// Removes what a hub that was killed left behind.
    pub(super) fn sweep(&self) {
        match fs::remove_dir_all(&self.scratch) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%err, dir = %self.scratch.display(), "rows of datasets were left behind");
            }
            _ => {}
        }
    }
}

impl Scratch {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(err) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%err, dir = %self.0.display(), "rows of a dataset were left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_hubs_write_to_one_directory_and_what_is_left_is_swept() {
        let data = tempfile::tempdir().expect("a directory");
        let desk = || Desk::new(data.path(), Vec::new());
        let before = desk().scratch(DatasetId(7)).expect("made");
        let after = desk().scratch(DatasetId(7)).expect("made");
        assert_ne!(before.path(), after.path());
        drop(after);
        assert!(before.path().is_dir());
        // As if the hub had been killed.
        let left = before.path().to_owned();
        std::mem::forget(before);
        desk().sweep();
        assert!(!left.exists());
    }
}
