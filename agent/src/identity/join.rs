//! `tern-agent join`: makes a key, asks to be let in, waits if somebody has to accept, keeps what came
//! of it.

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tern_protocol::{
    id::DeviceId,
    join::JoinToken,
    rest::{Credentials, Join, Joined},
};

use super::{
    file::{FileError, IdentityFiles},
    floor,
    https::{self, HttpsError},
    tls::{self, Trust},
};

/// Longest wait before asking again whether somebody has accepted.
const AGAIN_MAX: u32 = 60;

/// Why joining came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The files of the identity.
    #[error(transparent)]
    File(#[from] FileError),
    /// The hub says no, or does not answer.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// A key could not be made or used.
    #[error("making a key and its signing request")]
    Key(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("setting up TLS")]
    Tls(#[from] rustls::Error),
}

impl JoinError {
    /// Whether the hub said no: another try with the same token gets the same answer.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Https(HttpsError::Refused(_)))
    }
}

/// Joins, and writes the identity. `waits` hears why somebody has to accept, once.
pub async fn join(
    files: &IdentityFiles,
    token: &JoinToken,
    device: &DeviceId,
    hardware_id: Option<String>,
    mut waits: impl FnMut(&str),
) -> Result<Credentials, JoinError> {
    let made = KeyPair::generate()?;
    // A request that was cut off goes on with the key that it began with, or it would count twice.
    let pending = files.pending(|| made.serialize_pem())?;
    let key = KeyPair::from_pem(&pending.key)?;
    let ask = Join {
        secret: token.secret.clone(),
        device: device.clone(),
        hardware_id,
        csr: signing_request(&key)?,
    };
    let tls = tls::client(Trust::Pin(token.authority), floor(None), None)?;
    let mut told = false;
    loop {
        let answer = https::post(&token.https, "/api/v1/join", &ask, &tls).await;
        match answer {
            Ok(Joined::Active(credentials)) => {
                files.create(&pending.key, &credentials)?;
                files.not_pending()?;
                return Ok(credentials);
            }
            Ok(Joined::Pending {
                reason, again_in_s, ..
            }) => {
                if !std::mem::replace(&mut told, true) {
                    waits(&reason);
                }
                let again = again_in_s.clamp(1, AGAIN_MAX);
                tokio::time::sleep(Duration::from_secs(u64::from(again))).await;
            }
            // The hub was there a moment ago: it comes back, and so do we.
            Err(err) if told && !matches!(err, HttpsError::Refused(_)) => {
                tokio::time::sleep(Duration::from_secs(u64::from(AGAIN_MAX))).await;
            }
            Err(err) => {
                if matches!(err, HttpsError::Refused(_)) {
                    files.not_pending()?;
                }
                return Err(err.into());
            }
        }
    }
}

/// A signing request for a key: it proves that we have it. What the certificate says is the hub's to
/// decide.
pub(super) fn signing_request(key: &KeyPair) -> Result<String, rcgen::Error> {
    CertificateParams::default().serialize_request(key)?.pem()
}
