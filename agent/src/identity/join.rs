//! `tern-agent join`: makes a key, shows the hub an invitation, keeps what it gives.
//!
//! Must never break: a join that was interrupted goes on with the same key.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::{Deserialize, Serialize};
use tern_protocol::{
    id::DeviceId,
    join::{JoinToken, JoinTokenError, TOKEN_MAX},
    rest::{Join, Joined},
};
use tokio::time;

use super::{
    file::{self, Identity, IdentityError},
    https::{self, HttpsError},
    tls::{self, Trust},
};
use crate::config::{ConfigError, Joining};

/// How often the hub may be asked again.
const AGAIN: std::ops::RangeInclusive<u32> = 1..=3600;

/// Why the device is not in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The token is none.
    #[error(transparent)]
    Token(#[from] JoinTokenError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] IdentityError),
    /// The hub does not answer, or says no.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// The key cannot be made or read.
    #[error("the key of this device: {0}")]
    Key(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Input or output.
    #[error("{what}: {err}")]
    Io {
        /// Of what.
        what: String,
        /// Why.
        err: io::Error,
    },
    /// It is not clear which device this is.
    #[error("{0}")]
    Device(String),
    /// The hub gave something that cannot be used.
    #[error("what the hub gave cannot be used: {0}")]
    Credentials(String),
}

impl JoinError {
    /// Whether the hub said no, so that trying again is of no use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Https(HttpsError::Refused(_)))
    }
}

#[derive(Serialize, Deserialize)]
struct Pending {
    key_pem: String,
}

/// Joins with a token; `-` reads it from standard input. Says on standard output how it goes.
pub async fn join(config: &Path, device: Option<DeviceId>, token: &str) -> Result<(), JoinError> {
    if let Some(device) = &device
        && !config.exists()
    {
        let text = minimal(device);
        let made = fs::File::create_new(config).and_then(|mut f| f.write_all(text.as_bytes()));
        made.map_err(|err| JoinError::Io {
            what: config.display().to_string(),
            err,
        })?;
        println!("wrote {}", config.display());
    }
    let settings = Joining::load(config)?;
    let path = settings.identity.as_path();
    if let Some(identity) = Identity::load(path)? {
        let device = &identity.credentials.device;
        println!("{device} has joined already: {}", path.display());
        return Ok(());
    }
    let device = match (device, settings.device) {
        (Some(asked), Some(written)) if asked != written => {
            let text = format!(
                "--device is {asked}, but {} says {written}",
                config.display()
            );
            return Err(JoinError::Device(text));
        }
        (Some(device), _) | (None, Some(device)) => device,
        (None, None) => {
            let text = format!(
                "say which device: --device NAME, or `device` in {}",
                config.display()
            );
            return Err(JoinError::Device(text));
        }
    };
    let token: JoinToken = match token {
        "-" => from_stdin()?.parse()?,
        token => token.parse()?,
    };
    let key = key(path)?;
    let request = Join {
        secret: token.secret.clone(),
        device: device.clone(),
        hardware_id: settings.hardware_id,
        csr: signing_request(&key)?,
    };
    let trust = Trust::Pin(token.authority);
    let tls = tls::client(trust, super::floor(None), None)?;
    let mut waits = false;
    let credentials = loop {
        let again = match https::post(tls.clone(), &token.https, "/api/v1/join", &request).await {
            Ok(Joined::Active(credentials)) => break *credentials,
            Ok(Joined::Pending {
                identity,
                reason,
                again_in_s,
            }) => {
                if !waits {
                    println!("waiting to be accepted ({reason}): identity {identity}");
                    println!("interrupting is safe: the same command goes on");
                }
                waits = true;
                again_in_s.clamp(*AGAIN.start(), *AGAIN.end())
            }
            Err(HttpsError::Refused(text)) => return Err(HttpsError::Refused(text).into()),
            // Somebody is about to accept it: a hub that restarts meanwhile is no reason to end.
            Err(err) if waits => {
                eprintln!("{err}; asking again");
                30
            }
            Err(err) => return Err(err.into()),
        };
        time::sleep(Duration::from_secs(again.into())).await;
    };
    if credentials.device != device {
        let text = format!("it is for the device {}", credentials.device);
        return Err(JoinError::Credentials(text));
    }
    let identity = Identity::new(key.serialize_pem(), credentials);
    let identity = identity.map_err(JoinError::Credentials)?;
    identity.create(path)?;
    let pending = file::pending_path(path);
    if let Err(err) = fs::remove_file(&pending) {
        eprintln!("{} can be removed: {err}", pending.display());
    }
    let workspace = &identity.credentials.workspace;
    println!(
        "{device} has joined the workspace {workspace}: {}",
        path.display()
    );
    println!("next: tern-agent run --config {}", config.display());
    Ok(())
}

/// The key that waits beside the identity at `path`, or a new one, which waits there from now on.
fn key(path: &Path) -> Result<KeyPair, JoinError> {
    let pending = file::pending_path(path);
    if let Some(Pending { key_pem }) = file::read(&pending)? {
        return Ok(KeyPair::from_pem(&key_pem)?);
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let key_pem = key.serialize_pem();
    file::write(&pending, &Pending { key_pem }, |temporary| {
        fs::rename(temporary, &pending)
    })?;
    Ok(key)
}

/// A signing request of this key. The hub decides about everything but the key.
pub(super) fn signing_request(key: &KeyPair) -> Result<String, rcgen::Error> {
    CertificateParams::default().serialize_request(key)?.pem()
}

fn from_stdin() -> Result<String, JoinError> {
    let mut text = String::new();
    let most = TOKEN_MAX as u64 * 2;
    let read = io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|err| JoinError::Io {
        what: "reading the token".into(),
        err,
    })?;
    Ok(text)
}

fn minimal(device: &DeviceId) -> String {
    format!("device = \"{device}\"\n\n# [[slots]]\n# name = \"main\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_that_is_repeated_uses_the_same_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("identity.json");
        let first = key(&path).expect("a key").serialize_pem();
        assert_eq!(key(&path).expect("a key").serialize_pem(), first);
    }

    #[test]
    fn the_configuration_that_is_written_can_be_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("agent.toml");
        let device: DeviceId = "meter-01".parse().expect("a name");
        fs::write(&path, minimal(&device)).expect("it can be written");
        let joining = Joining::load(&path).expect("it reads");
        assert_eq!(joining.device, Some(device));
        assert_eq!(joining.identity, dir.path().join("identity.json"));
    }
}
