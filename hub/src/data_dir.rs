//! The directory that holds everything that lasts, and who may use it.
//!
//! Must never break: two hubs never use one directory at a time; a hub that was killed leaves
//! nothing that keeps the next one from starting.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::file_error::{FileError, io_error};

/// Held by the process that uses the directory. The operating system lets go of it when the process
/// ends, however it ends, so the file itself may stay.
const LOCK: &str = "hub.lock";

/// Where a running hub says how to reach it.
const ADDRESSES: &str = "hub.addresses.json";

/// How long to wait for a directory that is in use. `kill -9` returns before the operating system has
/// taken the process apart, and whoever starts the hub again at once must not be refused.
const LOCK_GRACE: Duration = Duration::from_secs(5);

/// Between two looks at the lock.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Longest content of the lock file that is looked at, in bytes: a process id.
const PID_LEN: u64 = 20;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another hub uses it.
    #[error("{} is used by another tern-hub (process {pid}); stop it or choose another `--data`", dir.display())]
    Used {
        /// The directory.
        dir: PathBuf,
        /// The other's process id.
        pid: String,
    },
    /// A file in it could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// There is no hub's data where a command was to find it.
#[derive(Debug, thiserror::Error)]
#[error("{} is not the data directory of a hub; it is the `--data` of `tern-hub serve`", .0.display())]
pub struct NoData(pub(crate) PathBuf);

/// Refuses a directory that no hub has used.
pub(crate) fn used(dir: &Path) -> Result<(), NoData> {
    if crate::store::is_used(dir) {
        Ok(())
    } else {
        Err(NoData(dir.to_owned()))
    }
}

/// How to reach a running hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// API, dashboard, health.
    pub http: SocketAddr,
    /// Devices; none if they come by a broker of the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<SocketAddr>,
    /// Whether both speak TLS.
    pub tls: bool,
    /// Digests of the certificates of the authorities that vouch for the hub.
    pub ca: Vec<tern_protocol::digest::Digest>,
    /// Process id of the hub.
    pub pid: u32,
}

/// How the hub that last ran on a directory was reached, if one did.
pub(crate) fn announced(dir: &Path) -> Option<Addresses> {
    let text = fs::read(dir.join(ADDRESSES)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The right to use a data directory, while it lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing, and takes it; waits a moment for a hub that is ending.
    pub async fn take(path: &Path) -> Result<Self, DataDirError> {
        let deadline = tokio::time::Instant::now() + LOCK_GRACE;
        loop {
            match Self::try_take(path) {
                Err(DataDirError::Used { .. }) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                taken => return taken,
            }
        }
    }

    fn try_take(path: &Path) -> Result<Self, DataDirError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(io_error("making the data directory", path))?;
        let lock_path = path.join(LOCK);
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(io_error("opening", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Without the number the answer is still right.
                let _ = lock.take(PID_LEN).read_to_string(&mut pid);
                return Err(DataDirError::Used {
                    dir: path.to_owned(),
                    pid: pid.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(err)) => {
                return Err(io_error("locking", &lock_path)(err).into());
            }
        }
        let written = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()));
        written.map_err(io_error("writing", &lock_path))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says how to reach this hub, whole or not at all.
    pub fn announce(&self, addresses: &Addresses) -> Result<(), DataDirError> {
        let path = self.path.join(ADDRESSES);
        let staged = self.path.join(format!("{ADDRESSES}.new"));
        let text = serde_json::to_string(addresses).expect("addresses are JSON");
        fs::write(&staged, text + "\n").map_err(io_error("writing", &staged))?;
        Ok(fs::rename(&staged, &path).map_err(io_error("renaming to", &path))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_hub_at_a_time() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let first = DataDir::take(dir.path()).await.expect("it is free");
        match DataDir::try_take(dir.path()) {
            Err(DataDirError::Used { pid, .. }) => {
                assert_eq!(pid, std::process::id().to_string());
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
        // A hub that is just ending is waited for.
        let (second, ()) = tokio::join!(DataDir::take(dir.path()), async {
            tokio::time::sleep(LOOK_AGAIN * 2).await;
            drop(first);
        });
        second.expect("it is free again");
    }
}
