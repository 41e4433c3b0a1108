//! The directory of the authorities: an index, and for each authority a certificate and a key.
//!
//! Must never break: changes are made under the lock, one at a time; the index is replaced whole, as
//! the last step of whatever adds an authority and the first of whatever removes one.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tern_protocol::id::WorkspaceId;

use super::AuthorityError;
use crate::file_error::io_error;

/// Name of the directory in the data.
const DIR: &str = "ca";

/// Names the authorities.
const INDEX: &str = "index.json";

/// Held by whoever changes something.
const LOCK: &str = "lock";

/// Shape of the index.
const VERSION: u32 = 1;

/// What the index says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    version: u32,
    /// Oldest first.
    pub(super) authorities: Vec<Entry>,
}

/// An authority in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The first 16 hex digits of its certificate's SHA-256; names its files.
    pub(super) id: String,
    /// The only workspace whose devices it vouches for; the hub's own if there is none.
    pub(super) workspace: Option<WorkspaceId>,
    /// Whether new certificates come from it.
    pub(super) issues: bool,
    /// Certificates of its key by authorities before it, PEM.
    pub(super) cross: Vec<String>,
    /// Certificates between it and its root, PEM, if it came from outside.
    pub(super) chain: Vec<String>,
}

/// The directory.
#[derive(Debug, Clone)]
pub struct CaDir(PathBuf);

/// The right to change the directory, while it lives.
#[derive(Debug)]
pub(super) struct Locked(#[expect(dead_code, reason = "its life is what counts")] File);

impl CaDir {
    /// That of a data directory; made if missing, closed to others.
    pub fn within(data: &Path) -> Result<Self, AuthorityError> {
        let path = data.join(DIR);
        fs::create_dir_all(&path).map_err(io_error("making", &path))?;
        // Keys that are synced in a directory whose name is not are gone after a power cut.
        let named = File::open(data).and_then(|data| data.sync_all());
        named.map_err(io_error("syncing", data))?;
        fs::set_permissions(&path, Permissions::from_mode(0o700))
            .map_err(io_error("closing to others", &path))?;
        Ok(Self(path))
    }

    /// Waits until nobody else changes something.
    pub(super) fn lock(&self) -> Result<Locked, AuthorityError> {
        let path = self.0.join(LOCK);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("opening", &path))?;
        file.lock().map_err(io_error("locking", &path))?;
        Ok(Locked(file))
    }

    /// The index as it stands, to see whether it changed; none if there is none.
    pub(super) fn stamp(&self) -> Result<Option<Vec<u8>>, AuthorityError> {
        let path = self.0.join(INDEX);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(io_error("reading", &path)(err).into()),
        }
    }

    /// What the index says; nothing if there is none.
    pub(super) fn index(&self) -> Result<Index, AuthorityError> {
        let Some(bytes) = self.stamp()? else {
            return Ok(Index::default());
        };
        let damaged = |what| AuthorityError::Damaged {
            path: self.0.join(INDEX),
            what,
        };
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|_| damaged("it is not an index"))?;
        if index.version != VERSION {
            return Err(damaged("it was written by another version of tern-hub"));
        }
        Ok(index)
    }

    /// Replaces the index.
    pub(super) fn set_index(&self, _: &Locked, index: &Index) -> Result<(), AuthorityError> {
        let index = Index {
            version: VERSION,
            authorities: index.authorities.clone(),
        };
        let text = serde_json::to_string_pretty(&index).expect("an index is JSON");
        self.replace(INDEX, (text + "\n").as_bytes())
    }

    /// Writes an authority's files, certificate and key as PEM.
    pub(super) fn write(
        &self,
        _: &Locked,
        id: &str,
        certificate: &str,
        key: &str,
    ) -> Result<(), AuthorityError> {
        self.replace(&format!("{id}.crt"), certificate.as_bytes())?;
        self.replace(&key_file(id), key.as_bytes())
    }

    /// Names and contents of all files, keys as well, as they stand at one moment: what it takes to
    /// have the same authorities elsewhere.
    pub fn files(&self) -> Result<Vec<(OsString, Vec<u8>)>, AuthorityError> {
        let _locked = self.lock()?;
        let reading = || io_error("reading", &self.0);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(reading())? {
            let name = entry.map_err(reading())?.file_name();
            let text = name.to_string_lossy();
            let is_one = text == INDEX || text.ends_with(".crt") || text.ends_with(".key");
            if is_one {
                let path = self.0.join(&name);
                let bytes = fs::read(&path).map_err(io_error("reading", &path))?;
                files.push((name, bytes));
            }
        }
        files.sort();
        Ok(files)
    }

    /// An authority's certificate and key as PEM.
    pub(super) fn read(&self, id: &str) -> Result<(String, String), AuthorityError> {
        let read = |name: String| {
            let path = self.0.join(name);
            fs::read_to_string(&path).map_err(io_error("reading", &path))
        };
        Ok((read(format!("{id}.crt"))?, read(key_file(id))?))
    }

    /// Removes the key of an authority that the index does not name any more. Its certificate stays,
    /// to look things up.
    pub(super) fn remove_key(&self, _: &Locked, id: &str) -> Result<(), AuthorityError> {
        let path = self.0.join(key_file(id));
        Ok(fs::remove_file(&path).map_err(io_error("removing", &path))?)
    }

    /// A file of it, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file whole or not at all, for its owner only.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), AuthorityError> {
        let (path, staged) = (self.0.join(name), self.0.join(format!("{name}.new")));
        // A left-over of a process that was killed may have other permissions.
        match fs::remove_file(&staged) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("removing", &staged)(err).into());
            }
            _ => {}
        }
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&staged)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(io_error("writing", &staged))?;
        fs::rename(&staged, &path).map_err(io_error("renaming to", &path))?;
        let synced = File::open(&self.0).and_then(|dir| dir.sync_all());
        Ok(synced.map_err(io_error("syncing", &self.0))?)
    }
}

fn key_file(id: &str) -> String {
    format!("{id}.key")
}
