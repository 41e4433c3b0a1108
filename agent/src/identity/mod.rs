//! Who this device is to the hub, and how it knows the hub.
//!
//! [`join`] makes a key and asks to be let in, once, by a command. [`file`] keeps what came of it.
//! [`renew`] keeps the certificate fresh while the agent runs. [`tls`] knows the hub.
//!
//! Must never break: inference does not depend on anything here; the file that `join` wrote is never
//! written again, so that no power cut can take a device's identity away.

pub mod file;
pub mod https;
pub mod join;
pub mod renew;
pub mod tls;

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tern_protocol::rest::Credentials;

use self::tls::Trust;

/// When this agent was built, in seconds since 1970: the time is never earlier. Builds that set
/// `TERN_BUILD_EPOCH` say it themselves; otherwise it is 2026-11-01.
const BUILT: Duration = Duration::from_secs(match option_env!("TERN_BUILD_EPOCH") {
    Some(text) => seconds(text),
    None => 1_793_491_200,
});

const fn seconds(text: &str) -> u64 {
    let (digits, mut at, mut value) = (text.as_bytes(), 0, 0);
    while at < digits.len() {
        assert!(
            digits[at].is_ascii_digit(),
            "TERN_BUILD_EPOCH is a number of seconds"
        );
        value = value * 10 + (digits[at] - b'0') as u64;
        at += 1;
    }
    value
}

/// Why stored credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A certificate or the key is damaged.
    #[error("the stored {0} cannot be read; join again with `tern-agent join --replace`")]
    Damaged(&'static str),
    /// They do not fit together.
    #[error("the stored certificate and key cannot be used for TLS")]
    Tls(#[from] rustls::Error),
}

/// The least that the time can be: when this agent was built, or when the newest certificate began,
/// which the hub's authority has signed.
pub fn floor(credentials: Option<&Credentials>) -> Duration {
    let signed = credentials.and_then(|c| u64::try_from(c.not_before.0).ok());
    BUILT.max(Duration::from_millis(signed.unwrap_or(0)))
}

/// TLS with these credentials: shown to the hub, and the hub known by their authorities.
pub fn client(key: &str, credentials: &Credentials) -> Result<ClientConfig, CredentialsError> {
    let damaged = |what| move |_| CredentialsError::Damaged(what);
    let read = |pem: &str| CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain: Result<Vec<_>, _> = read(&credentials.certificate);
    let chain = chain.map_err(damaged("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(damaged("key"))?;
    let trust = trust(credentials)?;
    Ok(tls::client(
        trust,
        floor(Some(credentials)),
        Some((chain, key)),
    )?)
}

/// The authorities of these credentials.
pub fn trust(credentials: &Credentials) -> Result<Trust, CredentialsError> {
    let pem = credentials.authorities.as_bytes();
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(|_| CredentialsError::Damaged("authority"))?;
    Ok(Trust::Authorities(roots))
}

/// A configuration that connections share.
pub type SharedTls = Arc<ClientConfig>;
