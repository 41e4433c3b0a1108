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

    /// An empty directory that nobody but the hub reads.
    pub(super) fn scratch(&self, id: DatasetId) -> Result<Scratch, DatasetError> {
        let dir = self.scratch.join(id.to_string());
        let made = || {
            if dir.exists() {
                fs::remove_dir_all(&dir)?;
            }
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
        };
        made().map_err(DatasetError::io("making a directory for a dataset"))?;
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
