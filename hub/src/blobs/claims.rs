//! Which blobs somebody is about to use, and the removal of those that nobody is.
//!
//! A claim is the time of a blob's file: it lives on through restarts and is seen by every process.
//! Claiming and removing take turns by a lock on a file, for the moment of each, so that a blob is
//! either claimed and stays, or gone and not claimed: never claimed and then gone.
//!
//! A power cut may set a claim back to what the disk has. Then a blob that nothing refers to may go
//! early, and whoever publishes it is told to upload it again.
//!
//! What is damaged goes to a directory beside, in the same turns.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use tern_protocol::{blob::BlobRef, digest::Digest};

use super::is_staged;

/// Directory of damaged blobs below that of all blobs: for whoever wants to know what happened to them.
pub(crate) const DAMAGED: &str = "damaged";

/// Damaged blobs that are kept, the last ones. They take room and serve nobody.
const KEPT: usize = 4;

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

/// What became of a damaged blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Aside {
    /// It lies there now.
    Kept(PathBuf),
    /// There was no room to keep it, and it is gone.
    Removed,
    /// It was gone already, or stored anew.
    Another,
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

    fn path(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_string();
        self.0.blobs.join("sha256").join(&hex[..2]).join(&hex)
    }

    /// A file beside the blobs that has no name any more.
    pub(super) fn nameless(&self) -> io::Result<File> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|err| io::Error::other(err.to_string()))?;
        // Half an upload, in case that the hub ends before the next line.
        let name = format!("upload#{:032x}", u128::from_le_bytes(random));
        let shelf = self.0.blobs.join("sha256").join("uploads");
        fs::create_dir_all(&shelf)?;
        let path = shelf.join(name);
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    }

    /// The file of a blob, if it is there.
    pub(super) fn open(&self, digest: Digest) -> io::Result<Option<File>> {
        match File::open(self.path(digest)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        }
    }

    pub(super) fn claim(&self, digest: Digest) -> io::Result<Option<BlobRef>> {
        let turn = self.lock_file()?;
        turn.lock_shared()?;
        let Some(file) = self.open(digest)? else {
            return Ok(None);
        };
        file.set_modified(SystemTime::now())?;
        let len = file.metadata()?.len();
        Ok(Some(BlobRef { digest, len }))
    }

    /// Puts a damaged blob aside, if it is still this file.
    ///
    /// Nothing is synced: a power cut brings it back, as damaged as it was.
    pub(super) fn put_aside(&self, digest: Digest, damaged: &File) -> io::Result<Aside> {
        let path = self.path(digest);
        let turn = self.lock_file()?;
        turn.lock()?;
        let now = match fs::metadata(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Aside::Another),
            facts => facts?,
        };
        let was = damaged.metadata()?;
        if (now.dev(), now.ino()) != (was.dev(), was.ino()) {
            return Ok(Aside::Another);
        }
        let dir = self.0.blobs.join(DAMAGED);
        let aside = dir.join(format!("{digest}.damaged"));
        // Its time says which were the last ones.
        let moved = fs::create_dir_all(&dir)
            .and_then(|()| damaged.set_modified(SystemTime::now()))
            .and_then(|()| fs::rename(&path, &aside));
        if moved.is_err() {
            // Where there is no room to keep it, it goes.
            return fs::remove_file(&path).map(|()| Aside::Removed);
        }
        if let Err(err) = keep_last(&dir) {
            tracing::debug!(%err, "older damaged blobs are still there");
        }
        Ok(Aside::Kept(aside))
    }

    /// All blobs that are there.
    pub(super) fn all(&self) -> io::Result<HashSet<Digest>> {
        let mut found = HashSet::new();
        for shelf in entries(&self.0.blobs.join("sha256"))? {
            for file in entries(&shelf?.path())? {
                found.extend(digest(&file?.file_name()));
            }
        }
        Ok(found)
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

    /// Removes a blob whatever claims there are on it.
    pub(super) fn discard(&self, digest: Digest) -> io::Result<()> {
        let turn = self.lock_file()?;
        turn.lock()?;
        match fs::remove_file(self.path(digest)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// Removes all but the last damaged blobs.
fn keep_last(dir: &Path) -> io::Result<()> {
    let mut kept = Vec::new();
    for file in entries(dir)? {
        let file = file?;
        kept.push((file.metadata()?.modified()?, file.path()));
    }
    kept.sort();
    for (_, path) in kept.iter().rev().skip(KEPT) {
        fs::remove_file(path)?;
    }
    Ok(())
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
