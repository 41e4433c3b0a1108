//! What it takes to speak to a hub: where it is, who vouches for it, and who we are.
//!
//! Must never break: a token is in no `Debug` output and in no error; plain HTTP leaves this machine
//! never.

use std::{fmt, sync::Arc};

use rustls::{
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tern_protocol::id::WorkspaceId;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::error::ClientError;

/// An API token. Shown to nobody but the hub.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// From its text, without the spaces of a paste.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Its text, for a header or for the file of credentials, and for nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How to reach a hub, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `https://HOST:PORT`; `http://` to this machine only.
    pub hub: String,
    /// The workspace that all calls speak about.
    pub workspace: WorkspaceId,
    /// Who we are; nobody, if there is none.
    pub token: Option<Token>,
    /// Authorities that vouch for the hub, as PEM; those that this machine trusts, if there is none.
    pub ca: Option<String>,
}

/// ring with what TLS 1.3 needs, so that nothing older is spoken.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    let suites = &mut provider.cipher_suites;
    suites.retain(|suite| suite.tls13().is_some());
    provider
}

pub(super) fn tls(ca: Option<&str>) -> Result<TlsConfig, ClientError> {
    let roots = match ca {
        Some(pem) => certificates(pem)?.into(),
        None => RootCerts::PlatformVerifier,
    };
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(provider()))
        .root_certs(roots);
    Ok(tls.build())
}

fn certificates(pem: &str) -> Result<Vec<Certificate<'static>>, ClientError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|_| ClientError::Authority)?;
    if read.is_empty() {
        return Err(ClientError::Authority);
    }
    let certificates = read.iter();
    Ok(certificates
        .map(|der| Certificate::from_der(der).to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let connection = Connection {
            hub: "https://hub.example".into(),
            workspace: "default".parse().expect("a name"),
            token: Some(Token::new(" tern_pat_planted\n")),
            ca: None,
        };
        assert!(!format!("{connection:?}").contains("planted"));
        let client = super::super::Client::connect(&connection).expect("an address");
        assert!(!format!("{client:?}").contains("planted"));
    }

    #[test]
    fn what_is_no_certificate_vouches_for_nobody() {
        assert!(matches!(certificates(""), Err(ClientError::Authority)));
        assert!(tls(Some("no PEM")).is_err());
    }
}
