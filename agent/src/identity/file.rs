//! The files that hold who this device is: the identity, written once, and the newest renewal.
//!
//! Must never break: the key is readable for the owner only and is never overwritten; a damaged
//! renewal costs nothing but another renewal, a damaged identity is put right from its copy.

mod copy;

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tern_protocol::rest::Credentials;

use super::tls::{self, Trust};
use crate::durable;

/// The form of the files that is written.
const VERSION: u32 = 1;

/// Longest file that is read.
const FILE_MAX: u64 = 256 << 10;

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read or written.
    #[error("{}: {err}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        err: io::Error,
    },
    /// What is in it is of no use.
    #[error("{} cannot be used: {detail}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

/// Who this device is: its key and what the hub gave it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    version: u32,
    key_pem: String,
    /// What the hub gave it.
    pub credentials: Credentials,
}

/// Without the key: it must not reach a log.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("workspace", &self.credentials.workspace)
            .field("device", &self.credentials.device)
            .field("not_after", &self.credentials.not_after)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Renewed {
    version: u32,
    credentials: Credentials,
}

impl Identity {
    /// An identity of this key, if the credentials belong to it and are whole.
    pub fn new(key_pem: String, credentials: Credentials) -> Result<Self, String> {
        let identity = Self {
            version: VERSION,
            key_pem,
            credentials,
        };
        identity.tls(Duration::ZERO)?;
        Ok(identity)
    }

    /// The same identity with newer credentials, if they are its own.
    pub fn renewed(&self, credentials: Credentials) -> Result<Self, String> {
        let (old, new) = (&self.credentials, &credentials);
        if old.workspace != new.workspace || old.device != new.device {
            return Err("the credentials are for another device".into());
        }
        // The root that was pinned at joining stays: a newer one is believed only as TUF has it.
        let root = old.root.clone();
        Self::new(
            self.key_pem.clone(),
            Credentials {
                root,
                ..credentials
            },
        )
    }

    /// The key, as PKCS #8 PEM.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Connections to the hub's broker as this device.
    pub fn tls(&self, floor: Duration) -> Result<Arc<ClientConfig>, String> {
        let chain = certificates(&self.credentials.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes());
        let key = key.map_err(|err| format!("its key: {err}"))?;
        let trust = match &self.credentials.broker_authorities {
            Some(others) => certificates(others).map(Trust::Authorities)?,
            None => self.trust()?,
        };
        let config = tls::client(trust, floor, Some((chain, key)));
        config.map(Arc::new).map_err(|err| err.to_string())
    }

    /// Whom it takes for its hub.
    pub fn trust(&self) -> Result<Trust, String> {
        certificates(&self.credentials.authorities).map(Trust::Authorities)
    }

    /// Reads the identity with its newest credentials; none if the device has not joined.
    pub fn load(path: &Path) -> Result<Option<Self>, IdentityError> {
        let damaged = |detail| IdentityError::Damaged {
            path: path.into(),
            detail,
        };
        copy::mend(path)?;
        let Some(first) = read::<Self>(path)? else {
            return Ok(None);
        };
        if first.version != VERSION {
            let detail = format!("its version is {}, not {VERSION}", first.version);
            return Err(damaged(detail));
        }
        let first = Self::new(first.key_pem, first.credentials).map_err(damaged)?;
        let beside = renewed_path(path);
        let renewed = match read::<Renewed>(&beside) {
            Ok(Some(file)) if file.version == VERSION => first.renewed(file.credentials),
            Ok(Some(file)) => Err(format!("its version is {}", file.version)),
            Ok(None) => return Ok(Some(first)),
            Err(err) => Err(err.to_string()),
        };
        match renewed {
            Ok(renewed) if renewed.credentials.not_after >= first.credentials.not_after => {
                Ok(Some(renewed))
            }
            Ok(_) => Ok(Some(first)),
            Err(detail) => {
                tracing::warn!(
                    file = %beside.display(),
                    "the renewed certificate cannot be used, the first one is: {detail}"
                );
                Ok(Some(first))
            }
        }
    }

    /// Writes the identity, once: a file that is there stays as it is and is an error.
    pub fn create(&self, path: &Path) -> Result<(), IdentityError> {
        write(path, self, |temporary| {
            // Unlike a rename, a link never takes the place of a file.
            fs::hard_link(temporary, path)?;
            fs::remove_file(temporary)
        })?;
        copy::keep(path)
    }

