//! Which blobs somebody is about to use, and the removal of those that nobody is.
//!
//! A claim is the time of a blob's file: it lives on through restarts and is seen by every process.
//! Claiming and removing take turns by a lock on a file, for the moment of each, so that a blob is
//! either claimed and stays, or gone and not claimed: never claimed and then gone.
//!
//! A power cut may set a claim back to what the disk has. Then a blob that nothing refers to may go
//! early, and whoever publishes it is told to upload it again.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use tern_protocol::{blob::BlobRef, digest::Digest};

use super::is_staged;

/// The claims on the blobs of one directory.
#[derive(Debug, Clone)]
pub(super) struct Claims(Arc<Places>);

#[derive(Debug)]
struct Places {
    blobs: PathBuf,
    lock: PathBuf,
}

/// A file that nobody has claimed for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclaimed {
    /// Which blob; `None`: half an upload whose sender is gone.
    pub digest: Option<Digest>,
    /// Its bytes.
    pub bytes: u64,
    /// When it was stored or claimed last.
    pub since: SystemTime,
    path: PathBuf,
}

impl Claims {
    pub(super) fn within(blobs: &Path) -> Self {
        Self(Arc::new(Places {
            blobs: blobs.to_owned(),
            // Beside them: what is in the directory is blobs.
            lock: blobs.with_extension("lock"),
        }))
    }

    fn lock_file(&self) -> io::Result<File> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        options.open(&self.0.lock)
    }

    pub(super) fn claim(&self, digest: Digest) -> io::Result<Option<BlobRef>> {
        let hex = digest.to_string();
        let path = self.0.blobs.join("sha256").join(&hex[..2]).join(&hex);
        let turn = self.lock_file()?;
        turn.lock_shared()?;
        let file = match File::open(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        file.set_modified(SystemTime::now())?;
        let len = file.metadata()?.len();
        Ok(Some(BlobRef { digest, len }))
    }

    pub(super) fn unclaimed(&self, before: SystemTime) -> io::Result<Vec<Unclaimed>> {
        let mut found = Vec::new();
        for shelf in entries(&self.0.blobs.join("sha256"))? {
            for file in entries(&shelf?.path())? {
                let file = file?;
                let facts = match file.metadata() {
                    Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
                    facts => facts?,
                };
                let since = facts.modified()?;
                let name = file.file_name();
                let digest = digest(&name);
                // What is neither blob nor half a blob was put here by somebody else.
                let ours = digest.is_some() || is_staged(&name);
                if ours && facts.is_file() && since < before {
                    found.push(Unclaimed {
                        digest,
                        bytes: facts.len(),
                        since,
                        path: file.path(),
                    });
                }
            }
        }
        Ok(found)
    }

    pub(super) fn remove(
        &self,
        unclaimed: &Unclaimed,
        before: SystemTime,
    ) -> io::Result<Option<u64>> {
        let turn = self.lock_file()?;
        turn.lock()?;
        let facts = match fs::metadata(&unclaimed.path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            facts => facts?,
        };
        if facts.modified()? >= before {
            return Ok(None);
        }
        // A power cut may bring it back, as the garbage that it was.
        fs::remove_file(&unclaimed.path)?;
        Ok(Some(facts.len()))
    }
}

fn digest(name: &OsStr) -> Option<Digest> {
    name.to_str()?.parse().ok()
}

/// What is in a directory, if it is there.
fn entries(path: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>> + use<>> {
    let entries = match fs::read_dir(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    Ok(entries.into_iter().flatten())
}
