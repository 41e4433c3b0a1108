//! The files of an identity: what joining gave, written once, and what renewing gave since, beside it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tern_protocol::rest::Credentials;

use crate::durable;

/// Longest file that is read: a key and a few certificates take three thousand bytes.
const LONGEST: u64 = 64 << 10;

/// The layout of these files.
const VERSION: u32 = 1;

/// Why an identity cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk does not let us.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{} is damaged: {reason}; restore it, or join again with `--replace`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Who this device is: its key, and the credentials that it got when it joined.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    version: u32,
    /// The private key: PKCS #8, PEM.
    pub key: String,
    /// What the hub gave.
    #[serde(flatten)]
    pub credentials: Credentials,
}

/// Without the key: it must not reach a log.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("device", &self.credentials.device)
            .finish_non_exhaustive()
    }
}

/// A key whose request to join is on its way.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) key: String,
}

/// Where an identity is kept.
#[derive(Debug, Clone)]
pub struct IdentityFiles {
    first: PathBuf,
}

impl IdentityFiles {
    /// The identity in this file, `identity.json` by custom.
    pub fn at(first: PathBuf) -> Self {
        Self { first }
    }

    /// The file that joining writes.
    pub fn path(&self) -> &Path {
        &self.first
    }

    fn beside(&self, what: &str) -> PathBuf {
        let stem = self.first.file_stem().unwrap_or_default().to_string_lossy();
        self.first.with_file_name(format!("{stem}.{what}.json"))
    }

    /// The identity with its newest credentials; `None` if this device never joined. Renewed ones
    /// that are damaged are left: the first ones are enough to renew again.
    pub fn read(&self) -> Result<Option<Identity>, FileError> {
        let Some(mut identity) = read::<Identity>(&self.first)? else {
            return Ok(None);
        };
        if identity.version != VERSION {
            return Err(FileError::Damaged {
                path: self.first.clone(),
                reason: format!("its version is {}, not {VERSION}", identity.version),
            });
        }
        match read::<Credentials>(&self.beside("renewed")) {
            Ok(Some(renewed)) if renewed.not_after >= identity.credentials.not_after => {
                identity.credentials = renewed;
            }
            Ok(_) => {}
            Err(err) => tracing::warn!("{}; the first certificate is used", crate::chain(&err)),
        }
        Ok(Some(identity))
    }

    /// Writes the identity, once; an older one is put aside first if it is to be replaced.
    pub(super) fn create(&self, key: &str, credentials: &Credentials) -> Result<(), FileError> {
        let identity = Identity {
            version: VERSION,
            key: key.to_owned(),
            credentials: credentials.clone(),
        };
        if self.first.exists() {
            let aside = self.beside("replaced");
            durable::rename(&self.first, &aside).map_err(io_error("putting aside", &aside))?;
            let renewed = self.beside("renewed");
            remove(&renewed)?;
        }
        write(&self.first, &identity)
    }

    /// Keeps renewed credentials.
    pub(super) fn renew(&self, credentials: &Credentials) -> Result<(), FileError> {
        write(&self.beside("renewed"), credentials)
    }

    /// The key of a request that is on its way; made and kept if there is none.
    pub(super) fn pending(&self, make: impl FnOnce() -> String) -> Result<Pending, FileError> {
        let path = self.beside("pending");
        if let Some(pending) = read(&path)? {
            return Ok(pending);
        }
        let pending = Pending { key: make() };
        write(&path, &pending)?;
        Ok(pending)
    }

    /// The request was answered for good.
    pub(super) fn not_pending(&self) -> Result<(), FileError> {
        remove(&self.beside("pending"))
    }
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io {
        doing,
        path,
        source,
    }
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(io_error("removing", path)(err)),
        _ => Ok(()),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let file = match File::open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io_error("opening", path))?,
    };
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.map_err(io_error("reading", path))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|err| FileError::Damaged {
            path: path.to_owned(),
            reason: err.to_string(),
        })
}

/// Only its owner reads it, from its first byte on; whole or not at all.
fn write(path: &Path, what: &impl Serialize) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    remove(&temporary)?;
    let bytes = serde_json::to_vec_pretty(what).expect("texts and numbers are always JSON");
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
    written.map_err(io_error("writing", &temporary))?;
    durable::rename(&temporary, path).map_err(io_error("writing", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tern_protocol::time::WallTime;

    use super::*;

    fn credentials(not_after: i64) -> Credentials {
        Credentials {
            workspace: "default".parse().expect("a name"),
            device: "a".parse().expect("a name"),
            site: None,
            labels: std::collections::BTreeMap::new(),
            certificate: "certificate".into(),
            not_before: WallTime(0),
            not_after: WallTime(not_after),
            authorities: "authorities".into(),
            mqtt: vec!["localhost:8883".into()],
            https: vec!["https://localhost:8443".into()],
        }
    }

    #[test]
    fn the_newest_credentials_count_and_damaged_ones_do_not() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let files = IdentityFiles::at(dir.path().join("identity.json"));
        assert!(files.read().expect("reads").is_none());
        files.create("the key", &credentials(1)).expect("writes");
        let mode = fs::metadata(files.path()).expect("is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let first = fs::read(files.path()).expect("reads");
        files.renew(&credentials(2)).expect("writes");
        let read = files.read().expect("reads").expect("is there");
        assert_eq!(
            (read.key.as_str(), read.credentials.not_after.0),
            ("the key", 2)
        );
        assert!(!format!("{read:?}").contains("the key"));
        fs::write(files.beside("renewed"), "{").expect("writes");
        let read = files.read().expect("reads").expect("is there");
        assert_eq!(read.credentials.not_after.0, 1);
        assert_eq!(
            fs::read(files.path()).expect("reads"),
            first,
            "never again written"
        );
        fs::write(files.path(), "x").expect("writes");
        assert!(matches!(files.read(), Err(FileError::Damaged { .. })));
    }

    #[test]
    fn a_request_keeps_its_key() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let files = IdentityFiles::at(dir.path().join("identity.json"));
        let first = files.pending(|| "one".into()).expect("writes");
        let again = files.pending(|| "two".into()).expect("reads");
        assert_eq!((first.key.as_str(), again.key.as_str()), ("one", "one"));
        files.not_pending().expect("removes");
        assert_eq!(files.pending(|| "two".into()).expect("writes").key, "two");
    }
}