    /// Writes its credentials as the newest, beside the identity at `path`.
    pub fn keep_renewed(&self, path: &Path) -> Result<(), IdentityError> {
        let path = renewed_path(path);
        let renewed = Renewed {
            version: VERSION,
            credentials: self.credentials.clone(),
        };
        write(&path, &renewed, |temporary| fs::rename(temporary, &path))
    }
}

/// The file of a key that waits to be let in, beside the identity at `path`.
pub(super) fn pending_path(path: &Path) -> PathBuf {
    path.with_extension("pending.json")
}

fn renewed_path(path: &Path) -> PathBuf {
    path.with_extension("renewed.json")
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match list {
        Ok(list) if list.is_empty() => Err("a certificate is missing".into()),
        Ok(list) => Ok(list),
        Err(err) => Err(format!("a certificate: {err}")),
    }
}

/// What a file says, if it is there.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, IdentityError> {
    let failed = |err| IdentityError::Io {
        path: path.into(),
        err,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(failed(err)),
    };
    let mut bytes = Vec::new();
    let read = file.take(FILE_MAX + 1).read_to_end(&mut bytes);
    let detail = match read.map_err(failed)? as u64 {
        0..=FILE_MAX => match serde_json::from_slice(&bytes) {
            Ok(value) => return Ok(Some(value)),
            // Without the library's words about values: they could show the key.
            Err(err) => format!("line {}, column {}", err.line(), err.column()),
        },
        _ => "it is too long".into(),
    };
    Err(IdentityError::Damaged {
        path: path.into(),
        detail,
    })
}

/// Writes a file that only the owner can read: temporary file, fsync, into place, fsync of the
/// directory.
pub(super) fn write(
    path: &Path,
    value: &impl Serialize,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), IdentityError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|err| IdentityError::Io {
        path: path.into(),
        err: err.into(),
    })?;
    write_bytes(path, &bytes, place)
}

/// The same with bytes.
fn write_bytes(
    path: &Path,
    bytes: &[u8],
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), IdentityError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let attempt = || {
        // One that a power cut left may have other permissions.
        match fs::remove_file(&temporary) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        place(&temporary)?;
        durable::sync_parent(path)
    };
    attempt().map_err(|err| IdentityError::Io {
        path: path.into(),
        err,
    })
}

#[cfg(test)]
pub(in crate::identity) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, KeyPair};
    use tern_protocol::time::WallTime;

    use super::*;

    /// An identity whose certificate vouches for itself.
    pub(in crate::identity) fn identity() -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::default().self_signed(&key);
        let pem = certificate.expect("a certificate").pem();
        let credentials = Credentials {
            workspace: "default".parse().expect("a name"),
            device: "meter-01".parse().expect("a name"),
            site: None,
            labels: [].into(),
            certificate: pem.clone(),
            not_before: WallTime(0),
            not_after: WallTime(1000),
            authorities: pem,
            broker_authorities: None,
            mqtt: vec!["hub.example:8883".into()],
            https: vec!["https://hub.example:8443".into()],
            root: None,
        };
        Identity::new(key.serialize_pem(), credentials).expect("it is whole")
    }

    #[test]
    fn it_is_written_once_for_the_owner_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("identity.json");
        assert!(Identity::load(&path).expect("absent is fine").is_none());
        let first = identity();
        first.create(&path).expect("it can be written");
        identity().create(&path).expect_err("it is there already");
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let read = Identity::load(&path).expect("it reads").expect("it is");
        assert_eq!(read.key_pem(), first.key_pem());
        assert!(!format!("{read:?}").contains("PRIVATE"));
    }

    #[test]
    fn the_newest_credentials_that_are_whole_count() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("identity.json");
        let first = identity();
        first.create(&path).expect("it can be written");
        let mut newer = first.credentials.clone();
        newer.not_after = WallTime(2000);
        let newer = first.renewed(newer).expect("its own");
        newer.keep_renewed(&path).expect("it can be written");
        let until = || {
            let read = Identity::load(&path).expect("it reads").expect("it is");
            read.credentials.not_after
        };
        assert_eq!(until(), WallTime(2000));
        let whole = fs::read(renewed_path(&path)).expect("it is there");
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(renewed_path(&path), &whole[..cut]).expect("it can be written");
            assert_eq!(until(), WallTime(1000), "cut at {cut}");
        }
        let strange = identity().credentials;
        first.renewed(strange).expect_err("of another key");
    }
}
