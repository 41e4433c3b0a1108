//! Everything that lasts in one encrypted file, made beside a hub that runs; and a data directory made
//! of one.
//!
//! Called by `main.rs`. A backup is an age file (<https://age-encryption.org/v1>) of a tar archive: first
//! [`Facts`], then the database, the authorities with their keys, what came by ACME, and the blobs. Any
//! `age` and `tar` open it where there is no hub.
//!
//! Must never break:
//! - nothing in a backup can be read without its passphrase or a key: encryption cannot be left out;
//! - a backup that has its name is whole and on the disk;
//! - a restore makes a whole data directory or none, and touches none that is there.

mod error;
mod make;
mod place;
mod restore;
mod seal;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use tern_protocol::{digest::Digest, time::WallTime};

pub use self::{error::BackupError, make::make, restore::restore};

/// Shape of the archive.
const VERSION: u32 = 1;

/// The first entry of the archive: [`Facts`] as JSON.
const FACTS: &str = "backup.json";

/// Directory of the archive with the authorities, as in the data directory.
const AUTHORITIES: &str = "ca";

/// Directory of the archive with the blobs, as in the data directory.
const BLOBS: &str = "blobs";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Shape of the archive; one that is not known is refused.
    pub version: u32,
    /// Version of the hub that made it.
    pub tern: String,
    /// The state is that of this moment.
    pub at: WallTime,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// The state is that of this moment.
    pub at: WallTime,
    /// Size of the backup in bytes.
    pub bytes: u64,
    /// Digest of the backup, as `sha256sum` shows it.
    pub sha256: Digest,
    /// Size of the database in it, in bytes.
    pub database_bytes: u64,
    /// Blobs in it.
    pub blobs: u64,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The state is that of this moment.
    pub at: WallTime,
    /// Version of the hub that made the backup.
    pub tern: String,
    /// Files of the data directory.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}
